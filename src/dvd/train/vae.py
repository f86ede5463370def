"""Trains the causal video autoencoder (Eq. 1) on RGB, on disparity, or on both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from dvd.backbones.wan.vae import WanVAE
from dvd.errors import OptionError
from dvd.train.engine import Terms
from dvd.train.mixture import Batch
from dvd.train.optimisers import adamw
from dvd.train.settings import VAEPhase


class Autoencoding(nn.Module):
    """Video `B C T H W` and noise → its reconstruction, and the posterior's mean and log variance."""

    def __init__(self, vae: WanVAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, video: Tensor, seeds: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """The reconstruction of a latent drawn from the posterior; `seeds` has one number per sample."""
        mean, log_variance = self.vae.posterior(video)
        noise = torch.stack(
            [torch.randn(mean.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        )
        latent = mean + torch.exp(0.5 * log_variance) * noise.to(mean)
        return self.vae.decode(self.vae.normalise(latent)), mean, log_variance


class VAETask:
    """Reconstruction of what `phase.content` names."""

    def __init__(self, vae: WanVAE, phase: VAEPhase, batches: Callable[[int], list[Batch]]) -> None:
        if "rgb" in phase.content and vae.config.channels != 3:
            raise OptionError(f"phase {phase.name}: a VAE of one channel cannot hold RGB; set content to disparity")
        self.module: nn.Module = Autoencoding(vae.requires_grad_(True))
        self.phase, self.batches, self.channels = phase, batches, vae.config.channels

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for all of it."""
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """L1 on values and first differences, and β · KL to the unit Gaussian, the mean over the contents."""
        video = torch.cat([contents(batch, content, self.channels) for content in self.phase.content])
        rebuilt, mean, log_variance = module(video, batch.seeds * len(self.phase.content))
        loss, error = reconstruction(rebuilt.float(), video, self.phase.gradient_weight)
        mean, log_variance = mean.float(), log_variance.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        total = loss + self.phase.kl_weight * kl + nothing_of(self.module)
        return total, {"error": error, "kl": kl.detach()}


def decoding_half(vae: WanVAE) -> tuple[nn.Module, ...]:
    """The parts of a VAE that lead from the latent to pixels; the others lead from pixels to the latent."""
    return vae.conv2, vae.decoder


def contents(batch: Batch, content: str, channels: int) -> Tensor:
    """RGB, or disparity in [-1, 1] repeated to the autoencoder's channels: `B C T H W`."""
    return batch.rgb if content == "rgb" else (batch.disparity * 2 - 1).expand(-1, channels, -1, -1, -1)


def nothing_of(module: nn.Module) -> Tensor:
    """0, from every trained parameter: an image passes no convolution over time, and other processes wait for all."""
    return torch.stack([value.sum() for value in module.parameters() if value.requires_grad]).sum() * 0


def reconstruction(rebuilt: Tensor, target: Tensor, gradient_weight: float) -> tuple[Tensor, Tensor]:
    """L1 on values and on first differences, which keeps edges; also the plain mean error for the log."""
    error = rebuilt - target
    point = error.abs().mean()
    edges = sum(error.diff(dim=dim).abs().mean() for dim in (2, 3, 4) if error.shape[dim] > 1)
    return point + gradient_weight * edges, point.detach()


@torch.no_grad()
def with_statistics(vae: WanVAE, phase: VAEPhase, batches: Callable[[int], list[Batch]], rounds: int = 8) -> WanVAE:
    """The same VAE, whose latents come out with zero mean and unit deviation per channel.

    Measured on steps that training did not see. The normalisation is part of Eq. 1's latent.
    """
    sums, squares, count = torch.zeros(vae.config.z_dim), torch.zeros(vae.config.z_dim), 0
    device = next(vae.parameters()).device
    for index in range(rounds):
        for batch in batches(1_000_000 + index):
            for content in phase.content:
                mean = vae.posterior(contents(batch, content, vae.config.channels).to(device))[0]
                flat = mean.float().cpu().transpose(0, 1).flatten(1)
                sums, squares, count = sums + flat.sum(1), squares + flat.square().sum(1), count + flat.shape[1]
    mean = sums / count
    deviation = (squares / count - mean.square()).clamp_min(1e-8).sqrt()
    config = replace(vae.config, latents_mean=tuple(mean.tolist()), latents_std=tuple(deviation.tolist()))
    measured = WanVAE(config).to(device)
    measured.load_state_dict(vae.state_dict())
    return measured

"""The phases that train the causal video autoencoder, whole or by halves, each beside its task.

The halves are fitted while the other half and the network stay as they are:

- The encoder: a trained dvd-mini comes without one, and training needs it for the latents that the network is to
  predict. Many latents decode to the same disparity; agreement with the network's prediction chooses among them the
  one that the network knows.
- The decoder: a regression's latents are smoother than the encoder's (Sec. 3.3, mean collapse); a decoder that has
  seen only the latter draws them with faint stripes. The latent itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from dvd.backbones.trainable import Codec
from dvd.backbones.wan.vae import WanVAE
from dvd.errors import ModelError, OptionError
from dvd.train.mixture import Batch
from dvd.train.optim import adamw
from dvd.train.settings import Phase, Recipe
from dvd.train.tasks import Batches, Terms, input_of

if TYPE_CHECKING:
    from dvd.backbones.base import ModelCard
    from dvd.train.networks import Networks

STATISTICS_STEP = 1_000_000
"""The first of the steps, never trained on, whose batches give the statistics of the latents."""


@dataclass(frozen=True, kw_only=True)
class VAEPhase(Phase):
    """Reconstruction by the video autoencoder (Eq. 1): L1 on values and first differences, and a KL term."""

    content: tuple[Literal["rgb", "disparity"], ...] = ("disparity",)
    gradient_weight: float = 1.0
    kl_weight: float = 1e-6

    trains_vae = True

    def task(self, networks: Networks, batches: Batches) -> VAETask:
        return VAETask(networks.vae, self, batches)

    def trained(self, networks: Networks) -> Iterable[nn.Parameter]:
        return networks.vae.parameters()

    def vae_blocks(self, blocks: int) -> int:
        return (2 * blocks + 1) * len(self.content)

    def finish(self, networks: Networks, batches: Batches) -> dict[str, Any]:
        """Normalise the latents by statistics that are measured now."""
        networks.vae = with_statistics(networks.vae, *statistics(networks.vae.eval(), self, batches))
        config = networks.vae.config
        return {"latents_mean": config.latents_mean, "latents_std": config.latents_std}

    def restore(self, networks: Networks, about: dict[str, Any]) -> None:
        networks.vae = with_statistics(networks.vae, about["latents_mean"], about["latents_std"])


@dataclass(frozen=True, kw_only=True)
class EncoderPhase(Phase):
    """A VAE without an encoder gets one, into the latent that its decoder and the network know."""

    tau: float = 0.5
    gradient_weight: float = 1.0
    agreement: float = 1.0
    """Weight of the encoder's mean squared distance to the network's prediction, beside the reconstruction."""

    fits_encoder = True

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if not recipe.model.backbone.lacks_encoder(recipe.model) or recipe.phases_before(self):
            raise OptionError(
                f"phase {self.name} fits an encoder to a trained dvd-mini as it came; set model.weights to one, and "
                "put the phase first"
            )

    def check_start(self, recipe: Recipe, card: ModelCard) -> None:
        """Raise ModelError at another τ: an encoder fitted to those predictions would learn meaningless latents."""
        if self.tau != card.tau:
            raise ModelError(f"{recipe.model.weights} predicts at τ = {card.tau}; set {self.name}.tau to it")

    def task(self, networks: Networks, batches: Batches) -> EncoderTask:
        return EncoderTask(networks.network, networks.vae, networks.codec(), self, batches)

    def trained(self, networks: Networks) -> Iterable[nn.Parameter]:
        decoding = {id(value) for part in decoding_half(networks.vae) for value in part.parameters()}
        return (value for value in networks.vae.parameters() if id(value) not in decoding)

    def vae_blocks(self, blocks: int) -> int:
        return 2 * blocks + 1


@dataclass(frozen=True, kw_only=True)
class DecoderPhase(Phase):
    """The VAE's decoder learns the latents that the regression predicts, which are smoother than the encoder's."""

    tau: float = 0.5
    gradient_weight: float = 1.0

    fits_decoder = True

    @property
    def learns_depth(self) -> bool:
        return True

    @property
    def anchor(self) -> float:
        return self.tau

    def task(self, networks: Networks, batches: Batches) -> DecoderTask:
        return DecoderTask(networks.network, networks.vae, networks.codec(), self, batches)

    def trained(self, networks: Networks) -> Iterable[nn.Parameter]:
        return (value for part in decoding_half(networks.vae) for value in part.parameters())

    def vae_blocks(self, blocks: int) -> int:
        return blocks + 1


class Autoencoding(nn.Module):
    """Video `B C T H W` and noise → its reconstruction, and the posterior's mean and log variance."""

    def __init__(self, vae: WanVAE) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, video: Tensor, seeds: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct from a latent drawn from the posterior; `seeds` has one number per sample."""
        mean, log_variance = self.vae.posterior(video)
        noise = torch.stack(
            [torch.randn(mean.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        )
        latent = mean + torch.exp(0.5 * log_variance) * noise.to(mean)
        return self.vae.decode(self.vae.normalise(latent)), mean, log_variance


class Encoding(nn.Module):
    """Video `B C T H W` → its normalised latent `B c t h w`, and the video rebuilt; the encoder alone is trained."""

    def __init__(self, vae: WanVAE) -> None:
        super().__init__()
        self.vae = vae.requires_grad_(True)
        for part in decoding_half(vae):
            part.requires_grad_(False)

    def forward(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Encode without noise, and decode."""
        latent = self.vae.encode(video)
        return latent, self.vae.decode(latent)


class Decoding(nn.Module):
    """Latent `B c t h w` → video `B C T H W`, by the decoder half of a VAE, which alone is trained."""

    def __init__(self, vae: WanVAE) -> None:
        super().__init__()
        self.vae = vae.requires_grad_(False)
        for part in decoding_half(vae):
            part.requires_grad_(True)

    def forward(self, latent: Tensor) -> Tensor:
        """Decode."""
        return self.vae.decode(latent)


class VAETask:
    """Reconstruction of the contents that the phase names."""

    def __init__(self, vae: WanVAE, phase: VAEPhase, batches: Batches) -> None:
        if "rgb" in phase.content and vae.config.channels != 3:
            raise OptionError(f"phase {phase.name}: a VAE of one channel cannot hold RGB; set content to disparity")
        self.module: nn.Module = Autoencoding(vae.requires_grad_(True))
        self.phase, self.batches, self.channels = phase, batches, vae.config.channels

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Return AdamW for all of it."""
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """Return L1 on values and first differences, and β · KL to the unit Gaussian, the mean over the contents."""
        video = torch.cat([contents(batch, content, self.channels) for content in self.phase.content])
        rebuilt, mean, log_variance = module(video, batch.seeds * len(self.phase.content))
        loss, error = reconstruction(rebuilt.float(), video, self.phase.gradient_weight)
        mean, log_variance = mean.float(), log_variance.float()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        total = loss + self.phase.kl_weight * kl + zero_touching_every_parameter(self.module)
        return total, {"error": error, "kl": kl.detach()}


class HalfTask:
    """Common to both halves: the network that only predicts, and AdamW for the half that learns."""

    half: type[Encoding] | type[Decoding]

    def __init__(
        self, network: nn.Module, vae: WanVAE, codec: Codec, phase: EncoderPhase | DecoderPhase, batches: Batches
    ) -> None:
        self.network = network.to(next(vae.parameters()).device).eval()
        self.codec, self.phase, self.batches = codec, phase, batches
        self.module: nn.Module = self.half(vae)
        self.channels = vae.config.channels

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Return AdamW."""
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    @torch.no_grad()
    def predicted(self, batch: Batch) -> Tensor:
        """Return the network's latent for the batch at the phase's τ."""
        latent: Tensor = self.network(input_of(self.codec, batch), 1000 * self.phase.tau)
        return latent


class EncoderTask(HalfTask):
    """Reconstruction of disparity through the frozen decoder, near the latent that the network predicts."""

    half = Encoding
    phase: EncoderPhase

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """Return L1 on disparity and its first differences, and the mean squared distance to the network's latent."""
        predicted = self.predicted(batch)
        target = contents(batch, "disparity", self.channels).to(predicted.device)
        latent, rebuilt = module(target)
        loss, error = reconstruction(rebuilt.float(), target, self.phase.gradient_weight)
        apart = (latent.float() - predicted.float()).square().mean()
        total = loss + self.phase.agreement * apart + zero_touching_every_parameter(self.module)
        return total, {"error": error, "apart": apart.detach()}


class DecoderTask(HalfTask):
    """Reconstruction of disparity from the latent that the network predicts."""

    half = Decoding
    phase: DecoderPhase

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """Return L1 on disparity and its first differences."""
        latent = self.predicted(batch)
        target = contents(batch, "disparity", self.channels).to(latent.device)
        loss, error = reconstruction(module(latent).float(), target, self.phase.gradient_weight)
        return loss + zero_touching_every_parameter(self.module), {"error": error}


def decoding_half(vae: WanVAE) -> tuple[nn.Module, ...]:
    """Return the parts of a VAE that lead from the latent to pixels; the others lead from pixels to the latent."""
    return vae.conv2, vae.decoder


def contents(batch: Batch, content: str, channels: int) -> Tensor:
    """Return RGB, or disparity in [-1, 1] repeated to the autoencoder's channels: `B C T H W`."""
    return batch.rgb if content == "rgb" else (batch.disparity * 2 - 1).expand(-1, channels, -1, -1, -1)


def zero_touching_every_parameter(module: nn.Module) -> Tensor:
    """Return a zero that depends on every trained parameter, so that distributed training finds no unused ones.

    An image passes no convolution over time.
    """
    return torch.stack([value.sum() for value in module.parameters() if value.requires_grad]).sum() * 0


def reconstruction(rebuilt: Tensor, target: Tensor, gradient_weight: float) -> tuple[Tensor, Tensor]:
    """Return L1 on values and on first differences, which keeps edges; and the plain mean error for the log."""
    error = rebuilt - target
    point = error.abs().mean()
    edges = sum(error.diff(dim=dim).abs().mean() for dim in (2, 3, 4) if error.shape[dim] > 1)
    return point + gradient_weight * edges, point.detach()


@torch.no_grad()
def statistics(
    vae: WanVAE, phase: VAEPhase, batches: Batches, rounds: int = 8
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of the latents per channel, measured on steps that training did not see."""
    sums, squares, count = torch.zeros(vae.config.z_dim), torch.zeros(vae.config.z_dim), 0
    device = next(vae.parameters()).device
    for index in range(rounds):
        for batch in batches(STATISTICS_STEP + index):
            for content in phase.content:
                mean = vae.posterior(contents(batch, content, vae.config.channels).to(device))[0]
                flat = mean.float().cpu().transpose(0, 1).flatten(1)
                sums, squares, count = sums + flat.sum(1), squares + flat.square().sum(1), count + flat.shape[1]
    mean = sums / count
    deviation = (squares / count - mean.square()).clamp_min(1e-8).sqrt()
    return tuple(mean.tolist()), tuple(deviation.tolist())


def with_statistics(vae: WanVAE, mean: Iterable[float], deviation: Iterable[float]) -> WanVAE:
    """Return the same VAE with its latents normalised to zero mean and unit deviation per channel (part of Eq. 1)."""
    config = replace(vae.config, latents_mean=tuple(mean), latents_std=tuple(deviation))
    normalised = WanVAE(config).to(next(vae.parameters()).device)
    normalised.load_state_dict(vae.state_dict())
    return normalised

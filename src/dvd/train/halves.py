"""Fits one half of the VAE while the other half and the network stay as they are.

The encoder: a trained dvd-mini comes without one, and training needs it for the latents that the network is to predict.
Many latents decode to the same disparity; that the encoder should also agree with what the network predicts chooses
among them the one that the network knows.

The decoder: a regression's latents are smoother than the encoder's (Sec. 3.3, mean collapse); a decoder that has seen
only the latter draws them with faint stripes. The latent itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dvd.backbones.wan.vae import WanVAE
from dvd.train.adapt import Codec
from dvd.train.engine import Terms
from dvd.train.mixture import Batch
from dvd.train.optimisers import adamw
from dvd.train.settings import DecoderPhase, EncoderPhase
from dvd.train.vae import contents, decoding_half, nothing_of, reconstruction


class Encoding(nn.Module):
    """Video `B C T H W` → its normalised latent `B c t h w`, and the video rebuilt; the encoder alone is trained."""

    def __init__(self, vae: WanVAE) -> None:
        super().__init__()
        self.vae = vae.requires_grad_(True)
        for part in decoding_half(vae):
            part.requires_grad_(False)

    def forward(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes without noise, and decodes."""
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
        """Decodes."""
        return self.vae.decode(latent)


class HalfTask:
    """What the two have in common: the network that is only asked, and AdamW for the half that learns."""

    half: type[Encoding] | type[Decoding]

    def __init__(
        self,
        network: nn.Module,
        vae: WanVAE,
        codec: Codec,
        phase: EncoderPhase | DecoderPhase,
        batches: Callable[[int], list[Batch]],
    ) -> None:
        self.network = network.to(next(vae.parameters()).device).eval()
        self.codec, self.phase, self.batches = codec, phase, batches
        self.module: nn.Module = self.half(vae)
        self.channels = vae.config.channels

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW."""
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    @torch.no_grad()
    def predicted(self, batch: Batch) -> Tensor:
        """The latent that the network makes of the batch at the phase's τ."""
        latent: Tensor = self.network(self.codec.inputs(batch), 1000 * self.phase.tau)
        return latent


class EncoderTask(HalfTask):
    """Reconstruction of disparity through the frozen decoder, near the latent that the network predicts."""

    half = Encoding
    phase: EncoderPhase

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """L1 on disparity and its first differences, and the mean squared distance to the network's latent."""
        predicted = self.predicted(batch)
        target = contents(batch, "disparity", self.channels).to(predicted.device)
        latent, rebuilt = module(target)
        loss, error = reconstruction(rebuilt.float(), target, self.phase.gradient_weight)
        apart = (latent.float() - predicted.float()).square().mean()
        return loss + self.phase.agreement * apart + nothing_of(self.module), {"error": error, "apart": apart.detach()}


class DecoderTask(HalfTask):
    """Reconstruction of disparity from what the network predicts."""

    half = Decoding
    phase: DecoderPhase

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """L1 on disparity and its first differences."""
        latent = self.predicted(batch)
        target = contents(batch, "disparity", self.channels).to(latent.device)
        loss, error = reconstruction(module(latent).float(), target, self.phase.gradient_weight)
        return loss + nothing_of(self.module), {"error": error}

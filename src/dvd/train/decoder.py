"""Adapts the VAE's decoder to the latents that the regression really predicts.

A regression's latents are smoother than the encoder's (Sec. 3.3, mean collapse); a decoder that has seen only the
latter draws them with faint stripes. The encoder, and so the latent itself, stays as it is.
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
from dvd.train.settings import DecoderPhase
from dvd.train.vae import contents, decoding_half, nothing_of, reconstruction


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


class DecoderTask:
    """Reconstruction of disparity from what the frozen network predicts."""

    def __init__(
        self,
        network: nn.Module,
        vae: WanVAE,
        codec: Codec,
        phase: DecoderPhase,
        batches: Callable[[int], list[Batch]],
    ) -> None:
        self.network = network.to(next(vae.parameters()).device).requires_grad_(False).eval()
        self.codec, self.phase, self.batches = codec, phase, batches
        self.module: nn.Module = Decoding(vae)
        self.channels = vae.config.channels

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for the decoder."""
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """L1 on disparity and its first differences."""
        with torch.no_grad():
            latent = self.network(self.codec.inputs(batch), 1000 * self.phase.tau)
        target = contents(batch, "disparity", self.channels).to(latent.device)
        loss, error = reconstruction(module(latent).float(), target, self.phase.gradient_weight)
        return loss + nothing_of(self.module), {"error": error}

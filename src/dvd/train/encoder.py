"""Fits an encoder to the decoder and the network of a trained dvd-mini, which comes without one.

Training needs it for the latents that the network is to predict. Many latents decode to the same disparity; that the
encoder should also agree with what the network predicts chooses among them the one that the network knows.
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
from dvd.train.settings import EncoderPhase
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


class EncoderTask:
    """Reconstruction of disparity through the frozen decoder, near the latent that the frozen network predicts."""

    def __init__(
        self,
        network: nn.Module,
        vae: WanVAE,
        codec: Codec,
        phase: EncoderPhase,
        batches: Callable[[int], list[Batch]],
    ) -> None:
        self.network = network.to(next(vae.parameters()).device).eval()
        self.codec, self.phase, self.batches = codec, phase, batches
        self.module: nn.Module = Encoding(vae)
        self.channels = vae.config.channels

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for the encoder."""
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """L1 on disparity and its first differences, and the mean squared distance to the network's latent."""
        with torch.no_grad():
            predicted = self.network(self.codec.inputs(batch), 1000 * self.phase.tau)
        target = contents(batch, "disparity", self.channels).to(predicted.device)
        latent, rebuilt = module(target)
        loss, error = reconstruction(rebuilt.float(), target, self.phase.gradient_weight)
        apart = (latent.float() - predicted.float()).square().mean()
        return loss + self.phase.agreement * apart + nothing_of(self.module), {"error": error, "apart": apart.detach()}

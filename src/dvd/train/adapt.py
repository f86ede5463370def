"""Deterministic adaptation: RGB latent → depth latent at the anchor, in one pass (Eq. 5–7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from dvd.backbones.mini import MiniNetwork
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import WanVAE
from dvd.losses import objective_loss
from dvd.memory import chunk_that_fits, vae_budget
from dvd.train.engine import Terms
from dvd.train.mixture import Batch
from dvd.train.optimisers import adamw, muon
from dvd.train.settings import AdaptPhase

RGB_TIMESTEP = 0.0
"""Where the network is asked for the RGB latent itself, when the objective wants that too (Table 8)."""


class Codec(Protocol):
    """The frozen half of a backbone: what the network sees of a batch, what it is to predict, and back to pixels."""

    def inputs(self, batch: Batch) -> Tensor:
        """What the network takes: the RGB latent `B c t h w`, or pixels for dvd-mini."""
        ...

    def target(self, batch: Batch) -> Tensor:
        """The normalised depth latent `B c t h w`."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Depth latent → disparity `B 1 T H W`, nominally in [0, 1]."""
        ...


class WanCodec:
    """The Wan VAE, for RGB and for disparity alike; what comes from a latent cache passes through."""

    def __init__(self, vae: WanVAE) -> None:
        self.vae = vae.eval().requires_grad_(False)

    @torch.no_grad()
    def inputs(self, batch: Batch) -> Tensor:
        """The RGB latent."""
        return batch.rgb.to(self._device) if batch.latent else self._encode(batch.rgb)

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """The depth latent of the disparity, repeated to the VAE's channels."""
        if batch.latent:
            return batch.disparity.to(self._device)
        video = (batch.disparity * 2 - 1).expand(-1, self.vae.config.channels, -1, -1, -1)
        return self._encode(video)

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Disparity, the mean over channels."""
        return (self.vae.decode(latent).float().clamp(-1, 1).mean(dim=1, keepdim=True) + 1) / 2

    def _encode(self, video: Tensor) -> Tensor:
        """In chunks where the whole clip would take too much memory; to the same numbers."""
        batch, _, frames, height, width = video.shape
        device = self._device
        chunk = chunk_that_fits(self.vae.config, batch, height, width, 4, vae_budget(device))
        fits = chunk > frames // self.vae.config.time_factor
        return self.vae.encode(video.to(device), None if fits else chunk).float()

    @property
    def _device(self) -> torch.device:
        return next(self.vae.parameters()).device


class MiniCodec(WanCodec):
    """dvd-mini's: pixels go in as they are, for its ImageNet encoder is part of the network."""

    def inputs(self, batch: Batch) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1]."""
        return batch.rgb.to(self._device)


class AdaptTask:
    """LoRA or full adaptation of a network by the phase's objective."""

    def __init__(
        self, network: nn.Module, codec: Codec, phase: AdaptPhase, batches: Callable[[int], list[Batch]]
    ) -> None:
        self.module, self.codec, self.phase, self.batches = network, codec, phase, batches

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW; where the phase says so, Muon for the blocks' matrices and a slower rate for the inherited encoder."""
        phase = self.phase
        encoder, matrices, others = [], [], []
        for name, value in self.module.named_parameters():
            if name.startswith("encoder."):
                encoder.append(value)
            elif phase.muon and "blocks." in name and value.ndim == 2:
                matrices.append(value)
            else:
                others.append(value)
        rate = phase.rate if phase.encoder_rate is None else phase.encoder_rate
        rest = any(value.requires_grad for value in (*encoder, *others))  # none where LoRA alone learns
        first = [adamw([(encoder, rate), (others, phase.rate)], phase)] if rest else []
        return [*first, muon(matrices, phase)] if matrices else first

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """Eq. 7, or the alternative that the phase names."""
        seen, target = self.codec.inputs(batch), self.codec.target(batch)
        predicted = module(seen, 1000 * self.phase.tau)
        objective = self.phase.objective
        rgb = module(seen, RGB_TIMESTEP).float() if objective.name == "l2+rgb" else None
        total, terms = objective_loss(objective, predicted.float(), target, rgb_latent=seen, predicted_rgb=rgb)
        return total, {name: value.detach() for name, value in terms.items()}


def transformer_of(network: nn.Module) -> WanTransformer:
    """The Wan transformer in either kind of network."""
    inner = network.transformer if isinstance(network, MiniNetwork) else network
    assert isinstance(inner, WanTransformer)
    return inner

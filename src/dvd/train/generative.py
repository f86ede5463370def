"""The generative side: rectified-flow pre-training (Eq. 2), and the generative depth baseline that DVD replaces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dvd.backbones.wan.generative import sample
from dvd.train.adapt import Codec
from dvd.train.engine import Terms
from dvd.train.flow import interpolate, noise_and_time, velocity_loss
from dvd.train.mixture import Batch
from dvd.train.optimisers import adamw
from dvd.train.settings import FlowPhase
from dvd.train.validation import Predict


class FlowTask:
    """The velocity field of RGB latents, or of depth latents beside their RGB latent.

    `network` takes the noised latent, and for depth the RGB latent below it in the channels, at timestep 1000 t.
    """

    def __init__(
        self, network: nn.Module, codec: Codec, phase: FlowPhase, batches: Callable[[int], list[Batch]]
    ) -> None:
        self.module, self.codec, self.phase, self.batches = network, codec, phase, batches

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW."""
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """‖v(z_t, t) − (z_1 − z_0)‖², the mean over samples."""
        rgb = self.codec.inputs(batch)
        data = rgb if self.phase.content == "rgb" else self.codec.target(batch)
        noise, time = noise_and_time(data, batch.seeds)
        noised = interpolate(data, noise, time)
        seen = noised if self.phase.content == "rgb" else torch.cat([noised, rgb], dim=1)
        return velocity_loss(module(seen, 1000 * time).float(), data, noise), {}


def sampled(codec: Codec, steps: int) -> Predict:
    """A depth latent from noise in `steps` steps, as the exported model makes it: every clip from the same noise."""

    def predict(module: nn.Module, batch: Batch) -> Tensor:
        return sample(module, codec.inputs(batch), steps)

    return predict

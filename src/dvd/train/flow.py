"""Rectified flow (Eq. 2): straight lines from data at t = 0 to noise at t = 1, and the velocity along them.

Noise and time are functions of one seed per sample, so that a batch is the same however many processes share it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from dvd.backbones.wan.transformer import WanTransformer


def noise_and_time(data: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """z_1 ~ N(0, I) like `data` `B C T H W`, and t ~ U[0, 1) `B`; float32, on its device.

    `seeds` has one number per sample (ValueError where it has not). Drawn on the CPU, so every device gets the same.
    """
    draws = [_draw(sample.shape, seed) for sample, seed in zip(data, seeds, strict=True)]
    noise, time = (torch.stack(parts).to(data.device) for parts in zip(*draws, strict=True))
    return noise, time


def interpolate(data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """z_t = (1 − t) z_0 + t z_1 for `data` z_0 and `noise` z_1, both `B C T H W`, and one `time` t per sample."""
    t = time.view(-1, *(1,) * (data.ndim - 1))
    return (1 - t) * data + t * noise


def velocity(data: Tensor, noise: Tensor) -> Tensor:
    """dz_t / dt = z_1 − z_0, the same all along the line."""
    return noise - data


def velocity_loss(predicted: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    """‖v − (z_1 − z_0)‖² (Eq. 2), per element: the mean over `B C T H W`."""
    return (predicted - velocity(data, noise)).square().mean()


def widen(transformer: WanTransformer) -> WanTransformer:
    """A copy that takes a condition of as many channels below the noised latent, and at first does not see it.

    The weights of the new channels are zero, so it begins as the flow that `transformer` is. The patch embedding is
    trainable whatever else is frozen: it alone can learn to look. Adapters already injected are copied with the rest.
    """
    wide = copy.deepcopy(transformer)
    wide.config = replace(transformer.config, in_dim=2 * transformer.config.in_dim)
    embedding = wide.patch_embedding
    weight = embedding.weight.detach()  # dim C pt ph pw
    embedding.weight = nn.Parameter(torch.cat([weight, torch.zeros_like(weight)], dim=1))
    embedding.in_channels = wide.config.in_dim
    embedding.requires_grad_(True)
    return wide


def _draw(shape: torch.Size, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random), torch.rand((), generator=random)

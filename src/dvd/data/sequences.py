"""From stored clips to what the trainer sees: normalised disparity, random views, random light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random crop (area share, aspect change as a factor), the flip and the change of colour."""

    area: tuple[float, float] = (0.5, 1.0)
    aspect: float = 1.25
    flip: float = 0.5
    gain: float = 0.25
    gamma: float = 0.35
    saturation: tuple[float, float] = (0.2, 1.5)
    gray: float = 0.05


def normalise_disparity(disparity: Tensor, low: float = 0.02, high: float = 0.98) -> Tensor:
    """Maps every clip's 2 % … 98 % quantiles to [0, 1] and clips the rest (spec, "Training").

    `disparity`: `B 1 T H W`, any affine-invariant unit. One pair of quantiles serves all frames of a clip.
    """
    pixels = disparity.flatten(1).float().sort(dim=1).values
    last = pixels.shape[1] - 1
    near, far = pixels[:, round(high * last)], pixels[:, round(low * last)]
    shape = (-1, 1, 1, 1, 1)
    span = (near - far).clamp_min(1e-6)
    return ((disparity - far.view(shape)) / span.view(shape)).clamp(0, 1)


def random_view(
    rgb: Tensor, disparity: Tensor, size: tuple[int, int], how: Augmentation, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One random crop, flip and change of colour per clip, the same for all of its frames.

    `rgb` `B T H W 3` uint8 and `disparity` `B T H W` → RGB `B 3 T h w` in [-1, 1] and disparity `B 1 T h w`.
    Disparity takes its nearest sample, so that edges stay between two objects and not on neither.
    """
    batch, frames = rgb.shape[:2]
    grid = _crop_grid(batch, rgb.shape[2:4], size, how, random).repeat_interleave(frames, dim=0)
    images = rgb.flatten(0, 1).permute(0, 3, 1, 2).float().div_(255)
    seen = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    near = F.grid_sample(
        disparity.flatten(0, 1)[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    seen = _recolour(seen.unflatten(0, (batch, frames)), how, random)
    return seen.transpose(1, 2).mul(2).sub(1), near.unflatten(0, (batch, frames)).transpose(1, 2)


def _crop_grid(
    batch: int, source: tuple[int, int] | torch.Size, size: tuple[int, int], how: Augmentation, random: torch.Generator
) -> Tensor:
    """Sampling grids `B h w 2` of crops whose area share and aspect are random."""
    area = _uniform(batch, *how.area, random)
    stretch = torch.exp(_uniform(batch, -math.log(how.aspect), math.log(how.aspect), random))
    native = (size[1] / size[0]) / (source[1] / source[0])
    across = (area * stretch * native).sqrt().clamp(max=1)
    down = (area / (stretch * native)).sqrt().clamp(max=1)
    mirror = torch.where(torch.rand(batch, generator=random) < how.flip, -1.0, 1.0)
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = across * mirror, down
    theta[:, 0, 2] = (1 - across) * _uniform(batch, -1, 1, random)
    theta[:, 1, 2] = (1 - down) * _uniform(batch, -1, 1, random)
    return F.affine_grid(theta, [batch, 1, *size], align_corners=False)


def _recolour(rgb: Tensor, how: Augmentation, random: torch.Generator) -> Tensor:
    """Gain per channel, gamma, saturation and sometimes no colour at all, for `B T 3 H W` in [0, 1]."""
    batch = rgb.shape[0]
    shape = (batch, 1, -1, 1, 1)
    light = _uniform(batch, 1 - how.gain, 1 + how.gain, random)[:, None]
    tint = 1 + 0.4 * (_uniform((batch, 3), 1 - how.gain, 1 + how.gain, random) - 1)
    gamma = torch.exp(_uniform(batch, -how.gamma, how.gamma, random))
    colour = _uniform(batch, *how.saturation, random)
    colour[torch.rand(batch, generator=random) < how.gray] = 0
    rgb = rgb.clamp_min(1e-4).pow(gamma.view(shape)) * (light * tint).view(shape)
    luma = rgb.mean(dim=2, keepdim=True)
    return torch.lerp(luma, rgb, colour.view(shape)).clamp_(0, 1)


def _uniform(shape: int | tuple[int, ...], low: float, high: float, random: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=random) * (high - low) + low

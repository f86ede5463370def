"""Turn stored clips into training samples: a random view, random colours, normalised disparity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dvd.data.sources import RawClip


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random crop (area share, aspect change as a factor), flip and colour change.

    `crop` false resizes the whole frame to the requested size. `reverse` is the share of clips that play backwards.
    """

    area: tuple[float, float] = (0.5, 1.0)
    aspect: float = 1.25
    flip: float = 0.5
    reverse: float = 0.5
    gain: float = 0.25
    gamma: float = 0.35
    saturation: tuple[float, float] = (0.2, 1.5)
    gray: float = 0.05
    crop: bool = True

    @property
    def recolours(self) -> bool:
        """Whether any range changes colours."""
        return (self.gain, self.gamma, self.saturation, self.gray) != (0.0, 0.0, (1.0, 1.0), 0.0)


STILL = Augmentation(crop=False, flip=0.0, reverse=0.0, gain=0.0, gamma=0.0, saturation=(1.0, 1.0), gray=0.0)
"""Resize only: for validation."""

PLAIN = Augmentation(crop=False, reverse=0.0, gain=0.0, gamma=0.0, saturation=(1.0, 1.0), gray=0.0)
"""Resize and flip, as the release trains (spec, "Training")."""


@dataclass(frozen=True)
class Sample:
    """A training sample: `rgb` `3 T h w` in [-1, 1] and normalised `disparity` `1 T h w` in [0, 1]."""

    rgb: Tensor
    disparity: Tensor


def see(clip: RawClip, size: tuple[int, int], how: Augmentation, random: torch.Generator) -> Sample:
    """Return one random view of a clip, the same for all frames, with disparity normalised over that view."""
    rgb, disparity, valid = view(clip, size, how, random)
    return Sample(rgb, fill(normalise_disparity(disparity[None], valid[None])[0])[None])


def view(
    clip: RawClip, size: tuple[int, int], how: Augmentation, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the random view: RGB `3 T h w` in [-1, 1], disparity `T h w` in the clip's unit, and its valid mask."""
    if float(torch.rand((), generator=random)) < how.reverse and len(clip.rgb) > 1:
        clip = RawClip(clip.rgb[::-1], clip.disparity[::-1], None if clip.valid is None else clip.valid[::-1])
    grid = _crop_grid(clip.disparity.shape[1:], size, how, random).expand(len(clip.rgb), -1, -1, -1)
    images = torch.from_numpy(np.ascontiguousarray(clip.rgb)).permute(0, 3, 1, 2).float().div_(255)
    rgb = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    disparity = _nearest(clip.disparity, grid)
    valid = disparity.isfinite() if clip.valid is None else _nearest(clip.valid, grid).bool() & disparity.isfinite()
    light = _recolour(rgb, how, random) if how.recolours else rgb
    return light.transpose(0, 1).mul(2).sub(1), disparity, valid


def normalise_disparity(
    disparity: Tensor, valid: Tensor | None = None, low: float = 0.02, high: float = 0.98
) -> Tensor:
    """Map every clip's 2 % and 98 % quantiles over its valid pixels to 0 and 1, and clamp (spec, "Training").

    `disparity`: `B …`, any affine-invariant unit; `valid`: bool of that shape, or None for all. All frames of a clip
    share one pair of quantiles. NaN stays NaN; a clip without valid pixels becomes zeros.
    """
    return torch.stack(
        [
            _normalise(clip, clip if valid is None else clip[valid[index]], low, high)
            for index, clip in enumerate(disparity.float())
        ]
    )


def fill(disparity: Tensor) -> Tensor:
    """Fill unknown (NaN) pixels of `T h w` with the nearest known value of their frame; 0 where a frame has none."""
    unknown = ~disparity.isfinite()
    if not bool(unknown.any()):
        return disparity
    from scipy.ndimage import distance_transform_edt

    frames = []
    for frame, hole in zip(disparity.numpy(), unknown.numpy(), strict=True):
        if hole.all():
            frames.append(np.zeros_like(frame))
            continue
        rows, columns = distance_transform_edt(hole, return_distances=False, return_indices=True)
        frames.append(frame[rows, columns])
    return torch.from_numpy(np.stack(frames))


def _normalise(clip: Tensor, counted: Tensor, low: float, high: float) -> Tensor:
    values = counted.flatten().sort().values
    if not len(values):
        return torch.zeros_like(clip)
    last = len(values) - 1
    far, near = values[round(low * last)], values[round(high * last)]
    return ((clip - far) / (near - far).clamp_min(1e-6)).clamp(0, 1)


def _nearest(values: np.ndarray, grid: Tensor) -> Tensor:
    """Sample `T H W` at the grid's nearest pixels, so that no value is a mix of two objects."""
    maps = torch.from_numpy(np.ascontiguousarray(values)).float()[:, None]
    return F.grid_sample(maps, grid, mode="nearest", padding_mode="border", align_corners=False)[:, 0]


def _crop_grid(source: tuple[int, ...], size: tuple[int, int], how: Augmentation, random: torch.Generator) -> Tensor:
    """Return the sampling grid `1 h w 2` of one crop with random area share and aspect."""
    mirror = -1.0 if _uniform(0, 1, random) < how.flip else 1.0
    across = down = 1.0
    if how.crop:
        area = _uniform(*how.area, random)
        stretch = math.exp(_uniform(-math.log(how.aspect), math.log(how.aspect), random))
        native = (size[1] / size[0]) / (source[1] / source[0])
        across, down = min((area * stretch * native) ** 0.5, 1.0), min((area / (stretch * native)) ** 0.5, 1.0)
    right, below = (1 - across) * _uniform(-1, 1, random), (1 - down) * _uniform(-1, 1, random)
    theta = torch.tensor([[[across * mirror, 0.0, right], [0.0, down, below]]])
    return F.affine_grid(theta, [1, 1, *size], align_corners=False)


def _recolour(rgb: Tensor, how: Augmentation, random: torch.Generator) -> Tensor:
    """Change gain per channel, gamma and saturation of one clip `T 3 h w` in [0, 1]; sometimes remove its colour."""
    light = _uniform(1 - how.gain, 1 + how.gain, random)
    tint = 1 + 0.4 * (torch.rand(1, 3, 1, 1, generator=random) * 2 - 1) * how.gain
    gamma = math.exp(_uniform(-how.gamma, how.gamma, random))
    colour = _uniform(*how.saturation, random)
    if _uniform(0, 1, random) < how.gray:
        colour = 0.0
    rgb = rgb.clamp_min(1e-4).pow(gamma) * (light * tint)
    return torch.lerp(rgb.mean(dim=1, keepdim=True), rgb, colour).clamp_(0, 1)


def _uniform(low: float, high: float, random: torch.Generator) -> float:
    return float(torch.rand((), generator=random)) * (high - low) + low

"""Resize frames to a model's size, and disparity back to the source's (spec, "Demo resize")."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dvd.errors import OptionError

MOST_GROWTH = 16
"""A resized frame has at most this many times the target's pixels; only one narrower than about 1 : 16 needs more."""


def model_size(height: int, width: int, target: tuple[int, int] | None, multiple: int = 16) -> tuple[int, int]:
    """Return the height and width at which a source frame passes through the network.

    One ratio makes both sides at least the `target` height and width; each is rounded up, then up to a multiple of
    `multiple`. With no target the source's own size is kept, up to that multiple. Raise OptionError if the target is
    not positive, or if a frame is so narrow that the result would be more than 16 times as large as the target.
    """
    if target is None:
        return _up(height, multiple), _up(width, multiple)
    if min(target) < 1:
        raise OptionError(f"size is {target[0]}x{target[1]} but both sides must be at least 1 pixel, such as 480x640")
    # Whole numbers throughout: 333 rows to 480 must make 777 columns exactly 1120.
    new, old = (target[0], height) if target[0] * width >= target[1] * height else (target[1], width)
    sides = _up(_divide_up(height * new, old), multiple), _up(_divide_up(width * new, old), multiple)
    least = _up(target[0], multiple) * _up(target[1], multiple)
    if sides[0] * sides[1] > MOST_GROWTH * least:
        raise OptionError(
            f"a frame of {height}x{width} is too narrow for size {target[0]}x{target[1]}: it would become "
            f"{sides[0]}x{sides[1]}; crop it, or choose size 'source'"
        )
    return sides


def resize_frames(frames: Tensor, size: tuple[int, int], antialias: bool | None = False) -> Tensor:
    """Resize `T C H W` float to `T C h w`, bilinear with half-pixel centres.

    The release resizes without `antialias`. None smooths if a side shrinks to less than half, where two taps would skip
    pixels.
    """
    source = frames.shape[-2:]
    if source == torch.Size(size):
        return frames
    if antialias is None:
        antialias = any(2 * new < old for new, old in zip(size, source, strict=True))
    return F.interpolate(frames, size=size, mode="bilinear", align_corners=False, antialias=antialias)


class ToModelSize:
    """Resize frames of one size, one after another, to the model's size.

    The large intermediate is kept and filled again: allocated for each frame, between the small results that stay, it
    would leave holes in the heap that add up to a gigabyte at 1080p.
    """

    def __init__(self, size: tuple[int, int], antialias: bool | None = None) -> None:
        self.size = size
        self.antialias = antialias
        self._bytes = np.empty((0, 0, 0), np.uint8)
        self._floats = np.empty((0, 0, 0), np.float32)

    def __call__(self, rgb: NDArray[np.generic]) -> Tensor:
        """`H W 3`, uint8 or float in [0, 1] → `3 h w` float32 in [0, 1]."""
        planes = rgb.transpose(2, 0, 1)
        if self._floats.shape != planes.shape:
            self._bytes, self._floats = np.empty(planes.shape, np.uint8), np.empty(planes.shape, np.float32)
        if rgb.dtype == np.uint8:
            # Planes are laid out while they are still bytes: three times faster than converting first.
            np.copyto(self._bytes, planes)
            planes = self._bytes
        np.copyto(self._floats, planes)
        resized = resize_frames(torch.from_numpy(self._floats)[None], self.size, self.antialias)[0]
        if rgb.shape[:2] == self.size:
            resized = resized.clone()
        return resized.div_(255) if rgb.dtype == np.uint8 else resized


def to_source_size(disparity: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize `T h w` float32 to `T H W` at the source's size, bilinear."""
    return resize_frames(torch.from_numpy(disparity)[:, None], size)[:, 0].numpy()


def _divide_up(value: int, by: int) -> int:
    return -(-value // by)


def _up(side: int, multiple: int) -> int:
    return _divide_up(side, multiple) * multiple

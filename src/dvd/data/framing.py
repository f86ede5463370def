"""Crop and resize a stored frame to the one that is used, and select the part of it that is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dvd.resize import resize_frames

Size = tuple[int, int]
"""Height, width."""


@dataclass(frozen=True)
class Framing:
    """How a data set's frames are cropped and resized, as published results on it do.

    `crop` keeps that height and width at the bottom centre. `resize` then scales to one height and width, colour
    bilinear, depth to the nearest pixel, so that no depth is invented between two surfaces. `counted` is the evaluated
    part, as fractions (top, bottom, left, right) of the frame that is used. With `own_colour_size`, colour is stored at
    another resolution than depth, with the same aspect to 2 %, and is resized to the depth's.
    """

    crop: Size | None = None
    resize: Size | None = None
    counted: tuple[float, float, float, float] | None = None
    own_colour_size: bool = False

    def __post_init__(self) -> None:
        if self.crop and self.own_colour_size:
            raise ValueError(f"crop {self.crop} is in pixels of the depth, and colour has a size of its own")

    def flaw(self, rgb: Size, depth: Size) -> str:
        """Return why an image and a depth of those stored sizes are not one frame; "" where they are."""
        shapes_agree = abs(rgb[1] * depth[0] / (rgb[0] * depth[1]) - 1) <= 0.02
        if rgb != depth and not (self.own_colour_size and shapes_agree):
            return f"is {size_text(depth)}, and its image {size_text(rgb)}"
        if self.crop and (depth[0] < self.crop[0] or depth[1] < self.crop[1]):
            return f"is {size_text(depth)}, less than the {size_text(self.crop)} that are cut out of it"
        return ""

    def size(self, stored: Size) -> Size:
        """Return the height and width of the frame that is used, for a stored depth's."""
        return self.resize or self.crop or stored

    def rgb(self, image: np.ndarray, depth: Size) -> np.ndarray:
        """Crop and resize a stored `H W 3` uint8 image, whose depth is stored with height and width `depth`."""
        cut = image[self._window(depth)] if self.crop else image
        return _resized(cut, self.size(depth))

    def depth(self, depth_m: np.ndarray) -> np.ndarray:
        """Crop and resize a stored `H W` depth."""
        return self._sampled(depth_m)

    def flow(self, flow: np.ndarray) -> np.ndarray:
        """Crop and resize a stored flow `H W 2`, pixels to the right and down; the result is in pixels of its own size.

        Sampled at the nearest pixel like depth, because the mean of two motions belongs to neither surface.
        """
        rows, columns = self._window(flow.shape[:2])
        height, width = self.size(flow.shape[:2])
        scale = width / (columns.stop - columns.start), height / (rows.stop - rows.start)
        return self._sampled(flow) * np.array(scale, np.float32)

    def counts(self, size: Size) -> np.ndarray:
        """Return `H W` bool, the evaluated part of a frame of that size."""
        mask = np.zeros(size, bool)
        top, bottom, left, right = self.counted or (0, 1, 0, 1)
        # Truncated as in published evaluations; a hundredth of a pixel allows for the fractions' rounding.
        rows = slice(*(int(side * size[0] + 0.01) for side in (top, bottom)))
        mask[rows, slice(*(int(side * size[1] + 0.01) for side in (left, right)))] = True
        return mask

    def intrinsics(self, matrix: np.ndarray, of: Size, depth: Size) -> np.ndarray:
        """Convert 3 × 3 intrinsics of images of size `of` to the frame that is used; `depth` is the stored size."""
        matrix = _scaled(matrix, of, depth)
        rows, columns = self._window(depth)
        matrix[:2, 2] -= columns.start, rows.start
        cut = (rows.stop - rows.start, columns.stop - columns.start)
        return _scaled(matrix, cut, self.size(depth))

    def describe(self) -> str:
        """Return the framing in words; "" where frames are used as stored."""
        parts = []
        if self.own_colour_size and not self.resize:
            parts.append("colour resized to the depth's size")
        if self.crop:
            parts.append(f"the bottom centre of {size_text(self.crop)}")
        if self.resize:
            parts.append(f"resized to {size_text(self.resize)}")
        if self.counted:
            top, bottom, left, right = self.counted
            parts.append(f"evaluated in rows {top:.7g} … {bottom:.7g}, columns {left:.7g} … {right:.7g}")
        return ", ".join(parts)

    def _sampled(self, values: np.ndarray) -> np.ndarray:
        """Crop and resize stored `H W` or `H W C` values to the nearest pixel."""
        cut = values[self._window(values.shape[:2])]
        old = cut.shape[:2]
        if self.resize in (None, old):
            return cut
        rows, columns = (_nearest(*sides) for sides in zip(old, self.size(old), strict=True))
        return cut[rows[:, None], columns]

    def _window(self, stored: Size) -> tuple[slice, slice]:
        height, width = self.crop or stored
        left = (stored[1] - width) // 2
        return slice(stored[0] - height, stored[0]), slice(left, left + width)


def size_text(size: tuple[int, ...]) -> str:
    """Return `width × height` of a shape that begins with height and width."""
    return f"{size[1]} × {size[0]}"


def _resized(image: np.ndarray, size: Size) -> np.ndarray:
    """Resize `H W 3` uint8 bilinearly with half-pixel centres; smooth first where a side shrinks to less than half."""
    if image.shape[:2] == size:
        return image
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float()
    resized = resize_frames(planes, size, antialias=None)[0].round().clamp(0, 255)
    return resized.permute(1, 2, 0).to(torch.uint8).numpy()


def _nearest(old: int, new: int) -> np.ndarray:
    """Return, for every new pixel, the old pixel that contains its centre."""
    return ((2 * np.arange(new) + 1) * old) // (2 * new)


def _scaled(matrix: np.ndarray, old: Size, new: Size) -> np.ndarray:
    """Return intrinsics after a resize with half-pixel centres; the centre of the first pixel is (0, 0)."""
    (down, across) = (a / b for a, b in zip(new, old, strict=True))
    scaled = matrix.astype(np.float64)
    scaled[0] *= across
    scaled[1] *= down
    scaled[:2, 2] += (across - 1) / 2, (down - 1) / 2
    return scaled

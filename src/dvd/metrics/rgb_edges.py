"""The release's boundary score: do depth edges agree with image edges to one pixel?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dvd.metrics.arrays import to_array, to_floats, to_mask
from dvd.metrics.boundary import LEAST_DEPTH_M, directions

if TYPE_CHECKING:
    from dvd.metrics.arrays import Array, Mask, Values

IMAGE_EDGE = 0.15
"""Share of a frame's range of gradients above which a pixel is an edge."""

DEPTH_EDGE = 1.05
"""Ratio of neighbouring depths above which a pixel is an edge."""

EPSILON = 1e-6
"""Added under the root of the image gradient, and to its range."""


@dataclass(frozen=True)
class EdgeCounts:
    """Numbers of depth and image edge pixels, and of those with one of the other kind within a pixel; can be added."""

    depth: int = 0
    depth_right: int = 0
    image: int = 0
    image_found: int = 0

    def __add__(self, other: EdgeCounts) -> EdgeCounts:
        return EdgeCounts(
            self.depth + other.depth,
            self.depth_right + other.depth_right,
            self.image + other.image,
            self.image_found + other.image_found,
        )

    def scores(self) -> dict[str, float]:
        """Return `f1`, `precision` and `recall` in [0, 1]; 0 where there are no edges."""
        precision, recall = self.depth_right / max(self.depth, 1), self.image_found / max(self.image, 1)
        both = precision + recall
        return {"f1": 2 * precision * recall / both if both else 0.0, "precision": precision, "recall": recall}


def rgb_boundary(depth_m: Values, rgb: Values, mask: Values) -> dict[str, float]:
    """Return `f1`, `precision` and `recall` of depth edges against image edges, from the counts of all frames.

    `depth_m`, `mask`: `T H W`. `rgb`: `T H W 3` or `T 3 H W`, uint8 or floats in [0, 1]. An image edge is where the
    Sobel magnitude of the luma, normalised per frame, exceeds 0.15. A depth edge is a pixel whose neighbour is more
    than 5 % farther, with a growth at least that of the pixels before and after it. Raise ValueError where the shapes
    differ.
    """
    depth, image, valid = to_array(depth_m), to_array(rgb), to_mask(mask)
    if depth.ndim != 3 or len(image) != len(depth) or len(valid) != len(depth):
        shapes = f"depth {depth.shape}, rgb {image.shape} and mask {valid.shape}"
        raise ValueError(f"{shapes} must be T H W, T H W 3 and T H W")
    frames = zip(depth, image, valid, strict=True)
    return sum((count_edges(*frame) for frame in frames), EdgeCounts()).scores()


def count_edges(depth_m: Values, rgb: Values, mask: Values) -> EdgeCounts:
    """Return the counts of one frame (`H W`, `H W 3` or `3 H W`, `H W`); their sum over frames gives `rgb_boundary`."""
    depth, image, valid = to_floats(depth_m), to_array(rgb), to_mask(mask)
    if valid.shape != depth.shape or image.shape not in ((*depth.shape, 3), (3, *depth.shape)):
        shapes = f"depth {depth.shape}, rgb {image.shape} and mask {valid.shape}"
        raise ValueError(f"{shapes} must be H W, H W 3 and H W")
    depth_edges = _depth_edges(depth) & valid
    image_edges = _image_edges(_luma(image, depth.shape)) & valid
    return EdgeCounts(
        int(np.count_nonzero(depth_edges)),
        int(np.count_nonzero(depth_edges & _grown(image_edges))),
        int(np.count_nonzero(image_edges)),
        int(np.count_nonzero(image_edges & _grown(depth_edges))),
    )


def _depth_edges(depth: Array) -> Mask:
    edges = np.zeros(depth.shape, bool)
    positive = np.maximum(depth, depth.dtype.type(LEAST_DEPTH_M))
    for (here, there), (marks, _) in zip(directions(positive), directions(edges), strict=True):
        growth = there / here
        around = np.pad(growth, ((0, 0), (1, 1)))
        marks |= (growth > DEPTH_EDGE) & (growth >= around[:, :-2]) & (growth >= around[:, 2:])
    return edges


def _image_edges(luma: Array) -> Mask:
    padded = np.pad(luma, 1)
    across, down = padded[:, 2:] - padded[:, :-2], padded[2:] - padded[:-2]
    gradient_x = across[:-2] + 2 * across[1:-1] + across[2:]
    gradient_y = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    magnitude = np.sqrt(gradient_x**2 + gradient_y**2 + EPSILON)
    magnitude -= magnitude.min()
    edges: Mask = magnitude / (magnitude.max() + EPSILON) > IMAGE_EDGE
    return edges


def _luma(rgb: NDArray, size: tuple[int, ...]) -> Array:
    """Return luma `H W` in [0, 1] (ITU-R BT.601)."""
    red, green, blue = to_floats(np.moveaxis(rgb, -1, 0) if rgb.shape[:2] == size else rgb)
    luma: Array = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma / 255 if rgb.dtype == np.uint8 else luma


def _grown(edges: Mask) -> Mask:
    """Return edges and the eight pixels around each."""
    wide = np.pad(edges, 1)
    tall = wide[:-2] | wide[1:-1] | wide[2:]
    return tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]

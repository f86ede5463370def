"""Inter-window seam error (Fig. 6): how far two windows disagree about the frames that both have seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from dvd.align import fit as least_squares
from dvd.metrics.arrays import to_array, to_mask

if TYPE_CHECKING:
    from dvd.metrics.arrays import Values


class Affine(Protocol):
    """A scale and a shift: an AffineFit, or a Seam of the stitcher."""

    @property
    def scale(self) -> float: ...

    @property
    def shift(self) -> float: ...


class SeamError(NamedTuple):
    """Mean squared difference of disparity over an overlap, before and after the later window was aligned."""

    before: float
    after: float


def seam_error(earlier: Values, later: Values, fit: Affine | None = None, mask: Values | None = None) -> SeamError:
    """Compares two windows over their overlap: disparity of one shape, `T H W` of the frames that both hold.

    `fit` brings the later window to the earlier one; the least-squares fit over the overlap (Eq. 9) where none is
    given. `mask`, of the same shape, selects pixels. ValueError where shapes differ or nothing is left to compare.
    """
    reference, window = to_array(earlier), to_array(later)
    valid = np.ones(reference.shape, bool) if mask is None else to_mask(mask)
    if not reference.shape == window.shape == valid.shape or not valid.any():
        shapes = f"{reference.shape}, {window.shape} and mask {valid.shape}"
        raise ValueError(f"overlaps {shapes} must have one shape and a pixel to compare")
    reference, window = reference[valid].astype(np.float64), window[valid].astype(np.float64)
    affine = least_squares(window, reference) if fit is None else fit
    aligned = affine.scale * window + affine.shift
    return SeamError(float(np.mean((window - reference) ** 2)), float(np.mean((aligned - reference) ** 2)))

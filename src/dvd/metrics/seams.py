"""Inter-window seam error (Fig. 6): how far two windows disagree about the frames that both have seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from dvd.align import Moments
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
    valid = None if mask is None else to_mask(mask)
    sums = Moments()
    if reference.shape == window.shape and (valid is None or valid.shape == window.shape):
        sums.add(window, reference, valid)
    if not sums.count:
        shapes = f"{reference.shape} and {window.shape}" + ("" if valid is None else f" and mask {valid.shape}")
        raise ValueError(f"overlaps {shapes} must have one shape and a pixel to compare")
    affine = sums.fit() if fit is None else fit
    return error_from_sums(sums, affine.scale, affine.shift)


def error_from_sums(overlap: Moments, scale: float, shift: float) -> SeamError:
    """The same from running sums: `overlap` counted the later window as source and what was there as target."""
    return SeamError(before=overlap.error(), after=overlap.error(scale, shift))

"""Convert a method's prediction to metres by one scale and shift for many frames, gathered frame by frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dvd.align import AffineFit, Moments
from dvd.errors import InputError, OptionError, unknown
from dvd.metrics.arrays import to_array, to_mask
from dvd.names import SPACES, FitName, Space

if TYPE_CHECKING:
    from dvd.metrics.arrays import Array, Mask, Values


LEAST_DISPARITY = 1e-3
"""Aligned disparity is clamped to at least this before it is inverted (spec, "Evaluation")."""


class _Fitter(Protocol):
    def add(self, source: ArrayLike, target: ArrayLike) -> None: ...

    def fit(self) -> AffineFit: ...


class ScaleSums:
    """Least squares without a shift, Σ x y / Σ x², from running sums."""

    def __init__(self) -> None:
        self.count = 0
        self._squares = np.zeros((2, 2))

    def add(self, source: ArrayLike, target: ArrayLike) -> None:
        pairs = np.stack([np.ravel(source), np.ravel(target)]).astype(np.float64)
        self.count += pairs.shape[1]
        self._squares += pairs @ pairs.T

    def fit(self) -> AffineFit:
        (xx, xy), (_, yy) = self._squares.tolist()
        scale = xy / xx if xx else math.nan
        residual = math.sqrt(max(yy - scale * xy, 0) / self.count) if xx else math.nan
        return AffineFit(scale, 0.0, math.nan, residual, self.count, "" if xx else "no pixels")


class Medians:
    """The median of the targets over the median of the sources (Zhou et al. 2017), for any number of pixels.

    Exact medians need every pixel at once. These come from a histogram of float32 bit patterns, which for positive
    numbers sort as the numbers do: 2¹⁶ bins per octave from 2⁻²⁴ to 2²⁴ are exact to one part in 131,000 and take
    25 MB. Values outside that range count as its nearest end.
    """

    _LOW, _HIGH, _DROPPED_BITS = -24, 24, 7

    def __init__(self) -> None:
        self.count = 0
        per_octave = 1 << (23 - self._DROPPED_BITS)
        self._first = (127 + self._LOW) * per_octave
        self._counts = np.zeros((2, (self._HIGH - self._LOW) * per_octave), np.int64)

    def add(self, source: ArrayLike, target: ArrayLike) -> None:
        pairs = np.stack([np.ravel(source), np.ravel(target)]).astype(np.float32)
        self.count += pairs.shape[1]
        greatest = np.nextafter(np.float32(2.0**self._HIGH), np.float32(0))
        bins = (np.clip(pairs, 2.0**self._LOW, greatest).view(np.uint32) >> self._DROPPED_BITS) - self._first
        for counts, indices in zip(self._counts, bins, strict=True):
            np.add.at(counts, indices, 1)

    def fit(self) -> AffineFit:
        if not self.count:
            return AffineFit(math.nan, math.nan, math.nan, math.nan, 0, "no pixels")
        source, target = (self._median(counts) for counts in self._counts)
        return AffineFit(target / source, 0.0, math.nan, math.nan, self.count)

    def _median(self, counts: NDArray[np.int64]) -> float:
        middle = [(self.count - 1) // 2, self.count // 2]
        bins = np.searchsorted(np.cumsum(counts), middle, side="right").astype(np.uint32) + self._first
        centres = (bins << self._DROPPED_BITS) | (1 << (self._DROPPED_BITS - 1))
        return float(centres.astype(np.uint32).view(np.float32).astype(np.float64).mean())


_FITTERS: Mapping[FitName, Callable[[], _Fitter]] = MappingProxyType(
    {"least-squares": Moments, "scale": ScaleSums, "median": Medians}
)


class Alignment:
    """Gather frames of prediction and truth, and fit the scale and shift that map the one to the other.

    `space` is the prediction's kind: `disparity` is fitted to 1 / truth, `depth` to the truth. `fit` is
    `least-squares` (scale and shift, Eq. 9), `scale` (least squares without shift) or `median` (ratio of medians, no
    shift). Memory does not depend on the number of frames. Raise OptionError where one is unknown.
    """

    def __init__(self, space: Space = "disparity", fit: FitName = "least-squares") -> None:
        if space not in SPACES:
            raise OptionError(unknown("alignment space", space, SPACES))
        if fit not in _FITTERS:
            raise OptionError(unknown("alignment", fit, _FITTERS))
        self.space, self.method = space, fit
        self.count = 0
        self._fitter = _FITTERS[fit]()

    def add(self, prediction: Values, truth_m: Values, mask: Values) -> int:
        """Add one or more frames, arrays of one shape; return the number of pixels that count.

        A pixel counts where `mask` is true and both truth and prediction are positive. Raise InputError where the
        prediction is not finite inside the mask, ValueError where the shapes differ.
        """
        predicted, truth, valid = to_array(prediction), to_array(truth_m), to_mask(mask)
        if not predicted.shape == truth.shape == valid.shape:
            shapes = f"prediction {predicted.shape}, truth {truth.shape} and mask {valid.shape}"
            raise ValueError(f"{shapes} must have one shape")
        broken = int(np.count_nonzero(~np.isfinite(predicted[valid])))
        if broken:
            raise InputError(
                f"the prediction is not finite at {broken} of {np.count_nonzero(valid)} valid pixels; "
                "predict again in float32, or repair the saved prediction"
            )
        source, target = _pairs(predicted, truth, valid, self.space)
        self._fitter.add(source, target)
        self.count += source.size
        return int(source.size)

    def solve(self) -> AffineFit:
        """Return the fit over all added frames: target ≈ scale · prediction + shift.

        R² is NaN for fits without shift, the residual for medians. Raise InputError where no pixel counted.
        """
        if not self.count:
            raise InputError("no pixel has both a valid truth and a positive prediction; check masks, range and units")
        return self._fitter.fit()


def align(
    disparity: Values, truth_m: Values, mask: Values, depth_range_m: tuple[float, float] = (0.1, 10.0)
) -> NDArray[np.float64]:
    """Convert disparity to metres by one scale and shift for all frames, fitted in disparity over the valid pixels.

    Pixels count where `mask` is true and the prediction positive. The result is clipped to `depth_range_m`; it is NaN
    where the prediction is NaN, and everywhere if no pixel counts.
    """
    predicted, truth, valid = to_array(disparity), to_array(truth_m), to_mask(mask)
    moments = Moments()
    moments.add(*_pairs(predicted, truth, valid, "disparity"))
    return to_depth_m(predicted, moments.fit(), "disparity", depth_range_m)


def to_depth_m(
    prediction: Values,
    fit: AffineFit,
    space: Space = "disparity",
    depth_range_m: tuple[float, float] = (0.1, 10.0),
    least_disparity: float = LEAST_DISPARITY,
) -> NDArray[np.float64]:
    """Convert a prediction of any shape to metres by a fit made in `space`, and clip it to `depth_range_m`.

    Aligned disparity is clamped to at least `least_disparity` before it is inverted.
    """
    aligned = fit(to_array(prediction).astype(np.float64))
    if space == "disparity":
        aligned = 1.0 / np.maximum(aligned, least_disparity)
    return np.clip(aligned, *depth_range_m)


def _pairs(predicted: Array, truth_m: Array, mask: Mask, space: Space) -> tuple[Array, Array]:
    valid = mask & (predicted > 0) & (truth_m > 0)
    target = truth_m[valid].astype(np.float64)
    return predicted[valid], 1.0 / target if space == "disparity" else target

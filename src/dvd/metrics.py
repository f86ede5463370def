"""Accuracy of depth against measured depth, as Tables 1–4 of the paper count it.

Every function takes `depth_m` and `truth_m`, `T H W` in metres, and `mask`, `T H W`, true where the truth is valid; it
averages over the valid pixels of each frame, then over frames. A frame without valid pixels is a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dvd.align import Moments

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

LEAST_DISPARITY = 1e-3
"""Aligned disparity is kept above this before it is inverted (spec, "Evaluation")."""


def align(
    disparity: Array, truth_m: Array, mask: Mask, depth_range_m: tuple[float, float] = (0.1, 10.0)
) -> NDArray[np.float64]:
    """Disparity → metres by one scale and shift for all frames, fitted in disparity over the valid pixels.

    Pixels count where `mask` holds and the prediction is positive. The result is clipped to `depth_range_m`.
    """
    valid = mask & (disparity > 0) & (truth_m > 0)
    moments = Moments()
    moments.add(disparity[valid], 1.0 / truth_m[valid].astype(np.float64))
    fit = moments.fit()
    aligned = np.maximum(fit.scale * disparity.astype(np.float64) + fit.shift, LEAST_DISPARITY)
    return np.clip(1.0 / aligned, *depth_range_m)


def abs_rel(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Mean |d − d*| / d*."""
    return _per_frame(lambda d, t: np.mean(np.abs(d - t) / t), depth_m, truth_m, mask)


def sq_rel(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Mean (d − d*)² / d*, metres."""
    return _per_frame(lambda d, t: np.mean((d - t) ** 2 / t), depth_m, truth_m, mask)


def rmse(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Root mean square error, metres."""
    return _per_frame(lambda d, t: np.sqrt(np.mean((d - t) ** 2)), depth_m, truth_m, mask)


def rmse_log(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Root mean square error of the natural logarithm."""
    return _per_frame(lambda d, t: np.sqrt(np.mean((np.log(d) - np.log(t)) ** 2)), depth_m, truth_m, mask)


def log10(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Mean |log₁₀ d − log₁₀ d*|."""
    return _per_frame(lambda d, t: np.mean(np.abs(np.log10(d) - np.log10(t))), depth_m, truth_m, mask)


def delta1(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Share of pixels within a factor of 1.25."""
    return _delta(1.25, depth_m, truth_m, mask)


def delta2(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Share of pixels within a factor of 1.25²."""
    return _delta(1.25**2, depth_m, truth_m, mask)


def delta3(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Share of pixels within a factor of 1.25³."""
    return _delta(1.25**3, depth_m, truth_m, mask)


def inverse_rmse(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Root mean square error of inverse depth, 1 / metres."""
    return _per_frame(lambda d, t: np.sqrt(np.mean((1 / d - 1 / t) ** 2)), depth_m, truth_m, mask)


def silog(depth_m: Array, truth_m: Array, mask: Mask) -> float:
    """Scale-invariant logarithmic error × 100: the deviation of log d − log d*."""
    return _per_frame(lambda d, t: 100 * np.std(np.log(d) - np.log(t)), depth_m, truth_m, mask)


def _delta(factor: float, depth_m: Array, truth_m: Array, mask: Mask) -> float:
    return _per_frame(lambda d, t: np.mean(np.maximum(d / t, t / d) < factor), depth_m, truth_m, mask)


def _per_frame(error: Callable[[Array, Array], np.floating], depth_m: Array, truth_m: Array, mask: Mask) -> float:
    if not depth_m.shape == truth_m.shape == mask.shape or depth_m.ndim != 3:
        raise ValueError(
            f"depth {depth_m.shape}, truth {truth_m.shape} and mask {mask.shape} must have one shape T H W"
        )
    empty = np.flatnonzero(~mask.any(axis=(1, 2)))
    if len(empty):
        raise ValueError(f"frame {empty[0]} has no valid pixel; leave such frames out")
    values = [
        float(error(d[m].astype(np.float64), t[m].astype(np.float64)))
        for d, t, m in zip(depth_m, truth_m, mask, strict=True)
    ]
    return float(np.mean(values))

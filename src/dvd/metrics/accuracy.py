"""Accuracy of depth against measured depth, as in Tables 1–4 of the paper.

Every function of a clip takes `depth_m` and `truth_m`, `T H W` in metres, and `mask`, `T H W`, true where the truth is
valid. It averages over the valid pixels of each frame, then over frames, and raises ValueError for a frame without
valid pixels. `score_frame` scores one frame, so that sequences may have any length; `ACCURACY` holds the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dvd.errors import OptionError, unknown
from dvd.metrics.arrays import clip_of, to_array, to_mask

if TYPE_CHECKING:
    from dvd.metrics.arrays import Values

Pixels = NDArray[np.float64]
"""Depth of the valid pixels of one frame, metres, one dimension."""


def _within(factor: float) -> Callable[[Pixels, Pixels], float]:
    return lambda d, t: float(np.mean(np.maximum(d / t, t / d) < factor))


def _root_mean_square(error: Pixels) -> float:
    return float(np.sqrt(np.mean(error**2)))


ACCURACY: Mapping[str, Callable[[Pixels, Pixels], float]] = MappingProxyType(
    {
        "abs_rel": lambda d, t: float(np.mean(np.abs(d - t) / t)),
        "sq_rel": lambda d, t: float(np.mean((d - t) ** 2 / t)),
        "rmse": lambda d, t: _root_mean_square(d - t),
        "rmse_log": lambda d, t: _root_mean_square(np.log(d) - np.log(t)),
        "log10": lambda d, t: float(np.mean(np.abs(np.log10(d) - np.log10(t)))),
        "delta1": _within(1.25),
        "delta2": _within(1.25**2),
        "delta3": _within(1.25**3),
        "inverse_rmse": lambda d, t: _root_mean_square(1 / d - 1 / t),
        "silog": lambda d, t: 100 * float(np.std(np.log(d) - np.log(t))),
    }
)
"""Formula of each metric by name, for one frame: depth d and truth d* of its valid pixels, positive, float64."""


def score_frame(
    depth_m: Values, truth_m: Values, mask: Values, names: Iterable[str] = tuple(ACCURACY)
) -> dict[str, float]:
    """Return the named metrics of one frame: `depth_m` and `truth_m` in metres and `mask`, arrays of one shape.

    Raise ValueError where the shapes differ or no pixel is valid, OptionError where a name is unknown.
    """
    depth, truth, valid = to_array(depth_m), to_array(truth_m), to_mask(mask)
    if not depth.shape == truth.shape == valid.shape:
        raise ValueError(f"depth {depth.shape}, truth {truth.shape} and mask {valid.shape} must have one shape")
    d, t = depth[valid].astype(np.float64), truth[valid].astype(np.float64)
    if not d.size:
        raise ValueError("the frame has no valid pixel; leave such frames out")
    return {name: _formula(name)(d, t) for name in names}


def abs_rel(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the mean of |d − d*| / d*."""
    return _mean_over_frames("abs_rel", depth_m, truth_m, mask)


def sq_rel(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the mean of (d − d*)² / d*, metres."""
    return _mean_over_frames("sq_rel", depth_m, truth_m, mask)


def rmse(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the root mean square error, metres."""
    return _mean_over_frames("rmse", depth_m, truth_m, mask)


def rmse_log(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the root mean square error of the natural logarithm."""
    return _mean_over_frames("rmse_log", depth_m, truth_m, mask)


def log10(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the mean of |log₁₀ d − log₁₀ d*|."""
    return _mean_over_frames("log10", depth_m, truth_m, mask)


def delta1(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the share of pixels within a factor of 1.25."""
    return _mean_over_frames("delta1", depth_m, truth_m, mask)


def delta2(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the share of pixels within a factor of 1.25²."""
    return _mean_over_frames("delta2", depth_m, truth_m, mask)


def delta3(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the share of pixels within a factor of 1.25³."""
    return _mean_over_frames("delta3", depth_m, truth_m, mask)


def inverse_rmse(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the root mean square error of inverse depth, 1 / metres."""
    return _mean_over_frames("inverse_rmse", depth_m, truth_m, mask)


def silog(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the scale-invariant logarithmic error × 100: the standard deviation of log d − log d*."""
    return _mean_over_frames("silog", depth_m, truth_m, mask)


def _formula(name: str) -> Callable[[Pixels, Pixels], float]:
    if name not in ACCURACY:
        raise OptionError(unknown("metric", name, ACCURACY))
    return ACCURACY[name]


def _mean_over_frames(name: str, depth_m: Values, truth_m: Values, mask: Values) -> float:
    depth, truth, valid = clip_of(depth_m, truth_m, mask)
    empty = np.flatnonzero(~valid.any(axis=(1, 2)))
    if len(empty):
        raise ValueError(f"frame {empty[0]} has no valid pixel; leave such frames out")
    frames = zip(depth, truth, valid, strict=True)
    return float(np.mean([score_frame(d, t, m, (name,))[name] for d, t, m in frames]))

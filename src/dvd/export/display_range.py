"""Which disparities a video shows as darkest and brightest: chosen so that what stands still does not flicker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

LOW, HIGH = 0.02, 0.98
"""The quantiles that are shown; what lies outside is clipped."""
SMOOTHING_S = 2.0
_SAMPLES_PER_FRAME = 16384
_SAMPLES_IN_ALL = 1 << 20
_SMALLEST_SPAN = 1e-4


class DisplayRange(Protocol):
    """Gives each frame its range; told the first frames before the first is asked for."""

    def start(self, disparity: np.ndarray, /) -> None:
        """First frames, `T H W`."""
        ...

    def of(self, frame: np.ndarray, seconds: float, /) -> tuple[float, float]:
        """The range of a frame `H W` shown at `seconds`."""
        ...


class FixedRange:
    """One range, given beforehand."""

    def __init__(self, low: float, high: float) -> None:
        self._range = (low, high)

    def start(self, _disparity: np.ndarray, /) -> None:
        """Nothing to learn."""

    def of(self, _frame: np.ndarray, _seconds: float, /) -> tuple[float, float]:
        return self._range


class RollingRange:
    """Follows each frame's quantiles with a time constant of two seconds, from those of the first frames."""

    def __init__(self, smoothing_s: float = SMOOTHING_S) -> None:
        self._smoothing_s = smoothing_s
        self._low = self._high = 0.0
        self._seconds: float | None = None

    def start(self, disparity: np.ndarray) -> None:
        self._low, self._high = quantiles(np.stack([sampled(frame) for frame in disparity]))

    def of(self, frame: np.ndarray, seconds: float) -> tuple[float, float]:
        low, high = quantiles(sampled(frame))
        passed = 0.0 if self._seconds is None else max(seconds - self._seconds, 0.0)
        weight = 1 - math.exp(-passed / self._smoothing_s)
        self._low += weight * (low - self._low)
        self._high += weight * (high - self._high)
        self._seconds = seconds
        return widened(self._low, self._high)


class WholeRange:
    """The quantiles of everything seen, from evenly spread samples whose number stays bounded.

    The samples lie in one array: a small one kept for each frame, between the large ones that come and go, would leave
    holes in the heap that add up to hundreds of megabytes.
    """

    def __init__(self) -> None:
        self._samples = np.empty((0, 0), np.float32)
        self._filled = 0
        self._every = 1
        self._frames = 0

    def see(self, frame: np.ndarray) -> None:
        """Takes note of a frame `H W`; all frames have one size."""
        if self._frames % self._every == 0:
            self._keep(sampled(frame, _SAMPLES_PER_FRAME // 4))
        self._frames += 1

    def result(self) -> tuple[float, float]:
        """Raises ValueError before the first frame."""
        if not self._filled:
            raise ValueError("no frame has been seen")
        return widened(*quantiles(self._samples[: self._filled].ravel()))

    def _keep(self, values: np.ndarray) -> None:
        if not self._samples.size:
            self._samples = np.empty((max(_SAMPLES_IN_ALL // values.size, 2), values.size), np.float32)
        if self._filled == len(self._samples):
            kept = self._samples[: self._filled : 2].copy()
            self._samples[: len(kept)] = kept
            self._filled = len(kept)
            self._every *= 2
        self._samples[self._filled] = values
        self._filled += 1


def sampled(frame: np.ndarray, count: int = _SAMPLES_PER_FRAME) -> np.ndarray:
    """Some of a frame's values, on a regular grid of about `count` points; one dimension, a copy."""
    step = max(math.isqrt(frame.size // count), 1)
    return frame[step // 2 :: step, step // 2 :: step].ravel().copy()


def quantiles(values: np.ndarray) -> tuple[float, float]:
    """The 2 % and 98 % quantiles of the finite values; 0 and 1 if there is none."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.quantile(finite, (LOW, HIGH))
    return float(low), float(high)


def widened(low: float, high: float) -> tuple[float, float]:
    """The same range, unless it is too narrow to divide by."""
    missing = _SMALLEST_SPAN - (high - low)
    return (low - missing / 2, high + missing / 2) if missing > 0 else (low, high)


def robust_range(frames: Sequence[np.ndarray]) -> tuple[float, float]:
    """One range for a handful of frames `H W`."""
    return widened(*quantiles(np.concatenate([sampled(frame) for frame in frames])))

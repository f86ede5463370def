"""How disparity is shown: which values are darkest and brightest, and in which colours.

A range is chosen so that what does not move does not flicker. Colours are tables of 256 entries, computed here: `turbo`
by Mikhailov's published polynomial (Google, 2019), the others through a few published anchor colours (viridis, inferno,
magma and plasma of Smith and van der Walt; Brewer's spectral with red near).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from dvd.errors import OptionError, unknown
from dvd.names import COLORMAPS

LOW, HIGH = 0.02, 0.98
"""The quantiles that are shown; values outside are clipped."""
SMOOTHING_S = 2.0
_SAMPLES_PER_FRAME = 16384
_SAMPLES_IN_ALL = 1 << 20
_SMALLEST_SPAN = 1e-4

# Coefficients of x⁰ … x⁵ for red, green, blue.
_TURBO = np.array(
    [
        [0.13572138, 4.61539260, -42.66032258, 132.13108234, -152.94239396, 59.28637943],
        [0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604],
        [0.10667330, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973],
    ]
)

_ANCHORS = {
    "gray": "000000 ffffff",
    "viridis": "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725",
    "inferno": "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4",
    "magma": "000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf",
    "plasma": "0d0887 46039f 7201a8 9c179e bd3786 d8576b ed7953 fb9f3a fdca26 f0f921",
    "spectral": "5e4fa2 3288bd 66c2a5 abdda4 e6f598 ffffbf fee08b fdae61 f46d43 d53e4f 9e0142",
}


class FixedRange:
    """One range for every frame."""

    def __init__(self, low: float, high: float) -> None:
        self._range = (low, high)

    def of(self, _frame: np.ndarray, _seconds: float, /) -> tuple[float, float]:
        """Return the range, whatever the frame."""
        return self._range


class RollingRange:
    """Follows each frame's quantiles with a time constant of `SMOOTHING_S`, from those of the first frames."""

    def __init__(self, first: np.ndarray) -> None:
        """`first`: the first frames, `T H W`."""
        self._low, self._high = quantiles(np.stack([sampled(frame) for frame in first]))
        self._seconds: float | None = None

    def of(self, frame: np.ndarray, seconds: float) -> tuple[float, float]:
        """Return the range of a frame `H W` shown at `seconds`, and move on to that time."""
        low, high = quantiles(sampled(frame))
        passed = 0.0 if self._seconds is None else max(seconds - self._seconds, 0.0)
        weight = 1 - math.exp(-passed / SMOOTHING_S)
        self._low += weight * (low - self._low)
        self._high += weight * (high - self._high)
        self._seconds = seconds
        return widened(self._low, self._high)


class WholeRange:
    """The quantiles of all frames seen, from evenly spread samples whose number stays bounded.

    The samples share one array: a small array per frame, between the large ones that come and go, would leave holes in
    the heap that add up to hundreds of megabytes.
    """

    def __init__(self) -> None:
        self._samples = np.empty((0, 0), np.float32)
        self._filled = 0
        self._every = 1
        self._frames = 0

    def see(self, frame: np.ndarray) -> None:
        """Take note of a frame `H W`; all frames have one size."""
        if self._frames % self._every == 0:
            self._keep(sampled(frame, _SAMPLES_PER_FRAME // 4))
        self._frames += 1

    def result(self) -> tuple[float, float]:
        """Return the range so far. Raise ValueError before the first frame."""
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
    """Copy a frame's values on a regular grid of about `count` points into one dimension."""
    step = max(math.isqrt(frame.size // count), 1)
    return frame[step // 2 :: step, step // 2 :: step].ravel().copy()


def quantiles(values: np.ndarray) -> tuple[float, float]:
    """Return the 2 % and 98 % quantiles of the finite values; 0 and 1 if there are none."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.quantile(finite, (LOW, HIGH))
    return float(low), float(high)


def widened(low: float, high: float) -> tuple[float, float]:
    """Return the same range, or a wider one where it is too narrow to divide by."""
    missing = _SMALLEST_SPAN - (high - low)
    return (low - missing / 2, high + missing / 2) if missing > 0 else (low, high)


def robust_range(frames: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return one range for a handful of frames `H W`."""
    return widened(*quantiles(np.concatenate([sampled(frame) for frame in frames])))


@cache
def table(name: str) -> np.ndarray:
    """Return a colormap as `256 3` uint8, far to near; do not write to it. Raise `OptionError` for an unknown name."""
    if name not in COLORMAPS:
        raise OptionError(unknown("colormap", name, COLORMAPS))
    position = np.linspace(0, 1, 256)
    if name == "turbo":
        colours = _TURBO @ position[None, :] ** np.arange(6)[:, None]
        return np.round(255 * np.clip(colours.T, 0, 1)).astype(np.uint8)
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _ANCHORS[name].split()], dtype=np.float64)
    at = np.linspace(0, 1, len(anchors))
    channels = [np.interp(position, at, channel) for channel in anchors.T]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


@cache
def _packed(name: str) -> np.ndarray:
    """Return the table as 256 words of red, green, blue and opaque alpha: one look-up per pixel instead of three."""
    colours = np.full((256, 4), 255, dtype=np.uint8)
    colours[:, :3] = table(name)
    return colours.view(np.uint32)[:, 0].copy()


def colour_levels(levels: np.ndarray, name: str) -> np.ndarray:
    """Colour levels `…` uint8: `… 4` uint8, RGB and opaque alpha."""
    return np.take(_packed(name), levels).view(np.uint8).reshape(*levels.shape, 4)


def to_levels(disparity: np.ndarray, low: float, high: float) -> np.ndarray:
    """Spread [low, high] over 0 … 255, rounded and clipped; not-a-number becomes 0. Same shape, uint8."""
    scaled = np.subtract(disparity, np.float32(low), dtype=np.float32)
    scaled *= np.float32(255.0 / (high - low))
    scaled += np.float32(0.5)
    np.fmax(scaled, 0, out=scaled)
    np.fmin(scaled, 255, out=scaled)
    return scaled.astype(np.uint8)


def coloured(disparity: np.ndarray, low: float, high: float, name: str) -> np.ndarray:
    """Colour disparity `H W` or `T H W` so that [low, high] spans the colormap: `… 3` uint8."""
    return colour_levels(to_levels(disparity, low, high), name)[..., :3]

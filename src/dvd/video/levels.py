"""How bright a stored number is shown: pictures of more than 8 bits → uint8, by one scale for a whole input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BITS = (8, 10, 12, 14, 16, 24, 32)
"""Depths of cameras and files. Values are read as the smallest of these that holds them."""
WHITES = tuple(2**bits - 1 for bits in _BITS)

_WIDENED = 257
"""8 bits stretched to 16 (v · 257) leave only multiples of this; such pictures span 16 bits however dark they are."""

_QUANTILE_OF = 10**6
"""Enough values for a quantile."""

_SLACK = 1.001
"""A resized or compressed float picture may pass its white by rounding."""


@dataclass(frozen=True)
class Pixels:
    """One picture as stored, upright: `values` `H W C` with C = 1 (gray) or 3, uint8, wider integers or floats.

    `white`: the value to show as white, None where the file does not say. `linear`: values are proportional to light,
    not to what a display expects. `alpha`: `H W 1` straight alpha of values that are wider than 8 bits.
    """

    values: np.ndarray
    white: float | None
    linear: bool = False
    alpha: np.ndarray | None = None


@dataclass(frozen=True)
class Scale:
    """The value that is shown as white, and the line that says so where it is a guess.

    `highest`: the largest value known when the guess was made; it may lie above white.
    """

    white: float
    note: str = ""
    highest: float = 0


def is_bright(values: np.ndarray) -> bool:
    """Whether this one picture needs all of 16 bits, so that no other can tell more."""
    return values.dtype.kind != "f" and 2**14 <= int(values.max()) < 2**16


def guess_scale(samples: Sequence[np.ndarray]) -> Scale:
    """One scale for all of `samples`, which are pictures of one input and of one kind, integers or floats."""
    if samples[0].dtype.kind == "f":
        return _guess_floats(samples)
    largest = max(int(sample.max()) for sample in samples)
    if largest <= 0 or (largest < 2**16 and all(not np.any(sample % _WIDENED) for sample in samples)):
        return Scale(65535)
    bits = next(bits for bits in _BITS if largest < 2**bits)
    white = 2**bits - 1
    return Scale(white, "" if bits == 16 else f"its values reach {largest}, read as {bits} bits (0 … {white})")


def _guess_floats(samples: Sequence[np.ndarray]) -> Scale:
    finite = np.concatenate([sample[np.isfinite(sample)] for sample in samples])
    largest = float(finite.max(initial=0))
    if largest <= _SLACK:
        return Scale(1)
    if np.quantile(finite[:: max(finite.size // _QUANTILE_OF, 1)], 0.95) <= 1:
        return Scale(1, f"its values reach {largest:.6g}, read as 0 … 1; what is brighter is white", largest)
    white = next((white for white in WHITES if largest <= white * _SLACK), largest)
    return Scale(white, f"its values reach {largest:.6g}, read as 0 … {white:.6g}")


def to_rgb(pixels: Pixels, white: float) -> np.ndarray:
    """`H W 3` uint8, over black. Values above `white` are white, negative ones and NaN black."""
    values = pixels.values
    if values.dtype != np.uint8:
        signal = np.nan_to_num(values.astype(np.float32), nan=0, posinf=white, neginf=0) / np.float32(white)
        signal = np.clip(signal, 0, 1)
        if pixels.alpha is not None:
            signal = signal * _opacity(pixels.alpha, white)
        values = ((srgb_from_linear(signal) if pixels.linear else signal) * 255 + 0.5).astype(np.uint8)
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else np.ascontiguousarray(values)


def _opacity(alpha: np.ndarray, white: float) -> np.ndarray:
    """Alpha in [0, 1]. Colours of fewer bits than their integers hold have an alpha of as few bits."""
    opaque = white if alpha.dtype.kind == "f" or alpha.max() <= white else np.iinfo(alpha.dtype).max
    return alpha.astype(np.float32) / np.float32(opaque)


def srgb_from_linear(light: np.ndarray) -> np.ndarray:
    """Light in [0, 1] → the signal in [0, 1] that an sRGB display turns back into it (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-8) ** (1 / 2.4) - 0.055)

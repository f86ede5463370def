"""Disparity in [0, 1] → colour through a table of 256 entries; the tables are computed here.

`turbo` is Mikhailov's published polynomial fit (Google, 2019). The others run through a few published anchor colours:
viridis, inferno, magma and plasma of Smith and van der Walt, Brewer's spectral with red near.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from dvd.errors import OptionError, unknown
from dvd.names import COLORMAPS

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


@cache
def table(name: str) -> np.ndarray:
    """`256 3` uint8, far to near; do not write to it. Raises `OptionError` for an unknown name."""
    if name not in COLORMAPS:
        raise OptionError(unknown("colormap", name, COLORMAPS))
    position = np.linspace(0, 1, 256)
    if name == "turbo":
        colours = _TURBO @ position[None, :] ** np.arange(6)[:, None]
        return np.round(255 * np.clip(colours.T, 0, 1)).astype(np.uint8)
    anchors = np.array([list(bytes.fromhex(each)) for each in _ANCHORS[name].split()], dtype=np.float64)
    places = np.linspace(0, 1, len(anchors))
    channels = [np.interp(position, places, channel) for channel in anchors.T]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


@cache
def _packed(name: str) -> np.ndarray:
    """The table as 256 words of red, green, blue and an opaque alpha: one look-up a pixel instead of three."""
    colours = np.full((256, 4), 255, dtype=np.uint8)
    colours[:, :3] = table(name)
    return colours.view(np.uint32)[:, 0].copy()


def colour_levels(levels: np.ndarray, name: str) -> np.ndarray:
    """Levels `H W` uint8 → `H W 4` uint8, RGB and opaque alpha."""
    return np.take(_packed(name), levels).view(np.uint8).reshape(*levels.shape, 4)


def to_levels(disparity: np.ndarray, low: float, high: float) -> np.ndarray:
    """Spreads [low, high] over 0 … 255, rounded, the rest clipped; not-a-number becomes 0. Same shape, uint8."""
    scaled = np.subtract(disparity, np.float32(low), dtype=np.float32)
    scaled *= np.float32(255.0 / (high - low))
    scaled += np.float32(0.5)
    np.fmax(scaled, 0, out=scaled)
    np.fmin(scaled, 255, out=scaled)
    return scaled.astype(np.uint8)


def apply(disparity: np.ndarray, name: str) -> np.ndarray:
    """Disparity in [0, 1], `T H W` or `H W` → `… 3` uint8. Raises `OptionError` for an unknown colormap."""
    return np.take(table(name), to_levels(disparity, 0.0, 1.0), axis=0)

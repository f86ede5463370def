"""Frames as inline PNG: what was seen, predicted and measured, and where the two differ."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvd.export.display import table, to_levels

WIDEST = 400
"""Pictures are shown no wider than this, in pixels."""
DEPTH_MAP, ERROR_MAP = "turbo", "inferno"
WORST_ERROR = 0.3
"""Relative errors from here on are drawn alike, on every page, so that error maps can be compared."""
UNKNOWN = 0.45
"""The gray, in [0, 1], of pixels without a measured depth."""


@dataclass(frozen=True)
class Frames:
    """One frame of a sequence as it was scored.

    `rgb` `H W 3` uint8; `predicted` and `truth` `H W` metres, after alignment, of the same size as each other and NaN
    (or not positive) where nothing is known or counts. `why` says why it is shown; `abs_rel` is its AbsRel as it was
    measured, None where that is to be taken from the arrays.
    """

    rgb: NDArray
    predicted: NDArray
    truth: NDArray
    dataset: str
    sequence: str
    frame: int
    method: str = ""
    why: str = ""
    abs_rel: float | None = None


@dataclass(frozen=True)
class Strip:
    """The pictures of one frame as `data:` addresses, and the mean relative error and the scale that they show."""

    rgb: str
    predicted: str
    truth: str
    error: str
    abs_rel: float
    nearest_m: float
    farthest_m: float


def strip(frames: Frames) -> Strip:
    """Predicted and true depth share one scale, from the truth's 2 % to its 98 % quantile in disparity, near is red.

    ValueError where the arrays do not fit each other or no pixel has a measured depth.
    """
    predicted, truth = np.asarray(frames.predicted, np.float64), np.asarray(frames.truth, np.float64)
    known = np.isfinite(truth) & (truth > 0)
    if predicted.shape != truth.shape or truth.ndim != 2 or not known.any():
        raise ValueError(f"prediction {predicted.shape} and truth {truth.shape} must be H W, with a measured depth")
    both = known & np.isfinite(predicted)
    error = np.where(both, np.abs(predicted - truth) / np.where(known, truth, 1), np.nan)
    low, high = np.quantile(1 / truth[known], (0.02, 0.98)).tolist()
    high = max(high, low * (1 + 1e-6))
    abs_rel = frames.abs_rel
    if abs_rel is None:
        abs_rel = float(np.nanmean(error)) if both.any() else float("nan")
    return Strip(
        rgb=_address(_smaller(Image.fromarray(np.ascontiguousarray(frames.rgb)), Image.Resampling.BILINEAR)),
        predicted=_coloured(_disparity(predicted), low, high, DEPTH_MAP),
        truth=_coloured(_disparity(np.where(known, truth, np.nan)), low, high, DEPTH_MAP),
        error=_coloured(error, 0, WORST_ERROR, ERROR_MAP),
        abs_rel=abs_rel,
        nearest_m=1 / high,
        farthest_m=1 / low,
    )


def gradient(colormap: str, stops: int = 12) -> str:
    """A colour map, low to high, as the value of a style sheet's background."""
    colours = table(colormap)[np.linspace(0, 255, stops).round().astype(int)]
    return f"linear-gradient(to right,{','.join('#' + bytes(colour.tolist()).hex() for colour in colours)})"


def _disparity(depth_m: NDArray) -> NDArray:
    valid = np.isfinite(depth_m) & (depth_m > 0)
    return np.where(valid, 1 / np.where(valid, depth_m, 1), np.nan)


def _coloured(values: NDArray, low: float, high: float, colormap: str) -> str:
    """A palette picture, a third of the size of a true-colour one; unknown values are gray."""
    # The last entry of the palette is the gray, so the map has 255: level 255 becomes 254, a step nobody sees.
    levels = np.minimum(to_levels(values, low, high), 254)
    levels[~np.isfinite(values)] = 255
    palette = table(colormap).copy()
    palette[255] = round(255 * UNKNOWN)
    picture = Image.fromarray(levels)
    picture.putpalette(palette.tobytes())
    return _address(_smaller(picture, Image.Resampling.NEAREST))


def _smaller(picture: Image.Image, by: Image.Resampling) -> Image.Image:
    if picture.width <= WIDEST:
        return picture
    return picture.resize((WIDEST, max(1, round(picture.height * WIDEST / picture.width))), by)


def _address(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"

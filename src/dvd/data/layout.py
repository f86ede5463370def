"""One data set as it is published: a row of the table, and how a frame of it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from dvd.data import formats
from dvd.data.cameras import CameraReader
from dvd.data.folders import Pair, Patterns, Survey
from dvd.data.formats import DepthReader
from dvd.data.framing import Framing, Size
from dvd.data.optical_flow import FlowReader
from dvd.data.sources import BadSample

IMAGE = "{:png|jpg|jpeg|PNG|JPG|JPEG}"
"""What an image's name may end in, for patterns."""

NEAREST_M = 1e-5
"""No depth is taken to be nearer, so that none is divided by zero."""


@dataclass(frozen=True)
class Packed:
    """The same data set with all of its frames in one `file`; its readers take paths that lead into it."""

    file: str
    survey: Callable[[Path], Survey]
    read_rgb: Callable[[Path], np.ndarray]
    read: DepthReader
    per_metre: float


@dataclass(frozen=True)
class Layout:
    """One data set as it is published.

    Depth is stored in `per_metre` units a metre, 0 or less meaning unknown. `range_m` is the depth that training and
    evaluation use (spec, "Training" and "Evaluation"); what lies outside is "clamped" to it, or keeps its value and is
    "uncounted": known, but left out of the normalisation. With `ray`, (focal length, width in pixels), depth is
    distance along the ray.
    """

    name: str
    summary: str
    paths: Patterns
    example: tuple[str, str]
    """An image and its depth, to be shown where nothing is found."""
    read: DepthReader
    per_metre: float
    range_m: tuple[float, float]
    outside: Literal["clamped", "uncounted"]
    licence: str
    source: str
    read_rgb: Callable[[Path], np.ndarray] = formats.read_rgb
    framing: Framing = field(default_factory=Framing)
    ordered: bool = True
    """Whether neighbouring frames are neighbours in time; where not, there are images only."""
    fps: float | None = None
    cameras: CameraReader | None = None
    flow: FlowReader | None = None
    ray: tuple[float, int] | None = None
    nan_is_unknown: bool = False
    """Whether NaN is the format's word for no depth; elsewhere it is damage, as infinity always is."""
    infinity_is_unknown: bool = False
    """The same of infinity."""
    bare: bool = False
    """Whether a depth file states no height and width: they are its image's."""
    some_unlabelled: bool = False
    """Whether images without depth belong to the data set, or depths whose image was not fetched: they are left out."""
    packed: Packed | None = None
    forms: tuple[Layout, ...] = ()
    """The same data set arranged otherwise, as a release prepares it for example: whole rows, tried after this one."""
    scenes: tuple[str, ...] | int = ()
    """The published scenes, or how many there are."""
    training: tuple[str, ...] | None = None
    """The scenes to train on; None for all."""
    held_out: tuple[str, ...] = ()
    """The published splits that are not trained on."""
    evaluated: str | None = None
    """The published split that is evaluated; None for all."""


class Frame(NamedTuple):
    """RGB `H W 3` uint8 and planar depth `H W` float32 in metres, NaN where unknown; height and width as `stored`."""

    rgb: np.ndarray
    depth_m: np.ndarray
    stored: Size


def read_frame(root: Path, pair: Pair, layout: Layout, per_metre: float | None = None) -> Frame:
    """One frame, cut and resized as the row says, whatever its depths are.

    Raises BadSample for what is missing, damaged, not finite or of sizes that do not fit.
    """
    rgb = layout.read_rgb(root / pair.rgb)
    depth_m = read_depth_m(root / pair.depth, layout, per_metre, rgb.shape[:2])
    framing, stored = layout.framing, depth_m.shape
    if flaw := framing.flaw(rgb.shape[:2], stored):
        raise BadSample(str(root / pair.depth), flaw)
    return Frame(framing.rgb(rgb, stored), framing.depth(depth_m), stored)


def read_flow(root: Path, pair: Pair, later: Pair, layout: Layout, stored: Size) -> np.ndarray | None:
    """Flow `H W 2` float32 from a frame of size `stored` to the later one, cut and resized as the row says.

    In pixels of the frame as it is used, right and down, NaN where it does not count; None where there is none.
    Raises BadSample as the row's reader does.
    """
    flow = layout.flow(root, pair, later, stored) if layout.flow else None
    return None if flow is None else layout.framing.flow(flow)


def read_depth_m(path: Path, layout: Layout, per_metre: float | None = None, image: Size | None = None) -> np.ndarray:
    """Planar depth `H W` float32 in metres, as stored, NaN where unknown; BadSample for damage, with the file's name.

    `image` is the height and width of the depth's image, for files that do not state their own.
    """
    depth_m = layout.read(path, per_metre or layout.per_metre)
    if layout.bare and image is not None:
        if depth_m.size != image[0] * image[1]:
            raise BadSample(str(path), f"has {depth_m.size} values, and its image {image[1]} × {image[0]} pixels")
        depth_m = depth_m.reshape(image)
    damaged = np.isinf(depth_m) & (not layout.infinity_is_unknown) | np.isnan(depth_m) & (not layout.nan_is_unknown)
    if damaged.any():
        raise BadSample(str(path), f"has {damaged.sum()} pixels of {damaged.size} that are not finite")
    if layout.ray is not None:
        focal, width = layout.ray
        depth_m = planar(depth_m, focal * depth_m.shape[1] / width)
    return np.where((depth_m > 0) & np.isfinite(depth_m), depth_m, np.float32(np.nan))


def in_range(depth_m: np.ndarray, layout: Layout) -> np.ndarray:
    """Where depth is known and within the row's range."""
    low, high = layout.range_m
    return (depth_m >= low) & (depth_m <= high)


def why_none_in_range(depth_m: np.ndarray, layout: Layout, per_metre: float) -> str:
    """Why a frame holds no depth that is used: none is known, or none in range, with the units that are likely."""
    values = depth_m[np.isfinite(depth_m)]
    if not values.size:
        return "has no pixel of known depth"
    low, high = layout.range_m
    likely = [
        units for units in (1000, 100, 256, 5000, 1) if low <= float(np.median(values)) * per_metre / units <= high
    ]
    units = f"; is it stored in {likely[0]} units a metre, not {per_metre:g}?" if likely else ""
    return f"has no depth in {low:g} … {high:g} m: it lies at {values.min():.4g} … {values.max():.4g} m{units}"


def planar(distance_m: np.ndarray, focal: float) -> np.ndarray:
    """Distance along the ray `H W` → depth along the optical axis, for a focal length in pixels.

    The axis passes through the middle of the image; a pixel's ray through the middle of the pixel.
    """
    height, width = distance_m.shape
    x = np.arange(width) - (width - 1) / 2
    y = np.arange(height) - (height - 1) / 2
    cosine = focal / np.sqrt(x[None, :] ** 2 + y[:, None] ** 2 + focal**2)
    return (distance_m * cosine).astype(np.float32)


def to_disparity(depth_m: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray | None]:
    """Depth `T H W` in metres, NaN where unknown → disparity in 1 / metres, and what of it counts (None: all)."""
    low, high = layout.range_m
    if layout.outside == "clamped":
        return 1 / np.clip(depth_m, np.float32(max(low, NEAREST_M)), np.float32(high)), None
    return 1 / np.maximum(depth_m, np.float32(NEAREST_M)), in_range(depth_m, layout)

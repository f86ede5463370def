"""One data set as it is published (a row of the table of data sets), and how to read a frame of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from dvd.data import formats
from dvd.data.folders import Pair, Patterns, Survey
from dvd.data.formats import DepthReader
from dvd.data.framing import Framing, Size
from dvd.data.motion import CameraReader, FlowReader
from dvd.data.sources import BadSample

IMAGE = "{:png|jpg|jpeg|PNG|JPG|JPEG}"
"""The endings of image names, for patterns."""

NEAREST_M = 1e-5
"""Nearer depths are clamped to this before they are inverted."""


@dataclass(frozen=True)
class Packed:
    """The same data set with all frames in one `file`; its readers take paths inside that file."""

    file: str
    survey: Callable[[Path], Survey]
    read_rgb: Callable[[Path], np.ndarray]
    read: DepthReader
    per_metre: float


@dataclass(frozen=True)
class Layout:
    """One data set as it is published.

    Depth is stored in `per_metre` units per metre; 0 or less means unknown. `range_m` is the depth that training and
    evaluation use (spec, "Training" and "Evaluation"); depth outside it is "clamped" to it, or is "uncounted": it keeps
    its value and is left out of the normalisation. With `ray`, (focal length, width in pixels), the stored depth is the
    distance along the ray.
    """

    name: str
    summary: str
    paths: Patterns
    example: tuple[str, str]
    """The paths of an image and its depth, shown where nothing is found."""
    read: DepthReader
    per_metre: float
    range_m: tuple[float, float]
    outside: Literal["clamped", "uncounted"]
    licence: str
    source: str
    read_rgb: Callable[[Path], np.ndarray] = formats.read_rgb
    framing: Framing = field(default_factory=Framing)
    ordered: bool = True
    """Whether neighbouring frames are neighbours in time; if not, the data set has single images only."""
    fps: float | None = None
    cameras: CameraReader | None = None
    flow: FlowReader | None = None
    ray: tuple[float, int] | None = None
    nan_is_unknown: bool = False
    """Whether NaN means unknown depth; if not, NaN is damage."""
    infinity_is_unknown: bool = False
    """Whether infinity means unknown depth; if not, infinity is damage."""
    bare: bool = False
    """Whether depth files have no height and width, so that the image's are used."""
    some_unlabelled: bool = False
    """Whether images without depth, or depths without image, are normal; they are left out."""
    packed: Packed | None = None
    forms: tuple[Layout, ...] = ()
    """The same data set in other folders or formats, such as a release's: whole rows, tried after this one."""
    scenes: tuple[str, ...] | int = ()
    """The published scenes, or how many there are."""
    training: tuple[str, ...] | None = None
    """The scenes to train on; None for all."""
    held_out: tuple[str, ...] = ()
    """The published splits that are excluded from training."""
    evaluated: str | None = None
    """The published split to evaluate; None for all."""


class Frame(NamedTuple):
    """RGB `H W 3` uint8, planar depth `H W` float32 in metres, NaN where unknown, and the `stored` height and width."""

    rgb: np.ndarray
    depth_m: np.ndarray
    stored: Size


def read_frame(root: Path, pair: Pair, layout: Layout, per_metre: float | None = None) -> Frame:
    """Read one frame, cropped and resized as the row says; any depth is accepted.

    Raise BadSample for a file that is missing, damaged, not finite or of a wrong size.
    """
    rgb = layout.read_rgb(root / pair.rgb)
    depth_m = read_depth_m(root / pair.depth, layout, per_metre, rgb.shape[:2])
    framing, stored = layout.framing, depth_m.shape
    if flaw := framing.flaw(rgb.shape[:2], stored):
        raise BadSample(str(root / pair.depth), flaw)
    return Frame(framing.rgb(rgb, stored), framing.depth(depth_m), stored)


def read_flow(root: Path, pair: Pair, later: Pair, layout: Layout, stored: Size) -> np.ndarray | None:
    """Read flow `H W 2` float32 from a frame of size `stored` to the next one, cropped and resized as the row says.

    In pixels of the frame that is used, right and down, NaN where it does not count; None where there is no flow.
    Raise BadSample as the row's reader does.
    """
    flow = layout.flow(root, pair, later, stored) if layout.flow else None
    return None if flow is None else layout.framing.flow(flow)


def read_depth_m(path: Path, layout: Layout, per_metre: float | None = None, image: Size | None = None) -> np.ndarray:
    """Read planar depth `H W` float32 in metres at its stored size, NaN where unknown.

    `image` is the height and width of the depth's image, for files without their own. Raise BadSample for damage.
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
    """Return a mask of known depth within the row's range."""
    low, high = layout.range_m
    return (depth_m >= low) & (depth_m <= high)


def why_none_in_range(depth_m: np.ndarray, layout: Layout, per_metre: float) -> str:
    """Return why no depth of a frame is used: none is known, or none is in range; and the likely units."""
    values = depth_m[np.isfinite(depth_m)]
    if not values.size:
        return "has no pixel of known depth"
    low, high = layout.range_m
    likely = [
        units for units in (1000, 100, 256, 5000, 1) if low <= float(np.median(values)) * per_metre / units <= high
    ]
    units = f"; is it stored in {likely[0]} units a metre, not {per_metre:g}?" if likely else ""
    return f"has no depth in {low:g} … {high:g} m: it is at {values.min():.4g} … {values.max():.4g} m{units}"


def planar(distance_m: np.ndarray, focal: float) -> np.ndarray:
    """Convert distance along the ray `H W` to depth along the optical axis, for a focal length in pixels.

    The axis passes through the centre of the image, a pixel's ray through the centre of the pixel.
    """
    height, width = distance_m.shape
    x = np.arange(width) - (width - 1) / 2
    y = np.arange(height) - (height - 1) / 2
    cosine = focal / np.sqrt(x[None, :] ** 2 + y[:, None] ** 2 + focal**2)
    return (distance_m * cosine).astype(np.float32)


def to_disparity(depth_m: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray | None]:
    """Convert depth `T H W` in metres, NaN where unknown, to disparity in 1 / metres and a valid mask (None: all)."""
    low, high = layout.range_m
    if layout.outside == "clamped":
        return 1 / np.clip(depth_m, np.float32(max(low, NEAREST_M)), np.float32(high)), None
    return 1 / np.maximum(depth_m, np.float32(NEAREST_M)), in_range(depth_m, layout)

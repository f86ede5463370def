"""The data sets in their original layouts: one table, and the source of clips that reads any of its rows.

A row says where images and depths lie, how depth is stored and which depths count. What differs between data sets is
data here; code differs only by file format (`formats.py`).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from dvd.data import formats
from dvd.data.folders import FrameSequence, Pair, Patterns, Survey, holds, runs, survey
from dvd.data.formats import DepthReader
from dvd.data.sources import BadSample, RawClip
from dvd.errors import InputError, OptionError, unknown

Split = Literal["training", "all"]
NEAREST_M = 1e-5
"""No depth is taken to be nearer, so that none is divided by zero."""


@dataclass(frozen=True)
class Layout:
    """One data set as it is published.

    Depth is stored in `per_metre` units a metre, 0 or less meaning unknown. `range_m` is the depth that training
    uses (spec, "Training"); what lies outside is "clamped" to it, or keeps its value and is "uncounted": known, but
    left out of the normalisation. With `ray`, (focal length, width in pixels), depth is distance along the ray.
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
    ordered: bool = True
    """Whether neighbouring frames are neighbours in time; where not, there are images only."""
    fps: float | None = None
    ray: tuple[float, int] | None = None
    nan_is_unknown: bool = False
    """Whether NaN is the format's word for no depth; elsewhere it is damage, as infinity always is."""
    scenes: tuple[str, ...] | int = ()
    """The published scenes, or how many there are."""
    training: tuple[str, ...] | None = None
    """The scenes to train on; None for all."""


IMAGE = "{:png|jpg|jpeg|PNG|JPG|JPEG}"

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            Layout(
                name="tartanair",
                summary="synthetic stereo flights; float metres, 640 × 480",
                paths=Patterns(
                    rgb=r"{difficulty:Easy|Hard}/{trajectory:P\d+}/image_{side:left|right}/{frame:\d+}_{side}.png",
                    depth=r"{difficulty:Easy|Hard}/{trajectory:P\d+}/depth_{side:left|right}/{frame:\d+}_{side}_depth.npy",
                    scene="{scene}",
                    sequence="{scene}/{difficulty}/{trajectory}/{side}",
                    # As the archives unpack where each has a folder of its own, they nest the scene twice.
                    prefixes=("{scene}/", "{scene}/{scene}/"),
                ),
                example=(
                    "abandonedfactory/Easy/P000/image_left/000000_left.png",
                    "abandonedfactory/Easy/P000/depth_left/000000_left_depth.npy",
                ),
                read=formats.read_npy,
                per_metre=1,
                range_m=(0.0, 50.0),
                outside="clamped",
                licence="CC BY 4.0",
                source="https://theairlab.org/tartanair-dataset (version 1)",
                scenes=(
                    *("abandonedfactory", "abandonedfactory_night", "amusement", "carwelding", "endofworld"),
                    *("gascola", "hospital", "japanesealley", "neighborhood", "ocean", "office", "office2"),
                    *("oldtown", "seasidetown", "seasonsforest", "seasonsforest_winter", "soulcity", "westerndesert"),
                ),
            ),
            Layout(
                name="virtual_kitti_2",
                summary="synthetic street drives, stereo, ten conditions; 16-bit centimetres, 1242 × 375",
                paths=Patterns(
                    rgb=r"Scene{scene:\d+}/{condition}/frames/rgb/Camera_{camera:0|1}/rgb_{frame:\d+}.jpg",
                    depth=r"Scene{scene:\d+}/{condition}/frames/depth/Camera_{camera:0|1}/depth_{frame:\d+}.png",
                    scene="Scene{scene}",
                    sequence="Scene{scene}/{condition}/Camera_{camera}",
                ),
                example=(
                    "Scene02/clone/frames/rgb/Camera_0/rgb_00000.jpg",
                    "Scene02/clone/frames/depth/Camera_0/depth_00000.png",
                ),
                read=formats.read_png16,
                per_metre=100,
                range_m=(1e-5, 80.0),
                outside="uncounted",
                licence="CC BY-NC-SA 3.0",
                source="https://europe.naverlabs.com/proxy-virtual-worlds-vkitti-2 (the sky is stored as 655.35 m)",
                fps=10,
                scenes=("Scene01", "Scene02", "Scene06", "Scene18", "Scene20"),
                training=("Scene02", "Scene06", "Scene18", "Scene20"),
            ),
            Layout(
                name="hypersim",
                summary="rendered interiors, images only; HDF5, metres along the ray, 1024 × 768",
                paths=Patterns(
                    rgb=r"{scene:ai_\d+_\d+}/images/scene_{camera:cam_\d+}_final_preview/frame.{frame:\d+}.tonemap.jpg",
                    depth=r"{scene:ai_\d+_\d+}/images/scene_{camera:cam_\d+}_geometry_hdf5/frame.{frame:\d+}.depth_meters.hdf5",
                    scene="{scene}",
                    sequence="{scene}/{camera}",
                ),
                example=(
                    "ai_001_001/images/scene_cam_00_final_preview/frame.0000.tonemap.jpg",
                    "ai_001_001/images/scene_cam_00_geometry_hdf5/frame.0000.depth_meters.hdf5",
                ),
                read=formats.read_hdf5,
                per_metre=1,
                range_m=(1e-3, 65.0),
                outside="clamped",
                licence="CC BY-SA 3.0",
                source="https://github.com/apple/ml-hypersim (NaN where a pixel sees no geometry; one focal length "
                "for all scenes, as in the release, although a few cameras differ)",
                ordered=False,
                ray=(886.81, 1024),
                nan_is_unknown=True,
                scenes=461,
            ),
            Layout(
                name="rgbd",
                summary="a folder of rgb/ (or color/) and depth/, or a folder of those; 16-bit millimetres, 0 unknown",
                paths=Patterns(
                    rgb=f"{{sequence}}/{{:rgb|color}}/{{frame}}.{IMAGE}",
                    depth="{sequence}/depth/{frame}.{:png|PNG}",
                    scene="{sequence}",
                    sequence="{sequence}",
                    tolerance=0.02,
                ),
                example=(
                    "office/rgb/00000.png",
                    "office/depth/00000.png",
                ),
                read=formats.read_png16,
                per_metre=1000,
                range_m=(1e-3, 80.0),
                outside="uncounted",
                licence="the recording's own",
                source="your own recordings; TUM's files have 5000 units a metre",
            ),
        )
    }
)


def find_layout(name: str) -> Layout:
    """The row of that name; OptionError with the nearest names where there is none."""
    if name not in LAYOUTS:
        raise OptionError(unknown("data set", name, LAYOUTS))
    return LAYOUTS[name]


class LayoutSource:
    """Clips of a data set in its original layout; implements `Source`.

    `sequences` are those of the split; `found` is all that was found.
    """

    def __init__(self, layout: Layout, root: Path, found: Survey, split: Split, per_metre: float) -> None:
        self.name, self.layout, self.root, self.found, self.per_metre = layout.name, layout, root, found, per_metre
        self.sequences: tuple[FrameSequence, ...] = tuple(
            sequence
            for sequence in found.sequences
            if split == "all" or layout.training is None or sequence.scene in layout.training
        )
        self._runs = [
            run for sequence in self.sequences for run in (runs(sequence.pairs) if layout.ordered else [sequence.pairs])
        ]
        self._ends: dict[int, list[int]] = {}

    def count(self, frames: int) -> int:
        """How many clips of `frames` neighbouring frames there are; of several, none where no two are neighbours."""
        ends = self._clip_ends(frames)
        return ends[-1] if ends else 0

    def clip(self, index: int, frames: int) -> RawClip:
        """The clip with that number, disparity in 1 / metres; BadSample where a file is no good."""
        ends = self._clip_ends(frames)
        run = bisect_right(ends, index)
        start = index - (ends[run - 1] if run else 0)
        rgb, depth_m = self.read(self._runs[run][start : start + frames])
        return RawClip(rgb, *to_disparity(depth_m, self.layout))

    def read(self, pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
        """RGB `T H W 3` uint8 and planar depth `T H W` float32 in metres, NaN where unknown.

        Raises BadSample for what is missing, damaged, not finite, of different sizes, or holds no depth to use.
        """
        rgb = [formats.read_rgb(self.root / pair.rgb) for pair in pairs]
        depth_m = [read_depth_m(self.root / pair.depth, self.layout, self.per_metre) for pair in pairs]
        for pair, image, depth in zip(pairs, rgb, depth_m, strict=True):
            if image.shape[:2] != depth.shape:
                raise BadSample(str(self.root / pair.depth), f"is {_size(depth)}, and its image {_size(image)}")
            if image.shape != rgb[0].shape:
                raise BadSample(
                    str(self.root / pair.rgb), f"is {_size(image)}, and its clip began with {_size(rgb[0])}"
                )
        depths = np.stack(depth_m)
        low, high = self.layout.range_m
        if not ((depths >= low) & (depths <= high)).any():
            raise BadSample(str(self.root / pairs[0].depth), _out_of_range(depths, self.layout, self.per_metre))
        return np.stack(rgb), depths

    def _clip_ends(self, frames: int) -> list[int]:
        """How many clips there are up to the end of each run."""
        if frames < 1 or (frames > 1 and not self.layout.ordered):
            return []
        if frames not in self._ends:
            self._ends[frames] = list(accumulate(max(0, len(run) - frames + 1) for run in self._runs))
        return self._ends[frames]


def open_source(name: str, root: Path | str, split: Split = "training", per_metre: float | None = None) -> LayoutSource:
    """The data set `name` below `root`, listed but not read; `per_metre` in place of the layout's own units.

    `root` may also be one scene, or one sequence, of the data set. Raises OptionError for an unknown name, InputError
    where nothing usable is found, with the layout that was looked for.
    """
    layout, root = find_layout(name), Path(root)
    if per_metre is not None and per_metre <= 0:
        raise OptionError(f"{per_metre:g} stored units per metre make no sense; give 1000 for millimetres")
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise InputError(f"{root} {what}; give the folder that holds {_expected(layout)}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise InputError(f"{root} cannot be listed; check its permissions")
    found = survey(root, layout.paths)
    if not any(pair.whole for sequence in found.sequences for pair in sequence.pairs):
        raise InputError(_nothing(layout, root, found))
    source = LayoutSource(layout, root, found, split, per_metre or layout.per_metre)
    if not source.sequences:
        there = ", ".join(sorted({sequence.scene for sequence in found.sequences}))
        raise InputError(
            f"{root} holds only {there}, which {name} does not train on; add {', '.join(layout.training or ())}, "
            "or open all of it"
        )
    return source


def read_depth_m(path: Path, layout: Layout, per_metre: float | None = None) -> np.ndarray:
    """Planar depth `H W` float32 in metres, NaN where unknown; BadSample for damage, with the file's name."""
    depth_m = layout.read(path, per_metre or layout.per_metre)
    damaged = np.isinf(depth_m) if layout.nan_is_unknown else ~np.isfinite(depth_m)
    if damaged.any():
        raise BadSample(str(path), f"has {damaged.sum()} pixels of {damaged.size} that are not finite")
    if layout.ray is not None:
        focal, width = layout.ray
        depth_m = planar(depth_m, focal * depth_m.shape[1] / width)
    known = depth_m > 0
    if not known.any():
        raise BadSample(str(path), "has no pixel of known depth")
    return np.where(known, depth_m, np.float32(np.nan))


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
    return 1 / np.maximum(depth_m, np.float32(NEAREST_M)), (depth_m >= low) & (depth_m <= high)


def _expected(layout: Layout) -> str:
    image, depth = layout.example
    return f"{layout.name} frames, such as ROOT/{image} with ROOT/{depth}"


def _nothing(layout: Layout, root: Path, found: Survey) -> str:
    images = sum(len(sequence.pairs) for sequence in found.sequences) + len(found.lone_images)
    if images:
        return (
            f"{root} holds {images} images of {layout.name} but no depth that belongs to them; looked for "
            f"{root / found.sequences[0].pairs[0].depth}"
        )
    if found.lone_depths:
        return (
            f"{root} holds {len(found.lone_depths)} depths of {layout.name}, such as {found.lone_depths[0]}, but no "
            f"images; it expects {_expected(layout)}"
        )
    return f"{root} holds no {_expected(layout)}{_hint(layout, root)}"


def _hint(layout: Layout, root: Path) -> str:
    """What may be the matter: a folder too high or too low, another data set, or still packed."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if holds(folder, layout.paths):
            return f"; {folder} does: give that"
    if others := [other.name for other in LAYOUTS.values() if other is not layout and holds(root, other.paths)]:
        return f"; it looks like {' and '.join(others)}"
    if any(root.glob("*.zip")) or any(root.glob("*.tar*")):
        return "; unpack its archives first"
    above = root.resolve().parent
    return f"; {above} does: give that" if holds(above, layout.paths) else ""


def _out_of_range(depth_m: np.ndarray, layout: Layout, per_metre: float) -> str:
    low, high = layout.range_m
    values = depth_m[np.isfinite(depth_m)]
    likely = [
        units for units in (1000, 100, 256, 5000, 1) if low <= float(np.median(values)) * per_metre / units <= high
    ]
    units = f"; is it stored in {likely[0]} units a metre, not {per_metre:g}?" if likely else ""
    return f"has no depth in {low:g} … {high:g} m: it lies at {values.min():.4g} … {values.max():.4g} m{units}"


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} × {image.shape[0]}"

"""The table of data sets in their original layouts, and the source of clips that reads any of its rows.

A row says where images and depths are, how depth is stored and which depths count. Data sets differ in data (`rows/`);
code differs only by file format (`formats.py`, `poses.py`). A package adds data sets with `register_layout`, or with
entry points of the group `dvd.layouts`, each of which names a `Layout`.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np

from dvd.data.folders import FrameSequence, Pair, Survey, holds, holds_both, nearest_folder, runs, survey
from dvd.data.framing import size_text
from dvd.data.layout import Frame, Layout, in_range, read_frame, to_disparity, why_none_in_range
from dvd.data.rows.evaluation import EVALUATION
from dvd.data.rows.training import TRAINING
from dvd.data.sources import BadSample, RawClip
from dvd.errors import InputError, OptionError
from dvd.plugins import Plugins

Split = Literal["training", "held-out", "all"]
"""The scenes to train on, the other published scenes, or both; a data set without such a split trains on all."""

LISTED = 6
"""Number of names shown of a folder's contents."""

LAYOUTS: Plugins[Layout] = Plugins(
    "data set", {layout.name: layout for layout in (*TRAINING, *EVALUATION)}, group="dvd.layouts"
)
"""Every known data set by name."""


def register_layout(layout: Layout) -> None:
    """Add a data set, so that evaluation, training and `dvd data` know it. Raise OptionError if its name is taken."""
    LAYOUTS.register(layout.name, layout)


class LayoutSource:
    """Clips of a data set in its original layout; implements `Source`.

    `sequences` are those of the split; `survey` is everything below the root.
    """

    def __init__(self, layout: Layout, root: Path, listing: Survey, split: Split, per_metre: float) -> None:
        self.name, self.layout, self.root, self.survey, self.per_metre = layout.name, layout, root, listing, per_metre
        self.sequences: tuple[FrameSequence, ...] = tuple(
            sequence
            for sequence in _labelled(listing, layout)
            if split == "all" or _is_trained_on(sequence, layout) == (split == "training")
        )
        self._runs = [
            run for sequence in self.sequences for run in (runs(sequence.pairs) if layout.ordered else [sequence.pairs])
        ]
        self._ends: dict[int, list[int]] = {}

    def count(self, frames: int) -> int:
        """Return the number of clips of `frames` neighbouring frames; 0 for videos of a data set of single images."""
        ends = self._clip_ends(frames)
        return ends[-1] if ends else 0

    def clip(self, index: int, frames: int) -> RawClip:
        """Return the clip of that index, disparity in 1 / metres. Raise BadSample for an unusable file."""
        ends = self._clip_ends(frames)
        run = bisect_right(ends, index)
        start = index - (ends[run - 1] if run else 0)
        rgb, depth_m = self.read(self._runs[run][start : start + frames])
        return RawClip(rgb, *to_disparity(depth_m, self.layout))

    def read(self, pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
        """Return RGB `T H W 3` uint8 and planar depth `T H W` float32 in metres, NaN where unknown.

        Raise BadSample for files that are missing, damaged, not finite, of different sizes, or without usable depth.
        """
        frames = [self.frame(pair) for pair in pairs]
        for pair, frame in zip(pairs, frames, strict=True):
            if frame.rgb.shape != frames[0].rgb.shape:
                size, began = size_text(frame.rgb.shape), size_text(frames[0].rgb.shape)
                raise BadSample(str(self.root / pair.rgb), f"is {size}, and its clip began with {began}")
        depths = np.stack([frame.depth_m for frame in frames])
        for pair, depth_m in zip(pairs, depths, strict=True):
            if not np.isfinite(depth_m).any():
                raise BadSample(str(self.root / pair.depth), why_none_in_range(depth_m, self.layout, self.per_metre))
        if not in_range(depths, self.layout).any():
            raise BadSample(str(self.root / pairs[0].depth), why_none_in_range(depths, self.layout, self.per_metre))
        return np.stack([frame.rgb for frame in frames]), depths

    def frame(self, pair: Pair) -> Frame:
        """Return one frame, whatever its depths are (see `read_frame`)."""
        return read_frame(self.root, pair, self.layout, self.per_metre)

    def _clip_ends(self, frames: int) -> list[int]:
        """Return the number of clips up to the end of each run."""
        if frames < 1 or (frames > 1 and not self.layout.ordered):
            return []
        if frames not in self._ends:
            self._ends[frames] = list(accumulate(max(0, len(run) - frames + 1) for run in self._runs))
        return self._ends[frames]


def open_source(name: str, root: Path | str, split: Split = "training", per_metre: float | None = None) -> LayoutSource:
    """Open the data set `name` below `root`: list its files, read none; `per_metre` replaces the layout's units.

    `root` may also be one scene, or one sequence, of the data set. Raise OptionError for an unknown name, and
    InputError, with the expected layout, where nothing usable is found.
    """
    layout, root = LAYOUTS[name], Path(root)
    if per_metre is not None and per_metre <= 0:
        raise OptionError(f"{per_metre:g} stored units per metre make no sense; give 1000 for millimetres")
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise InputError(f"{root} {what}; give the folder that holds {_expected(layout)}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise InputError(f"{root} cannot be listed; check its permissions")
    layout, listing = _find(layout, root)
    if not any(pair.whole for sequence in listing.sequences for pair in sequence.pairs):
        raise InputError(_no_frames_reason(layout, root, listing))
    source = LayoutSource(layout, root, listing, split, per_metre or layout.per_metre)
    if not source.sequences:
        there = ", ".join(sorted({sequence.scene for sequence in listing.sequences}))
        if split == "held-out":
            raise InputError(f"{root} holds only {there}, which {name} trains on; add a scene to hold out")
        wanted = ", ".join(layout.training or ("the folder train",))
        raise InputError(f"{root} holds only {there}, which {name} does not train on; add {wanted}, or open all of it")
    return source


def _is_trained_on(sequence: FrameSequence, layout: Layout) -> bool:
    return sequence.split not in layout.held_out and (layout.training is None or sequence.scene in layout.training)


def _find(layout: Layout, root: Path) -> tuple[Layout, Survey]:
    """Return the row that reads `root` (`layout`, one of its forms or its packed form) and the survey of `root`."""
    layout = _form_of(layout, root)
    listing = survey(root, layout.paths)
    packed = layout.packed
    if packed is None or listing.sequences or not (root / packed.file).is_file():
        return layout, listing
    return (
        replace(layout, read_rgb=packed.read_rgb, read=packed.read, per_metre=packed.per_metre),
        packed.survey(root),
    )


def _form_of(layout: Layout, root: Path) -> Layout:
    """Return the first form of the data set with images and depths there, else the first with images."""
    forms = (layout, *layout.forms)
    whole = (form for form in forms if holds_both(root, form.paths))
    half = (form for form in forms if holds(root, form.paths))
    return next(whole, None) or next(half, layout)


def _labelled(listing: Survey, layout: Layout) -> tuple[FrameSequence, ...]:
    """The sequences that were found; only their frames with depth where the data set has others by design."""
    if not layout.some_unlabelled:
        return listing.sequences
    whole = (
        replace(sequence, pairs=tuple(pair for pair in sequence.pairs if pair.whole)) for sequence in listing.sequences
    )
    return tuple(sequence for sequence in whole if sequence.pairs)


def _expected(layout: Layout) -> str:
    image, depth = layout.example
    return f"{layout.name} frames, such as ROOT/{image} with ROOT/{depth}"


def _no_frames_reason(layout: Layout, root: Path, listing: Survey) -> str:
    images = sum(len(sequence.pairs) for sequence in listing.sequences) + len(listing.lone_images)
    if images:
        return (
            f"{root} holds {images} images of {layout.name} but no depth that belongs to them; looked for "
            f"{root / listing.sequences[0].pairs[0].depth}{_above(layout, root)}"
        )
    if lone := listing.lone_depths:
        return (
            f"{root} holds {len(lone)} depths of {layout.name}, such as {lone[0]}, but no images; it expects "
            f"{_expected(layout)}{_above(layout, root)}"
        )
    return f"{root} holds no {_expected(layout)}{_hint(layout, root)}"


def _hint(layout: Layout, root: Path) -> str:
    """Return a likely cause: a folder too high or too low, another data set, packed archives, or a different name."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if _has(folder, layout):
            return f"; {folder} holds both: give that"
    if others := [other.name for other in LAYOUTS.values() if other is not layout and _has(root, other)]:
        return f"; it looks like {' and '.join(others)}"
    if any(root.glob("*.zip")) or any(root.glob("*.tar*")):
        return "; unpack its archives first"
    return _above(layout, root) or _what_is_there(layout, root)


def _above(layout: Layout, root: Path) -> str:
    above = root.resolve().parent
    return f"; {above} holds both: give that" if _has(above, layout) else ""


def _has(root: Path, layout: Layout) -> bool:
    """Whether any form of the data set has an image and a depth there."""
    return any(holds_both(root, form.paths) for form in (layout, *layout.forms))


def _what_is_there(layout: Layout, root: Path) -> str:
    """Name the deepest folder that fits any form of the data set, the name that it lacks, and those that it holds."""
    patterns = [
        prefix + side
        for form in (layout, *layout.forms)
        for prefix in form.paths.prefixes
        for side in (form.paths.rgb, form.paths.depth)
    ]
    nearest = [nearest_folder(root, pattern) for pattern in patterns]
    folder, lacking = max((match for match in nearest if match[1]), key=lambda match: match[0].count("/"))
    names = sorted(path.name + "/" * path.is_dir() for path in (root / folder).iterdir())
    if not names:
        return f"; {root / folder} is empty" if folder else ""
    shown = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    lacks = f"has no {lacking}, it holds" if folder and lacking.strip("*") else "holds only"
    return f"; {root / folder} {lacks} {shown}"

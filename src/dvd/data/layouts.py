"""The data sets in their original layouts: one table, and the source of clips that reads any of its rows.

A row says where images and depths lie, how depth is stored and which depths count. What differs between data sets is
data (`rows/`); code differs only by file format (`formats.py`, `poses.py`).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from dvd.data.folders import FrameSequence, Pair, Survey, holds, holds_both, nearest_folder, runs, survey
from dvd.data.framing import size_text
from dvd.data.layout import Frame, Layout, in_range, read_frame, to_disparity, why_none_in_range
from dvd.data.rows.evaluation import EVALUATION
from dvd.data.rows.training import TRAINING
from dvd.data.sources import BadSample, RawClip
from dvd.errors import InputError, OptionError, unknown

Split = Literal["training", "held-out", "all"]
"""The scenes to train on, the published ones beside them, or both; a data set without such scenes trains on all."""

LISTED = 6
"""So many names of what a folder holds are shown."""

LAYOUTS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in (*TRAINING, *EVALUATION)})


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
            for sequence in _labelled(found, layout)
            if split == "all" or _is_trained_on(sequence, layout) == (split == "training")
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
        """One frame, whatever its depths are (see `read_frame`)."""
        return read_frame(self.root, pair, self.layout, self.per_metre)

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
    layout, found = _find(layout, root)
    if not any(pair.whole for sequence in found.sequences for pair in sequence.pairs):
        raise InputError(_nothing(layout, root, found))
    source = LayoutSource(layout, root, found, split, per_metre or layout.per_metre)
    if not source.sequences:
        there = ", ".join(sorted({sequence.scene for sequence in found.sequences}))
        if split == "held-out":
            raise InputError(f"{root} holds only {there}, which {name} trains on; add a scene to hold out")
        wanted = ", ".join(layout.training or ("the folder train",))
        raise InputError(f"{root} holds only {there}, which {name} does not train on; add {wanted}, or open all of it")
    return source


def _is_trained_on(sequence: FrameSequence, layout: Layout) -> bool:
    return sequence.split not in layout.held_out and (layout.training is None or sequence.scene in layout.training)


def _find(layout: Layout, root: Path) -> tuple[Layout, Survey]:
    """The survey of `root`, and the row that reads it: another one where frames are arranged or packed otherwise."""
    layout = _form_of(layout, root)
    found = survey(root, layout.paths)
    packed = layout.packed
    if packed is None or found.sequences or not (root / packed.file).is_file():
        return layout, found
    return (
        replace(layout, read_rgb=packed.read_rgb, read=packed.read, per_metre=packed.per_metre),
        packed.survey(root),
    )


def _form_of(layout: Layout, root: Path) -> Layout:
    """The first form of the data set of which there are images and depths; else one of which there are images."""
    forms = (layout, *layout.forms)
    whole = (form for form in forms if holds_both(root, form.paths))
    half = (form for form in forms if holds(root, form.paths))
    return next(whole, None) or next(half, layout)


def _labelled(found: Survey, layout: Layout) -> tuple[FrameSequence, ...]:
    """The sequences that were found; only their frames with depth where the data set has others by design."""
    if not layout.some_unlabelled:
        return found.sequences
    whole = (
        replace(sequence, pairs=tuple(pair for pair in sequence.pairs if pair.whole)) for sequence in found.sequences
    )
    return tuple(sequence for sequence in whole if sequence.pairs)


def _expected(layout: Layout) -> str:
    image, depth = layout.example
    return f"{layout.name} frames, such as ROOT/{image} with ROOT/{depth}"


def _nothing(layout: Layout, root: Path, found: Survey) -> str:
    images = sum(len(sequence.pairs) for sequence in found.sequences) + len(found.lone_images)
    if images:
        return (
            f"{root} holds {images} images of {layout.name} but no depth that belongs to them; looked for "
            f"{root / found.sequences[0].pairs[0].depth}{_above(layout, root)}"
        )
    if found.lone_depths:
        return (
            f"{root} holds {len(found.lone_depths)} depths of {layout.name}, such as {found.lone_depths[0]}, but no "
            f"images; it expects {_expected(layout)}{_above(layout, root)}"
        )
    return f"{root} holds no {_expected(layout)}{_hint(layout, root)}"


def _hint(layout: Layout, root: Path) -> str:
    """Likely causes: a folder too high or too low, another data set, still packed, or a name that differs."""
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
    """Whether any form of the data set has both an image and a depth there."""
    return any(holds_both(root, form.paths) for form in (layout, *layout.forms))


def _what_is_there(layout: Layout, root: Path) -> str:
    """The deepest folder that fits any form of the data set, the name that it lacks, and those that it holds."""
    patterns = [
        prefix + side
        for form in (layout, *layout.forms)
        for prefix in form.paths.prefixes
        for side in (form.paths.rgb, form.paths.depth)
    ]
    nearest = [nearest_folder(root, pattern) for pattern in patterns]
    folder, lacking = max((found for found in nearest if found[1]), key=lambda found: found[0].count("/"))
    names = sorted(path.name + "/" * path.is_dir() for path in (root / folder).iterdir())
    if not names:
        return f"; {root / folder} is empty" if folder else ""
    shown = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    lacks = f"has no {lacking}, it holds" if folder and lacking.strip("*") else "holds only"
    return f"; {root / folder} {lacks} {shown}"

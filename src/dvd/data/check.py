"""Check that a data set is complete and readable: list what is there, missing and broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from dvd.data.folders import Pair, runs
from dvd.data.layout import Layout
from dvd.data.layouts import LayoutSource
from dvd.data.sources import BadSample

SAMPLE = 200
"""Number of frames, spread evenly over the data set, that are read unless all are requested."""

Watch = Callable[[list[Pair]], Iterable[Pair]]


@dataclass
class Report:
    """Result of `inspect`; paths are relative to the root, sizes are (width, height)."""

    scenes: tuple[str, ...]
    absent_scenes: tuple[str, ...] | int
    """Published scenes that are not there, or their number."""
    unlisted_scenes: tuple[str, ...]
    """Scenes that are there but excluded from training."""
    sequences: int
    frames: int
    """Number of images with depth."""
    unlabelled: int
    """Number of images without depth, and depths without image, that the data set has by design."""
    missing: list[str]
    gaps: list[str]
    """Jumps of frame numbers; no clip crosses one."""
    other_folders: tuple[str, ...]
    read: int = 0
    broken: list[BadSample] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    depth_m: tuple[float, float] = (float("inf"), 0.0)
    known: float = 0.0
    """Mean share of pixels with known depth, over the readable frames."""

    @property
    def usable(self) -> bool:
        """Whether there is a frame to train on, as far as frames were read."""
        return self.frames > 0 and (self.read == 0 or len(self.broken) < self.read)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing or broken; scenes that were never fetched do not count."""
        return self.usable and not self.missing and not self.broken


def inspect(source: LayoutSource, every: bool = False, watch: Watch = iter) -> Report:
    """List a source and read `SAMPLE` of its frames, or every one; `watch` wraps the iteration (a progress bar)."""
    report = _listed(source)
    pairs = [pair for sequence in source.sequences for pair in sequence.pairs if pair.whole]
    chosen = pairs if every or len(pairs) <= SAMPLE else [pairs[i] for i in _spread(len(pairs), SAMPLE)]
    for pair in watch(chosen):
        report.read += 1
        try:
            rgb, depth_m = source.read([pair])
        except BadSample as error:
            report.broken.append(error)
            continue
        known = depth_m[np.isfinite(depth_m)]
        report.sizes[rgb.shape[2], rgb.shape[1]] += 1
        report.depth_m = min(report.depth_m[0], float(known.min())), max(report.depth_m[1], float(known.max()))
        report.known += known.size / depth_m.size
    report.known /= max(1, report.read - len(report.broken))
    return report


def absent_scenes(layout: Layout, here: Iterable[str]) -> tuple[str, ...] | int:
    """Return the published scenes that are not in `here`; only their number where the row does not name them."""
    if isinstance(layout.scenes, int):
        return max(0, layout.scenes - len(set(here)))
    return tuple(scene for scene in layout.scenes if scene not in set(here))


def spans(pairs: Iterable[Pair]) -> list[str]:
    """Return frame numbers in short: `000000 … 000009 (10)` for every unbroken run."""
    return [
        f"{run[0].number} … {run[-1].number} ({len(run)})" if len(run) > 1 else run[0].number
        for run in runs(tuple(pairs))
    ]


def _listed(source: LayoutSource) -> Report:
    listing, layout = source.survey, source.layout
    scenes = tuple(sorted({sequence.scene for sequence in source.sequences}))
    bare = [pair for sequence in listing.sequences for pair in sequence.pairs if not pair.whole]
    lone = [
        *(f"{pair.depth}: no such depth for {pair.rgb}" for pair in bare),
        *(f"{path}: image without depth, or a second one" for path in listing.lone_images),
        *(f"{path}: depth without image" for path in listing.lone_depths),
    ]
    return Report(
        scenes=scenes,
        absent_scenes=absent_scenes(layout, scenes),
        unlisted_scenes=tuple(scene for scene in scenes if layout.training and scene not in layout.training),
        sequences=len(source.sequences),
        frames=sum(pair.whole for sequence in source.sequences for pair in sequence.pairs),
        unlabelled=len(lone) if layout.some_unlabelled else 0,
        missing=[] if layout.some_unlabelled else lone,
        gaps=[
            f"{sequence.name}: from {before[-1].number} to {after[0].number}"
            for sequence in source.sequences
            if layout.ordered
            for before, after in pairwise(runs(sequence.pairs))
        ],
        other_folders=listing.other_folders,
    )


def _spread(count: int, wanted: int) -> list[int]:
    """Return `wanted` evenly spaced indices from the first to the last."""
    return [round(index * (count - 1) / (wanted - 1)) for index in range(wanted)]

"""Sequences of frames with measured depth, on which methods are evaluated, from any data set that has a layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from dvd.data.folders import FrameSequence, Pair
from dvd.data.framing import Size
from dvd.data.layout import NEAREST_M, in_range, read_flow, why_none_in_range
from dvd.data.layouts import LayoutSource, open_source
from dvd.data.motion import Camera
from dvd.data.sources import BadSample
from dvd.errors import InputError, OptionError, unknown


@dataclass(frozen=True)
class EvalFrame:
    """One frame, cropped and resized as for published results on its data set.

    `rgb` `H W 3` uint8. `depth_m` `H W` float32, planar depth in metres, NaN where unknown. `mask` `H W` bool, the
    pixels that are evaluated: known, in the data set's range, and in the part of the frame that counts. `pose` 4 × 4
    float64, camera to world in metres, and `intrinsics` 3 × 3 for this `rgb` (right, down, forward; the centre of the
    first pixel is (0, 0)), None if the data set has none. `name` is the frame's number or time, as in its file name.
    `read_flow` reads `flow`.
    """

    rgb: np.ndarray
    depth_m: np.ndarray
    mask: np.ndarray
    pose: np.ndarray | None
    intrinsics: np.ndarray | None
    name: str
    read_flow: Callable[[], np.ndarray | None]

    @cached_property
    def flow(self) -> np.ndarray | None:
        """Flow `H W 2` float32 to the next frame of the sequence, in pixels of this `rgb`, right and down.

        NaN where it is unknown or the point is hidden in the next frame; None if the data set has none. Read at its
        first use, since only one metric needs it. Raise InputError, with the file's name, if the file is damaged.
        """
        return self.read_flow()


class EvalSequence:
    """A sequence of `count` frames, read one by one as they are needed.

    `name` is unique within the `dataset`. `size` is the height and width of every frame, `fps` the frame rate or None.
    `range_m` is the depth that is evaluated, to which predictions are clipped.
    """

    def __init__(self, source: LayoutSource, name: str, pairs: Sequence[Pair], cameras: _Cameras) -> None:
        low, high = source.layout.range_m
        self.name, self.dataset, self.count = name, source.name, len(pairs)
        self.fps, self.range_m = source.layout.fps, (max(low, NEAREST_M), high)
        self._source, self._pairs, self._cameras = source, pairs, cameras

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame."""
        with _input():
            height, width = self._source.frame(self._pairs[0]).depth_m.shape
        return height, width

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[EvalFrame]:
        """Read the frames [start, stop), or all from `start` if `stop` is None.

        Raise OptionError if the sequence has no such frames; InputError, with the file's name, if a file is missing,
        damaged, or of another size than its image or than the first frame.
        """
        stop = self.count if stop is None else stop
        if not 0 <= start <= stop <= self.count:
            raise OptionError(f"{self.name} has {self.count} frames; [{start}, {stop}) are not among them")
        return self._read(start, stop)

    def explain(self, frame: EvalFrame) -> str:
        """Say why a frame's mask is empty; if all depth is out of range, suggest the likely stored units."""
        if in_range(frame.depth_m, self._source.layout).any():
            return "has no known depth in the part of the frame that is evaluated"
        return why_none_in_range(frame.depth_m, self._source.layout, self._source.per_metre)

    def _read(self, start: int, stop: int) -> Iterator[EvalFrame]:
        source, framing = self._source, self._source.layout.framing
        counts = framing.counts(self.size)
        for index in range(start, stop):
            pair = self._pairs[index]
            with _input():
                rgb, depth_m, stored = source.frame(pair)
                camera = self._cameras.of(pair)
            if depth_m.shape != self.size:
                height, width = depth_m.shape
                raise InputError(
                    f"{source.root / pair.depth} is {width} × {height}, and its sequence began with "
                    f"{self.size[1]} × {self.size[0]}; remove it, or split the sequence"
                )
            intrinsics = None
            if camera.intrinsics is not None:
                intrinsics = framing.intrinsics(camera.intrinsics, camera.of or stored, stored)
            mask = in_range(depth_m, source.layout) & counts
            flow = partial(self._flow, index, stored)
            yield EvalFrame(rgb, depth_m, mask, camera.pose, intrinsics, pair.number, flow)

    def _flow(self, index: int, stored: Size) -> np.ndarray | None:
        """Read the flow from the frame at `index`, of the size `stored`, to the next; None for the last frame."""
        if index + 1 == len(self._pairs):
            return None
        pair, later = self._pairs[index : index + 2]
        with _input():
            return read_flow(self._source.root, pair, later, self._source.layout, stored)


def open_sequences(
    dataset: str,
    root: Path | str,
    split: str | None = None,
    per_metre: float | None = None,
    single_images: bool = False,
) -> list[EvalSequence]:
    """List the sequences of `dataset` below `root`, by name, without reading their frames.

    `split` is a published one, such as "val" or "clean"; None for the one that results are reported on, "all" for
    all. `per_metre` replaces the stored units. Data sets of single images, and any with `single_images`, give a
    sequence of one frame for every image. Raise OptionError for an unknown data set or split, InputError if there are
    no frames or an image has no depth.
    """
    source = open_source(dataset, root, "all", per_metre)
    listed = _of_split(source, split)
    bare = [pair for sequence in listed for pair in sequence.pairs if not pair.whole]
    if bare:
        raise InputError(
            f"{len(bare)} images of {dataset} in {root} have no depth, such as {bare[0].rgb}, whose depth should be "
            f"{bare[0].depth}; fetch them, or see what else is missing: dvd data check {dataset} {root}"
        )
    whole = [(sequence, _Cameras(source, sequence)) for sequence in listed]
    if source.layout.ordered and not single_images:
        return [EvalSequence(source, sequence.name, sequence.pairs, cameras) for sequence, cameras in whole]
    return [
        EvalSequence(source, f"{sequence.name}/{pair.number}", (pair,), cameras)
        for sequence, cameras in whole
        for pair in sequence.pairs
    ]


class _Cameras:
    """The cameras of a sequence's frames; the trajectory is read once, for the first frame."""

    def __init__(self, source: LayoutSource, sequence: FrameSequence) -> None:
        self._sequence = sequence
        self._root, self._reader = source.root, source.layout.cameras
        self._of: Callable[[Pair], Camera] | None = None

    def of(self, pair: Pair) -> Camera:
        if self._reader is None:
            return Camera()
        if self._of is None:
            self._of = self._reader(self._root, self._sequence)
        return self._of(pair)


def _of_split(source: LayoutSource, split: str | None) -> list[FrameSequence]:
    """Return the sequences of a split; all of them if `split` is None and the folder has no splits."""
    here = {sequence.split for sequence in source.sequences} - {""}
    wanted = split or (source.layout.evaluated if here else None) or "all"
    if wanted == "all":
        return list(source.sequences)
    if split is not None and not here:
        raise OptionError(f"{source.name} in {source.root} has no splits; leave out '{split}'")
    if split is not None and split not in here:
        raise OptionError(unknown(f"split of {source.name} in {source.root}", split, {*here, "all"}))
    if wanted not in here:
        raise InputError(
            f"{source.root} holds only {', '.join(sorted(here))} of {source.name}, and results are reported on "
            f"{wanted}; add {wanted}, or choose a split"
        )
    return [sequence for sequence in source.sequences if sequence.split == wanted]


@contextmanager
def _input() -> Iterator[None]:
    """Turn a bad sample into an InputError."""
    try:
        yield
    except BadSample as error:
        raise InputError(f"{error}; mend or remove it") from error

"""What methods are evaluated on: sequences of frames with measured depth, out of any row of the table of data sets."""

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
    """One frame, cut and resized as published results on its data set do.

    `rgb` `H W 3` uint8. `depth_m` `H W` float32, planar depth in metres, NaN where it is not known. `mask` `H W` bool:
    what is evaluated, that is known, in the data set's range and in the part of the frame that counts. `pose` 4 × 4
    float64, camera to world in metres, and `intrinsics` 3 × 3 for this `rgb` (right, down, forward; the centre of the
    first pixel is (0, 0)), where the data set has them. `name` is the frame's number or time, as written. `read_flow`
    is asked for `flow`.
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

        NaN where it is unknown or the point is hidden in the next frame; None where the data set has none. Read when
        it is first asked for, since only one metric needs it; InputError, with the file's name, for what is damaged.
        """
        return self.read_flow()


class EvalSequence:
    """`count` frames in order, read as they are asked for; one is in memory at a time.

    `name` is unique within the `dataset`. `size` is the height and width of every frame, `fps` the frame rate, None
    where there is none. `range_m` is the depth that is evaluated, to which predictions are clipped.
    """

    def __init__(self, source: LayoutSource, name: str, pairs: Sequence[Pair], cameras: _Cameras) -> None:
        low, high = source.layout.range_m
        self.name, self.dataset, self.count = name, source.name, len(pairs)
        self.fps, self.range_m = source.layout.fps, (max(low, NEAREST_M), high)
        self._source, self._pairs, self._cameras = source, pairs, cameras

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width, those of the first frame."""
        with _input():
            height, width = self._source.frame(self._pairs[0]).depth_m.shape
        return height, width

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[EvalFrame]:
        """Frames [start, stop), up to the last where `stop` is None.

        Raises OptionError for frames that there are not; InputError, with the file's name, for what is missing,
        damaged, or of another size than its image or than the first frame.
        """
        stop = self.count if stop is None else stop
        if not 0 <= start <= stop <= self.count:
            raise OptionError(f"{self.name} has {self.count} frames; [{start}, {stop}) are not among them")
        return self._read(start, stop)

    def explain(self, frame: EvalFrame) -> str:
        """Why a frame with an empty mask has one, with the stored units that are likely where all is out of range."""
        if in_range(frame.depth_m, self._source.layout).any():
            return "has no known depth in the part of the frame that is evaluated"
        return why_none_in_range(frame.depth_m, self._source.layout, self._source.per_metre)

    def _read(self, start: int, stop: int) -> Iterator[EvalFrame]:
        source, framing = self._source, self._source.layout.framing
        counts = framing.counts(self.size)
        for place in range(start, stop):
            pair = self._pairs[place]
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
            flow = partial(self._flow, place, stored)
            yield EvalFrame(rgb, depth_m, mask, camera.pose, intrinsics, pair.number, flow)

    def _flow(self, place: int, stored: Size) -> np.ndarray | None:
        """From the frame at that place, of that stored size, to the one after it; None after the last."""
        if place + 1 == len(self._pairs):
            return None
        pair, later = self._pairs[place : place + 2]
        with _input():
            return read_flow(self._source.root, pair, later, self._source.layout, stored)


def open_sequences(
    dataset: str,
    root: Path | str,
    split: str | None = None,
    per_metre: float | None = None,
    single_images: bool = False,
) -> list[EvalSequence]:
    """The sequences of `dataset` below `root`, listed but not read, by name.

    `split` is a published one, such as "val" or "clean"; None for the one that results are reported on, "all" for
    all. `per_metre` replaces the stored units. Data sets of single images, and any with `single_images`, give a
    sequence of one frame for every image. Raises OptionError for an unknown data set or split, InputError where
    nothing is found, or where an image has no depth.
    """
    source = open_source(dataset, root, "all", per_metre)
    found = _of_split(source, split)
    bare = [pair for sequence in found for pair in sequence.pairs if not pair.whole]
    if bare:
        raise InputError(
            f"{len(bare)} images of {dataset} in {root} have no depth, such as {bare[0].rgb}, for which "
            f"{bare[0].depth} was looked for; fetch them, or see what else is missing: dvd data check {dataset} {root}"
        )
    cameras = [_Cameras(source, sequence) for sequence in found]
    if source.layout.ordered and not single_images:
        return [EvalSequence(source, one.sequence.name, one.sequence.pairs, one) for one in cameras]
    return [
        EvalSequence(source, f"{one.sequence.name}/{pair.number}", (pair,), one)
        for one in cameras
        for pair in one.sequence.pairs
    ]


class _Cameras:
    """The cameras of a sequence's frames; its trajectory is read once, when the first is asked for."""

    def __init__(self, source: LayoutSource, sequence: FrameSequence) -> None:
        self.sequence = sequence
        self._root, self._reader = source.root, source.layout.cameras
        self._of: Callable[[Pair], Camera] | None = None

    def of(self, pair: Pair) -> Camera:
        if self._reader is None:
            return Camera()
        if self._of is None:
            self._of = self._reader(self._root, self.sequence)
        return self._of(pair)


def _of_split(source: LayoutSource, split: str | None) -> list[FrameSequence]:
    """The sequences of a split; all of them where the data set as it lies there has none and none is asked for."""
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
            f"{wanted}; add that, or choose a split"
        )
    return [sequence for sequence in source.sequences if sequence.split == wanted]


@contextmanager
def _input() -> Iterator[None]:
    """A file that is no good is the user's to mend."""
    try:
        yield
    except BadSample as error:
        raise InputError(f"{error}; mend or remove it") from error

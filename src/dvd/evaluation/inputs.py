"""Write the evaluated frames as videos, for methods that only their own code can run (docs/compare.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dvd.errors import OutputError
from dvd.evaluation.sequences import EvalSequence
from dvd.files import make_aside, why_refused
from dvd.media import open_for_writing

FPS = 25
"""The frame rate of sequences that have none."""

_BT601, _LIMITED = 5, 1
_LOSSLESS = {"crf": "0", "preset": "veryfast"}


@dataclass(frozen=True)
class Written:
    """A video that was written, with the sequence that it holds. `size` is height and width, `rate` frames a second."""

    path: Path
    dataset: str
    sequence: str
    frames: int
    size: tuple[int, int]
    rate: Fraction

    def __str__(self) -> str:
        count = "1 frame" if self.frames == 1 else f"{self.frames} frames"
        return f"{self.path}: {count} of {self.size[0]}x{self.size[1]}, {float(self.rate):g} a second"


def write_inputs(
    sequences: Iterable[EvalSequence], folder: Path | str, progress: Callable[[Written], None] | None = None
) -> list[Written]:
    """Write every sequence as `folder/DATASET/NAME.mp4`, with slashes in its name as `_`; return the videos.

    The frames are those that are evaluated, cropped and resized as the data set's row says. H.264 without loss except
    for the rounding of colours to 8-bit YCbCr, with full chroma. `progress` is called with each video once it is
    written. Raise OutputError if the disk refuses, and, before anything is written, if a file exists already or two
    sequences would share one.
    """
    paths = [(sequence, _path(sequence, Path(folder))) for sequence in sequences]
    _check_free(paths)
    written = []
    for sequence, path in paths:
        written.append(_write(sequence, path))
        if progress is not None:
            progress(written[-1])
    return written


def _path(sequence: EvalSequence, folder: Path) -> Path:
    return folder / sequence.dataset / f"{sequence.name.replace('/', '_')}.mp4"


def _check_free(paths: Sequence[tuple[EvalSequence, Path]]) -> None:
    first: dict[Path, EvalSequence] = {}
    for sequence, path in paths:
        other = first.setdefault(path, sequence)
        if other is not sequence:
            raise OutputError(f"{path}: {other.name} and {sequence.name} would both be written there; rename one")
    existing = [path for path in first if path.exists()]
    if existing:
        raise OutputError(
            f"{existing[0]} exists already, one of {len(existing)} such files; remove them, or choose another folder"
        )


def _write(sequence: EvalSequence, path: Path) -> Written:
    rate = Fraction(sequence.fps or FPS).limit_denominator(1001)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = make_aside(path)
        try:
            _encode(sequence, part, rate)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, av.FFmpegError) as error:
        raise OutputError(f"{path}: {why_refused(error)}") from error
    return Written(path, sequence.dataset, sequence.name, sequence.count, sequence.size, rate)


def _encode(sequence: EvalSequence, path: Path, rate: Fraction) -> None:
    with open_for_writing(path, "mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=_LOSSLESS)
        stream.height, stream.width = sequence.size
        stream.pix_fmt = "yuv444p"
        # Readers that ignore the tag assume this matrix.
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _LIMITED
        for frame in sequence.frames():
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.rgb), format="rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv444p", dst_colorspace=_BT601)))
        container.mux(stream.encode(None))

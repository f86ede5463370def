"""The frames that are evaluated as videos, for methods that only their own code can run (docs/compare.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dvd.errors import OutputError
from dvd.evaluate.sequences import EvalSequence
from dvd.files import make_aside
from dvd.media import open_for_writing

FPS = 25
"""Of sequences that have no frame rate."""

_BT601, _LIMITED = 5, 1
_LOSSLESS = {"crf": "0", "preset": "veryfast"}


@dataclass(frozen=True)
class Written:
    """A video that was written: which frames of what it holds. `size` is height and width, `rate` frames a second."""

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
    """Writes every sequence as `folder/DATASET/NAME.mp4`, slashes in its name as `_`; returns what was written.

    These are the very frames that are evaluated, cropped and resized as the data set's row says. H.264 without loss
    but for the rounding of colours to 8-bit YCbCr, with full chroma. `progress` is told of each file as it is there.
    OutputError where a file cannot be written, and, before anything is, where one is there already or two sequences
    would share one.
    """
    places = [(sequence, _place(sequence, Path(folder))) for sequence in sequences]
    _check_free(places)
    written = []
    for sequence, path in places:
        written.append(_write(sequence, path))
        if progress is not None:
            progress(written[-1])
    return written


def _place(sequence: EvalSequence, folder: Path) -> Path:
    return folder / sequence.dataset / f"{sequence.name.replace('/', '_')}.mp4"


def _check_free(places: Sequence[tuple[EvalSequence, Path]]) -> None:
    first: dict[Path, EvalSequence] = {}
    for sequence, path in places:
        other = first.setdefault(path, sequence)
        if other is not sequence:
            raise OutputError(f"{path}: {other.name} and {sequence.name} would both be written there; rename one")
    there = [path for path in first if path.exists()]
    if there:
        raise OutputError(
            f"{there[0]} is there already, as {len(there)} of {len(first)} files are; remove what is there, or choose "
            "another folder"
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
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    return Written(path, sequence.dataset, sequence.name, sequence.count, sequence.size, rate)


def _encode(sequence: EvalSequence, path: Path, rate: Fraction) -> None:
    with open_for_writing(path, "mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=_LOSSLESS)
        stream.height, stream.width = sequence.size
        stream.pix_fmt = "yuv444p"
        # The matrix that readers take where they do not look at the tag.
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _LIMITED
        for frame in sequence.frames():
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.rgb), format="rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv444p", dst_colorspace=_BT601)))
        container.mux(stream.encode(None))

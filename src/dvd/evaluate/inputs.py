"""The frames that are evaluated as videos, for methods that only their own code can run (docs/compare.md)."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dvd.errors import OutputError
from dvd.evaluate.sequences import EvalSequence

FPS = 25
"""Of sequences that have no frame rate."""

_BT601, _LIMITED = 5, 1
_LOSSLESS = {"crf": "0", "preset": "veryfast"}


def write_inputs(sequences: Iterable[EvalSequence], folder: Path | str) -> list[Path]:
    """Writes every sequence as `folder/DATASET/NAME.mp4`, slashes in its name as `_`; returns the files.

    These are the very frames that are evaluated, cropped and resized as the data set's row says. H.264 without loss
    but for the rounding of colours to 8-bit YCbCr, with full chroma. OutputError where a file cannot be written.
    """
    return [_write(sequence, Path(folder)) for sequence in sequences]


def _write(sequence: EvalSequence, folder: Path) -> Path:
    path = folder / sequence.dataset / f"{sequence.name.replace('/', '_')}.mp4"
    part = path.with_name(f"{path.stem}.part.mp4")
    rate = Fraction(sequence.fps or FPS).limit_denominator(1001)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _encode(sequence, part, rate)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, av.FFmpegError) as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
    return path


def _encode(sequence: EvalSequence, path: Path, rate: Fraction) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=_LOSSLESS)
        stream.height, stream.width = sequence.size
        stream.pix_fmt = "yuv444p"
        # The matrix that readers take where they do not look at the tag.
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _LIMITED
        for frame in sequence.frames():
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.rgb), format="rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv444p", dst_colorspace=_BT601)))
        container.mux(stream.encode(None))

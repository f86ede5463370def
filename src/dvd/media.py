"""Media files through FFmpeg: open any path for reading or writing, and choose the video stream.

Every `av.open` of the package is here, so that paths are treated alike everywhere.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

_NOT_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent


def open_for_reading(path: str | Path) -> InputContainer:
    """Open the container at `path`, whatever its name. Raise `av.FFmpegError` or `OSError`.

    Metadata that are not UTF-8 are read up to the first wrong byte.
    """
    # Without pattern_type, shot_%03d.dpx would mean a sequence even if one file has that very name.
    return av.open(_literal(path), metadata_errors="ignore", options={"pattern_type": "none"})


def open_for_writing(path: str | Path, format: str, options: Mapping[str, str] | None = None) -> OutputContainer:
    """Open a new container of the muxer `format` at `path`, whatever its name. Raise `av.FFmpegError` or `OSError`."""
    return av.open(_literal(path), "w", format=format, options=dict(options or {}))


def open_nowhere(format: str, options: Mapping[str, str] | None = None) -> OutputContainer:
    """Open a new container of the muxer `format` that discards everything written to it."""
    return av.open(_Nowhere(), "w", format=format, options=dict(options or {}))


def picture_streams(container: InputContainer) -> list[av.VideoStream]:
    """Return the video streams in the order in which players choose them, without covers and thumbnails.

    Streams marked as default come first, then those with the most pixels, then the first in the file. Streams whose
    codec is unknown come last; their `codec_context` is None.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & _NOT_PICTURES]
    return sorted(films, key=_rank)


class _Nowhere:
    """A file that keeps only its position; muxers seek back to fill in values that they learn late."""

    name = "nowhere"

    def __init__(self) -> None:
        self._position = 0

    def write(self, content: bytes) -> int:
        self._position += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def tell(self) -> int:
        return self._position


def _rank(stream: av.VideoStream) -> tuple[bool, bool, int]:
    if stream.codec_context is None:
        return True, True, 0
    return False, not stream.disposition & Disposition.default, -stream.width * stream.height


def _literal(path: str | Path) -> str:
    """Return `path` as a URL that FFmpeg takes for a plain file: `12:30.mp4` names no protocol."""
    return f"file:{os.path.abspath(path)}"

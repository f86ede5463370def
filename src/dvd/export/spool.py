"""Frames waiting on the disk, in half precision, for something that is known only at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

_LARGEST = 1_000_000
"""Pixels a frame at most; larger frames are averaged down by a whole number and come back interpolated."""


class Spool:
    """A file of frames `H W`, read back once in order. At most 2 MB a frame; it is gone after `close`."""

    def __init__(self, path: Path, height: int, width: int) -> None:
        self._path = path
        self._size = (width, height)
        self._factor = math.ceil(math.sqrt(width * height / _LARGEST))
        self._shape = (-(-height // self._factor), -(-width // self._factor))
        self._frame_bytes = 2 * self._shape[0] * self._shape[1]
        self._pts: list[int] = []
        self._file = path.open("w+b")

    def put(self, frame: np.ndarray, pts: int) -> None:
        """Adds a frame of float32."""
        if self._factor > 1:
            frame = np.asarray(Image.fromarray(frame).reduce(self._factor))
        self._file.write(frame.astype(np.float16).tobytes())
        self._pts.append(pts)

    def take(self) -> Iterator[tuple[np.ndarray, int]]:
        """Every frame as float32 at its full size, with its time stamp."""
        self._file.seek(0)
        for pts in self._pts:
            frame = np.frombuffer(self._file.read(self._frame_bytes), dtype=np.float16).reshape(self._shape)
            yield self._restored(frame.astype(np.float32)), pts

    def close(self) -> None:
        """Lets go of the file and removes it."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _restored(self, frame: np.ndarray) -> np.ndarray:
        if self._factor == 1:
            return frame
        return np.asarray(Image.fromarray(frame).resize(self._size, Image.Resampling.BILINEAR))

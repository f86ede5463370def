"""Frames that wait on the disk, in half precision, until their range is known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np


class Spool:
    """A file of frames `h w`, read back once in order.

    The file has no name: nothing is left of it, however the run ends.
    """

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        """`folder`: where the file lies; `size`: height and width of every frame. Raises OSError."""
        self._size = size
        self._pts: list[int] = []
        # Closed by `close`; a `with` here would end before the first frame.
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def put(self, frame: np.ndarray, pts: int) -> None:
        """Adds a frame of float32."""
        self._file.write(frame.astype(np.float16).tobytes())
        self._pts.append(pts)

    def take(self) -> Iterator[tuple[np.ndarray, int]]:
        """Every frame as float32, with its time stamp."""
        self._file.seek(0)
        for pts in self._pts:
            frame = np.frombuffer(self._file.read(2 * self._size[0] * self._size[1]), dtype=np.float16)
            yield frame.reshape(self._size).astype(np.float32), pts

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

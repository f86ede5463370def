"""The predictions of one sequence on disk, frame by frame, so that memory does not depend on its length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dvd.errors import OutputError


class PredictionFile:
    """A .npy of `count H W` float32, written in order, then read by number.

    Plain reads and writes, not a memory map: mapped pages count as the process's memory for as long as the system
    leaves them there. OutputError where the file cannot be written.
    """

    def __init__(self, path: Path, count: int, size: tuple[int, int]) -> None:
        self.path, self.count, self.size, self.written = path, count, size, 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w+b")
            header = {"descr": npy.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False}
            npy.write_array_header_1_0(self._file, {**header, "shape": (count, *size)})
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another output folder") from error
        self._start, self._frame_bytes = self._file.tell(), 4 * size[0] * size[1]

    def append(self, frames: NDArray) -> None:
        """Adds frames `T H W`."""
        try:
            self._file.write(np.ascontiguousarray(frames, np.float32).data)
        except OSError as error:
            need = self.count * self._frame_bytes / 2**30
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror}); the predictions of this sequence need "
                f"{need:.1f} GiB beside the results"
            ) from error
        self.written += len(frames)

    def frame(self, number: int) -> NDArray[np.float32]:
        """One frame, `H W`."""
        self._file.seek(self._start + number * self._frame_bytes)
        return np.frombuffer(self._file.read(self._frame_bytes), np.float32).reshape(self.size)

    def keep(self, path: Path) -> None:
        """Gives the file a name under which it outlives `close`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file.flush()
        self.path.replace(path)

    def close(self) -> None:
        """Lets go of the file, and removes it unless it was kept."""
        self._file.close()
        self.path.unlink(missing_ok=True)

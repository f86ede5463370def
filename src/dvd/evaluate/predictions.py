"""The predictions of one sequence on disk, frame by frame, so that memory does not depend on its length."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dvd.errors import OutputError


class PredictionFile:
    """A .npy of `count H W` float32 in `folder`, written in order, then read by number; it may outlive this as `kept`.

    Plain reads and writes, not a memory map: mapped pages count as the process's memory for as long as the system
    leaves them there. Without `kept` the file has no name, so that no other run meets it and nothing is left of it,
    however this run ends. OutputError where it cannot be written.
    """

    def __init__(self, folder: Path, count: int, size: tuple[int, int], kept: Path | None = None) -> None:
        self.count, self.size, self.written = count, size, 0
        self._kept, self._shown = kept, kept or folder
        self._frame_bytes = 4 * size[0] * size[1]
        self._part = None if kept is None else kept.with_name(f"{kept.name}.{os.getpid()}.part")
        with self._writing():
            (folder if kept is None else kept.parent).mkdir(parents=True, exist_ok=True)
            # Closed by `close`; a `with` here would end before the first frame.
            self._file: IO[bytes] = self._part.open("w+b") if self._part else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
            header = {"descr": npy.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False}
            npy.write_array_header_1_0(self._file, {**header, "shape": (count, *size)})
        self._start = self._file.tell()

    def append(self, frames: NDArray) -> None:
        """Adds frames `T H W`."""
        with self._writing():
            self._file.write(np.ascontiguousarray(frames, np.float32).data)
        self.written += len(frames)

    def frame(self, number: int) -> NDArray[np.float32]:
        """One frame, `H W`."""
        with self._writing():  # What is still in the buffer goes to the disk before anything is read.
            self._file.seek(self._start + number * self._frame_bytes)
        return np.frombuffer(self._file.read(self._frame_bytes), np.float32).reshape(self.size)

    def keep(self) -> None:
        """Finishes the file under the name that it was to be `kept` as; frames can be added and read no more."""
        if self._part is None or self._kept is None:
            return
        with self._writing():
            self._file.close()  # Windows renames no file that is open.
            self._part.replace(self._kept)

    def close(self) -> None:
        """Lets go of the file; it is gone unless it was kept."""
        with suppress(OSError):  # A disk that is full is told by what wrote to it, not by what gives up.
            self._file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self._shown}: the predictions of a sequence, {_amount(self.count * self._frame_bytes)}, cannot be "
                f"written there ({error.strerror}); make room, or choose another output folder"
            ) from error


def _amount(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{math.ceil(count / 2**20)} MiB"

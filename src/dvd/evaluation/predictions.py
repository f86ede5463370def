"""Keep the predictions of one sequence on disk, frame by frame, so that memory does not depend on its length."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dvd.errors import OutputError
from dvd.files import make_aside, why_refused


class PredictionFile:
    """A .npy of `count H W` float32, written in order, then read by index; it stays as `kept`, or disappears.

    Plain reads and writes, not a memory map, whose pages would count as the process's memory. Without `kept` the file
    is in `folder` and has no name, so that no other run meets it and nothing is left of it, however this run ends.
    Raise OutputError if the disk refuses.
    """

    def __init__(self, folder: Path, count: int, size: tuple[int, int], kept: Path | None = None) -> None:
        self.count, self.size, self.written = count, size, 0
        self._kept, self._shown = kept, kept or folder
        self._frame_bytes = 4 * size[0] * size[1]
        self._part: Path | None = None
        with self._writing():
            (folder if kept is None else kept.parent).mkdir(parents=True, exist_ok=True)
            self._part = kept and make_aside(kept)
            # Closed by `close`; a `with` here would end before the first frame.
            self._file: IO[bytes] = self._part.open("w+b") if self._part else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
            header = {"descr": npy.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False}
            npy.write_array_header_1_0(self._file, {**header, "shape": (count, *size)})
        self._start = self._file.tell()

    def append(self, frames: NDArray) -> None:
        """Add frames `T H W`."""
        with self._writing():
            self._file.write(np.ascontiguousarray(frames, np.float32).data)
        self.written += len(frames)

    def frame(self, index: int) -> NDArray[np.float32]:
        """Read one frame, `H W`."""
        with self._writing():  # Seeking writes the rest of the buffer to the disk.
            self._file.seek(self._start + index * self._frame_bytes)
        return np.frombuffer(self._file.read(self._frame_bytes), np.float32).reshape(self.size)

    def keep(self) -> None:
        """Close the file and give it the name `kept`, if there is one."""
        if self._part is None or self._kept is None:
            return
        with self._writing():
            self._file.close()  # Windows cannot rename an open file.
            self._part.replace(self._kept)

    def close(self) -> None:
        """Close the file; it disappears unless it was kept."""
        with suppress(OSError):  # The write that failed has reported a full disk already.
            self._file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            predictions = f"the predictions of a sequence, {_amount(self.count * self._frame_bytes)}"
            raise OutputError(f"{self._shown}: {predictions}: {why_refused(error)}") from error


def _amount(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{math.ceil(count / 2**20)} MiB"

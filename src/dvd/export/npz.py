"""The raw values of a whole video in one `.npz`: `np.load(path)["disparity"]` is `T H W` float32, or float16.

Also inside, as int64: `pts`, `time_base` and `frame_rate` (numerator and denominator), `source_size` (height, width).

Frames wait in a spool, a `.npy` file beside the result, because the number of frames is part of the archive's header;
`close` copies the spool into the archive. So memory stays small, and while the archive is written the disk holds the
values twice. The archive is compressed by bzip2 on request, and by default where that at least halves it: on smooth
disparity in half precision it takes half the room of deflate, in about the same time, and NumPy reads both.
"""

from __future__ import annotations

import bz2
import io
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from dvd.export.values import ValuesWriter
from dvd.files import make_aside

_MEMBER = "disparity.npy"
_SAMPLE_BYTES = 900_000
"""Whether compression halves the file is tried on so many bytes from its middle: one block of bzip2."""


class NpzWriter(ValuesWriter):
    """One archive. If it cannot be written, the finished frames stay in a plain `.npy` beside it."""

    name = "npz"
    suffix = image_suffix = ".npz"
    endings = (".npz",)
    reads = frozenset(("values_at", "half", "compress"))
    _compressed = False

    def facts(self) -> dict[str, Any]:
        return super().facts() | ({"compression": "bzip2"} if self._compressed else {})

    def start(self, _disparity: np.ndarray, _pts: Sequence[int], /) -> None:
        self._spool = make_aside(self.path.with_suffix(".npy"))
        self.resources.callback(self._remove_spool)
        # Unbuffered, so that the frame that no longer fits on the disk is the one that fails.
        self._file = self.resources.enter_context(io.FileIO(self._spool, "r+"))
        self._pts: list[int] = []
        self._write_all(self._header(0))

    def add(self, frame: np.ndarray, pts: int, /) -> None:
        self._write_all(np.ascontiguousarray(frame, dtype=self.dtype).data.cast("B"))
        self._pts.append(pts)

    def finish(self) -> None:
        self._complete_spool()
        compress = self.options.compress
        self._write_archive(self._halves() if compress is None else compress)

    def salvage(self) -> bool:
        """Write the archive without compression; where the disk has no room for it, keep the spool in its place."""
        with suppress(Exception):
            self._complete_spool()
            self._write_archive(compress=False)
            return True
        with suppress(Exception):
            self.part.unlink()
            self._complete_spool()
            self.part = self._spool
            plain = self.path.with_suffix(".npy")
            self.path = self.part if plain.exists() else plain
            return True
        return False

    def _complete_spool(self) -> None:
        """Make the spool a whole `.npy` of the finished frames."""
        header = self._header(len(self._pts))
        values = self.dtype.itemsize * len(self._pts) * self.size[0] * self.size[1]
        self._file.truncate(len(header) + values)
        self._file.seek(0)
        self._file.write(header)

    def _header(self, frames: int) -> bytes:
        """Return the `.npy` header; NumPy leaves room for more frames, so its length does not depend on `frames`."""
        header = io.BytesIO()
        shape = (frames, *self.size)
        np.lib.format.write_array_header_1_0(header, {"descr": self.dtype.str, "fortran_order": False, "shape": shape})
        return header.getvalue()

    def _halves(self) -> bool:
        """Return whether compression at least halves a sample of the spool."""
        size = self._file.seek(0, os.SEEK_END)
        length = min(size, _SAMPLE_BYTES)
        self._file.seek((size - length) // 2)
        return 2 * len(bz2.compress(self._file.read(length))) <= length

    def _write_archive(self, compress: bool) -> None:
        self._compressed = False
        method = zipfile.ZIP_BZIP2 if compress else zipfile.ZIP_STORED
        with zipfile.ZipFile(self.part, "w", method) as archive:
            self._file.seek(0)
            with archive.open(_MEMBER, "w", force_zip64=True) as member:
                shutil.copyfileobj(self._file, member, 1 << 20)
            for name, values in self._small_arrays().items():
                content = io.BytesIO()
                np.save(content, values)
                archive.writestr(f"{name}.npy", content.getvalue())
        self._compressed = compress

    def _small_arrays(self) -> dict[str, np.ndarray]:
        base, rate = self.info.time_base, self.info.frame_rate
        return {
            "pts": np.array(self._pts, dtype=np.int64),
            "time_base": np.array([base.numerator, base.denominator], dtype=np.int64),
            "frame_rate": np.array([rate.numerator, rate.denominator], dtype=np.int64),
            "source_size": np.array(self.source, dtype=np.int64),
        }

    def _write_all(self, values: bytes | memoryview) -> None:
        """Write all of `values`: one write to an unbuffered file may take only a part."""
        rest = memoryview(values)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _remove_spool(self) -> None:
        if self._spool != self.part:
            self._spool.unlink(missing_ok=True)


def read_npz_frames(path: str | Path) -> Iterator[np.ndarray]:
    """Read the disparity of an `.npz`, compressed or not, frame by frame: `h w` float32, larger is nearer.

    Memory does not grow with the number of frames.
    """
    with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as member:
        np.lib.format.read_magic(member)
        (frames, height, width), _, dtype = np.lib.format.read_array_header_1_0(member)
        for _ in range(frames):
            frame = np.frombuffer(member.read(height * width * dtype.itemsize), dtype)
            yield frame.reshape(height, width).astype(np.float32)

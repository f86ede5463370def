"""The raw values of a whole video in one `.npz`: `np.load(path)["disparity"]` is `T H W` float32, or float16.

Frames go straight into the archive, stored without compression; what is not known before the end (the number of
frames, the check sum) is filled in then. So memory stays small, and the disk holds the values once. With the option
`compress` the whole archive is then written once more, by bzip2: on smooth disparity in half precision it takes half
the room of deflate, in about the same time, and NumPy reads both. Also inside: `pts` (int64), `time_base` and
`frame_rate` (int64, numerator and denominator), `source_size` (int64, height and width).
"""

from __future__ import annotations

import io
import logging
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import reduce
from operator import xor
from typing import Any

import numpy as np

from dvd.export.values import ValuesWriter
from dvd.files import make_aside, why_refused

log = logging.getLogger(__name__)

_MEMBER = "disparity.npy"


class NpzWriter(ValuesWriter):
    """One archive; after a failure it ends with the last whole frame that leaves room for its directory."""

    _compressed = False

    def facts(self) -> dict[str, Any]:
        return super().facts() | ({"compression": "bzip2"} if self._compressed else {})

    def _start(self, _disparity: np.ndarray, _pts: Sequence[int], /) -> None:
        self._file = self._resources.enter_context(io.FileIO(self._part, "w"))
        self._member = zipfile.ZipInfo(_MEMBER)
        self._member.external_attr = 0o600 << 16
        self._member.header_offset = self._member.CRC = 0
        self._head = self._array_head(0)
        lead = self._member.FileHeader(zip64=True) + self._head
        self._data_at = len(lead)
        self._write_all(lead)
        self._crc = self._crc_before = zlib.crc32(self._head)
        self._pts: list[int] = []

    def _put(self, frame: np.ndarray, pts: int, /) -> None:
        values = np.ascontiguousarray(frame, dtype=self.dtype).data.cast("B")
        self._write_all(values)
        self._crc_before, self._crc = self._crc, zlib.crc32(values, self._crc)
        self._pts.append(pts)

    def _finish(self) -> None:
        self._complete()
        if self.options.compress:
            self._compress()

    def _complete(self) -> None:
        self._file.close()
        head = self._array_head(len(self._pts))
        size = self.dtype.itemsize * len(self._pts) * self.size[0] * self.size[1]
        member = self._member
        member.file_size = member.compress_size = len(head) + size
        member.CRC = self._crc ^ _through_zeros(zlib.crc32(self._head) ^ zlib.crc32(head), size)
        with self._part.open("r+b") as file:
            file.truncate(self._data_at + size)
            file.write(member.FileHeader(zip64=True) + head)
            file.seek(0, io.SEEK_END)
            with zipfile.ZipFile(file, "w") as archive:
                archive.filelist.append(member)
                archive.NameToInfo[_MEMBER] = member
                for name, values in self._small_members().items():
                    content = io.BytesIO()
                    np.save(content, values)
                    archive.writestr(f"{name}.npy", content.getvalue())

    def _compress(self) -> None:
        """Writes the whole archive once more, smaller; where the disk refuses, the one that is there is good enough."""
        smaller = make_aside(self._part)
        try:
            with zipfile.ZipFile(self._part) as whole, zipfile.ZipFile(smaller, "w", zipfile.ZIP_BZIP2) as archive:
                for name in whole.namelist():
                    with whole.open(name) as source, archive.open(name, "w", force_zip64=True) as target:
                        shutil.copyfileobj(source, target, 1 << 20)
            smaller.replace(self._part)
            self._compressed = True
        except OSError as error:
            log.warning("%s: is not compressed: %s", self.path, why_refused(error))
        finally:
            with suppress(OSError):
                smaller.unlink(missing_ok=True)

    def _salvage(self) -> bool:
        with suppress(Exception):
            self._complete()
            return True
        if len(self._pts) < 2:
            return False
        self._pts.pop()
        self._crc = self._crc_before
        self.frames = len(self._pts)
        with suppress(Exception):
            self._complete()
            return True
        return False

    def _array_head(self, frames: int) -> bytes:
        """The array's header; NumPy leaves room for the first axis to grow, so its length does not depend on it."""
        head = io.BytesIO()
        shape = (frames, *self.size)
        np.lib.format.write_array_header_1_0(head, {"descr": self.dtype.str, "fortran_order": False, "shape": shape})
        return head.getvalue()

    def _small_members(self) -> dict[str, np.ndarray]:
        base, rate = self.info.time_base, self.info.frame_rate
        return {
            "pts": np.array(self._pts, dtype=np.int64),
            "time_base": np.array([base.numerator, base.denominator], dtype=np.int64),
            "frame_rate": np.array([rate.numerator, rate.denominator], dtype=np.int64),
            "source_size": np.array(self.source, dtype=np.int64),
        }

    def _write_all(self, values: bytes | memoryview) -> None:
        """An unbuffered file may take part of what it is given; it complains when it can take nothing more."""
        rest = memoryview(values)
        while rest:
            rest = rest[self._file.write(rest) :]


def _through_zeros(difference: int, count: int) -> int:
    """How two CRC-32 sums that differ by `difference` differ after `count` more bytes, whatever these are.

    The sum is linear, so a header can be exchanged without reading the data again. The step over one byte is a matrix
    over GF(2), kept as columns and squared for each bit of `count`.
    """
    columns = [zlib.crc32(b"\0", 1 << bit) ^ zlib.crc32(b"\0") for bit in range(32)]
    while count:
        if count & 1:
            difference = _times(columns, difference)
        columns = [_times(columns, column) for column in columns]
        count >>= 1
    return difference


def _times(columns: list[int], vector: int) -> int:
    return reduce(xor, (column for bit, column in enumerate(columns) if vector >> bit & 1), 0)

"""The file forms in which methods publish predictions, read frame by frame: npz, npy, image folders, video.

An archive is unpacked while it is read, files are opened one by one, and values stay as stored.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from dvd.data.formats import SPOILT, read_exr, read_npy, read_png16
from dvd.data.sources import BadSample
from dvd.errors import InputError
from dvd.video import open_video
from dvd.video.series import natural_order

KEYS = ("depths", "depth", "disparity", "disparities", "disp", "depth_pred", "pred", "prediction", "predictions")
"""Names that methods give their array in an archive; NumPy calls an array without a name `arr_0`."""

VIDEOS = (".mp4", ".mkv", ".mov", ".webm", ".avi")

FRAME_FILES: dict[str, str] = {".exr": "exr folder", ".npy": "npy folder", ".png": "16-bit png folder"}
"""Ending of files with one frame each → name of a folder of them, the most exact first."""

GRAY_TOLERANCE = 8
"""Levels of 255 by which the channels of a gray video may differ, on average over a frame."""


class Form(Protocol):
    """Predictions of one sequence on disk. `count` is None if only reading shows it; `bits` is per stored value."""

    kind: str
    path: Path
    count: int | None
    bits: int

    def frames(self) -> Iterator[NDArray[np.float32]]:
        """Yield frames `h w` float32 in order. Raise InputError if a file is damaged or holds no depth."""
        ...


def open_form(path: Path, key: str | None = None) -> Form:
    """Open a file or folder. `key` names the array of an archive, or the channel of exr files."""
    if path.is_dir():
        return FrameFolder(path, key)
    if path.suffix.lower() == ".npz":
        return Archive(path, key)
    if path.suffix.lower() == ".npy":
        return Array(path)
    return DepthVideo(path)


def form_name(path: Path) -> str | None:
    """Return the form of a file or folder, None if it holds no predictions; only names are read."""
    ending = path.suffix.lower()
    if path.is_dir():
        return next((name for end, name in FRAME_FILES.items() if _frame_files(path, end)), None)
    if ending in VIDEOS:
        return "video"
    return ending[1:] if ending in (".npz", ".npy") else None


class Archive:
    """An .npz, compressed or not, unpacked frame by frame."""

    kind = "npz"

    def __init__(self, path: Path, key: str | None = None) -> None:
        self.path = path
        with _reading(path), zipfile.ZipFile(path) as archive:
            headers = {name[:-4]: _header(archive, name) for name in archive.namelist() if name.endswith(".npy")}
        self.key = _choose(path, {name: shape for name, (shape, _, _) in headers.items()}, key)
        self._layout = _Layout.of(path, headers[self.key])
        self.count: int | None = self._layout.count
        self.bits = self._layout.bits

    def frames(self) -> Iterator[NDArray[np.float32]]:
        with (
            _reading(self.path),
            zipfile.ZipFile(self.path) as archive,
            archive.open(f"{self.key}.npy") as member,
        ):
            yield from self._layout.frames(member)


class Array:
    """An .npy, read frame by frame; pages of a memory map would count as the process's memory."""

    kind = "npy"

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path), path.open("rb") as file:
            header = _read_header(file)
        self._layout = _Layout.of(path, header)
        self.count: int | None = self._layout.count
        self.bits = self._layout.bits

    def frames(self) -> Iterator[NDArray[np.float32]]:
        with _reading(self.path), self.path.open("rb") as file:
            yield from self._layout.frames(file)


class FrameFolder:
    """A folder with one file per frame, in natural order: exr, npy or 16-bit gray png."""

    def __init__(self, path: Path, channel: str | None = None) -> None:
        name = form_name(path)
        if name is None:
            raise InputError(f"{path}: no .exr, .npy or .png in this folder; give a folder of depth maps")
        self.path, self.kind = path, name
        [ending] = [end for end, kind in FRAME_FILES.items() if kind == name]
        self._files = sorted(_frame_files(path, ending), key=natural_order)
        self._read = _frame_reader(ending, channel)
        self.count: int | None = len(self._files)
        self.bits = 16 if ending == ".png" else 32

    def frames(self) -> Iterator[NDArray[np.float32]]:
        for file in self._files:
            with _reading(file):
                frame = self._read(file)
            yield frame


class DepthVideo:
    """A gray video, read as its first channel in 8 bits; a colour-mapped video is refused."""

    kind = "video"
    bits = 8
    count: int | None = None
    """A container may state a wrong count, so frames are counted while they are read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def frames(self) -> Iterator[NDArray[np.float32]]:
        with open_video(self.path) as video:
            for frame in video:
                self._refuse_colours(frame.rgb)
                yield frame.rgb[..., 0].astype(np.float32)

    def _refuse_colours(self, rgb: NDArray[np.uint8]) -> None:
        spread = np.ptp(rgb[::4, ::4].astype(np.int16), axis=-1).mean()
        if spread > GRAY_TOLERANCE:
            raise InputError(
                f"{self.path}: is in colour, and depth cannot be recovered from a colour map; "
                "save gray video, or better npz, with the method's own option"
            )


def _frame_files(folder: Path, ending: str) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() == ending and not path.name.startswith(".")]


def _frame_reader(ending: str, channel: str | None) -> Callable[[Path], NDArray[np.float32]]:
    if ending == ".exr":
        return lambda path: read_exr(path, 1.0, channel)
    return lambda path: read_png16(path, 1.0) if ending == ".png" else read_npy(path, 1.0)


_Header = tuple[tuple[int, ...], bool, np.dtype]


@dataclass(frozen=True)
class _Layout:
    """The frames of an array in NumPy's file format."""

    count: int
    size: tuple[int, int]
    dtype: np.dtype

    @classmethod
    def of(cls, path: Path, header: _Header) -> _Layout:
        shape, by_columns, dtype = header
        if dtype.kind not in "fiu":
            raise InputError(f"{path}: is of type {dtype}; predictions are numbers")
        count, size = _frames_of(path, shape)
        if by_columns:
            raise InputError(f"{path}: is stored column by column; save np.ascontiguousarray of it again")
        return cls(count, size, dtype)

    @property
    def bits(self) -> int:
        return 8 * self.dtype.itemsize

    def frames(self, file: IO[bytes]) -> Iterator[NDArray[np.float32]]:
        _read_header(file)
        for _ in range(self.count):
            raw = file.read(prod(self.size) * self.dtype.itemsize)
            yield np.frombuffer(raw, self.dtype).reshape(self.size).astype(np.float32)


def _header(archive: zipfile.ZipFile, name: str) -> _Header:
    with archive.open(name) as member:
        return _read_header(member)


def _read_header(member: IO[bytes]) -> _Header:
    """Return shape, whether it is stored column by column, and type; leave the file at the first value."""
    version = npy_format.read_magic(member)
    if version == (1, 0):
        return npy_format.read_array_header_1_0(member)
    return npy_format.read_array_header_2_0(member)


def _choose(path: Path, shapes: dict[str, tuple[int, ...]], key: str | None) -> str:
    """Return the name of the array with the predictions: `key`, a name that methods use, or the only one."""
    held = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
    if key is not None:
        if key not in shapes:
            raise InputError(f"{path}: has no '{key}'; it holds {held}")
        return key
    known = [name for name in (*KEYS, "arr_0") if name in shapes]
    candidates = known or [name for name, shape in shapes.items() if len(shape) > 1]
    if len(candidates) != 1:
        raise InputError(f"{path}: which array holds the predictions is not clear; name its key. It holds {held}")
    return candidates[0]


def _frames_of(path: Path, shape: Sequence[int]) -> tuple[int, tuple[int, int]]:
    """Return frame count and size of `T H W`, also with one channel or in a batch of one, or of a single `H W`."""
    axes = list(shape)
    if len(axes) == 4 and 1 in (axes[0], axes[1], axes[3]):
        axes.pop(next(axis for axis in (1, 3, 0) if axes[axis] == 1))
    if len(axes) == 2:
        axes.insert(0, 1)
    if len(axes) != 3 or 0 in axes:
        raise InputError(f"{path}: has shape {tuple(shape)}; predictions are frames, height, width (T, H, W)")
    return axes[0], (axes[1], axes[2])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn any error of a library over a file into an InputError that names the file."""
    try:
        yield
    except BadSample as error:
        raise InputError(f"{error}; repair it, or save it again") from error
    except SPOILT as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read ({reason}); save it again") from error

"""One small reader for each file format of images, depth and flow; each raises BadSample with the file's name.

Depth readers take the number of stored units per metre and return float32 `H W` in metres. They do not interpret 0, NaN
or far planes: layouts do. EXIF does not rotate images, because depth is aligned with the stored pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from dvd.data.sources import BadSample
from dvd.errors import OptionError

DepthReader = Callable[[Path, float], np.ndarray]
"""(path, stored units per metre) → float32 `H W` in metres."""

DPT_TAG = 202021.25
"""The first float32 of every Sintel .dpt, .cam and .flo."""

KNOWN_FLOW = 1e9
"""Larger values in a .flo mean "unknown", and so does NaN (Middlebury's flow code)."""

EXR_TAG = b"\x76\x2f\x31\x01"

SPOILT: tuple[type[Exception], ...] = (
    *(OSError, ValueError, KeyError, EOFError, SyntaxError, MemoryError, struct.error, zlib.error, BadZipFile),
    Image.DecompressionBombError,
)
"""Exceptions that libraries raise for a file that is truncated or of another format than its name says."""


def read_rgb(path: Path) -> np.ndarray:
    """Read an image as `H W 3` uint8; gray and palettes become RGB, alpha is dropped."""
    with reading(path), Image.open(path) as image:
        if image.mode.startswith("I") or image.mode == "F":
            raise BadSample(str(path), f"holds one channel of type {image.mode}, which is no RGB image; is it depth?")
        return np.asarray(image.convert("RGB"))


def read_png16(path: Path, per_metre: float) -> np.ndarray:
    """Read a 16-bit gray PNG."""
    with reading(path), Image.open(path) as image:
        if not image.mode.startswith("I"):
            raise BadSample(str(path), f"is {image.mode}, not 16-bit gray; 8 bits are too few for depth")
        return metres(path, np.asarray(image), per_metre)


def read_npy(path: Path, per_metre: float) -> np.ndarray:
    """Read a NumPy array of floats, or of integers of 16 bits or more."""
    with reading(path):
        values = np.load(path, allow_pickle=False)
        if not isinstance(values, np.ndarray):
            values.close()
            raise BadSample(str(path), "is an archive, not a bare array")
        return metres(path, values, per_metre)


def read_masked_npy(path: Path, per_metre: float) -> np.ndarray:
    """Read DIODE's depth: the array `NAME.npy` with its mask `NAME_mask.npy`; 0 where the mask is 0."""
    mask_path = path.with_name(f"{path.stem}_mask.npy")
    depth_m = read_npy(path, per_metre)
    with reading(mask_path):
        mask = np.load(mask_path, allow_pickle=False)
    if mask.shape != depth_m.shape:
        raise BadSample(str(mask_path), f"has shape {mask.shape}, and its depth {depth_m.shape}")
    return np.where(mask > 0, depth_m, np.float32(0))


def read_npz(path: Path, per_metre: float, key: str | None = None) -> np.ndarray:
    """Read the array `key` of a NumPy archive, or its only array."""
    with reading(path):
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise BadSample(str(path), "is a bare array, not an archive")
        with archive:
            return metres(path, archive[_choose(path, archive.files, key)], per_metre)


def read_hdf5(path: Path, per_metre: float, key: str = "dataset") -> np.ndarray:
    """Read the data set `key` of an HDF5 file. Raise OptionError where h5py is not installed."""
    try:
        import h5py
    except ImportError as error:
        raise OptionError("hdf5 files need h5py; pip install 'dvd-depth[train]'") from error
    with reading(path, TypeError, RuntimeError), h5py.File(path, "r") as file:
        return metres(path, file[_choose(path, list(file), key)][()], per_metre)


def read_dpt(path: Path, per_metre: float) -> np.ndarray:
    """Read Sintel's depth, one float per pixel."""
    return metres(path, _read_tagged(path, ".dpt", 1), per_metre)


def read_flo(path: Path) -> np.ndarray:
    """Read flow of Sintel or Middlebury: `H W 2` float32, pixels to the right and down, NaN where unknown."""
    flow = _read_tagged(path, ".flo", 2)
    return np.where((np.abs(flow) <= KNOWN_FLOW).all(axis=-1, keepdims=True), flow, np.float32(np.nan))


def read_exr(path: Path, per_metre: float, channel: str | None = None) -> np.ndarray:
    """Read `channel` of an OpenEXR file, or its only channel. Raise OptionError where OpenEXR is not installed."""
    try:
        import OpenEXR
    except ImportError as error:
        raise OptionError("exr files need the OpenEXR library; pip install 'dvd-depth[exr]'") from error
    with reading(path), path.open("rb") as opened:
        if opened.read(4) != EXR_TAG:  # the library itself would print about it on stderr
            raise BadSample(str(path), "is not an OpenEXR file")
    with reading(path, RuntimeError), OpenEXR.File(str(path), separate_channels=True) as file:
        channels = file.channels()
        return metres(path, channels[_choose(path, list(channels), channel)].pixels, per_metre)


def read_bare(path: Path, per_metre: float) -> np.ndarray:
    """Read ETH3D's depth as `1 N`: little-endian float32 without a header; the image has its height and width."""
    with reading(path):
        raw = path.read_bytes()
        if not raw or len(raw) % 4:
            raise BadSample(str(path), f"has {len(raw)} bytes, which are no float32 values")
        return metres(path, np.frombuffer(raw, "<f4")[None], per_metre)


BY_ENDING: dict[str, DepthReader] = {".png": read_png16, ".npz": read_npz, ".npy": read_npy}


def read_by_ending(path: Path, per_metre: float) -> np.ndarray:
    """Read a 16-bit PNG, or a NumPy array or archive, by the file's ending."""
    return BY_ENDING[path.suffix.lower()](path, per_metre)


@contextmanager
def reading(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Turn a library's exceptions about a file into BadSample."""
    try:
        yield
    except (*SPOILT, *more) as error:
        if not path.exists():
            raise BadSample(str(path), "is missing") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadSample(str(path), f"cannot be read ({reason})") from error


def _read_tagged(path: Path, ending: str, channels: int) -> np.ndarray:
    """Read `H W C` float32 after the tag and int32 width and height, all little-endian."""
    with reading(path):
        raw = path.read_bytes()
        tag, width, height = struct.unpack("<fii", raw[:12])
        if tag != DPT_TAG or width < 1 or height < 1:
            raise BadSample(str(path), f"is not a {ending} file (tag {tag:g}, {width} × {height})")
        needed = 12 + 4 * channels * width * height
        if len(raw) != needed:
            raise BadSample(str(path), f"has {len(raw)} bytes; {width} × {height} need {needed}")
        return np.frombuffer(raw, "<f4", offset=12).reshape(height, width, channels)


def _choose(path: Path, names: list[str], wanted: str | None) -> str:
    """Return the wanted name, or the only one. Raise BadSample where there is none."""
    if wanted in names:
        return wanted
    if wanted is None and len(names) == 1:
        return names[0]
    missing = f"has no '{wanted}'" if wanted else "does not hold exactly one array"
    raise BadSample(str(path), f"{missing}; it holds {', '.join(names) or 'nothing'}")


def metres(path: Path, values: np.ndarray, per_metre: float) -> np.ndarray:
    """Convert stored values to float32 `H W` in metres; a last axis of one channel is dropped."""
    values = np.asarray(values)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size:
        raise BadSample(str(path), f"has shape {values.shape}, which is no map of depth (H, W)")
    if values.dtype.kind not in "fiu" or values.dtype.itemsize < 2:
        raise BadSample(str(path), f"is of type {values.dtype}; depth is float, or integer of 16 bits or more")
    return (values / np.float32(per_metre)).astype(np.float32)

"""Formats by name, and which name an output path asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dvd.errors import OptionError, unknown
from dvd.export.base import ExportOptions, Size, Writer
from dvd.export.exr import ExrWriter
from dvd.export.mp4 import VIDEO_SUFFIXES, Mp4Writer
from dvd.export.npz import NpzWriter
from dvd.export.picture import PictureWriter
from dvd.export.png16 import Png16Writer
from dvd.types import VideoInfo

_WRITERS: Mapping[str, type[Writer]] = {"mp4": Mp4Writer, "npz": NpzWriter, "png16": Png16Writer, "exr": ExrWriter}
_SUFFIXES = {"mp4": ".mp4", "npz": ".npz", "png16": "_png16", "exr": "_exr"}
_IMAGE_SUFFIXES = {"mp4": ".png", "npz": ".npz", "png16": "_png16.png", "exr": ".exr"}
_ENDINGS = {**dict.fromkeys(VIDEO_SUFFIXES, "mp4"), ".npz": "npz", ".png": "png16", ".exr": "exr"}
_OTHER_ENDINGS = frozenset((".avi", ".webm", ".gif", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".hdr", ".ply", ".zarr"))


def suffix(format: str, is_image: bool = False) -> str:
    """What follows the input's name in the output's: `clip` + `.mp4`, `clip` + `_png16` (a folder).

    For an image, `mp4` means a colour-mapped `.png`, and the folders become single files.
    """
    _check(format)
    return (_IMAGE_SUFFIXES if is_image else _SUFFIXES)[format]


def format_of(path: str | Path) -> str | None:
    """The format that the ending of `path` chooses; None if it names a folder. Raises `OptionError` for other files."""
    ending = Path(path).suffix.lower()
    if ending in _OTHER_ENDINGS:
        raise OptionError(f"{path}: {ending} is not written; use one of {', '.join(_ENDINGS)}, or give a folder")
    return _ENDINGS.get(ending)


def check_format(format: str) -> None:
    """Raises `OptionError` for an unknown format, or one whose library is not installed."""
    _check(format)
    _WRITERS[format].check_installed()


def open_writer(
    format: str,
    path: str | Path,
    info: VideoInfo,
    options: ExportOptions | None = None,
    network: Size | None = None,
) -> Writer:
    """The writer for `format` at `path`; for an image, `mp4` becomes a colour-mapped PNG (see `writer.path`).

    `network`: height and width of the frames that it will take, the source's by default. Raises `OptionError` for an
    unknown format or a missing library, `OutputError` if `path` cannot be written.
    """
    _check(format)
    options = options or ExportOptions()
    if format == "mp4" and info.is_image:
        return PictureWriter(Path(path).with_suffix(".png"), info, options, network)
    return _WRITERS[format](path, info, options, network)


def _check(format: str) -> None:
    if format not in _WRITERS:
        raise OptionError(unknown("format", format, _WRITERS))

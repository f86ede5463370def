"""Find a format's writer by name, or by the ending of an output path.

A format is one file with a `Writer`, and one line in `dvd.names.FORMATS`. Formats of other packages are found by the
entry point group `dvd.formats` (name → `module:Writer`), or added by `register_format`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from dvd.errors import OptionError
from dvd.export.writer import ExportOptions, Size, Writer
from dvd.names import FORMATS
from dvd.plugins import Plugins
from dvd.types import VideoInfo

W = TypeVar("W", bound=type[Writer])

_FOREIGN_ENDINGS = frozenset(
    (".avi", ".webm", ".gif", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".hdr", ".ply", ".zarr")
)
"""Endings that name a file rather than a folder, whether or not a format uses them."""
_FORMATS: Plugins[type[Writer]] = Plugins("format", FORMATS, group="dvd.formats")


def register_format(writer: W) -> W:
    """Add a format under `writer.name` and return `writer`, so that this can decorate a class.

    Raise `OptionError` if another format has the name.
    """
    _FORMATS.register(writer.name, writer)
    return writer


def writers() -> Mapping[str, type[Writer]]:
    """Return every format's writer by name: the package's own, those of other packages, and those registered."""
    return _FORMATS.loaded()


def find_writer(format: str) -> type[Writer]:
    """Return a format's writer. Raise `OptionError` if the format is unknown or its library is missing."""
    writer = _FORMATS[format]
    writer.check_installed()
    return writer


def formats_reading(option: str) -> list[str]:
    """Return the names of the formats that read a field of `ExportOptions`."""
    return [name for name, writer in writers().items() if option in writer.reads]


def suffix(format: str, is_image: bool = False) -> str:
    """Return the output's name after the input's: `clip` + `.mp4`, `clip` + `_png16` (a folder).

    For an image, `mp4` means a colour-mapped `.png`, and the folders become single files.
    """
    writer = _FORMATS[format]
    return writer.image_suffix if is_image else writer.suffix


def format_of(path: str | Path) -> str | None:
    """Return the format that the ending of `path` chooses; None for a folder. Raise `OptionError` for other files."""
    ending = Path(path).suffix.lower()
    known = {ending: name for name, writer in writers().items() for ending in writer.endings}
    if ending not in known and ending in _FOREIGN_ENDINGS:
        raise OptionError(f"{path}: {ending} is not written; use one of {', '.join(known)}, or give a folder")
    return known.get(ending)


def open_writer(
    format: str,
    path: str | Path,
    info: VideoInfo,
    options: ExportOptions | None = None,
    network: Size | None = None,
) -> Writer:
    """Return the writer for `format` at `path`; for an image, `mp4` becomes a colour-mapped PNG (see `writer.path`).

    `network`: height and width of the frames that it will take, the source's by default. Raise `OptionError` for an
    unknown format or a missing library, `OutputError` if `path` cannot be written.
    """
    return find_writer(format).open(path, info, options, network)

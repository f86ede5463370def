"""Find a format's writer by name, or by the ending of an output path.

A format is one file with a `Writer`, and one line in `dvd.names.FORMATS`. Formats of other packages are found by the
entry point group `dvd.formats` (name → `module:Writer`), or added by `register_format`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from pkgutil import resolve_name
from typing import TypeVar

from dvd.arguments import check_name
from dvd.errors import OptionError
from dvd.export.writer import ExportOptions, Size, Writer
from dvd.names import FORMATS
from dvd.types import VideoInfo

log = logging.getLogger(__name__)

W = TypeVar("W", bound=type[Writer])

GROUP = "dvd.formats"
"""The entry point group of formats that other packages bring."""
_FOREIGN_ENDINGS = frozenset(
    (".avi", ".webm", ".gif", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".hdr", ".ply", ".zarr")
)
"""Endings that name a file rather than a folder, whether or not a format uses them."""
_registered: dict[str, type[Writer]] = {}


def register_format(writer: W) -> W:
    """Add a format under `writer.name` and return `writer`, so that this can decorate a class.

    Raises `OptionError` if another format has the name.
    """
    if writers().get(writer.name, writer) is not writer:
        raise OptionError(f"format {writer.name!r} exists already; choose another name")
    _registered[writer.name] = writer
    return writer


def writers() -> Mapping[str, type[Writer]]:
    """Return every format's writer by name: the package's own, those of other packages, and those registered."""
    return {**installed_writers(), **_registered}


@cache
def installed_writers() -> Mapping[str, type[Writer]]:
    """Return the writers of the package and of other packages, without those registered; looked for only once."""
    known = {name: resolve_name(writer) for name, writer in FORMATS.items()}
    for entry in metadata.entry_points(group=GROUP):
        try:
            known.setdefault(entry.name, entry.load())
        except Exception as error:
            log.warning("format %s of %s is not available: %s", entry.name, entry.value, error)
    return known


def find_writer(format: str) -> type[Writer]:
    """Return a format's writer. Raises `OptionError` if the format is unknown or its library is missing."""
    writer = writers()[check_name("format", format, writers())]
    writer.check_installed()
    return writer


def formats_reading(option: str) -> list[str]:
    """Return the names of the formats that read a field of `ExportOptions`."""
    return [name for name, writer in writers().items() if option in writer.reads]


def suffix(format: str, is_image: bool = False) -> str:
    """Return the output's name after the input's: `clip` + `.mp4`, `clip` + `_png16` (a folder).

    For an image, `mp4` means a colour-mapped `.png`, and the folders become single files.
    """
    writer = writers()[check_name("format", format, writers())]
    return writer.image_suffix if is_image else writer.suffix


def format_of(path: str | Path) -> str | None:
    """Return the format that the ending of `path` chooses; None for a folder. Raises `OptionError` for other files."""
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

    `network`: height and width of the frames that it will take, the source's by default. Raises `OptionError` for an
    unknown format or a missing library, `OutputError` if `path` cannot be written.
    """
    return find_writer(format).open(path, info, options, network)

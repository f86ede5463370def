"""All the files that one input becomes: where they lie, and that they begin and end together."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import OptionError
from dvd.export import ExportOptions, Writer, check_writable, format_of, open_writer, suffix, write_sidecar
from dvd.types import VideoInfo

log = logging.getLogger(__name__)

DEFAULT_FORMAT = "mp4"

WINDOWS = os.name == "nt"
REFUSED_BY_WINDOWS = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
DEVICES_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\s*(\..*)?", re.IGNORECASE | re.DOTALL)
"""File names that Windows takes for devices, whatever their ending."""


class Outputs:
    """One writer for each format, fed together, and the JSON beside them.

    Raises OutputError where a file exists already or cannot be written, OptionError where `out` names a file of another
    format than those asked for.
    """

    def __init__(
        self,
        out: str | Path,
        info: VideoInfo,
        formats: Sequence[str] | None,
        options: ExportOptions | None = None,
    ) -> None:
        options = options or ExportOptions()
        places = place(Path(out), info, formats)
        self.frames = 0
        self.range = (math.inf, -math.inf)
        """Least and largest disparity so far."""
        self.sidecar = sidecar_place(Path(out), info)
        check_writable(self.sidecar, options.overwrite, info.path)
        self._missing_folder = _first_missing(self.sidecar.parent)
        self.writers: list[Writer] = []
        with ExitStack() as undo:
            undo.callback(self.abort)
            for format, path in places.items():
                self.writers.append(open_writer(format, path, info, options))
            undo.pop_all()

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(writer.path for writer in self.writers)

    def write(self, disparity: NDArray[np.float32], pts: Sequence[int]) -> None:
        """Adds finished frames `T H W` at the source's size, shown at `pts`."""
        for writer in self.writers:
            writer.write(disparity, pts)
        self.range = (min(self.range[0], float(disparity.min())), max(self.range[1], float(disparity.max())))
        self.frames += len(disparity)

    def close(self) -> None:
        """Finishes every file and puts it in its place."""
        for writer in self.writers:
            writer.close()

    def abort(self) -> bool:
        """Stops early; true where whole files of the frames done were kept. Else nothing is left, not even a folder."""
        kept = [writer for writer in self.writers if _abort(writer)]
        for writer in kept:
            log.warning("%s: keeps the %d frames that were done", writer.path, writer.frames)
        if not kept:
            _remove_empty(self.sidecar.parent, self._missing_folder)
        return bool(kept)

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Writes the JSON beside the files."""
        write_sidecar(self.sidecar, facts)


def place(out: Path, info: VideoInfo, formats: Sequence[str] | None) -> dict[str, Path]:
    """Format → path: `out` itself where its ending chooses a format, else files in that folder named after the input.

    Raises OptionError where the two contradict each other or a format is unknown.
    """
    chosen = _format_of_file(out)
    if chosen is None:
        wanted = list(dict.fromkeys(formats or [DEFAULT_FORMAT]))
        return {format: out / legal_name(f"{info.name}{suffix(format, info.is_image)}") for format in wanted}
    if formats and list(formats) != [chosen]:
        raise OptionError(f"{out}: names one {chosen} file but the formats are {', '.join(formats)}; give a folder")
    return {chosen: out}


def sidecar_place(out: Path, info: VideoInfo) -> Path:
    """Where the JSON lies: `clip.json` beside `clip.mp4`."""
    return out / legal_name(f"{info.name}.json") if _format_of_file(out) is None else out.with_suffix(".json")


def legal_name(name: str) -> str:
    """The name itself, or on Windows one without the characters, endings and names of devices that it refuses."""
    if not WINDOWS:
        return name
    legal = REFUSED_BY_WINDOWS.sub("_", name).rstrip(". ")
    return f"_{legal}" if not legal or DEVICES_OF_WINDOWS.fullmatch(legal) else legal


def _format_of_file(out: Path) -> str | None:
    return None if out.is_dir() else format_of(out)


def _abort(writer: Writer) -> bool:
    """One writer that cannot even stop must not keep the others from stopping."""
    try:
        return writer.abort()
    except OSError as error:
        log.warning("%s: nothing was kept (%s)", writer.path, error.strerror)
        return False


def _first_missing(folder: Path) -> Path | None:
    """The uppermost folder that has to be made so that `folder` exists; None where it does."""
    missing = None
    while not folder.exists():
        missing, folder = folder, folder.parent
    return missing


def _remove_empty(folder: Path, first: Path | None) -> None:
    """Removes `folder` and those above it up to `first`, which did not exist before, as long as they are empty."""
    if first is None:
        return
    for made in (folder, *folder.parents):
        try:
            made.rmdir()
        except OSError:
            return
        if made == first:
            return

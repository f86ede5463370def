"""All the files that one input becomes: where they are, and that they begin and end together."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dvd.errors import OptionError
from dvd.export import ExportOptions, Writer, check_writable, find_writer, format_of, open_writer, suffix, write_sidecar
from dvd.export.display import WholeRange
from dvd.export.sidecar import SIDECAR, join_earlier, read_sidecar
from dvd.files import Claim, legal_name, name_that_fits
from dvd.types import DisparityChunk, VideoInfo

log = logging.getLogger(__name__)

DEFAULT_FORMAT = "mp4"


class Outputs:
    """One writer for each format, fed together, and the JSON beside them.

    Only one run at a time writes to them. A format may be added to those of an earlier run on the same source: the JSON
    then describes both. Raise OutputError if a file exists already, cannot be written, or is being written by another
    run; raise OptionError if `out` names a file of another format than those asked for.
    """

    def __init__(
        self,
        out: str | Path,
        info: VideoInfo,
        formats: Sequence[str] | None,
        options: ExportOptions | None = None,
        network: tuple[int, int] | None = None,
    ) -> None:
        """`network`: height and width of the frames that `write` will take, the source's by default."""
        self.frames = 0
        self.range = (math.inf, -math.inf)
        """Least and largest disparity so far."""
        self._shots: list[WholeRange] = []
        self.sidecar = sidecar_path(Path(out), info, formats)
        check_outputs(out, info, formats, options)
        self._earlier = _earlier_facts(self.sidecar, info)
        self._missing_folder = _first_missing(self.sidecar.parent)
        self._shot = 0
        self.writers: list[Writer] = []
        self._claim: Claim | None = None
        with ExitStack() as undo:
            undo.callback(self.abort)
            self._claim = Claim(self.sidecar)
            for format, path in output_paths(Path(out), info, formats).items():
                self.writers.append(open_writer(format, path, info, options, network))
            undo.pop_all()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders, one per format."""
        return tuple(writer.path for writer in self.writers)

    @property
    def shot_ranges(self) -> list[tuple[float, float]]:
        """The 2 % and 98 % quantiles of each shot's disparity so far, which the range `shot` shows."""
        return [shot.result() for shot in self._shots]

    def write(self, chunk: DisparityChunk, pts: Sequence[int]) -> None:
        """Add finished frames `T h w` at the network's size, shown at `pts`."""
        if not self._shots or chunk.shot != self._shot:
            self._shots.append(WholeRange())
        for frame in chunk.disparity:
            self._shots[-1].see(frame)
        for writer in self.writers:
            if chunk.shot != self._shot:
                writer.begin_shot()
            writer.write(chunk.disparity, pts)
        self._shot = chunk.shot
        self.range = (
            min(self.range[0], float(chunk.disparity.min())),
            max(self.range[1], float(chunk.disparity.max())),
        )
        self.frames += len(chunk.disparity)

    def close(self) -> None:
        """Complete every file and put it in its place."""
        for writer in self.writers:
            writer.close()

    def abort(self) -> bool:
        """Stop early and keep whole files of the finished frames. Return whether there are any.

        If there are none, nothing is left, not even a folder.
        """
        kept = [writer for writer in self.writers if _abort(writer)]
        for writer in kept:
            log.warning("%s: keeps the %d frames that were done", writer.path, writer.frames)
        if not kept:
            self.release()
            _remove_empty(self.sidecar.parent, self._missing_folder)
        return bool(kept)

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Write the JSON beside the files, with the facts of an earlier run whose files are still there."""
        write_sidecar(self.sidecar, join_earlier(facts, self._earlier, self.sidecar.parent))

    def release(self) -> None:
        """Let other runs write to the same outputs."""
        if self._claim is not None:
            self._claim.release()


def check_outputs(
    out: str | Path, info: VideoInfo, formats: Sequence[str] | None, options: ExportOptions | None = None
) -> tuple[Path, ...]:
    """Return the paths of all files that `Outputs` would write, the JSON last.

    Raise as `Outputs` does, and leaves nothing behind.
    """
    overwrite = (options or ExportOptions()).overwrite
    paths = output_paths(Path(out), info, formats)
    for format, path in paths.items():
        find_writer(format)
        check_writable(path, overwrite, info.path, folder=path.is_dir())
    sidecar = sidecar_path(Path(out), info, formats)
    if _earlier_facts(sidecar, info) is None:
        check_writable(sidecar, overwrite, info.path)
    return (*paths.values(), sidecar)


def output_paths(out: Path, info: VideoInfo, formats: Sequence[str] | None) -> dict[str, Path]:
    """Return format → path: `out` itself if its ending chooses a format, else files in that folder named after `info`.

    Raise OptionError if the two contradict each other or a format is unknown.
    """
    chosen = _format_of_file(out)
    if chosen is None:
        endings = {format: suffix(format, info.is_image) for format in formats or [DEFAULT_FORMAT]}
        stem = _stem(info, endings.values())
        return {format: out / legal_name(f"{stem}{ending}") for format, ending in endings.items()}
    if formats and list(formats) != [chosen]:
        raise OptionError(f"{out}: names one {chosen} file but the formats are {', '.join(formats)}; give a folder")
    return {chosen: out}


def sidecar_path(out: Path, info: VideoInfo, formats: Sequence[str] | None = None) -> Path:
    """Return the path of the JSON: `clip.json` beside `clip.mp4`."""
    if _format_of_file(out) is not None:
        return out.with_name(name_that_fits(out.stem, SIDECAR))
    endings = [suffix(format, info.is_image) for format in formats or [DEFAULT_FORMAT]]
    return out / legal_name(f"{_stem(info, endings)}{SIDECAR}")


def _stem(info: VideoInfo, endings: Iterable[str]) -> str:
    """Return the input's name, cut so that it fits into a file name with every ending."""
    longest = max((SIDECAR, *endings), key=len)
    return name_that_fits(info.name, longest).removesuffix(longest)


def _earlier_facts(sidecar: Path, info: VideoInfo) -> dict[str, Any] | None:
    """Return the facts of an earlier run on the same source; None if there are none."""
    facts = read_sidecar(sidecar)
    if facts is None or Path(str(facts.get("source"))).resolve() != info.path.resolve():
        return None
    return facts


def _format_of_file(out: Path) -> str | None:
    return None if out.is_dir() else format_of(out)


def _abort(writer: Writer) -> bool:
    """Stop one writer; log its failure, so that the others can stop too."""
    try:
        return writer.abort()
    except OSError as error:
        log.warning("%s: nothing was kept (%s)", writer.path, error.strerror)
        return False


def _first_missing(folder: Path) -> Path | None:
    """Return the uppermost folder that has to be made so that `folder` exists; None if it exists."""
    missing = None
    while not folder.exists():
        missing, folder = folder, folder.parent
    return missing


def _remove_empty(folder: Path, first: Path | None) -> None:
    """Remove `folder` and those above it up to `first`, which did not exist before, as long as they are empty."""
    if first is None:
        return
    for made in (folder, *folder.parents):
        try:
            made.rmdir()
        except OSError:
            return
        if made == first:
            return

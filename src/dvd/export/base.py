"""What every writer promises, and the options they share."""

from __future__ import annotations

import errno
import math
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import av
import numpy as np

from dvd.errors import OptionError, OutputError, unknown
from dvd.export.colormaps import COLORMAPS
from dvd.types import VideoInfo

RangeMode = Literal["global", "fixed", "rolling"]
RANGE_MODES = ("global", "fixed", "rolling")


@dataclass(frozen=True)
class ExportOptions:
    """How results are written. Raises `OptionError` for a value outside its range.

    `range`: how disparity is spread over the colours of a video. `fixed` shows `fixed_range`; `rolling` follows the
    2 % and 98 % quantiles, smoothed over about two seconds; `global` uses those of the whole video, so the video is
    encoded when all of it is known. Raw values are never touched. `value_range` maps to 0 … 65535 in `png16`.
    `crf`: H.264 quality, 0 (lossless) to 51.
    """

    range: RangeMode = "rolling"
    fixed_range: tuple[float, float] = (0.0, 1.0)
    value_range: tuple[float, float] = (0.0, 1.0)
    colormap: str = "turbo"
    grayscale: bool = False
    overwrite: bool = False
    audio: bool = True
    crf: int = 17

    def __post_init__(self) -> None:
        if self.range not in RANGE_MODES:
            raise OptionError(unknown("range", self.range, RANGE_MODES))
        if self.colormap not in COLORMAPS:
            raise OptionError(unknown("colormap", self.colormap, COLORMAPS))
        for name in ("fixed_range", "value_range"):
            low, high = getattr(self, name)
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise OptionError(f"{name} {low} … {high} is empty; give two numbers, the smaller first")
        if not 0 <= self.crf <= 51:
            raise OptionError(f"crf {self.crf} is outside 0 … 51; 17 looks lossless")

    @property
    def shown_colormap(self) -> str:
        return "gray" if self.grayscale else self.colormap


class Writer(ABC):
    """Takes finished frames in order; `close` puts the result at `path`, `abort` keeps what is finished.

    A result grows beside its place under a name with `.part` in it, so `path` never holds half of one. In `with`, a
    writer closes at the end and aborts on an error. Raises `OutputError` where the disk refuses.
    """

    path: Path
    """Where the result will lie."""
    frames: int

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions, folder: bool = False) -> None:
        """`folder`: whether the result is one.

        Raises `OutputError` if `path` cannot be written, or holds something and `options.overwrite` is not set.
        """
        self.path = Path(path)
        self.info = info
        self.options = options
        self.frames = 0
        self._done = False
        self._kept = False
        self._resources = ExitStack()
        """What must be let go of, whatever state it is in."""
        check_writable(self.path, options.overwrite, info.path, folder)
        self._part = self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")
        with self._guarded():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _remove(self._part)

    def write(self, disparity: np.ndarray, pts: Sequence[int]) -> None:
        """Adds frames of the source's size: `disparity` `T H W` float32, larger is nearer; `pts` in its time base."""
        expected = (len(pts), self.info.height, self.info.width)
        if disparity.shape != expected:
            raise ValueError(f"disparity has shape {disparity.shape}, expected T H W = {expected}")
        if len(pts) == 0:
            return
        with self._guarded():
            if self.frames == 0:
                self._start(disparity, pts)
            for frame, time in zip(disparity, pts, strict=True):
                self._put(frame, time)
                self.frames += 1

    def close(self) -> None:
        """Finishes the result and puts it in place; nothing is left if no frame was written."""
        if self._done:
            return
        if self.frames == 0:
            self.abort()
            return
        with self._guarded():
            self._finish()
            self._publish()
        self._done = self._kept = True

    def abort(self) -> bool:
        """Stops early, unless all is done. Whether something finished lies at `path` then; if not, nothing is left."""
        if self._done:
            return self._kept
        self._done = True
        try:
            if self.frames and self._salvage():
                self._publish()
                self._kept = True
        finally:
            self._resources.close()
            if not self._kept:
                with suppress(OSError):
                    _remove(self._part)
        return self._kept

    @classmethod  # noqa: B027
    def check_installed(cls) -> None:
        """Raises `OptionError` where a library that the format needs is missing; most need none."""

    def facts(self) -> dict[str, Any]:
        """What a reader of the result should know: for the JSON beside it."""
        return {"path": self.path.name, "frames": self.frames}

    @abstractmethod
    def _start(self, disparity: np.ndarray, pts: Sequence[int], /) -> None:
        """Opens the part, knowing the first frames."""

    @abstractmethod
    def _put(self, frame: np.ndarray, pts: int, /) -> None:
        """Adds one frame `H W`."""

    @abstractmethod
    def _finish(self) -> None:
        """Completes the part."""

    def _salvage(self) -> bool:
        """Completes the part as far as possible after a failure; whether it is worth keeping."""
        with suppress(Exception):
            self._finish()
            return True
        return False

    def _publish(self) -> None:
        self._resources.close()
        self._part.replace(self.path)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turns what the disk refuses into `OutputError`, after saving what is finished."""
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            kept = f"; the {self.frames} finished frames are kept there" if self.abort() else ""
            raise OutputError(f"{self.path}: {_reason(error)}{kept}") from error
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


def check_writable(path: str | Path, overwrite: bool, source: Path | None = None, folder: bool = False) -> None:
    """Raises `OutputError` if a result cannot be put at `path`: taken, the source itself, or no place to write.

    Leaves nothing behind. `folder`: whether the result is a folder.
    """
    path = Path(path)
    if path.exists():
        if source is not None and source.exists() and path.samefile(source):
            raise OutputError(f"{path}: is the input itself; choose another output")
        if not overwrite:
            raise OutputError(f"{path}: exists already; choose another name or add --overwrite")
        if path.is_dir() != folder:
            raise OutputError(f"{path}: is a {'file' if folder else 'folder'}; choose another name or remove it")
    place = path.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OutputError(f"{path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    code = getattr(error, "errno", None)
    if code == errno.ENOSPC or code == getattr(errno, "EDQUOT", None):
        return "the disk is full; free some space or choose another folder"
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "may not be written; choose another folder or change its permissions"
    if code == errno.EFBIG:
        return "the file grows larger than is allowed here; choose another disk or raise the limit (ulimit -f)"
    if code in (errno.ENOTDIR, errno.ENOENT):
        return "its folder cannot be made; choose another folder"
    return f"cannot be written ({getattr(error, 'strerror', None) or error}); choose another folder"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

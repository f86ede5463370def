"""The interface of every writer, and the options that writers share.

A format is a subclass of `Writer`: its class fields say how the format is called and chosen, and its methods `start`,
`add` and `finish` fill the part. `dvd.export.formats` finds it by name.
"""

from __future__ import annotations

import logging
import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import av
import numpy as np

from dvd.errors import OptionError, OutputError, unknown
from dvd.files import make_aside, remove, why_refused
from dvd.names import COLORMAPS, RANGES, VALUES_AT, RangeMode, ValuesAt
from dvd.types import VideoInfo

log = logging.getLogger(__name__)

Size = tuple[int, int]
MUCH_SMALLER = 4
"""Raw values are kept at the network's size by default where the source has this many times as many pixels."""


@dataclass(frozen=True)
class ExportOptions:
    """How results are written. Raise `OptionError` for a value outside its range.

    `range`: how disparity is spread over the colours of a video. `shot` shows every shot in the 2 % … 98 % quantiles of
    all of its frames, so a shot is encoded once it has ended; `global` does the same with the whole video. `rolling`
    follows the quantiles, smoothed over about two seconds; `fixed` shows `fixed_range`. Raw values are never changed.
    `value_range` is spread over 0 … 65535 in `png16`. `crf`: H.264 quality, 0 (lossless) to 51.

    `values_at`: the size of raw values, the `network`'s or the `source`'s; None keeps a video's at the network's
    where that has at most a quarter of the pixels. `half`: raw values as float16 (npz, exr). `compress`: npz by bzip2,
    without loss; None does so where a sample says that the file becomes at most half as large.
    """

    range: RangeMode = "shot"
    fixed_range: tuple[float, float] = (0.0, 1.0)
    value_range: tuple[float, float] = (0.0, 1.0)
    colormap: str = "turbo"
    grayscale: bool = False
    overwrite: bool = False
    audio: bool = True
    crf: int = 17
    values_at: ValuesAt | None = None
    half: bool = False
    compress: bool | None = None

    def __post_init__(self) -> None:
        if self.range not in RANGES:
            raise OptionError(unknown("range", self.range, RANGES))
        if self.colormap not in COLORMAPS:
            raise OptionError(unknown("colormap", self.colormap, COLORMAPS))
        if self.values_at not in (None, *VALUES_AT):
            raise OptionError(unknown("size of raw values", str(self.values_at), VALUES_AT))
        for name in ("fixed_range", "value_range"):
            low, high = getattr(self, name)
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise OptionError(f"{name} {low} … {high} is empty; give two numbers, the smaller first")
        if not 0 <= self.crf <= 51:
            raise OptionError(f"crf {self.crf} is outside 0 … 51; 17 looks lossless")

    @property
    def shown_colormap(self) -> str:
        return "gray" if self.grayscale else self.colormap

    def size_of_values(self, network: Size, source: Size, is_image: bool = False) -> Size:
        """Return height and width of raw values, given those of the network's frames and of the source's.

        A single image is small at any size, so its values are the source's by default.
        """
        much_smaller = not is_image and MUCH_SMALLER * network[0] * network[1] <= source[0] * source[1]
        at = self.values_at or ("network" if much_smaller else "source")
        return network if at == "network" else source


class Writer(ABC):
    """Takes finished frames in order; `close` puts the result at `path`, `abort` keeps the finished frames.

    A result grows beside `path` under a new name with `.part` in it, so `path` never holds half of one. In `with`, a
    writer closes at the end and aborts on an error. Raise `OutputError` where the disk refuses.
    """

    name: ClassVar[str]
    """The name of the format."""
    suffix: ClassVar[str]
    """The output's name after the input's: `clip` + `.npz`, or `clip` + `_png16` for a folder."""
    image_suffix: ClassVar[str]
    """The same for a single image."""
    endings: ClassVar[tuple[str, ...]] = ()
    """Endings of an output path that choose this format, in lower case."""
    reads: ClassVar[frozenset[str]] = frozenset()
    """The fields of `ExportOptions` that change the result."""
    library: ClassVar[str] = ""
    """A module that must be installed, "" for none."""
    install: ClassVar[str] = ""
    """The package or extra to install where `library` is missing."""

    path: Path
    """Where the result will be; final after `close` or `abort`."""
    part: Path
    """The file, or folder, to fill."""
    is_folder: bool = False
    """Whether the result is a folder."""
    frames: int
    """Frames written."""

    def __init__(
        self, path: str | Path, info: VideoInfo, options: ExportOptions | None = None, network: Size | None = None
    ) -> None:
        """`network`: height and width of the frames that `write` takes, the source's by default.

        Raise `OutputError` if `path` cannot be written, or exists and `options.overwrite` is not set; `OptionError` if
        the format's library is missing, or `path` does not fit the format.
        """
        self.path = Path(path)
        self.info = info
        self.options = options or ExportOptions()
        self.source: Size = (info.height, info.width)
        self.network = network or self.source
        self.frames = 0
        self.resources = ExitStack()
        """Files to close when the writer is done, whether it succeeds or not."""
        self._in_shot = False
        self._whole = False
        self._done = False
        self._kept = False
        self.check_installed()
        self.check_path()
        check_writable(self.path, self.options.overwrite, info.path, self.is_folder)
        self.part = self.path
        with self._guarded():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.part = make_aside(self.path, self.is_folder)

    @classmethod
    def open(
        cls, path: str | Path, info: VideoInfo, options: ExportOptions | None = None, network: Size | None = None
    ) -> Writer:
        """Return a writer of this format for `info`; a format may use another class for images."""
        return cls(path, info, options, network)

    @classmethod
    def check_installed(cls) -> None:
        """Raise `OptionError` if the format's library is missing."""
        if cls.library and find_spec(cls.library) is None:
            raise OptionError(f"{cls.name} needs the {cls.library} library; pip install '{cls.install}'")

    @property
    def size(self) -> Size:
        """Height and width of the frames that `add` takes."""
        return self.source

    def begin_shot(self) -> None:
        """Announce that the next frames belong to a new shot."""
        self._in_shot = False

    def write(self, disparity: np.ndarray, pts: Sequence[int]) -> None:
        """Add frames of the network's size: `disparity` `T h w` float32, larger is nearer; `pts` in `info.time_base`.

        Raise `OutputError` where the disk refuses, `ValueError` for another shape.
        """
        expected = (len(pts), *self.network)
        if disparity.shape != expected:
            raise ValueError(f"disparity has shape {disparity.shape}, expected T h w = {expected}")
        if len(pts) == 0:
            return
        with self._guarded():
            if self.frames == 0:
                self.start(disparity, pts)
            if not self._in_shot:
                self._in_shot = True
                self.start_shot(disparity)
            for frame, time in zip(disparity, pts, strict=True):
                self.add(resized(frame, self.size), time)
                self.frames += 1

    def close(self) -> None:
        """Complete the result and put it at `path`; leave nothing if no frame was written."""
        if self._done:
            return
        if self.frames == 0:
            self.abort()
            return
        with self._guarded():
            self.finish()
            self._whole = True
            self._publish()
        self._done = self._kept = True

    def abort(self) -> bool:
        """Stop early and keep the finished frames at `path`. Return whether there are any; if not, leave nothing."""
        if self._done:
            return self._kept
        self._done = True
        try:
            if self._whole or (self.frames and self.salvage()):
                self._publish()
                self._kept = True
        finally:
            self.resources.close()
            if not self._kept and self.part != self.path:
                with suppress(OSError):
                    remove(self.part)
        return self._kept

    def facts(self) -> dict[str, Any]:
        """Describe the result for the JSON beside it, in plain values."""
        return {"path": self.path.name, "frames": self.frames}

    def check_path(self) -> None:  # noqa: B027
        """Raise `OptionError` if the format does not fit `path`; set `is_folder` if the result is a folder."""

    def start(self, disparity: np.ndarray, pts: Sequence[int], /) -> None:  # noqa: B027
        """Open the part. `disparity`, `pts`: the first frames, which `add` gets next."""

    def start_shot(self, disparity: np.ndarray, /) -> None:  # noqa: B027
        """Prepare for a new shot. `disparity`: its first frames, which `add` gets next."""

    @abstractmethod
    def add(self, frame: np.ndarray, pts: int, /) -> None:
        """Put one frame of `size` into the part."""

    def finish(self) -> None:  # noqa: B027
        """Complete the part."""

    def salvage(self) -> bool:
        """Complete the part as far as possible after a failure; return whether it is worth keeping."""
        with suppress(Exception):
            self.finish()
            return True
        return False

    def replace(self) -> None:
        """Put the part at `path`."""
        self.part.replace(self.path)

    def _publish(self) -> None:
        """Put the part at `path`; if another program has made a file there meanwhile, the result keeps its own name."""
        self.resources.close()
        if self.path.exists() and not self.options.overwrite:
            log.warning("%s: has appeared meanwhile and is left alone; the result is %s", self.path, self.part.name)
            self.path = self.part
        else:
            self.replace()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Keep the finished frames on any error; turn an error of the disk into `OutputError`."""
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            kept = f"; the {self.frames} finished frames are kept there" if self.abort() else ""
            raise OutputError(f"{self.path}: {why_refused(error)}{kept}") from error
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


def check_writable(path: str | Path, overwrite: bool, source: Path | None = None, folder: bool = False) -> None:
    """Raise `OutputError` if a result cannot be put at `path`: it exists, is the source, or the disk refuses.

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
    nearest = path.parent
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise OutputError(f"{path}: {why_refused(error)}") from error


def resized(frame: np.ndarray, size: Size) -> np.ndarray:
    """Resize one frame `h w` float32, bilinear with half-pixel centres (`dvd.resize.to_source_size`)."""
    if frame.shape == size:
        return frame
    # Imported here: it brings torch, and a format's name can be checked without.
    from dvd.resize import to_source_size

    return to_source_size(np.ascontiguousarray(frame)[None], size)[0]

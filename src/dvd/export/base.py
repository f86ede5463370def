"""What every writer promises, and the options they share."""

from __future__ import annotations

import logging
import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
TO_SOURCE = (
    "bilinear, half-pixel centres: torch.nn.functional.interpolate(disparity[:, None], size=source_size, "
    "mode='bilinear', align_corners=False)[:, 0]"
)
"""How values at the network's size become values at the source's, for the JSON beside them."""


@dataclass(frozen=True)
class ExportOptions:
    """How results are written. Raises `OptionError` for a value outside its range.

    `range`: how disparity is spread over the colours of a video. `shot` shows every shot in the 2 % … 98 % quantiles of
    all of its frames, so a shot is encoded once it has ended; `global` does the same with the whole video. `rolling`
    follows the quantiles, smoothed over about two seconds; `fixed` shows `fixed_range`. Raw values are never touched.
    `value_range` maps to 0 … 65535 in `png16`. `crf`: H.264 quality, 0 (lossless) to 51.

    `values_at`: the size of raw values, the `network`'s or the `source`'s; None keeps a video's at the network's
    where that has at most a quarter of the pixels. `half`: raw values as float16 (npz, exr). `compress`: npz by bzip2,
    without loss.
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
    compress: bool = False

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
        """Height and width of raw values, given those of the network's frames and of the source's.

        A single image is small at any size, so its values are the source's by default.
        """
        much_smaller = not is_image and MUCH_SMALLER * network[0] * network[1] <= source[0] * source[1]
        at = self.values_at or ("network" if much_smaller else "source")
        return network if at == "network" else source


class Writer(ABC):
    """Takes finished frames in order; `close` puts the result at `path`, `abort` keeps what is finished.

    A result grows beside `path` under a new name with `.part` in it, so `path` never holds half of one. In `with`, a
    writer closes at the end and aborts on an error. Raises `OutputError` where the disk refuses.
    """

    path: Path
    """Where the result will lie."""
    frames: int

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        options: ExportOptions,
        network: Size | None = None,
        folder: bool = False,
    ) -> None:
        """`network`: height and width of the frames that `write` takes, the source's by default.

        `folder`: whether the result is one. Raises `OutputError` if `path` cannot be written, or holds something and
        `options.overwrite` is not set.
        """
        self.path = Path(path)
        self.info = info
        self.options = options
        self.source: Size = (info.height, info.width)
        self.network = network or self.source
        self.frames = 0
        self._in_shot = False
        self._done = False
        self._kept = False
        self._resources = ExitStack()
        """What must be let go of, whatever state it is in."""
        check_writable(self.path, options.overwrite, info.path, folder)
        self._part = self.path
        with self._guarded():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part = make_aside(self.path, folder)

    @property
    def size(self) -> Size:
        """Height and width at which frames are put into the result."""
        return self.source

    def begin_shot(self) -> None:
        """Tells that the frames that follow belong to a new shot."""
        self._in_shot = False

    def write(self, disparity: np.ndarray, pts: Sequence[int]) -> None:
        """Adds frames of the network's size: `disparity` `T h w` float32, larger is nearer; `pts` in its time base."""
        expected = (len(pts), *self.network)
        if disparity.shape != expected:
            raise ValueError(f"disparity has shape {disparity.shape}, expected T h w = {expected}")
        if len(pts) == 0:
            return
        with self._guarded():
            if self.frames == 0:
                self._start(disparity, pts)
            if not self._in_shot:
                self._start_shot(disparity)
            for frame, time in zip(disparity, pts, strict=True):
                self._put(resized(frame, self.size), time)
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
            if not self._kept and self._part != self.path:
                with suppress(OSError):
                    remove(self._part)
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

    def _start_shot(self, _disparity: np.ndarray, /) -> None:
        """Prepares for a shot, knowing its first frames."""
        self._in_shot = True

    @abstractmethod
    def _put(self, frame: np.ndarray, pts: int, /) -> None:
        """Adds one frame of `size`."""

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
        """Gives the part its name; if another program has taken that meanwhile, the result keeps the part's."""
        self._resources.close()
        if self.path.exists() and not self.options.overwrite:
            log.warning("%s: has appeared meanwhile and is left alone; the result is %s", self.path, self._part.name)
            self.path = self._part
        else:
            self._replace()

    def _replace(self) -> None:
        self._part.replace(self.path)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turns what the disk refuses into `OutputError`, after saving what is finished."""
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
        raise OutputError(f"{path}: {why_refused(error)}") from error


def resized(frame: np.ndarray, size: Size) -> np.ndarray:
    """One frame `h w` float32 at another size, by the rule `TO_SOURCE`."""
    if frame.shape == size:
        return frame
    # Imported here: it brings torch, and a format's name can be checked without.
    from dvd.resize import to_source_size

    return to_source_size(np.ascontiguousarray(frame)[None], size)[0]

"""Disparity as a colour-mapped or gray H.264 video."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np

from dvd.errors import OptionError
from dvd.export.base import ExportOptions, Writer
from dvd.export.colormaps import colour_levels, to_levels
from dvd.export.display_range import DisplayRange, FixedRange, RollingRange, WholeRange
from dvd.export.encode import CONTAINERS, VideoEncoder
from dvd.export.spool import Spool
from dvd.media import open_for_reading
from dvd.types import VideoInfo

VIDEO_SUFFIXES = tuple(CONTAINERS)


class VideoWriter(Writer):
    """What videos share: a file name that FFmpeg has a container for, an encoder, and saving what it has taken."""

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions) -> None:
        """Raises `OptionError` for another ending, else as every writer."""
        self._encoder: VideoEncoder | None = None
        if Path(path).suffix.lower() not in CONTAINERS:
            raise OptionError(f"{path}: a video's name must end in one of {', '.join(CONTAINERS)}")
        super().__init__(path, info, options)

    def _open_encoder(self, size: tuple[int, int], first: Sequence[int]) -> VideoEncoder:
        audio = self.options.audio and self.info.has_audio
        encoder = VideoEncoder(self._part, size, self.info, first, self.options.crf, audio)
        self._resources.callback(encoder.release)
        return encoder

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"sound": self._encoder.sound if self._encoder else "none"}

    def _finish(self) -> None:
        if self._encoder:
            self._encoder.close()

    def _salvage(self) -> bool:
        """What was written in fragments before a failure can be played without its end."""
        if not super()._salvage():
            return self._plays()
        self.frames = self._encoder.frames if self._encoder else 0
        return self.frames > 0

    def _plays(self) -> bool:
        """Whether anything of the part can be decoded; sets `frames` to how much."""
        self._resources.close()
        self.frames = 0
        with suppress(OSError, av.FFmpegError, IndexError), open_for_reading(self._part) as container:
            for packet in container.demux(video=0):
                with suppress(av.FFmpegError):
                    self.frames += len(packet.decode())
        return self.frames > 0


class Mp4Writer(VideoWriter):
    """The disparity alone. With the range `global` frames wait in a spool file until the range is known."""

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions) -> None:
        self._spool: Spool | None = None
        super().__init__(path, info, options)
        self._range = display_range(options)
        self._whole = WholeRange()
        self._shown: list[float] | None = None
        self._begun = False

    def facts(self) -> dict[str, Any]:
        shown = {"range": self.options.range, "colormap": self.options.shown_colormap}
        if self.options.range != "rolling" and self._shown:
            shown["shown"] = self._shown  # type: ignore[assignment]
        return super().facts() | shown

    def _start(self, disparity: np.ndarray, pts: Sequence[int], /) -> None:
        if self.options.range == "global":
            self._spool = Spool(self._part.with_suffix(".spool"), self.info.height, self.info.width)
            self._resources.callback(self._spool.close)
        else:
            self._range.start(disparity)
        self._encoder = self._open_encoder((self.info.height, self.info.width), pts)

    def _put(self, frame: np.ndarray, pts: int, /) -> None:
        if self._spool:
            self._whole.see(frame)
            self._spool.put(frame, pts)
        else:
            self._encode(frame, pts, *self._range.of(frame, float(pts * self.info.time_base)))

    def _finish(self) -> None:
        if self._spool:
            low, high = self._whole.result()
            begun, self._begun = self._begun, True
            for frame, pts in () if begun else self._spool.take():
                self._encode(frame, pts, low, high)
        super()._finish()

    def _encode(self, frame: np.ndarray, pts: int, low: float, high: float) -> None:
        self._shown = [low, high]
        if self._encoder:
            self._encoder.put(colour_levels(to_levels(frame, low, high), self.options.shown_colormap), pts)


def display_range(options: ExportOptions) -> DisplayRange:
    """The range that can be given while frames come."""
    return RollingRange() if options.range == "rolling" else FixedRange(*options.fixed_range)

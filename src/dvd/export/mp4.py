"""Disparity as a colour-mapped or gray H.264 video."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np

from dvd.errors import OptionError
from dvd.export.base import ExportOptions, Size, Writer, resized
from dvd.export.colormaps import colour_levels, to_levels
from dvd.export.display_range import DisplayRange, FixedRange, RollingRange, WholeRange
from dvd.export.encode import CONTAINERS, VideoEncoder
from dvd.export.spool import Spool
from dvd.media import open_for_reading
from dvd.types import VideoInfo

VIDEO_SUFFIXES = tuple(CONTAINERS)


class VideoWriter(Writer):
    """What videos share: a file name that FFmpeg has a container for, an encoder, and saving what it has taken."""

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions, network: Size | None = None) -> None:
        """Raises `OptionError` for another ending, else as every writer."""
        self._encoder: VideoEncoder | None = None
        if Path(path).suffix.lower() not in CONTAINERS:
            raise OptionError(f"{path}: a video's name must end in one of {', '.join(CONTAINERS)}")
        super().__init__(path, info, options, network)

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
    """The disparity alone.

    With the ranges `shot` and `global`, frames wait in a spool file, at the network's size, until the range is known:
    at the end of their shot or of the video.
    """

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions, network: Size | None = None) -> None:
        super().__init__(path, info, options, network)
        self._waits = options.range in ("shot", "global")
        self._spool: Spool | None = None
        self._seen = WholeRange()
        self._range: DisplayRange = FixedRange(*options.fixed_range)
        self._shown: list[dict[str, Any]] = []

    @property
    def size(self) -> Size:
        """The network's: frames wait at that size, and get the source's when they are encoded."""
        return self.network

    def facts(self) -> dict[str, Any]:
        """`shown`: from which frame on which disparities are darkest and brightest, unless the range rolls."""
        shown = {"range": self.options.range, "colormap": self.options.shown_colormap}
        return super().facts() | shown | ({"shown": self._shown} if self._shown else {})

    def _start(self, _disparity: np.ndarray, pts: Sequence[int], /) -> None:
        self._encoder = self._open_encoder(self.source, pts)
        if self.options.range == "fixed":
            self._show(*self.options.fixed_range)

    def _start_shot(self, disparity: np.ndarray, /) -> None:
        super()._start_shot(disparity)
        if self.options.range == "shot":
            self._encode_waiting()
        if self._waits and self._spool is None:
            self._spool = Spool(self._part.parent, self.network)
            self._resources.callback(self._spool.close)
            self._seen = WholeRange()
        if self.options.range == "rolling":
            self._range = RollingRange()
            self._range.start(disparity)

    def _put(self, frame: np.ndarray, pts: int, /) -> None:
        if self._spool:
            self._seen.see(frame)
            self._spool.put(frame, pts)
        else:
            self._encode(frame, pts)

    def _finish(self) -> None:
        self._encode_waiting()
        super()._finish()

    def _encode_waiting(self) -> None:
        """Encodes the frames that wait, in the range of all of them. Done once, even if it fails on the way."""
        spool, self._spool = self._spool, None
        if spool is None:
            return
        self._show(*self._seen.result())
        for frame, pts in spool.take():
            self._encode(frame, pts)
        spool.close()

    def _show(self, low: float, high: float) -> None:
        self._range = FixedRange(low, high)
        self._shown.append({"from_frame": self._encoder.frames if self._encoder else 0, "range": [low, high]})

    def _encode(self, frame: np.ndarray, pts: int) -> None:
        if self._encoder:
            low, high = self._range.of(frame, float(pts * self.info.time_base))
            levels = to_levels(resized(frame, self.source), low, high)
            self._encoder.put(colour_levels(levels, self.options.shown_colormap), pts)

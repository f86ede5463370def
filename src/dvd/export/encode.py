"""One H.264 video, picture by picture, that can be played up to the last two seconds even if the process is killed.

MP4 and MOV are written in fragments and turned into an ordinary file at the end (FFmpeg's `hybrid_fragmented`). There
are no B-frames: decoding order is showing order, so every duration is exact for a variable frame rate too. Sides that
are odd cannot be halved for 4:2:0 colour; such videos are 4:4:4, which keeps the source's size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from dvd.errors import OptionError
from dvd.export.audio import AudioTrack
from dvd.export.clock import Clock, read_source_times
from dvd.types import VideoInfo

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}

_BT709 = 1
_LIMITED = 1
_KEY_FRAME_EVERY_S = 2


class VideoEncoder:
    """Encodes RGB pictures with the source's frame rate, time stamps, pixel shape and sound."""

    def __init__(
        self, part: Path, size: tuple[int, int], info: VideoInfo, first: Sequence[int], crf: int, audio: bool
    ) -> None:
        """`size`: height and width; `first`: the time stamps of the first frames. Raises what FFmpeg raises."""
        times = read_source_times(info)
        self._clock = Clock(info, first, times)
        self._video_end = times.video_end if times else None
        self._scale = VideoReformatter()
        self._waiting: deque[av.Packet] = deque()
        self._durations: dict[int, int] = {}
        self._last: int | None = None
        self.frames = 0
        self._container = av.open(
            str(part), "w", format=CONTAINERS[part.suffix.lower()], options=self._muxer_options(part)
        )
        height, width = size
        self._stream = self._add_stream(info.frame_rate, height, width, crf)
        if times and times.pixel_aspect:
            self._stream.codec_context.sample_aspect_ratio = times.pixel_aspect
        self._audio = AudioTrack(info.path, self._container, part.suffix, self._clock) if audio else None

    def put(self, picture: np.ndarray, pts: int) -> None:
        """Adds `H W 3` RGB or `H W 4` RGB and alpha (ignored), uint8, shown at `pts` of the source."""
        ticks = self._clock.ticks(pts)
        if self._last is not None:
            ticks = max(ticks, self._last + 1)
            self._durations[self._last] = ticks - self._last
        self._last = ticks
        picture = np.ascontiguousarray(picture)
        frame = av.VideoFrame.from_numpy_buffer(picture, "rgba" if picture.shape[2] == 4 else "rgb24")
        frame = self._scale.reformat(
            frame, format=self._stream.pix_fmt, dst_colorspace=_BT709, dst_color_range=_LIMITED
        )
        frame.pts, frame.time_base = ticks, self._clock.time_base
        self._waiting.extend(self._stream.encode(frame))
        self._mux()
        self.frames += 1

    def close(self) -> None:
        """Completes the file."""
        if self._last is not None:
            self._durations[self._last] = self._clock.nominal
            self._waiting.extend(self._stream.encode(None))
            self._mux()
            if self._audio:
                end = (self._last + self._clock.nominal) * self._clock.time_base
                reached = self._clock.zero + end
                complete = self._video_end is not None and reached >= self._video_end - 1 / self._rate
                self._audio.finish(None if complete else end)
        self.release(quietly=False)

    def release(self, quietly: bool = True) -> None:
        """Closes the files as they are."""
        if self._audio:
            self._audio.close()
        if quietly:
            with suppress(OSError, av.FFmpegError):
                self._container.close()
        else:
            self._container.close()

    def _mux(self) -> None:
        """Hands over packets once the next frame tells how long they last; the sound keeps pace."""
        while self._waiting and self._waiting[0].pts in self._durations:
            packet = self._waiting.popleft()
            packet.duration = self._durations.pop(packet.pts or 0)
            shown = (packet.pts or 0) * self._clock.time_base
            self._container.mux(packet)
            if self._audio:
                self._audio.advance(shown)

    def _add_stream(self, rate: Fraction, height: int, width: int, crf: int) -> av.VideoStream:
        if "libx264" not in av.codecs_available:
            raise OptionError("this PyAV cannot encode H.264 (no libx264); pip install --force-reinstall av")
        self._rate = rate
        stream = self._container.add_stream(
            "libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast", "bf": "0"}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.time_base = self._clock.time_base
        context = stream.codec_context
        context.time_base = self._clock.time_base
        context.gop_size = max(round(rate * _KEY_FRAME_EVERY_S), 1)
        context.color_range = _LIMITED
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        return stream

    def _muxer_options(self, part: Path) -> dict[str, str]:
        if part.suffix.lower() == ".mkv":
            return {}
        scale = str(self._clock.time_base.denominator)
        return {
            "movflags": "hybrid_fragmented+delay_moov",
            "flush_packets": "1",
            "video_track_timescale": scale,
            "movie_timescale": scale,
        }

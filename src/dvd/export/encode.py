"""One H.264 video, picture by picture; if the process is killed, all but its last two seconds can be played.

MP4 and MOV are written in fragments and turned into an ordinary file at the end (FFmpeg's `hybrid_fragmented`). There
are no B-frames: decoding order is showing order, so every duration is exact for a variable frame rate too.

Colour is 4:2:0, which every player takes, so H.264 cannot code odd sides. There the last column or row is coded twice
and the container states the source's size: players that read it crop the copy away, the others show it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from dvd.errors import OptionError
from dvd.export.audio import AudioTrack
from dvd.export.clock import Clock
from dvd.media import open_for_writing, open_nowhere
from dvd.types import VideoInfo

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}

_BT709 = 1
_LIMITED = 1
_KEY_FRAME_EVERY_S = 2

_TOO_SMALL = (1, 1)
"""FFmpeg's decoder drops padded frames of this size, so they are coded as 4:4:4."""


class VideoEncoder:
    """Encodes RGB pictures with the source's frame rate, time stamps, pixel shape and sound."""

    def __init__(
        self, part: Path, size: tuple[int, int], info: VideoInfo, first: Sequence[int], crf: int, audio: bool
    ) -> None:
        """`size`: height and width; `first`: the time stamps of the first frames. Raise av.FFmpegError or OSError."""
        self._clock = Clock(info, first)
        self._scale = VideoReformatter()
        self._waiting: deque[av.Packet] = deque()
        self._durations: dict[int, int] = {}
        self._last: int | None = None
        self._last_pts = 0
        self.frames = 0
        format, options = CONTAINERS[part.suffix.lower()], self._muxer_options(part)
        self._container = open_for_writing(part, format, options)
        self._add_streams(format, info, *size, crf)
        self._audio = AudioTrack(info, self._container, self._clock) if audio and info.media else None

    @property
    def sound(self) -> str:
        """How the source's sound is written: copied, AAC or none."""
        return self._audio.way if self._audio else "none"

    def put(self, picture: np.ndarray, pts: int) -> None:
        """Add a picture, `H W 3` RGB or `H W 4` RGB and alpha (ignored), uint8, shown at `pts` of the source."""
        ticks = self._clock.ticks(pts)
        if self._last is not None:
            ticks = max(ticks, self._last + 1)
            self._durations[self._last] = ticks - self._last
        self._last, self._last_pts = ticks, pts
        picture = np.ascontiguousarray(self._even_sides(picture))
        frame = av.VideoFrame.from_numpy_buffer(picture, "rgba" if picture.shape[2] == 4 else "rgb24")
        frame = self._scale.reformat(
            frame, format=self._encoder.pix_fmt, dst_colorspace=_BT709, dst_color_range=_LIMITED
        )
        frame.pts, frame.time_base = ticks, self._clock.time_base
        self._waiting.extend(self._encoder.encode(frame))
        self._mux()
        self.frames += 1

    def close(self) -> None:
        """Complete the file."""
        if self._last is not None:
            last = self._clock.last_ticks(self._last_pts)
            self._durations[self._last] = last
            self._waiting.extend(self._encoder.encode(None))
            self._mux()
            if self._audio:
                end = (self._last + last) * self._clock.time_base
                self._audio.finish(None if self._clock.ends_with(self._last_pts) else end)
        self.release(quietly=False)

    def release(self, quietly: bool = True) -> None:
        """Close the files as they are; ignore errors unless `quietly` is False."""
        if self._audio:
            self._audio.close()
        if quietly:
            with suppress(OSError, av.FFmpegError):
                self._container.close()
        else:
            self._container.close()

    def _mux(self) -> None:
        """Write the packets whose duration is known, which takes the next frame, and the sound up to there."""
        while self._waiting and self._waiting[0].pts in self._durations:
            packet = self._waiting.popleft()
            packet.duration = self._durations.pop(packet.pts or 0)
            shown = (packet.pts or 0) * self._clock.time_base
            packet.stream = self._stream
            self._container.mux(packet)
            if self._audio:
                self._audio.advance(shown)

    def _add_streams(self, format: str, info: VideoInfo, height: int, width: int, crf: int) -> None:
        """Add the stream of the file, and another to encode with where the coded size differs."""
        padded = bool(width % 2 or height % 2) and (height, width) != _TOO_SMALL
        self._padding = ((0, height % 2), (0, width % 2), (0, 0)) if padded else None
        if not padded:
            self._stream = self._encoder = self._add_encoder(self._container, info, height, width, crf)
            return
        self._scratch = open_nowhere(format)
        self._encoder = self._add_encoder(self._scratch, info, height + height % 2, width + width % 2, crf)
        self._scratch.start_encoding()
        self._stream = self._container.add_stream_from_template(self._encoder)
        self._stream.width, self._stream.height = width, height
        self._stream.codec_context.framerate = info.frame_rate

    def _add_encoder(
        self, container: av.container.OutputContainer, info: VideoInfo, height: int, width: int, crf: int
    ) -> av.VideoStream:
        if "libx264" not in av.codecs_available:
            raise OptionError("this PyAV cannot encode H.264 (no libx264); pip install --force-reinstall av")
        options = {"crf": str(crf), "preset": "veryfast", "bf": "0"}
        stream = container.add_stream("libx264", rate=info.frame_rate, options=options)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if (height, width) == _TOO_SMALL else "yuv420p"
        stream.time_base = self._clock.time_base
        context = stream.codec_context
        context.time_base = self._clock.time_base
        context.gop_size = max(round(info.frame_rate * _KEY_FRAME_EVERY_S), 1)
        context.color_range = _LIMITED
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        if info.media and info.media.pixel_aspect:
            context.sample_aspect_ratio = info.media.pixel_aspect
        return stream

    def _even_sides(self, picture: np.ndarray) -> np.ndarray:
        return picture if self._padding is None else np.pad(picture, self._padding, mode="edge")

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

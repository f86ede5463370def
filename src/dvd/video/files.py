"""Read a video file through PyAV: its facts, and its frames as far as they can be decoded.

Everything needed of a stream is copied while its container is open, because PyAV may crash later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from dvd.errors import InputError
from dvd.media import open_for_reading, picture_streams
from dvd.types import MediaFile
from dvd.video.colour import TRANSPARENT, Orientation, ToRGB, orientation_of
from dvd.video.interlace import deinterlaced
from dvd.video.pictures import FOLDER_RATE
from dvd.video.pipes import PipeCopy
from dvd.video.reader import Raw, UnreadableFrame, Warn

_EXACT_SEEK = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""Containers with an index of key frames; in others a seek may end after its target."""

_CLOCK_MAY_LEAP = frozenset(("mpegts", "mpeg", "mpegvideo", "h264", "hevc", "dv", "flv"))
"""Formats that can be joined byte by byte; FFmpeg also treats ten seconds in them as a leap."""

_LEAP_S, _LEAP_ELSEWHERE_S = Fraction(10), Fraction(3600)

_RATE_ROUNDING = Fraction(2, 10**7)
"""Much less than the difference of 29.97 and 30000/1001."""

_USUAL_RATES = (1, 240)
"""Frames per second; a declared rate outside this range is checked against the time stamps."""

_MEASURED_PACKETS = 100


class VideoFile:
    """A file that FFmpeg reads. Raise `InputError` at once if it has no pictures."""

    numbers = None

    def __init__(self, path: Path, copy: PipeCopy | None = None) -> None:
        """`copy`: read instead of `path`, and kept alive as long as this object."""
        self.path = path
        self.name = path.stem
        self._copy = copy
        self._file = copy.file if copy else path
        with self._opened() as (container, stream):
            self._format = container.format.name
            self._declared_frames = stream.frames
            self._transfer = stream.codec_context.color_trc
            self.start_pts = stream.start_time
            declared = _declared_rate(stream)
            self._duration = _duration_s(container, stream)
            self.has_audio = bool(container.streams.audio)
            self.is_image = self._format.endswith("_pipe") or self._format == "image2"
            self._choice = _stream_choice(container)
            self.frame_rate = declared if _usual(declared) else _measured_rate(container, stream) or declared
            self.time_base = stream.time_base or 1 / self.frame_rate
            self.media = self._media(container, stream)
        self.frame_count = self._declared_frames or _rounded(self._duration, self.frame_rate)

    def _media(self, container: av.container.InputContainer, stream: av.VideoStream) -> MediaFile:
        begin = (self.start_pts or 0) * self.time_base
        earliest = begin if container.start_time is None else Fraction(container.start_time, av.time_base)
        return MediaFile(
            path=self._file,
            # The container's start is rounded to microseconds; the pictures' own start is exact.
            start=begin if earliest > begin - Fraction(1, av.time_base) else earliest,
            video_start=begin,
            pixel_aspect=stream.sample_aspect_ratio or None,
            longest_gap=_LEAP_S if self._format in _CLOCK_MAY_LEAP else _LEAP_ELSEWHERE_S,
        )

    def frames(self, warn: Warn, needed_from: int = 0) -> Iterator[Raw]:
        if self._choice:
            warn(f"{self.path.name}: {self._choice}")
        if needed_from > (self.start_pts or 0) and self._format in _EXACT_SEEK:
            near = self._raw(warn, seek_to=needed_from)
            try:
                first = next(near, None)
            except av.FFmpegError:
                first = None
            if first is not None and first.pts is not None and first.pts <= needed_from:
                yield first
                yield from near
                return
        yield from self._raw(warn, seek_to=None)

    def _raw(self, warn: Warn, seek_to: int | None) -> Iterator[Raw]:
        with self._opened() as (container, stream):
            stream.thread_type = "AUTO"
            if seek_to is not None:
                container.seek(seek_to, stream=stream)
            to_rgb = ToRGB(self._transfer, partial(warn, f"{self.path.name}: {TRANSPARENT}"))
            decoded = self._decoded(container, stream, warn, whole=seek_to is None)
            orientation: Orientation | None = None
            for frame in deinterlaced(decoded, self.time_base):
                orientation = orientation_of(frame, orientation)
                if orientation.oblique:
                    warn(f"{self.path.name}: is to be shown at an oblique angle; the nearest quarter turn is applied")
                rgb = partial(_converted, to_rgb, frame, orientation)
                yield Raw(frame.pts, rgb, frame.duration or None, orientation.transposed)

    def _decoded(
        self, container: av.container.InputContainer, stream: av.VideoStream, warn: Warn, whole: bool
    ) -> Iterator[av.VideoFrame]:
        """Yield every frame that decodes; skip and count damaged packets, and warn of an early end."""
        packets = frames = damaged = 0
        last_pts: int | None = None
        reason = "the file ends early"
        broken_off = leapt = False
        packet_stream = container.demux(stream)
        while True:
            try:
                packet = next(packet_stream)
            except StopIteration:
                break
            except av.FFmpegError as error:
                reason, broken_off = error.strerror or "read error", True
                break
            packets += packet.size > 0
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                damaged += 1
                continue
            for frame in decoded:
                frames += 1
                leapt = leapt or self._leaps(last_pts, frame.pts)
                last_pts = last_pts if frame.pts is None else frame.pts
                yield frame
        # An AVI also counts frames that were not recorded and repeat the one before.
        lost = max(self._declared_frames - packets, 0) if whole and self._format != "avi" else 0
        if frames and (broken_off or (not leapt and self._ends_early(lost, last_pts))):
            of = f" of {self.frame_count}" if self.frame_count else ""
            warn(f"{self.path.name}: decoding stopped after {frames}{of} frames ({reason}); the rest is missing")
        elif lost:
            damaged += lost
        if damaged:
            warn(f"{self.path.name}: damaged packets left out: {damaged}; the frames they held are missing")

    def _leaps(self, before: int | None, after: int | None) -> bool:
        """Whether the clock changes between two frames, so that the last time stamp does not give the length."""
        if before is None or after is None:
            return False
        return not 0 <= (after - before) * self.time_base <= self.media.longest_gap

    def _ends_early(self, lost: int, last_pts: int | None) -> bool:
        """Whether the last frame is before the declared end: by one frame if some are known to be lost, else by clearly
        more than the usual error of containers."""
        if self._duration is None or last_pts is None:
            return lost > 0
        frame = 1 / self.frame_rate
        missing = self._duration - (last_pts - (self.start_pts or 0)) * self.time_base - frame
        return missing > (frame / 2 if lost else max(Fraction(1, 2), self._duration / 50))

    @contextmanager
    def _opened(self) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
        """Open the container and its picture stream. Raise `InputError` with the reason where there is none."""
        path = self.path
        if self._file.is_file() and self._file.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; copy or record it again")
        try:
            container = open_for_reading(self._file)
        except PermissionError as error:
            raise InputError(f"{path}: may not be read; change its permissions") from error
        except (av.FFmpegError, OSError) as error:
            raise InputError(
                f"{path}: not a video or image that FFmpeg can read, or cut off before its index was written; "
                "check it in a player, and copy or record it again"
            ) from error
        with container:
            yield container, _picture_stream(path, container)


def _picture_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    streams = picture_streams(container)
    if container.format.name == "tty":
        raise InputError(f"{path}: this is text, not a video; give a video file")
    if not streams and container.streams.audio:
        raise InputError(f"{path}: has sound but no pictures; give a video file")
    if not streams:
        raise InputError(f"{path}: has no pictures in it; give a video file")
    if streams[0].codec_context is None:
        raise InputError(f"{path}: its codec is unknown to this FFmpeg; convert it to H.264 first")
    return streams[0]


def _stream_choice(container: av.container.InputContainer) -> str:
    """Return a line that says which of several streams is read; empty where there is only one."""
    streams = picture_streams(container)
    if len(streams) < 2:
        return ""
    size = f"{streams[0].width} × {streams[0].height}"
    return f"holds {len(streams)} videos; stream {streams[0].index} ({size}) is read, which players show first"


def _declared_rate(stream: av.VideoStream) -> Fraction:
    """Return frames per second. Without time stamps FFmpeg assumes 25, but the codec may know the rate."""
    rate = stream.average_rate if stream.start_time is not None else stream.guessed_rate
    return _exact(rate or stream.average_rate or stream.guessed_rate or stream.base_rate or FOLDER_RATE)


def _usual(rate: Fraction) -> bool:
    return _USUAL_RATES[0] <= rate <= _USUAL_RATES[1]


def _measured_rate(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """Return frames per second by the median distance of the first time stamps; None if there are too few.

    This moves the container's position.
    """
    stamps: set[int] = set()
    try:
        for packet in container.demux(stream):
            if packet.pts is not None:
                stamps.add(packet.pts)
            if len(stamps) == _MEASURED_PACKETS:
                break
    except av.FFmpegError:
        pass
    order = sorted(stamps)
    steps = sorted(after - before for before, after in pairwise(order))
    if not steps or not stream.time_base:
        return None
    return _exact(1 / (steps[len(steps) // 2] * stream.time_base))


def _duration_s(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """Return the picture stream's own duration; the container's may be longer because of its sound."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if container.duration and len(container.streams) == 1 and container.format.name in _EXACT_SEEK:
        return Fraction(container.duration, av.time_base)
    hours, _, rest = (stream.metadata.get("DURATION") or "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None


def _exact(rate: Fraction) -> Fraction:
    """Return n or 1000 n / 1001 if `rate` is that up to the rounding of a container that stores nanoseconds."""
    for meant in (Fraction(round(rate)), Fraction(1000 * round(rate * 1001 / 1000), 1001)):
        if abs(rate - meant) < rate * _RATE_ROUNDING:
            return meant
    return rate


def _rounded(duration: Fraction | None, rate: Fraction) -> int | None:
    return None if duration is None else max(round(duration * rate), 1)


def _converted(to_rgb: ToRGB, frame: av.VideoFrame, orientation: Orientation) -> np.ndarray:
    try:
        return to_rgb(frame, orientation)
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableFrame(f"pixel format {frame.format.name} cannot be converted to RGB") from error

"""Time stamps of the output: the source's own, counted from a new zero, on a time base that holds them exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av

from dvd.types import VideoInfo

_FINEST = 1 << 24
"""Ticks a second at most, where a finer time base is made."""


@dataclass(frozen=True)
class SourceTimes:
    """What the source's container says: when it starts, when its pictures start and end, and their pixels' shape."""

    start: Fraction
    video_start: Fraction
    video_end: Fraction | None
    pixel_aspect: Fraction | None


def read_source_times(info: VideoInfo) -> SourceTimes | None:
    """Of a video file; None for images and folders, or if it cannot be read again."""
    if info.is_image or not info.path.is_file():
        return None
    try:
        with av.open(str(info.path), metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            base = stream.time_base or info.time_base
            video_start = (stream.start_time or 0) * base
            start = video_start if container.start_time is None else Fraction(container.start_time, av.time_base)
            aspect = stream.sample_aspect_ratio or None
            if aspect and (stream.width, stream.height) == (info.height, info.width) != (info.width, info.height):
                aspect = 1 / aspect
            end = video_start + stream.duration * base if stream.duration else None
            if start > video_start - Fraction(1, av.time_base):
                start = video_start
            return SourceTimes(start, video_start, end, aspect)
    except (av.FFmpegError, OSError, IndexError):
        return None


class Clock:
    """Source time stamps → ticks of the output's `time_base`.

    Zero is the start of the source (its earliest stream, so that pictures and sound keep their distance), or the first
    frame where the source's beginning was trimmed off.

    A time base too coarse for the frame rate (Matroska's milliseconds for 23.976) cannot hold even steps. If the first
    frames lie on an even grid within its rounding, those that do are put on the grid itself, so 24000/1001 stays
    24000/1001; all other time stamps stay as they are.
    """

    def __init__(self, info: VideoInfo, first: Sequence[int], times: SourceTimes | None) -> None:
        """`first`: the time stamps of the first frames."""
        self._base = info.time_base
        self._rate = info.frame_rate
        begin = first[0] * info.time_base
        frame = 1 / info.frame_rate
        trimmed = times is None or begin > times.video_start + frame / 2
        self.zero = begin if times is None or trimmed else times.start
        """Seconds of the source at the output's zero."""
        self.whole_start = not trimmed
        self._begin = begin
        self._even = self._is_even(first)
        ticks = math.lcm(self._base.denominator, self._rate.numerator)
        if self._even and ticks > _FINEST:
            self._even = False
        self.time_base = Fraction(1, ticks if self._even else self._base.denominator)
        self.nominal = max(round(frame / self.time_base), 1)
        """Ticks between frames at the nominal rate."""

    def ticks(self, pts: int) -> int:
        """A source time stamp on the output's time base."""
        seconds = pts * self._base
        if self._even and (step := self._step(pts)) is not None:
            seconds = self._begin + step / self._rate
        return round((seconds - self.zero) / self.time_base)

    def _is_even(self, first: Sequence[int]) -> bool:
        too_coarse = (1 / (self._rate * self._base)).denominator != 1
        steps = [self._step(pts) for pts in first]
        return too_coarse and len(first) > 1 and steps == list(range(len(first)))

    def _step(self, pts: int) -> int | None:
        """Which point of the even grid `pts` was rounded from; None if it is not one."""
        seconds = pts * self._base - self._begin
        step = round(seconds * self._rate)
        return step if abs(step / self._rate - seconds) <= self._base else None

"""Time stamps of the output: the source's own, counted from a new zero, on a time base that holds them exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from dvd.types import MediaFile, VideoInfo

_FINEST = 1 << 24
"""Ticks a second at most, where a finer time base is made."""


class Clock:
    """Source time stamps → ticks of the output's `time_base`.

    Zero is the start of the source (its earliest stream, so that pictures and sound keep their distance), or the first
    frame where the source's beginning was trimmed off.

    A time base too coarse for the frame rate (Matroska's milliseconds for 23.976) cannot hold even steps. If the first
    frames lie on an even grid within its rounding, those that do are put on the grid itself, so 24000/1001 stays
    24000/1001; all other time stamps stay as they are.
    """

    def __init__(self, info: VideoInfo, first: Sequence[int]) -> None:
        """`first`: the time stamps of the first frames."""
        self._info = info
        self._base = info.time_base
        self._rate = info.frame_rate
        begin = first[0] * info.time_base
        frame = 1 / info.frame_rate
        self.whole_start = info.media is not None and self._begins_with(begin, frame, info.media)
        self.zero = info.media.start if info.media and self.whole_start else begin
        """Seconds of the source at the output's zero."""
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

    def last_ticks(self, pts: int) -> int:
        """How long the last picture, which is shown at the source's `pts`, stays; as the source says where it does."""
        timeline = self._info.timeline
        if timeline.last != pts or not timeline.last_duration:
            return self.nominal
        seconds = timeline.last_duration * self._base
        rounded = abs(seconds - 1 / self._rate) <= self._base
        return self.nominal if rounded else max(round(seconds / self.time_base), 1)

    def ends_with(self, pts: int) -> bool:
        """Whether the frame shown at the source's `pts` is its last."""
        return self._info.timeline.ended and self._info.timeline.last == pts

    def _begins_with(self, begin: Fraction, frame: Fraction, media: MediaFile) -> bool:
        """Whether a video whose first frame is shown at `begin` has its source's whole beginning."""
        late = begin - media.video_start
        return late <= (frame / 2 if self._info.timeline.trimmed else media.longest_gap)

    def _is_even(self, first: Sequence[int]) -> bool:
        too_coarse = (1 / (self._rate * self._base)).denominator != 1
        steps = [self._step(pts) for pts in first]
        return too_coarse and len(first) > 1 and steps == list(range(len(first)))

    def _step(self, pts: int) -> int | None:
        """Which point of the even grid `pts` was rounded from; None if it is not one."""
        seconds = pts * self._base - self._begin
        step = round(seconds * self._rate)
        return step if abs(step / self._rate - seconds) <= self._base else None

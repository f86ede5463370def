"""When pictures are shown and sound is heard: the source's own times, counted from the output's zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from dvd.types import ClockJump, MediaFile, VideoInfo

_FINEST = 1 << 24
"""Ticks a second at most, where a finer time base is made."""

_GAP_S = Fraction(1, 20)
"""A distance between packets above which there may be a joint."""
_BACK_S = Fraction(1)
"""A step back above which there is a joint, known or not."""
_PATIENCE_S = 5
"""How far the pictures may go on while the sound waits for their jump."""
_LEAP_S = 10
"""A step forward above which there is a joint, once the pictures have ended."""


class Clock:
    """Turns source time stamps into ticks of the output's `time_base`, which holds them exactly.

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
        """Return a source time stamp on the output's time base."""
        seconds = pts * self._base
        if self._even and (step := self._step(pts)) is not None:
            seconds = self._begin + step / self._rate
        return round((seconds - self.zero) / self.time_base)

    def last_ticks(self, pts: int) -> int:
        """Return how long the last picture, at the source's `pts`, is shown: as the source says, or one frame."""
        timeline = self._info.timeline
        if timeline.last != pts or not timeline.last_duration:
            return self.nominal
        seconds = timeline.last_duration * self._base
        rounded = abs(seconds - 1 / self._rate) <= self._base
        return self.nominal if rounded else max(round(seconds / self.time_base), 1)

    def ends_with(self, pts: int) -> bool:
        """Return whether the frame shown at the source's `pts` is the source's last."""
        return self._info.timeline.ended and self._info.timeline.last == pts

    def _begins_with(self, begin: Fraction, frame: Fraction, media: MediaFile) -> bool:
        """Return whether a video whose first frame is shown at `begin` has the whole beginning of its source."""
        late = begin - media.video_start
        return late <= (frame / 2 if self._info.timeline.trimmed else media.longest_gap)

    def _is_even(self, first: Sequence[int]) -> bool:
        too_coarse = (1 / (self._rate * self._base)).denominator != 1
        steps = [self._step(pts) for pts in first]
        return too_coarse and len(first) > 1 and steps == list(range(len(first)))

    def _step(self, pts: int) -> int | None:
        """Return the point of the even grid that `pts` was rounded from; None if there is none."""
        seconds = pts * self._base - self._begin
        step = round(seconds * self._rate)
        return step if abs(step / self._rate - seconds) <= self._base else None


class Placement:
    """When sound is heard: its own clock, moved along wherever the clock of the pictures was.

    Where streams were joined, the time stamps of pictures and sound jump at about the same place. The reader of the
    pictures notes each jump; the sound's side of it is found here, so that both are moved by the same amount and stay
    in step. Packets are placed one after another; all times are seconds.
    """

    def __init__(self, jumps: Sequence[ClockJump], time_base: Fraction) -> None:
        """`jumps`: of the pictures, in `time_base`; more may be added while the pictures are read."""
        self._jumps = jumps
        self._base = time_base
        self._used = 0
        self._offset = Fraction(0)
        self._end: Fraction | None = None
        """Where the last packet ends, on the clock of the pictures as shown."""

    def of(self, time: Fraction | None, until: Fraction | None) -> Fraction | None:
        """Return when a packet with the source's time stamp `time` is heard; None if that cannot be known yet.

        A packet without a stamp follows the one before. `until`: how far the pictures are; None after their end.
        """
        if self._end is None:
            return (time or Fraction(0)) + self._offset
        if time is None:
            return self._end
        expected = self._end - self._offset
        while abs(time - expected) > _GAP_S and self._used < len(self._jumps):
            jump = self._jumps[self._used]
            source = jump.source * self._base
            if abs(time - source) >= abs(time - expected):
                break
            self._offset = (jump.shown - jump.source) * self._base
            self._used += 1
            expected = time
        return self._without_joint(time, time - expected, until)

    def passed(self, end: Fraction) -> None:
        """Note that a packet was taken that is heard until `end`."""
        self._end = end

    def _without_joint(self, time: Fraction, step: Fraction, until: Fraction | None) -> Fraction | None:
        """Let sound whose clock alone jumps go on where it was; wait as long as the pictures may fill a gap."""
        assert self._end is not None
        if step < -_BACK_S and until is not None and until < self._end + _PATIENCE_S:
            return None
        if step < -_BACK_S or (until is None and step > _LEAP_S):
            self._offset = self._end - time
        return time + self._offset

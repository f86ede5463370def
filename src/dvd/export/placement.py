"""When sound is to be heard: its own clock, moved along wherever the clock of the pictures was.

Where streams were joined, the stamps of pictures and sound jump at about the same place. The reader of the pictures
notes each jump; here the sound's side of it is found, so that both are moved by the same amount and stay in step.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from dvd.types import ClockJump

_GAP_S = Fraction(1, 20)
"""A distance between packets above which there may be a joint."""

_BACK_S = Fraction(1)
"""A step back above which there is a joint, known or not."""

_PATIENCE_S = 5
"""How far the pictures go on before the sound does not wait for their jump any more."""

_LEAP_S = 10


class Placement:
    """Places packets one after another; all times are seconds."""

    def __init__(self, jumps: Sequence[ClockJump], time_base: Fraction) -> None:
        """`jumps`: of the pictures, in `time_base`; more may be added while the pictures are read."""
        self._jumps = jumps
        self._base = time_base
        self._used = 0
        self._offset = Fraction(0)
        self._end: Fraction | None = None
        """Where the last packet ends, on the clock of the pictures as shown."""

    def of(self, time: Fraction | None, until: Fraction | None) -> Fraction | None:
        """When a packet that the source stamps `time` is heard; None if that cannot be said yet.

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
        """Notes that a packet was taken that is heard until `end`."""
        self._end = end

    def _without_joint(self, time: Fraction, step: Fraction, until: Fraction | None) -> Fraction | None:
        """Sound whose clock alone jumps goes on where it was; a gap is none as long as the pictures may fill it."""
        assert self._end is not None
        if step < -_BACK_S and until is not None and until < self._end + _PATIENCE_S:
            return None
        if step < -_BACK_S or (until is None and step > _LEAP_S):
            self._offset = self._end - time
        return time + self._offset

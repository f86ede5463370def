"""`--start` and `--end`: a frame number or a time each, as one half-open interval."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from dvd.errors import OptionError

Moment: TypeAlias = "int | float | str"

_SECONDS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)s?")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)")


@dataclass(frozen=True)
class Bound:
    """A frame number, or seconds after the first frame; exactly one of the two."""

    frame: int | None = None
    seconds: Fraction | None = None

    def zero(self) -> Bound:
        """The beginning, in this bound's kind."""
        return Bound(frame=0) if self.frame is not None else Bound(seconds=Fraction(0))

    def before(self, other: Bound) -> bool:
        """False if surely not; a frame number and a time cannot be compared without the video."""
        if self.frame is not None and other.frame is not None:
            return self.frame < other.frame
        if self.seconds is not None and other.seconds is not None:
            return self.seconds < other.seconds
        return True

    def reached(self, index: int, seconds: Fraction) -> bool:
        """Whether the frame `index`, shown at `seconds`, lies at or after this bound."""
        if self.frame is not None:
            return index >= self.frame
        return seconds >= (self.seconds or 0)

    def in_frames(self, rate: Fraction) -> Fraction:
        """About which frame this is, at `rate` frames per second."""
        return Fraction(self.frame) if self.frame is not None else (self.seconds or Fraction(0)) * rate


@dataclass(frozen=True)
class Trim:
    """The part [start, end) of a video; None is the video's own end."""

    start: Bound | None = None
    end: Bound | None = None

    @classmethod
    def parse(cls, start: Moment | None, end: Moment | None) -> Trim:
        """Reads both bounds; raises `OptionError` for one it cannot read, and for a start not before the end."""
        first = None if start is None else parse_moment(start, "start")
        last = None if end is None else parse_moment(end, "end")
        if last is not None and not last.zero().before(last):
            raise OptionError(f"--end {end} leaves no frame; give a frame number or a time after 0")
        if last is not None and not (first or last.zero()).before(last):
            raise OptionError(f"--start {start or 0} is not before --end {end}; choose a later end")
        return cls(first, last)

    def count(self, total: int | None, rate: Fraction) -> int | None:
        """How many of `total` frames lie inside, as far as can be said beforehand."""
        if total is None:
            return None
        first = -(-self.start.in_frames(rate) // 1) if self.start else 0
        last = min(-(-self.end.in_frames(rate) // 1), total) if self.end else total
        return max(int(last) - int(first), 0)

    def __str__(self) -> str:
        names = [f"--{name} {_words(bound)}" for name, bound in (("start", self.start), ("end", self.end)) if bound]
        return " ".join(names)


def parse_moment(value: Moment, name: str) -> Bound:
    """`120` or "120" → frame 120; 1.5, "1.5", "12s", "0:12" or "00:01:02.5" → seconds. Raises `OptionError`."""
    text = str(value).strip()
    if text.isdecimal() and not isinstance(value, float):
        return Bound(frame=int(text))
    if match := _SECONDS.fullmatch(text):
        return Bound(seconds=Fraction(match[1]))
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return Bound(seconds=int(hours or 0) * 3600 + int(minutes) * 60 + Fraction(seconds))
    raise OptionError(f"--{name} {value} is no moment; give a frame number (120), seconds (12.5) or a clock (0:12)")


def _words(bound: Bound) -> str:
    return f"frame {bound.frame}" if bound.frame is not None else f"{float(bound.seconds or 0):g} s"

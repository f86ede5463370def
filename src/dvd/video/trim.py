"""`--start` and `--end`, each a frame number or a time, as one half-open interval."""

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
    """Either a frame number or seconds after the first frame."""

    frame: int | None = None
    seconds: Fraction | None = None

    def zero(self) -> Bound:
        """Return the beginning of the video in the same unit as this bound."""
        return Bound(frame=0) if self.frame is not None else Bound(seconds=Fraction(0))

    def before(self, other: Bound) -> bool:
        """Return False if this bound is surely not earlier; a frame number and a time cannot be compared."""
        if self.frame is not None and other.frame is not None:
            return self.frame < other.frame
        if self.seconds is not None and other.seconds is not None:
            return self.seconds < other.seconds
        return True

    def reached(self, index: int, seconds: Fraction) -> bool:
        """Whether frame `index`, shown at `seconds`, is at or after this bound."""
        if self.frame is not None:
            return index >= self.frame
        return seconds >= (self.seconds or 0)

    def in_frames(self, rate: Fraction) -> Fraction:
        """Return the approximate frame number at `rate` frames per second."""
        return Fraction(self.frame) if self.frame is not None else (self.seconds or Fraction(0)) * rate


@dataclass(frozen=True)
class Trim:
    """The part [start, end) of a video; None is the video's own end."""

    start: Bound | None = None
    end: Bound | None = None

    @classmethod
    def parse(cls, start: Moment | None, end: Moment | None) -> Trim:
        """Parse both bounds. Raise `OptionError` for an invalid one and for a start that is not before the end."""
        first = None if start is None else parse_moment(start, "start")
        last = None if end is None else parse_moment(end, "end")
        if last is not None and not last.zero().before(last):
            raise OptionError(f"--end {end} leaves no frame; give a frame number or a time after 0")
        if last is not None and not (first or last.zero()).before(last):
            raise OptionError(f"--start {start or 0} is not before --end {end}; choose a later end")
        return cls(first, last)

    def count(self, total: int | None, rate: Fraction) -> int | None:
        """Return how many of `total` frames are inside, an estimate where a bound is a time."""
        if total is None:
            return None
        first = -(-self.start.in_frames(rate) // 1) if self.start else 0
        last = min(-(-self.end.in_frames(rate) // 1), total) if self.end else total
        return max(int(last) - int(first), 0)

    def __str__(self) -> str:
        parts = [f"--{name} {_words(bound)}" for name, bound in (("start", self.start), ("end", self.end)) if bound]
        return " ".join(parts)


def parse_moment(value: Moment, name: str) -> Bound:
    """Parse 120 or "120" as a frame, 1.5, "1.5", "12s", "0:12" or "00:01:02.5" as seconds. Raise `OptionError`."""
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

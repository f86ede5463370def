"""Plan which frames pass through the network together, over a stream of unknown length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal, TypeVar, get_args

from dvd.arguments import whole
from dvd.errors import OptionError, unknown
from dvd.types import Window

T = TypeVar("T")

FRAMES = "a whole number of frames"

Last = Literal["full", "short"]
"""The last window is moved back to its full length ("full"), or ends where the frames end ("short")."""


def plan(frames: Iterable[T], window: int, overlap: int, last: Last = "full") -> Iterator[tuple[Window, list[T]]]:
    """Group a stream of frames into windows, one every `window - overlap` frames (spec, "Windows and stitching").

    Yield each window with its frames once the start of the next one is known, so at most `2 · window - overlap` frames
    are held. A stream shorter than `window` is one short window; an empty stream has none. Raise OptionError unless
    1 ≤ overlap < window.
    """
    check(window, overlap, last)
    return _plan(iter(frames), window, overlap, last)


def windows(count: int, window: int, overlap: int, last: Last = "full") -> list[Window]:
    """Return the plan for a known number of frames."""
    return [planned for planned, _ in plan(range(count), window, overlap, last)]


def round_window(window: int, time_factor: int) -> int:
    """Return the smallest length of the form `time_factor · n + 1` that is at least `window`."""
    return -(-(window - 1) // time_factor) * time_factor + 1


def choose(window: int | None, overlap: int | None, usual_window: int, usual_overlap: int) -> tuple[int, int]:
    """Return window and overlap in frames, with the usual value for one that is None.

    A usual overlap is at most half the window. Raise OptionError if one is not a whole number, or no plan can be made.
    """
    length = usual_window if window is None else whole("window", window, FRAMES)
    # If the window is too short for any overlap, the message must not blame an overlap that the user did not give.
    shared = max(1, min(usual_overlap, length // 2)) if overlap is None else whole("overlap", overlap, FRAMES)
    check(length, shared)
    return length, shared


def check(window: int, overlap: int, last: str = "full") -> None:
    """Raise OptionError if no plan can be made from these values."""
    if window < 2:
        raise OptionError(f"window is {window} but must be at least 2 frames, so that two windows can share 1")
    if overlap < 1:
        raise OptionError(f"overlap is {overlap} but two windows must share at least 1 frame to be aligned")
    if overlap >= window:
        raise OptionError(
            f"overlap is {overlap} but must be smaller than the window of {window}; "
            "take a smaller overlap or a larger window"
        )
    if last not in get_args(Last):
        raise OptionError(unknown("last window", last, get_args(Last)))


def _plan(frames: Iterator[T], window: int, overlap: int, last: Last) -> Iterator[tuple[Window, list[T]]]:
    step = window - overlap
    # A full last window can only be placed once the end is known; a short one starts where any other would.
    look_ahead = step if last == "full" else 1
    held: list[T] = []
    start = 0
    while True:
        held += islice(frames, window + look_ahead - len(held))
        beyond = len(held) - window
        if beyond <= 0:
            if held:
                yield Window(start, start + len(held)), held
            return
        advance = min(beyond, step) if last == "full" else step
        yield Window(start, start + window, start + advance), held[:window]
        del held[:advance]
        start += advance

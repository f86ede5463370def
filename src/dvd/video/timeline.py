"""Give every frame a time: the source's own where that makes sense, and one that fits between the others elsewhere.

Cameras, capture programs and broadcasts write frames without a stamp, with the same stamp twice, or with stamps that
step back. Where streams were joined, the clock restarts or leaps. Errors must not add up: as soon as the source's clock
makes sense again, frames are shown at its times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from dvd.types import ClockJump, Timeline
from dvd.video.reader import Raw

_PATIENCE = 5
"""The number of frames that may wait for the next stamp that makes sense."""

Timed = tuple[int, Raw]


def timed(
    raws: Iterable[Raw], first: int, step: int, longest_gap: int, timeline: Timeline, jumped: Callable[[int], None]
) -> Iterator[Timed]:
    """Yield frames with strictly increasing times, in the source's time base.

    `first`: the time of a first frame without a stamp; `step`: ticks between frames at the nominal rate;
    `longest_gap`: a longer distance in ticks means that the clock leapt. Every jump is added to `timeline`, and
    `jumped` is called with the index of its frame.
    """
    keeper = _TimeKeeper(first, step, longest_gap, timeline, jumped)
    for raw in raws:
        yield from keeper.push(raw)
    yield from keeper.finish()


class _TimeKeeper:
    def __init__(
        self, first: int, step: int, longest_gap: int, timeline: Timeline, jumped: Callable[[int], None]
    ) -> None:
        self._first = first
        self._step = step
        self._longest_gap = longest_gap
        self._timeline = timeline
        self._jumped = jumped
        self._last: int | None = None
        """The time at which the last frame is shown."""
        self._stamp: int | None = None
        """The source's last stamp that made sense."""
        self._offset = 0
        """Time minus stamp; changes where the clock jumps."""
        self._waiting: list[Raw] = []
        self._count = 0

    def push(self, raw: Raw) -> Iterator[Timed]:
        """Take one frame; yield those whose times are settled now."""
        if self._last is None:
            yield self._show(raw, raw.pts if raw.pts is not None else self._first, raw.pts)
        elif self._fits(raw.pts):
            yield from self._settle(raw)
        elif raw.pts is not None and self._catches_up(raw.pts):
            yield from self._hurry(raw)
        else:
            self._waiting.append(raw)
            if self._clock_is_new():
                yield from self._join_new_clock()
            elif len(self._waiting) > _PATIENCE or raw.pts is None:
                yield from self._guess(1)

    def finish(self) -> Iterator[Timed]:
        """Yield the frames that still wait."""
        yield from self._guess(len(self._waiting))

    def _fits(self, stamp: int | None) -> bool:
        assert self._last is not None
        return stamp is not None and 0 < stamp + self._offset - self._last <= self._longest_gap

    def _catches_up(self, stamp: int) -> bool:
        """Whether the clock continues normally, but guessed times are ahead of it."""
        return self._stamp is not None and self._follows(self._stamp, stamp)

    def _follows(self, before: int, after: int) -> bool:
        return 0 < after - before <= self._longest_gap

    def _clock_is_new(self) -> bool:
        """Whether the waiting frames agree on another clock: two frames after a wide step, more after a narrow one."""
        stamps = [raw.pts for raw in self._waiting if raw.pts is not None]
        if len(stamps) < 2 or stamps[0] == self._stamp:
            return False
        agree = all(self._follows(before, after) for before, after in pairwise(stamps))
        wide = self._stamp is None or not -self._second_ticks() < stamps[0] - self._stamp <= self._longest_gap
        return agree and (wide or len(self._waiting) > _PATIENCE)

    def _second_ticks(self) -> int:
        """Return about one second in ticks, for any usual frame rate."""
        return 25 * self._step

    def _join_new_clock(self) -> Iterator[Timed]:
        """Continue with the new clock, one nominal frame after the last frame shown."""
        assert self._last is not None
        lead = next(index for index, raw in enumerate(self._waiting) if raw.pts is not None)
        yield from self._guess(lead)
        first = self._waiting[0].pts
        assert first is not None
        shown = self._last + self._step
        self._offset = shown - first
        self._timeline.jumps.append(ClockJump(first, shown))
        self._jumped(self._count)
        waiting, self._waiting = self._waiting, []
        for raw in waiting:
            yield from self.push(raw)

    def _settle(self, raw: Raw) -> Iterator[Timed]:
        """Show a frame whose stamp makes sense, and before it the waiting ones, spread evenly."""
        assert raw.pts is not None
        assert self._last is not None
        begin, time = self._last, raw.pts + self._offset
        waiting, self._waiting = self._waiting, []
        for index, earlier in enumerate(waiting, 1):
            even = begin + (time - begin) * index // (len(waiting) + 1)
            yield self._show(earlier, max(even, self._last + 1), None)
        yield self._show(raw, max(time, self._last + 1), raw.pts)

    def _hurry(self, raw: Raw) -> Iterator[Timed]:
        """Show all waiting frames in short steps, until the source's clock has caught up with the guessed times."""
        waiting, self._waiting = self._waiting, []
        for frame in (*waiting, raw):
            assert self._last is not None
            yield self._show(frame, self._last + max(self._step // 4, 1), raw.pts)

    def _guess(self, count: int) -> Iterator[Timed]:
        """Show the first `count` waiting frames at the nominal rate."""
        guessed, self._waiting = self._waiting[:count], self._waiting[count:]
        for raw in guessed:
            assert self._last is not None
            yield self._show(raw, self._last + self._step, None)

    def _show(self, raw: Raw, time: int, stamp: int | None) -> Timed:
        self._last = time
        self._stamp = stamp if stamp is not None else self._stamp
        self._count += 1
        return time, raw

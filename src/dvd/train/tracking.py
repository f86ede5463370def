"""The history of a run on disk, and its progress on the terminal."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dvd.files import replacing

log = logging.getLogger(__name__)

VALIDATION = "val_"
"""Prefix of the names of measures on held-out clips."""


class History:
    """One JSON line per logged step in a file: its step (from 0), its phase and its numbers.

    Names: `rate`, `grad_norm`, `samples_per_s`, validation metrics begin with `val_`, all others are terms of the loss.
    Nothing is touched before the first call, so that processes that do not log may hold one. A line that a killed run
    left half-written is dropped.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._whole = False
        """Whether the last line is known to be whole."""

    def add(self, *, step: int, phase: str, **numbers: float) -> None:
        """Append a line; numbers that are not finite become null. Raise OSError where the disk refuses."""
        if not self._whole:
            self._drop_half_line()
        finite = {name: value if math.isfinite(value) else None for name, value in _floats(numbers).items()}
        line = json.dumps({"step": int(step), "phase": phase, **finite})
        self._whole = False
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self._whole = True

    def rewind(self, phase: str, step: int) -> None:
        """Drop the lines that a resumed run will write again: `phase` from `step` on, and all phases begun after it."""
        lines = read_history(self.path)
        order: dict[str, int] = {}
        for line in lines:
            order.setdefault(line["phase"], len(order))
        own = order.get(phase, len(order))
        kept = [
            line for line in lines if order[line["phase"]] < own or (line["phase"] == phase and line["step"] < step)
        ]
        if len(kept) < len(lines):
            with replacing(self.path) as file:
                file.write("".join(json.dumps(line) + "\n" for line in kept).encode())

    def _drop_half_line(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a history in the order of writing, without damaged ones; empty if the file is missing."""
    path = Path(path)
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and {"step", "phase"} <= line.keys():
            lines.append(line)
    return lines


class Progress:
    """One line that says where a phase is: step, time left, samples per second, smoothed terms of the loss.

    A bar on a terminal; elsewhere a line in the log at the start, every `every_s` seconds and at the end. Nothing is
    shown where `shown` is false (all processes but the first). In `with`, the bar is closed at the end.
    """

    def __init__(
        self,
        total: int,
        phase: str,
        begin: int = 0,
        *,
        shown: bool = True,
        every_s: float = 30.0,
        smoothing: float = 0.95,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total`: steps of the phase; `begin`: steps done before; `smoothing`: weight of the old mean."""
        self.total, self.phase, self.every_s, self.smoothing, self._clock = total, phase, every_s, smoothing, clock
        self.smooth: dict[str, float] = {}
        self._recent: deque[tuple[int, float]] = deque([(begin, clock())], maxlen=100)
        self._shown, self._said = shown, -math.inf
        self._bar: Any = None
        if shown and sys.stderr.isatty():
            from tqdm import tqdm

            look = "{percentage:3.0f}% |{bar:12}| {desc}"
            self._bar = tqdm(total=total, initial=begin, bar_format=look, dynamic_ncols=True, leave=True)

    def note(self, step: int, terms: Mapping[str, float], samples_per_s: float) -> None:
        """Count the step `step` (from 0) as done, with its terms of the loss."""
        done = step + 1
        self._recent.append((done, self._clock()))
        for name, value in terms.items():
            before = self.smooth.get(name, value)
            self.smooth[name] = self.smoothing * before + (1 - self.smoothing) * value
        if self._bar is not None:
            self._bar.set_description_str(self.line(done, samples_per_s), refresh=False)
            self._bar.update(done - self._bar.n)
        elif self._shown and (done >= self.total or self._clock() - self._said >= self.every_s):
            self._said = self._clock()
            # The whole line is the message: a handler that holds back messages of one form must not hold these.
            log.info(self.line(done, samples_per_s))

    def line(self, done: int, samples_per_s: float) -> str:
        """Return the line, the most important first, since narrow terminals cut its end off."""
        terms = "  ".join(f"{name} {value:.4g}" for name, value in self.smooth.items())
        return f"{self.phase} {done}/{self.total}, {self._left(done)}, {samples_per_s:.3g} samples/s  {terms}"

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _left(self, done: int) -> str:
        """Return the time left at the pace of the last steps: a slow start or a validation soon stops counting."""
        (first, since), (last, now) = self._recent[0], self._recent[-1]
        if done >= self.total:
            return "done"
        return f"{duration((now - since) / max(last - first, 1) * (self.total - done))} left"


def duration(seconds: float) -> str:
    """Return seconds in the units that a person would use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"


def _floats(numbers: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in numbers.items()}

"""SIGTERM and SIGHUP stop a command as Ctrl-C does: what is finished is kept, nothing half-written is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Signals that ask a program to stop; each system has some of them."""
ONE_REQUEST_S = 0.5
"""Signals this close together are one request: shells, `timeout` and terminals that close send theirs twice."""
EXIT_STATUS = 128
"""Shells add this to a signal's number: 130 is Ctrl-C, 143 SIGTERM, 129 SIGHUP."""


class Stopped(KeyboardInterrupt):
    """A signal came that asks the program to stop; whatever cleans up after Ctrl-C cleans up after this."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Inside, the first signal of `STOPPING` raises `Stopped` in the main thread, and a later one ends the process.

    A signal that the caller made this process ignore, as `nohup` does, stays ignored. The handlers of before are back
    afterwards. Elsewhere than in the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    request = _Request()
    known = [getattr(signal, name) for name in STOPPING if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    # None is a handler that was not installed from Python; it could not be put back.
    taken = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in taken:
            signal.signal(number, request.come)
        yield
    except Exception:
        if request.number is None:
            raise
        # Some libraries turn a Ctrl-C that meets them, while they are imported for one, into an error of their own.
        raise Stopped(request.number) from None
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


class _Request:
    """The one request to stop: the first signal makes it, a later one loses patience."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._came_s = 0.0
        self._process = os.getpid()

    def come(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker that was forked from here and has nothing to clean up
            os._exit(EXIT_STATUS + number)
        if self.number is None:
            self.number, self._came_s = number, time.monotonic()
            raise Stopped(number)
        if time.monotonic() - self._came_s > ONE_REQUEST_S:
            with suppress(OSError):
                os.write(2, b"dvd: stopped at once; unfinished files may be left\n")
            os._exit(EXIT_STATUS + number)

"""SIGTERM and SIGHUP stop a command like Ctrl-C: finished work is kept, no half-written file is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Signals that ask a program to stop; each operating system has some of them."""
ONE_REQUEST_S = 0.5
"""Signals this close together are one request; shells, `timeout` and closing terminals send theirs twice."""
EXIT_STATUS = 128
"""Shells add this to a signal's number: 130 is Ctrl-C, 143 SIGTERM, 129 SIGHUP."""


class Stopped(KeyboardInterrupt):
    """Raised when a signal asks the program to stop; code that cleans up after Ctrl-C also cleans up after this."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise `Stopped` in the main thread at the first signal of `STOPPING`; a later one ends the process.

    A signal that the caller made this process ignore, as `nohup` does, stays ignored. The earlier handlers are restored
    afterwards. Outside the main thread this changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    request = _Request()
    known = [getattr(signal, name) for name in STOPPING if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    # None is a handler that was not installed from Python, so it could not be restored.
    taken = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in taken:
            signal.signal(number, request.receive)
        yield
    except Exception:
        if request.number is None:
            raise
        # Some libraries turn a Ctrl-C, for example during their import, into an error of their own.
        raise Stopped(request.number) from None
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


class _Request:
    """One request to stop: the first signal makes it, a later one ends the process."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._received_s = 0.0
        self._process = os.getpid()

    def receive(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked worker, which has nothing to clean up
            os._exit(EXIT_STATUS + number)
        if self.number is None:
            self.number, self._received_s = number, time.monotonic()
            raise Stopped(number)
        if time.monotonic() - self._received_s > ONE_REQUEST_S:
            with suppress(OSError):
                os.write(2, b"dvd: stopped at once; unfinished files may be left\n")
            os._exit(EXIT_STATUS + number)

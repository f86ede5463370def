"""The console: the package's log, and below it one progress bar, or lines where there is no terminal."""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

LINE_EVERY_S = 10.0
"""Time between two lines of progress where there is no terminal."""
ALIKE = 3
"""Number of log lines of one kind that are shown; a thousand seams may give a thousand, all of them in the JSON."""


class _Notices(logging.Handler):
    """Write log lines above the bar: notices to stdout, warnings to stderr."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self._seen[record.msg] += 1
        if self._seen[record.msg] > ALIKE + 1:
            return
        shown = self._seen[record.msg] <= ALIKE
        line = self.format(record) if shown else "… and more like this"
        _write(line, sys.stderr if record.levelno >= logging.WARNING else sys.stdout)


def _write(line: str, stream: TextIO) -> None:
    """Write one line above the bar at once, also into a pipe. Raise BrokenPipeError only if stdout's reader is gone."""
    try:
        if bar := sys.modules.get("tqdm"):  # not imported: there is no bar
            bar.tqdm.write(line, file=stream)
        else:
            print(line, file=stream)
        stream.flush()
    except BrokenPipeError:
        if stream is sys.stdout:
            raise
    except OSError:
        pass  # the terminal was closed; finished work is still kept


def escape_what_the_console_lacks() -> None:
    """Print escapes for characters that the console's encoding lacks, such as "→" or letters of a file's name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show_log() -> None:
    """Send the package's log to the terminal, and restart the count of lines of one kind."""
    log = logging.getLogger("dvd")
    log.setLevel(logging.INFO)
    log.handlers = [handler for handler in log.handlers if not isinstance(handler, _Notices)]
    log.addHandler(_Notices())


@contextmanager
def hushed() -> Iterator[None]:
    """Suppress notices and warnings, while reading an input that will be read again and give them then."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def announce(inputs: Sequence[object], model: str) -> None:
    """Print the first line at once, because importing torch and opening a model may take long."""
    subject = inputs[0] if len(inputs) == 1 else f"{len(inputs)} inputs"
    print(f"opening {subject}, loading {model} …", flush=True)


@contextmanager
def progress_bar(name: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Show frames done, frames per second and time left; yield a function that takes the number of frames done so far.

    On a terminal this is a bar, elsewhere a line on stderr every ten seconds. The function's second argument, if given,
    replaces `name`.
    """
    from tqdm import tqdm

    with tqdm(total=total, desc=name, unit="frame", disable=None, leave=False) as bar:
        if bar.disable:
            with _Lines(name, total) as lines:
                yield lines.note
            return

        def show(done: int, now: str = name) -> None:
            if now != name:
                bar.set_description(now, refresh=False)
            bar.update(done - bar.n)

        yield show


class _Lines:
    """Print the progress every `LINE_EVERY_S`, also while the first window is still being computed."""

    def __init__(self, name: str, total: int | None) -> None:
        self._name, self._total = name, total
        self._done = 0
        self._began_s = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._print_lines, name="dvd-progress", daemon=True)

    def note(self, done: int, name: str = "") -> None:
        """Take the number of frames done so far, and a new name if given."""
        self._done, self._name = done, name or self._name

    def __enter__(self) -> _Lines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _print_lines(self) -> None:
        while not self._ended.wait(LINE_EVERY_S):
            try:
                print(self._line(), file=sys.stderr, flush=True)
            except (OSError, ValueError):  # nobody reads stderr any more; continue
                return

    def _line(self) -> str:
        done, total = self._done, self._total
        seconds = time.monotonic() - self._began_s
        of = f" of {total}" if total is not None and total >= done else ""
        line = f"{self._name}: {done}{of} frames" if self._name else f"{done}{of} frames"
        if not done:
            return f"{line} after {seconds:.0f} s, the first are being computed"
        rate = done / seconds
        left = f", {(total - done) / rate:.0f} s left" if of and total is not None else ""
        return f"{line}, {rate:.1f} frames/s{left}"

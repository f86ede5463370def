"""What a person at a terminal sees: the package's log, one progress bar, and the order between the two."""

from __future__ import annotations

import io
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvd.types import VideoInfo


ALIKE = 3
"""So many lines of one kind are shown; a thousand seams may have a thousand doubts, and all stand in the JSON."""


class _Notices(logging.Handler):
    """Writes above the bar: notices to stdout, warnings to stderr."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        self._seen[record.msg] += 1
        if self._seen[record.msg] > ALIKE + 1:
            return
        shown = self._seen[record.msg] <= ALIKE
        line = self.format(record) if shown else "… and more like this"
        tqdm.write(line, file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout)


def show_log() -> None:
    """Lets the package's log through to the terminal, counting anew what was shown.

    Names of files may hold bytes that no encoding of the terminal has; they are shown as escapes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    log = logging.getLogger("dvd")
    log.setLevel(logging.INFO)
    log.handlers = [handler for handler in log.handlers if not isinstance(handler, _Notices)]
    log.addHandler(_Notices())


@contextmanager
def hushed() -> Iterator[None]:
    """Keeps notices and warnings back: for a first look at what will be read again and will then give them."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def progress_bar(info: VideoInfo) -> Iterator[Callable[[int], None]]:
    """Frames done, frames per second and time left, on a terminal; the function given takes the number done so far."""
    from tqdm import tqdm

    with tqdm(total=info.frame_count, desc=info.name, unit="frame", disable=None, leave=False) as bar:

        def show(done: int) -> None:
            bar.update(done - bar.n)

        yield show

"""Copy inputs that can be read only once (standard input, named pipes) to a temporary file.

A video is opened more than once: to probe it, to read its pictures, to read its sound.
"""

from __future__ import annotations

import logging
import os
import select
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dvd.errors import InputError

log = logging.getLogger(__name__)

STANDARD_INPUT = "-"
_NAME = "stdin"
_PATIENCE_S = 10
"""A pipe that stays silent for longer is refused; perhaps nobody will ever write into it."""


class PipeCopy:
    """A temporary copy of an input that can be read only once; deleted with this object, or when Python ends."""

    def __init__(self, source: str | Path) -> None:
        """Read `source` to its end and log that once. Raise `InputError` if it is empty or the disk is full."""
        self.path = Path(_NAME) if _is_standard_input(source) else Path(source)
        """The source's name, for messages and for the names of results."""
        folder = tempfile.mkdtemp(prefix="dvd_")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.file = Path(folder) / f"copy{self.path.suffix}"
        log.info("%s: is read to its end into a temporary file first, because a pipe can be read only once", str(self))
        try:
            self._copy(source)
        except BaseException:
            self._remove()
            raise

    def __str__(self) -> str:
        return "standard input" if self.path == Path(_NAME) else str(self.path)

    def _copy(self, source: str | Path) -> None:
        try:
            with _opened(source) as pipe, self.file.open("wb") as copy:
                shutil.copyfileobj(pipe, copy, 2**20)
        except OSError as error:
            raise InputError(
                f"{self}: cannot be copied into {self.file.parent} ({error.strerror}); free some space there or "
                "choose another temporary folder with TMPDIR"
            ) from error
        if self.file.stat().st_size == 0:
            raise InputError(f"{self}: nothing came out of it; check the command that writes into it")


def readable_again(source: str | Path | PipeCopy) -> str | Path | PipeCopy:
    """Return `source`, or a temporary copy of it where it can be read only once.

    Raise `InputError` at once for sockets and devices, and for a terminal as standard input.
    """
    if isinstance(source, PipeCopy):
        return source
    if _is_standard_input(source):
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("standard input: is a terminal; send a video into it: cat clip.mkv | dvd predict -")
        return PipeCopy(source)
    try:
        mode = os.stat(Path(source).expanduser()).st_mode
    except (OSError, ValueError):
        return source
    if stat.S_ISFIFO(mode):
        return PipeCopy(Path(source).expanduser())
    if stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        kind = "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise InputError(f"{source}: is {kind}, not a file; record it into a file first")
    return source


def _is_standard_input(source: str | Path) -> bool:
    return str(source) == STANDARD_INPUT


@contextmanager
def _opened(source: str | Path) -> Iterator[BinaryIO]:
    if _is_standard_input(source):
        yield sys.stdin.buffer
        return
    # Opening a pipe waits for a writer, unless it is opened so that nothing waits.
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NONBLOCK), "rb") as pipe:
        ready, _, _ = select.select([pipe], [], [], _PATIENCE_S)
        if not ready:
            raise InputError(f"{source}: nobody wrote into this pipe for {_PATIENCE_S} s; start its writer first")
        os.set_blocking(pipe.fileno(), True)
        yield pipe

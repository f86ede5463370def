"""Whether the process that began a file still lives: on every system, and where several machines share a disk."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

CLOCK_SLACK_S = 60.0
"""How far the clocks of a process and of a disk may disagree."""
ABANDONED_S = 24 * 3600.0
"""A file of another machine, whose processes cannot be seen, counts as abandoned after this time without a change."""


def writer_tag() -> str:
    """Text for the end of a temporary name that says who writes it: this machine and this process."""
    return f"{_machine()}.{os.getpid()}"


def is_being_written(path: Path) -> bool:
    """Whether the process whose `writer_tag` ends the name of `path` may still write there.

    A process that began after the last change of `path` is another one with the same number.
    """
    before, _, process = path.name.rpartition(".")
    machine = before.rpartition(".")[2]
    try:
        changed = path.stat().st_mtime
    except OSError:
        return False
    if machine != _machine():
        return time.time() - changed < ABANDONED_S
    started = _started(int(process)) if process.isdigit() else None
    return started is not None and started <= changed + CLOCK_SLACK_S


def _machine() -> str:
    """The machine's name, without the dots that part the fields of a tag."""
    return platform.node().replace(".", "-") or "machine"


def _started(process: int) -> float | None:
    """When a process began, in seconds since 1970; None where there is none that can still write."""
    import psutil

    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else found.create_time()
    except psutil.AccessDenied:
        return 0.0  # It lives, and that is all that may be known.
    except psutil.Error:
        return None

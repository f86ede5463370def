"""Tell whether the process that began a file is alive, on every system and on disks that machines share."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

CLOCK_SLACK_S = 60.0
"""Largest difference between the clocks of a process and of a disk."""
ABANDONED_S = 24 * 3600.0
"""Another machine's processes cannot be seen, so its file counts as abandoned after this time without a change."""


def writer_tag() -> str:
    """Return the end of a temporary name that says who writes the file: this machine and this process."""
    return f"{_machine()}.{os.getpid()}"


def is_being_written(path: Path) -> bool:
    """Return whether the process whose `writer_tag` ends the name of `path` may still write there.

    A process that started after the last change of `path` is another process with the same id.
    """
    before, _, process_id = path.name.rpartition(".")
    machine = before.rpartition(".")[2]
    try:
        changed = path.stat().st_mtime
    except OSError:
        return False
    if machine != _machine():
        return time.time() - changed < ABANDONED_S
    started = _start_time(int(process_id)) if process_id.isdigit() else None
    return started is not None and started <= changed + CLOCK_SLACK_S


def _machine() -> str:
    """Return the machine's name without dots, because dots separate the fields of a tag."""
    return platform.node().replace(".", "-") or "machine"


def _start_time(process_id: int) -> float | None:
    """Return when a process started, in seconds since 1970; None if there is none that can still write."""
    import psutil

    try:
        process = psutil.Process(process_id)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.AccessDenied:
        return 0.0  # It is alive, but belongs to another user, who hides the rest.
    except psutil.Error:
        return None

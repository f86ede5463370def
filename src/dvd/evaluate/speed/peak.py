"""The most memory that a piece of work holds above what was held before it: measured, or said to be unknown.

On Linux the kernel's own high-water mark of resident memory, which a process may set back; on CUDA the allocator's.
Elsewhere nothing can be told, and nothing is.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

PROC = Path("/proc/self")
FORGET_THE_PEAK = "5"
"""What `clear_refs` takes to set VmHWM back to the present size (proc(5), Linux 4.0)."""


@dataclass(frozen=True)
class Peak:
    """Bytes above what was held before, in the machine's memory and in the accelerator's; None where it is unknown."""

    host: int | None = None
    device: int | None = None

    @property
    def shown(self) -> int | None:
        """The accelerator's where the work used it, else the machine's."""
        return self.device or self.host


UNKNOWN = Peak()


def peak_of(work: Callable[[], object], device: torch.device, proc: Path = PROC) -> Peak:
    """Does the work once and tells what it held at most.

    Where the kernel's mark cannot be set back, the work is known only if it went higher than anything before it.
    """
    _give_back()
    reset = _forget_peak(proc)
    before, mark = _status(proc, "VmRSS"), _status(proc, "VmHWM")
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    held = torch.cuda.memory_allocated(device) if cuda else 0
    work()
    on_device = None
    if cuda:
        torch.cuda.synchronize(device)
        on_device = torch.cuda.max_memory_allocated(device) - held
    after = _status(proc, "VmHWM")
    if before is None or mark is None or after is None or not (reset or after > mark):
        return Peak(None, on_device)
    return Peak(max(after - before, 0), on_device)


def _give_back() -> None:
    """Memory that was freed but kept for reuse would hide what the work takes; glibc can be asked to return it."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _forget_peak(proc: Path) -> bool:
    try:
        (proc / "clear_refs").write_text(FORGET_THE_PEAK, encoding="utf-8")
    except OSError:
        return False
    return True


def _status(proc: Path, field: str) -> int | None:
    """Bytes that the kernel tells under this name; None where it does not."""
    try:
        lines = (proc / "status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)

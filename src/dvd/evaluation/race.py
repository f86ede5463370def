"""Time, arithmetic and peak memory of several pieces of work, side by side in one run.

Machines drift while they are measured, so the works take turns and their order rotates. The result is a median with its
spread, the operations that PyTorch counts, the peak of memory, and the conditions.

Peak memory is the kernel's high-water mark of resident memory on Linux, and the allocator's on CUDA; it is unknown
elsewhere.
"""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from dvd.hardware import cpu_name, device_name

K = TypeVar("K", bound=Hashable)

PROC = Path("/proc/self")
RESET_PEAK = "5"
"""Written to `clear_refs`, sets the high-water mark VmHWM back to the present size (proc(5), Linux 4.0)."""


@dataclass(frozen=True)
class Peak:
    """Bytes above those held before, in the machine's memory and in the accelerator's; None where unknown."""

    host: int | None = None
    device: int | None = None

    @property
    def shown(self) -> int | None:
        """The accelerator's bytes if the work used it, else the machine's."""
        return self.device or self.host


@dataclass(frozen=True)
class Timing:
    """Seconds of each repeat of one work; operations (two per multiply-add) and peak memory of one repeat."""

    seconds: tuple[float, ...]
    flops: int
    peak: Peak = Peak()

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance from fastest to slowest, as a fraction of the median."""
        return (max(self.seconds) - min(self.seconds)) / 2 / self.median

    @property
    def gflops(self) -> float:
        """Achieved 10⁹ floating-point operations per second at the median."""
        return self.flops / self.median / 1e9


@torch.inference_mode()
def race(works: Mapping[K, Callable[[], object]], repeats: int, device: torch.device | str = "cpu") -> dict[K, Timing]:
    """Time every work `repeats` times after two warm-ups, in turns whose order rotates, without gradients.

    The operations are counted in the first warm-up and the memory in the second; neither is timed. Raise ValueError
    if `repeats` is less than 1.
    """
    if repeats < 1:
        raise ValueError(f"a race needs at least one repeat, not {repeats}")
    device = torch.device(device)
    flops = {name: count_flops(work) for name, work in works.items()}
    peaks = {name: peak_of(work, device) for name, work in works.items()}
    seconds: dict[K, list[float]] = {name: [] for name in works}
    for turn in range(repeats):
        for name in _rotated(list(works), turn):
            seconds[name].append(_clock(works[name], device))
    return {name: Timing(tuple(seconds[name]), flops[name], peaks[name]) for name in works}


def count_flops(work: Callable[[], object]) -> int:
    """Return the floating-point operations of one call: products, convolutions, attention; two per multiply-add."""
    attention = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        work()
    return counter.get_total_flops()


def peak_of(work: Callable[[], object], device: torch.device, proc: Path = PROC) -> Peak:
    """Do the work once and return its peak memory.

    If the kernel's mark cannot be set back, the peak is known only if the mark rises during the work.
    """
    _release_freed_memory()
    reset = _reset_peak(proc)
    before, mark = _status_bytes(proc, "VmRSS"), _status_bytes(proc, "VmHWM")
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
    after = _status_bytes(proc, "VmHWM")
    if before is None or mark is None or after is None or not (reset or after > mark):
        return Peak(None, on_device)
    return Peak(max(after - before, 0), on_device)


def conditions(device: torch.device | str) -> dict[str, Any]:
    """Return what a timing depends on besides the settings: commit, version, device, processor, threads, load."""
    device = torch.device(device)
    return {
        "commit": commit(),
        "torch": torch.__version__,
        "device": f"{device} ({device_name(device)})",
        "processor": cpu_name(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def commit() -> str:
    """Return the checkout's commit, "-dirty" if files differ from it, or "not a checkout"."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "not a checkout"


def _rotated(names: Sequence[K], turn: int) -> list[K]:
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def _clock(work: Callable[[], object], device: torch.device) -> float:
    _synchronize(device)
    start = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    """Wait until the accelerator, which runs behind Python, has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
    """Count the two batched products of the CPU's fused attention, which PyTorch's own counter leaves out."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[-2] * (width + value[-1])


def _release_freed_memory() -> None:
    """Return freed memory that is kept for reuse, because it would hide what the work takes; glibc can do so."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _reset_peak(proc: Path) -> bool:
    try:
        (proc / "clear_refs").write_text(RESET_PEAK, encoding="utf-8")
    except OSError:
        return False
    return True


def _status_bytes(proc: Path, field: str) -> int | None:
    """Return the bytes in this field of the process's status; None where there is none."""
    try:
        lines = (proc / "status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)

"""Latency, arithmetic and peak memory of several pieces of work, side by side in one run.

Machines drift while they are measured, so the works take turns and their order turns too; what is reported is a median
with its spread, the arithmetic counted by PyTorch, the memory at its peak, and the conditions.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from dvd.evaluate.speed.peak import UNKNOWN, Peak, peak_of
from dvd.hardware import cpu_name, device_name

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Timing:
    """Seconds of each repeat of one work; operations (two per multiply-add) and peak memory of one repeat."""

    seconds: tuple[float, ...]
    flops: int
    peak: Peak = UNKNOWN

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
    """Times every work `repeats` times after two warm-ups, in turns whose order rotates, without gradients.

    The operations are counted in the first warm-up and the memory in the second; neither is timed. Raises ValueError
    where `repeats` is less than 1.
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
    """Floating-point operations of one call: products, convolutions and attention; two per multiply-add."""
    attention = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        work()
    return counter.get_total_flops()


def conditions(device: torch.device | str) -> dict[str, Any]:
    """What a timing depends on besides the code's own settings: commit, versions, processor, threads, load."""
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
    """The checkout's commit, "-dirty" where files differ from it, or "not a checkout"."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "not a checkout"


def _rotated(names: Sequence[K], turn: int) -> list[K]:
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def _clock(work: Callable[[], object], device: torch.device) -> float:
    _finish(device)
    start = time.perf_counter()
    work()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    """An accelerator runs behind Python; waits until it has caught up."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
    """The CPU's fused attention, which PyTorch's own counter leaves out: two batched products."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[-2] * (width + value[-1])

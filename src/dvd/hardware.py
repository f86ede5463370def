"""What this machine can do, and which device and number format follow from it."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dvd.arguments import check_name
from dvd.errors import OptionError

if TYPE_CHECKING:
    import torch

    from dvd.backbones.base import ModelCard

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16")


def device_named(device: str | torch.device) -> str:
    """The name of a device, such as "cuda:1"; imports no torch. OptionError where no device can have that name."""
    name = str(device) if type(device).__name__ == "device" else device
    kind, _, index = name.partition(":") if isinstance(name, str) else ("", "", "")
    numbered = kind == "cuda" and index.isdigit()
    return str(name) if numbered else check_name("device", name, DEVICES)


def dtype_named(dtype: str | torch.dtype) -> str:
    """The name of a number format; imports no torch. OptionError where it is not one of `DTYPES`."""
    name = str(dtype).removeprefix("torch.") if type(dtype).__name__ == "dtype" else dtype
    return check_name("dtype", name, DTYPES)


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The named device ("cuda:1" is one too), or for "auto" the best there is.

    Raises OptionError where the name is unknown or this machine has no such device.
    """
    import torch

    name = device_named(device)
    kind, _, index = name.partition(":")
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        kind = next(device for device in ("cuda", "mps", "cpu") if has[device])
        return torch.device(kind)
    if not has[kind]:
        raise OptionError(f"device '{name}' is not to be had here with torch {torch.__version__}; use auto or cpu")
    if index and int(index) >= torch.cuda.device_count():
        raise OptionError(f"device '{name}' is unknown: this machine has {torch.cuda.device_count()} CUDA devices")
    return torch.device(name)


def choose_dtype(dtype: str | torch.dtype, device: torch.device, card: ModelCard) -> tuple[torch.dtype, str]:
    """The named number format and why it was taken; "auto" is bfloat16 where it is fast and the card allows it.

    Raises OptionError where the name is unknown.
    """
    import torch

    name = dtype_named(dtype)
    if name != "auto":
        return getattr(torch, name), "asked for"
    if not card.bfloat16:
        return torch.float32, f"{card.name} is not known to be good enough in bfloat16"
    if not fast_bfloat16(device):
        return torch.float32, f"{device_name(device)} does not multiply bfloat16 fast"
    return torch.bfloat16, f"{device_name(device)} multiplies bfloat16 fast"


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions that multiply bfloat16, so that it is faster than float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "mps":
        return torch.backends.mps.is_macos_or_newer(14, 0)
    return bool(cpu_flags() & {"avx512_bf16", "amx_bf16"})


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else f"the GPU of {cpu_name()}"


def cpu_name() -> str:
    """The processor's own name where the system tells it."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine() or "this processor"


def cpu_flags() -> frozenset[str]:
    """The processor's instruction sets as Linux names them; empty elsewhere."""
    return frozenset(_cpuinfo().get("flags", "").split())


def available_memory(device: torch.device) -> int | None:
    """Bytes that can be had now: free memory of the GPU, or of this machine within its container; None if untold."""
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    limits = [value for value in (_machine_memory(), _container_memory()) if value is not None]
    return min(limits) if limits else None


def _machine_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None
    except OSError:
        pages = {"SC_PHYS_PAGES", "SC_PAGE_SIZE"} <= set(getattr(os, "sysconf_names", ()))
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if pages else None


def _container_memory(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What the control group (version 2, then 1) leaves; its page cache can be given back, so it does not count."""
    for limit, used, cache_key in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = (root / limit).read_text().strip(), int((root / used).read_text())
            stat = dict(line.split() for line in ((root / used).parent / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        return None if most == "max" else max(int(most) - now + int(stat.get(cache_key, 0)), 0)
    return None


@cache
def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}

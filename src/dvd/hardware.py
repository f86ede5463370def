"""Find out what this machine can do, and choose device and dtype accordingly."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dvd.arguments import check_name
from dvd.errors import OptionError
from dvd.names import DEVICES, DTYPES

if TYPE_CHECKING:
    import torch

    from dvd.backbones.base import ModelCard

FAST_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})
"""Instruction sets of x86 with which torch was measured to be faster in bfloat16 than in float32."""
UNMEASURED_BFLOAT16 = frozenset({"bf16", "svebf16", "sve_bf16"})
"""Instruction sets of Arm: torch has fast matrix products for them, but not every 3D convolution; not timed yet."""
LINUX_NAMES = {"avx512_f": "avx512f", "neon": "asimd"}
"""Torch's names of instruction sets → Linux's, where they differ."""

CGROUP_MOUNT = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")
CGROUP_2 = ("memory.max", "memory.current", "inactive_file")
CGROUP_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
"""Files with the limit and the use of a control group in bytes, and the line of its `memory.stat` for page cache."""
NO_LIMIT = 2**60
"""Version 1 writes about 2⁶³ where there is no limit."""


def device_named(device: str | torch.device) -> str:
    """Return the name of a device, such as "cuda:1", without torch; raise OptionError if no device has such a name."""
    name = str(device) if type(device).__name__ == "device" else device
    kind, _, index = name.partition(":") if isinstance(name, str) else ("", "", "")
    numbered = kind == "cuda" and index.isdigit()
    return str(name) if numbered else check_name("device", name, DEVICES)


def dtype_named(dtype: str | torch.dtype) -> str:
    """Return the name of a dtype, without torch; raise OptionError unless it is one of `DTYPES`."""
    name = str(dtype).removeprefix("torch.") if type(dtype).__name__ == "dtype" else dtype
    return check_name("dtype", name, DTYPES)


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """Return the named device, such as "cuda:1", or for "auto" the best one.

    Raise OptionError if the name is unknown or this machine has no such device.
    """
    import torch

    name = device_named(device)
    kind, _, index = name.partition(":")
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        kind = next(device for device in ("cuda", "mps", "cpu") if has[device])
        return torch.device(kind)
    if not has[kind]:
        raise OptionError(f"device '{name}' is not available here with torch {torch.__version__}; use auto or cpu")
    if index and int(index) >= torch.cuda.device_count():
        raise OptionError(f"device '{name}' is unknown: this machine has {torch.cuda.device_count()} CUDA devices")
    return torch.device(name)


def choose_dtype(dtype: str | torch.dtype, device: torch.device, card: ModelCard) -> tuple[torch.dtype, str]:
    """Return the named dtype and the reason for it; "auto" is bfloat16 if it is fast and the card allows it.

    Raise OptionError if the name is unknown.
    """
    import torch

    name = dtype_named(dtype)
    if name != "auto":
        return getattr(torch, name), "asked for"
    if not card.bfloat16:
        return torch.float32, f"{card.name} is not known to be good enough in bfloat16"
    fast = fast_bfloat16(device)
    if fast is None:
        return (
            torch.float32,
            f"it is not known whether {device_name(device)} multiplies bfloat16 fast, which can be tried",
        )
    if not fast:
        return torch.float32, f"{device_name(device)} does not multiply bfloat16 fast"
    return torch.bfloat16, f"{device_name(device)} multiplies bfloat16 fast"


def fast_bfloat16(device: torch.device) -> bool | None:
    """Return whether the device computes faster in bfloat16 than in float32; None if unknown."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "mps":
        return torch.backends.mps.is_macos_or_newer(14, 0)
    flags = cpu_flags()
    if flags is None or flags & UNMEASURED_BFLOAT16:
        return None
    return bool(flags & FAST_BFLOAT16)


def device_name(device: torch.device) -> str:
    """Return the device's own name."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else f"the GPU of {cpu_name()}"


def cpu_name() -> str:
    """Return the processor's own name if the system or torch knows it, else a general one."""
    known = _cpuinfo().get("model name") or _torch_capabilities().get("cpu_name")
    return known or platform.processor() or platform.machine() or "this processor"


def cpu_flags() -> frozenset[str] | None:
    """Return the processor's instruction sets by Linux's names; None if neither Linux nor torch lists them."""
    listed = _cpuinfo().get("flags") or _cpuinfo().get("Features")  # on x86, on Arm
    if listed:
        return frozenset(listed.split())
    known = {LINUX_NAMES.get(name, name): has for name, has in _torch_capabilities().items() if isinstance(has, bool)}
    return frozenset(name for name, has in known.items() if has) if known else None


def available_memory(device: torch.device) -> int | None:
    """Return the free bytes of a CUDA device, or of this machine within its container; None if unknown.

    Apple's GPU shares the memory of the machine.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    limits = [value for value in (_machine_memory(), _container_memory()) if value is not None]
    return min(limits) if limits else None


def _machine_memory() -> int | None:
    """Return the bytes that programs can get without swapping."""
    import psutil

    try:
        return psutil.virtual_memory().available
    except (OSError, RuntimeError, psutil.Error):
        return None


def _container_memory(mount: Path = CGROUP_MOUNT, own: Path = OWN_CGROUP) -> int | None:
    """Return the bytes that the tightest control group around this process leaves; None without a limit."""
    left = [_bytes_left(folder, files) for folder, files in _control_groups(mount, own)]
    return min((value for value in left if value is not None), default=None)


def _control_groups(mount: Path, own: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Yield the folders of this process's group and all groups around it, in versions 2 and 1, with their files.

    Inside a container the group's path may be the host's, of which only the root is visible.
    """
    try:
        lines = [line.split(":", 2) for line in _text(own).splitlines()]
    except OSError:
        lines = []
    groups = [(mount, "/", CGROUP_2), (mount / "memory", "/", CGROUP_1)]
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if not controllers:
            groups.append((mount, path, CGROUP_2))
        elif "memory" in controllers.split(","):
            groups.append((mount / "memory", path, CGROUP_1))
    for base, path, files in groups:
        inner = PurePosixPath(path.strip("/"))
        for group in (inner, *inner.parents):
            yield base / group, files


def _bytes_left(folder: Path, files: tuple[str, str, str]) -> int | None:
    """Return the bytes left in one control group; its page cache can be freed and does not count as used."""
    limit, used, cache_key = files
    try:
        most, now = (_text(folder / name).strip() for name in (limit, used))
        stat = dict(line.split() for line in _text(folder / "memory.stat").splitlines())
        if most == "max" or int(most) >= NO_LIMIT:
            return None
        return max(int(most) - int(now) + int(stat.get(cache_key, 0)), 0)
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@cache
def _cpuinfo() -> Mapping[str, str]:
    """Return the fields of Linux's `/proc/cpuinfo`; empty elsewhere."""
    try:
        lines = _text(Path("/proc/cpuinfo")).splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


@cache
def _torch_capabilities() -> Mapping[str, Any]:
    """Return torch's description of the processor, on every system; empty before torch 2.10."""
    import torch

    describe = getattr(torch.cpu, "get_capabilities", None)
    return describe() if describe else {}

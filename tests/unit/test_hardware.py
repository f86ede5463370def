"""Devices and number formats are chosen by what the machine has, and unknown ones are named."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from dvd import hardware
from dvd.backbones.base import ModelCard
from dvd.errors import OptionError

CPU = torch.device("cpu")


def test_a_named_device_is_chosen() -> None:
    assert hardware.choose_device("cpu") == CPU


def test_auto_prefers_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert hardware.choose_device() == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert hardware.choose_device().type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hardware.choose_device().type == "cuda"


def test_a_numbered_gpu_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert hardware.choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(OptionError, match="2 CUDA devices"):
        hardware.choose_device("cuda:2")


@pytest.mark.parametrize("name", ["cudda", "cpu:0", "cuda:x", "gpu", ""])
def test_an_unknown_device_is_refused_by_name(name: str) -> None:
    with pytest.raises(OptionError, match=f"unknown device '{name}'"):
        hardware.choose_device(name)


@pytest.mark.parametrize(
    ("choose", "name", "offer"),
    [
        (hardware.device_named, "gpu", "cuda or auto"),
        (hardware.device_named, "GPU:0", "cuda or auto"),
        (hardware.device_named, "metal", "mps or auto"),
        (hardware.device_named, "CPU", "cpu"),
        (hardware.dtype_named, "half", "float16 or bfloat16"),
        (hardware.dtype_named, "fp16", "float16 or bfloat16"),
        (hardware.dtype_named, "bf16", "bfloat16"),
        (hardware.dtype_named, "fp32", "float32"),
        (hardware.dtype_named, "Float32", "float32"),
    ],
)
def test_a_name_used_elsewhere_is_answered_with_ours(choose: Callable[[str], str], name: str, offer: str) -> None:
    with pytest.raises(OptionError, match=f"unknown (device|dtype) '{name}'; did you mean {offer}"):
        choose(name)


def test_devices_and_dtypes_of_torch_are_accepted() -> None:
    assert hardware.choose_device(CPU) == CPU
    assert hardware.choose_dtype(torch.float16, CPU, ModelCard("tiny", "none")) == (torch.float16, "asked for")
    assert hardware.device_named(torch.device("cuda", 1)) == "cuda:1"


def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OptionError, match="use auto or cpu"):
        hardware.choose_device("cuda")


@pytest.mark.parametrize(
    ("flags", "card_allows", "dtype", "reason"),
    [
        ({"avx512_bf16"}, True, torch.bfloat16, "multiplies bfloat16 fast"),
        ({"amx_bf16"}, True, torch.bfloat16, "multiplies bfloat16 fast"),
        ({"avx2"}, True, torch.float32, "does not multiply"),
        ({"asimd", "bf16"}, True, torch.float32, "it is not known whether"),
        ({"asimd", "sve", "svebf16"}, True, torch.float32, "it is not known whether"),
        ({"asimd"}, True, torch.float32, "does not multiply"),
        (None, True, torch.float32, "it is not known whether"),
        ({"avx512_bf16"}, False, torch.float32, "tiny is not known"),
    ],
)
def test_auto_dtype_follows_processor_and_card(
    monkeypatch: pytest.MonkeyPatch, flags: set[str] | None, card_allows: bool, dtype: torch.dtype, reason: str
) -> None:
    monkeypatch.setattr(hardware, "cpu_flags", lambda: None if flags is None else frozenset(flags))
    chosen, given_reason = hardware.choose_dtype("auto", CPU, ModelCard("tiny", "none", bfloat16=card_allows))
    assert chosen == dtype
    assert reason in given_reason


def test_a_named_dtype_is_chosen_and_an_unknown_one_refused() -> None:
    card = ModelCard("tiny", "none")
    assert hardware.choose_dtype("float16", CPU, card) == (torch.float16, "asked for")
    with pytest.raises(OptionError, match="did you mean"):
        hardware.choose_dtype("float23", CPU, card)


def test_this_machine_has_memory_and_a_name() -> None:
    memory = hardware.available_memory(CPU)
    assert memory is None or memory > 2**20
    assert hardware.cpu_name()
    assert hardware.device_name(CPU) == hardware.cpu_name()


# Other systems, simulated


def processor(monkeypatch: pytest.MonkeyPatch, cpuinfo: dict[str, str], torchs: dict[str, object]) -> None:
    monkeypatch.setattr(hardware, "_cpuinfo", lambda: cpuinfo)
    monkeypatch.setattr(hardware, "_torch_capabilities", lambda: torchs)


def test_linux_on_arm_lists_its_instruction_sets_as_features(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, {"Features": "fp asimd bf16", "CPU implementer": "0x41"}, {})
    assert hardware.cpu_flags() == {"fp", "asimd", "bf16"}
    assert hardware.fast_bfloat16(CPU) is None


def test_torch_names_processor_and_instruction_sets_outside_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = {"architecture": "x86_64", "cpu_name": "Xeon", "avx2": True, "avx512_f": True, "avx512_bf16": True}
    processor(monkeypatch, {}, {**windows, "amx_bf16": False, "l2_cache_size": 2**20})
    assert hardware.cpu_flags() == {"avx2", "avx512f", "avx512_bf16"}
    assert hardware.fast_bfloat16(CPU) is True
    assert hardware.cpu_name() == "Xeon"
    processor(monkeypatch, {}, {"architecture": "aarch64", "cpu_name": "Apple M1", "neon": True, "bf16": False})
    assert hardware.cpu_flags() == {"asimd"}
    assert hardware.fast_bfloat16(CPU) is False


def test_instruction_sets_are_unknown_if_nothing_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, {}, {})
    assert hardware.cpu_flags() is None
    assert hardware.fast_bfloat16(CPU) is None
    assert hardware.cpu_name()


def test_doctor_tells_unknown_from_no(monkeypatch: pytest.MonkeyPatch) -> None:
    from dvd.apps.doctor import _processor

    processor(monkeypatch, {}, {})
    assert _processor().endswith("vector instructions unknown; unknown whether it multiplies bfloat16 fast")
    processor(monkeypatch, {"flags": "sse2"}, {})
    assert _processor().endswith("none of the vector instructions that matter; does not multiply bfloat16 fast")
    processor(monkeypatch, {"Features": "asimd sve bf16"}, {})
    assert _processor().endswith("asimd, sve, bf16; unknown whether it multiplies bfloat16 fast")


def test_torch_describes_this_processor_unless_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    hardware._torch_capabilities.cache_clear()
    assert "architecture" in hardware._torch_capabilities() or not hasattr(torch.cpu, "get_capabilities")
    hardware._torch_capabilities.cache_clear()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert hardware._torch_capabilities() == {}
    hardware._torch_capabilities.cache_clear()


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_free_memory_is_the_available_and_not_the_total(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16_000, available=5_000))
    monkeypatch.setattr(hardware, "_container_memory", lambda: None)
    assert hardware.available_memory(torch.device(device)) == 5_000
    monkeypatch.setattr(hardware, "_container_memory", lambda: 3_000)
    assert hardware.available_memory(torch.device(device)) == 3_000


def test_free_memory_is_unknown_without_proc_meminfo(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden() -> None:
        raise FileNotFoundError("/proc/meminfo")

    monkeypatch.setattr(psutil, "virtual_memory", hidden)
    monkeypatch.setattr(hardware, "_container_memory", lambda: None)
    assert hardware.available_memory(CPU) is None


# Containers

FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
NONE = Path("/does/not/exist")


def control_group(folder: Path, version: int, limit: int | str, used: int, cache: int = 0) -> None:
    limit_file, used_file, cache_key = FILES[version]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / used_file).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - cache}\n{cache_key} {cache}\n")


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_has_at_most_its_limit(tmp_path: Path, version: int) -> None:
    control_group(tmp_path / "memory" if version == 1 else tmp_path, version, 1000, 700, 100)
    assert hardware._container_memory(tmp_path, NONE) == 400


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_of_nested_groups_counts(tmp_path: Path, version: int) -> None:
    mount = tmp_path / "memory" if version == 1 else tmp_path
    own = tmp_path / "own"
    own.write_text("5:cpu,memory:/user/session\n" if version == 1 else "0::/user/session\n")
    control_group(mount / "user" / "session", version, "max" if version == 2 else 2**63 - 4096, 100)
    control_group(mount / "user", version, 1000, 300)
    control_group(mount, version, 5000, 400)
    assert hardware._container_memory(tmp_path, own) == 700
    control_group(mount / "user" / "session", version, 500, 450, 50)
    assert hardware._container_memory(tmp_path, own) == 100


def test_the_root_is_read_if_only_the_host_sees_the_group(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("4:memory:/docker/0123\n0::/../other\nnonsense\n")
    control_group(tmp_path / "memory", 1, 1000, 900)
    assert hardware._container_memory(tmp_path, tmp_path / "own") == 100


def test_a_group_without_limit_is_ignored(tmp_path: Path) -> None:
    assert hardware._container_memory(tmp_path, NONE) is None
    control_group(tmp_path, 2, "max", 700)
    control_group(tmp_path / "memory", 1, 2**63 - 4096, 700)
    assert hardware._container_memory(tmp_path, NONE) is None

"""Devices and number formats are chosen by what the machine has, and unknown ones are named."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dvd import hardware
from dvd.backbones.base import ModelCard
from dvd.errors import OptionError

CPU = torch.device("cpu")


def test_a_named_device_is_taken() -> None:
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
def test_an_unknown_device_is_named(name: str) -> None:
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
def test_a_name_from_elsewhere_is_answered_with_ours(choose: Callable[[str], str], name: str, offer: str) -> None:
    with pytest.raises(OptionError, match=f"unknown (device|dtype) '{name}'; did you mean {offer}"):
        choose(name)


def test_torchs_own_objects_are_taken() -> None:
    assert hardware.choose_device(CPU) == CPU
    assert hardware.choose_dtype(torch.float16, CPU, ModelCard("tiny", "none")) == (torch.float16, "asked for")
    assert hardware.device_named(torch.device("cuda", 1)) == "cuda:1"


def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OptionError, match="use auto or cpu"):
        hardware.choose_device("cuda")


@pytest.mark.parametrize(
    ("flags", "allowed", "dtype", "reason"),
    [
        ({"avx512_bf16"}, True, torch.bfloat16, "multiplies bfloat16 fast"),
        ({"amx_bf16"}, True, torch.bfloat16, "multiplies bfloat16 fast"),
        ({"avx2"}, True, torch.float32, "does not multiply"),
        ({"avx512_bf16"}, False, torch.float32, "tiny is not known"),
    ],
)
def test_auto_dtype_follows_processor_and_card(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], allowed: bool, dtype: torch.dtype, reason: str
) -> None:
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset(flags))
    chosen, why = hardware.choose_dtype("auto", CPU, ModelCard("tiny", "none", bfloat16=allowed))
    assert chosen == dtype
    assert reason in why


def test_a_named_dtype_is_taken_and_an_unknown_one_named() -> None:
    card = ModelCard("tiny", "none")
    assert hardware.choose_dtype("float16", CPU, card) == (torch.float16, "asked for")
    with pytest.raises(OptionError, match="did you mean"):
        hardware.choose_dtype("float23", CPU, card)


def test_memory_and_name_are_told() -> None:
    memory = hardware.available_memory(CPU)
    assert memory is None or memory > 2**20
    assert hardware.cpu_name()
    assert hardware.device_name(CPU) == hardware.cpu_name()


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_has_no_more_than_its_limit(tmp_path: Path, version: int) -> None:
    limit, used, cache = {
        1: ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
        2: ("memory.max", "memory.current", "inactive_file"),
    }[version]
    (tmp_path / limit).parent.mkdir(exist_ok=True)
    (tmp_path / limit).write_text("1000\n")
    (tmp_path / used).write_text("700\n")
    (tmp_path / used).with_name("memory.stat").write_text(f"anon 600\n{cache} 100\n")
    assert hardware._container_memory(tmp_path) == 400


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    assert hardware._container_memory(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("inactive_file 1\n")
    assert hardware._container_memory(tmp_path) is None

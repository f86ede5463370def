"""`dvd convert` changes a checkpoint's layout and not what it computes."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.apps.cli import main
from dvd.backbones import registry
from dvd.backbones.wan.backbone import WanBackbone

pytestmark = pytest.mark.slow  # PEFT takes seconds to import

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def keys(path: Path) -> set[str]:
    with safe_open(str(path), "pt") as file:
        return set(file.keys())


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["release", "default", "merged"])
def test_every_layout_computes_the_same(layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = GOLDEN / "dvd_tiny.safetensors", tmp_path / "out.safetensors"
    shutil.copy(GOLDEN / "config.json", tmp_path)  # a width of 96 does not tell the number of heads
    assert main(["convert", str(source), str(target), "--layout", layout]) == 0
    assert f"layout {layout}" in capsys.readouterr().out
    lora = [key for key in keys(target) if ".lora_A." in key]
    assert len(lora) == {"release": 20, "default": 16, "merged": 0}[layout]
    if layout == "release":
        assert keys(target) == keys(source)
    wanted, got = registry.load(GOLDEN), opened(target)
    latent = torch.randn(1, 16, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(got.forward(latent, 500.0), wanted.forward(latent, 500.0), atol=1e-5, rtol=1e-5)


def opened(path: Path) -> WanBackbone:
    from dvd.backbones.wan.backbone import load

    return load(path, vae=GOLDEN / "wan_vae_tiny.pth")


def test_unconvertible_checkpoints_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(GOLDEN / "dvd_tiny.safetensors")
    there = tmp_path / "there.safetensors"
    there.write_bytes(b"")
    for arguments, wanted in (
        (["none.safetensors", "out.safetensors", "--layout", "merged"], "none.safetensors is not a file"),
        ([source, "out.pth", "--layout", "merged"], "written as .safetensors"),
        ([source, str(there), "--layout", "merged"], "exists already"),
        ([source, "out.safetensors", "--layout", "mergd"], "did you mean merged"),
    ):
        assert main(["convert", *arguments]) == 2
        error = capsys.readouterr().err
        assert wanted in error
        assert len(error.splitlines()) == 1

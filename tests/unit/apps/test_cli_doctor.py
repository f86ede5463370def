"""`dvd doctor` answers soon: it prints each finding at once and reads no weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dvd.apps.cli import main

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.mark.parametrize("model", ["dvd-mini", str(GOLDEN)], ids=["mini", "wan"])
def test_a_model_is_described_without_reading_its_weights(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvd.backbones.mini._fill", lambda *_: pytest.fail("the weights were read"))
    monkeypatch.setattr("dvd.backbones.wan.checkpoints._is_finite", lambda *_: pytest.fail("the weights were read"))
    assert main(["doctor", "--model", model, "--size", "96x128"]) == 0
    out = capsys.readouterr().out
    assert f"{Path(model).name}: here and complete" in out
    assert "would need about " in out
    assert out.endswith("no problems\n")


@pytest.mark.slow
def test_findings_without_torch_come_first_and_its_compiler_is_never_imported() -> None:
    code = """
import sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("importing torch", flush=True)
sys.meta_path.insert(0, Watch())
from dvd.apps.cli import main
main(["doctor"])
print(sorted({"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    topics = [line.split()[0] for line in lines[: lines.index("importing torch")]]
    assert topics == ["system", "video", "extras"]
    assert lines[-1] == "[]"


def test_an_option_out_of_range_is_a_problem_and_gives_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--window", "9", "--overlap", "9"]) == 2
    assert "problem    overlap is 9 but must be smaller" in capsys.readouterr().out


def test_a_release_that_is_not_here_has_the_sizes_of_wan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvd.backbones.registry.is_here", lambda entry: False)
    monkeypatch.setattr("dvd.hardware.available_memory", lambda device: None)
    assert main(["doctor", "--model", "dvd-1.0", "--dtype", "bfloat16", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "dvd-1.0: not here, `dvd predict` would download it" in out
    assert "memory     unknown" in out
    assert "program and weights 5.8 GB" in out

"""`dvd doctor` answers soon: what it finds first it says first, and it reads no weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dvd.apps.cli import main

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.mark.parametrize("model", ["dvd-mini", str(GOLDEN)], ids=["mini", "wan"])
def test_a_model_is_looked_into_and_its_weights_are_not_read(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvd.backbones.mini._fill", lambda *_: pytest.fail("the weights were read"))
    monkeypatch.setattr("dvd.backbones.wan.checkpoints._is_finite", lambda *_: pytest.fail("the weights were read"))
    assert main(["doctor", "--model", model, "--size", "96x128"]) == 0
    told = capsys.readouterr().out
    assert f"{Path(model).name}: here and complete" in told
    assert "would need about " in told
    assert told.endswith("nothing stands in the way\n")


def test_what_needs_no_torch_is_said_before_it_is_imported_and_its_compiler_never_is() -> None:
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


def test_an_option_that_would_fail_is_a_problem_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--window", "9", "--overlap", "9"]) == 2
    assert "problem    overlap is 9 but must be smaller" in capsys.readouterr().out

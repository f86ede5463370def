"""The Makefile asks for nothing but GNU make 3.81 and a POSIX shell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make")
SHELL = shutil.which("dash") or shutil.which("sh")

pytestmark = pytest.mark.skipif(not (MAKE and SHELL), reason="needs make and a POSIX shell")


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(MAKE), "--no-print-directory", "-f", str(ROOT / "Makefile"), f"SHELL={SHELL}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment or None)


def test_help_shows_the_two_commands() -> None:
    shown = make("help").stdout.splitlines()
    assert [line.split()[:2] for line in shown] == [["make", "demo"], ["make", "test"]]


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "clean"])
def test_every_recipe_is_read_by_a_posix_shell(target: str) -> None:
    recipe = make("--dry-run", "--always-make", target, "CLIP=my clip.mp4")
    assert recipe.returncode == 0, recipe.stderr
    read = subprocess.run([str(SHELL), "-n"], input=recipe.stdout, capture_output=True, text=True)
    assert (read.returncode, read.stderr) == (0, "")
    assert target != "demo" or '--clip "my clip.mp4" --output demo' in recipe.stdout


def test_nothing_relies_on_what_make_3_81_or_other_shells_lack() -> None:
    text = "\n".join(line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if line[:1] != "#")
    for word in ("bash", ".SHELLFLAGS", ".ONESHELL", "pipefail", "[[", "$(file", "!=", "::="):
        assert word not in text.replace("sys.version_info[:2] != (3, 11)", "")


def test_a_missing_python_is_named(tmp_path: Path) -> None:
    refused = make(f"{tmp_path}/venv/bin/python", f"VENV={tmp_path}/venv", PATH=str(tmp_path))
    assert refused.returncode != 0
    assert "Python 3.11 was not found as python3.11 or python3; install it" in refused.stderr

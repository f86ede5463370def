"""Runs the command line on the golden model: in this process, which is fast, or as the installed command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dvd.apps.cli import main

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SMALL = ["--model", str(GOLDEN), "--size", "32x48", "--window", "9", "--overlap", "3", "--dtype", "float32"]


@dataclass(frozen=True)
class Outcome:
    """Exit status, and what was written to the two streams."""

    status: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Lines of stderr, but for doubts about seams: random weights have no two windows that fit."""
        seams = ("seam at frames", "… and more like this")
        return [line for line in self.err.splitlines() if line.strip() and not line.startswith(seams)]


Run = Callable[..., Outcome]


@pytest.fixture
def dvd(capsys: pytest.CaptureFixture[str]) -> Run:
    """`dvd(*arguments)` in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Outcome(status, out, err)

    return run


@pytest.fixture
def predict(dvd: Run) -> Run:
    """`dvd predict` with the golden model at a small size; later arguments win."""
    return lambda *arguments: dvd("predict", *SMALL, *arguments)


@pytest.fixture(scope="session")
def command() -> Path:
    """The installed command."""
    path = Path(sys.executable).with_name("dvd")
    assert path.is_file(), "the package is not installed in this environment; pip install -e ."
    return path


@pytest.fixture
def installed(command: Path) -> Run:
    """`installed(*arguments)` runs the installed command in a process of its own."""

    def run(*arguments: object, **options: object) -> Outcome:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(command), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            **options,  # type: ignore[call-overload]
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def golden_copy(tmp_path: Path) -> Path:
    """The golden model, to be damaged."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "dvd_tiny.safetensors", "wan_vae_tiny.pth"):
        shutil.copy(GOLDEN / name, folder / name)
    return folder

"""Every `dvd train` line of the documentation names fields that there are."""

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.apps.cli import main

ROOT = Path(__file__).resolve().parents[3]
LINES = sorted(
    {
        line.split("#")[0].strip()
        for page in (ROOT / "README.md", ROOT / "docs" / "training.md")
        for line in re.findall(r"^(?:\.venv/bin/)?(dvd train [^\n]+)$", page.read_text(), re.MULTILINE)
    }
)


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_documented_commands_parse(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)[1:]
    if "--list" not in words:
        words = [word for word in words if word != "--dry-run"] + ["--dry-run"]
    assert main(words) == 0, capsys.readouterr().err


def test_the_documents_contain_commands() -> None:
    assert len(LINES) > 8

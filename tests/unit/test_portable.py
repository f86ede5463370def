"""Habits without which the program works on Linux only: encodings of files and consoles, modules that are not there."""

from __future__ import annotations

import argparse
import ast
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import dvd
from dvd.apps import cli

ROOT = Path(dvd.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
ONLY_UNIX = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_files_are_utf8_on_every_system(path: Path) -> None:
    """Windows would take the encoding of the country that it is set to."""
    found = [
        f"line {call.lineno}"
        for call in calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("read_text", "write_text")
        and "encoding" not in {keyword.arg for keyword in call.keywords}
    ]
    assert found == []


@pytest.mark.slow
def test_modules_that_only_unix_has_are_not_imported_at_the_top() -> None:
    found = [
        f"{path.name}: {name}"
        for path in SOURCES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.split(".")[0] in ONLY_UNIX
    ]
    assert found == []


@pytest.mark.slow
def test_no_process_is_asked_for_by_signal_0() -> None:
    """`os.kill(pid, 0)` ends the process on Windows."""
    found = [
        f"{path.name}: line {call.lineno}"
        for path in SOURCES
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("kill", "killpg", "fork")
    ]
    assert found == []


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_console_that_lacks_a_character_shows_an_escape(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        sys.stdout.write("clip.mp4 → out, \udcff.mp4\n")
        sys.stderr.write("日本.mp4: warning\n")
        return 0

    fake = SimpleNamespace(__doc__="`dvd models`: prints.", add_arguments=lambda parser: None, run=run)
    monkeypatch.setitem(sys.modules, "dvd.apps.models", fake)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n"))
    assert cli.main(["models"]) == 0
    sys.stderr.flush()
    assert sys.stdout.buffer.getvalue() == b"clip.mp4 \\u2192 out, \\udcff.mp4\n"  # type: ignore[attr-defined]
    assert sys.stderr.buffer.getvalue() == b"\\u65e5\\u672c.mp4: warning\n"  # type: ignore[attr-defined]


def test_a_program_without_a_console_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under pythonw.exe."""
    fake = SimpleNamespace(__doc__="`dvd models`: ends.", add_arguments=lambda parser: None, run=lambda _: 0)
    monkeypatch.setitem(sys.modules, "dvd.apps.models", fake)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["models"]) == 0


def test_python_m_dvd_is_the_command() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run([sys.executable, "-m", "dvd", "--help"], capture_output=True, env=environment, check=True)
    assert shown.stdout.startswith(b"usage: dvd ")

"""The log above the bar: where it is written, and how many similar lines are cut."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from dvd.apps import console
from dvd.apps.console import ALIKE, announce, hushed, progress_bar, show_log

log = logging.getLogger("dvd.somewhere")


@pytest.fixture(autouse=True)
def quiet_afterwards():
    show_log()
    yield
    logging.getLogger("dvd").handlers.clear()


def test_notices_go_to_stdout_and_warnings_to_stderr(capsys) -> None:
    log.info("dtype %s", "float32")
    log.warning("seam %d", 3)
    out, err = capsys.readouterr()
    assert out == "dtype float32\n"
    assert err == "seam 3\n"


def test_many_lines_of_one_kind_are_cut(capsys) -> None:
    for index in range(50):
        log.warning("seam %d", index)
    log.warning("something else")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:ALIKE] == [f"seam {index}" for index in range(ALIKE)]
    assert len(lines) == ALIKE + 2
    assert lines[ALIKE] == "… and more like this"
    assert lines[-1] == "something else"


def test_hushed_suppresses_lines_inside_its_block_only(capsys) -> None:
    with hushed():
        log.warning("twice")
    log.warning("once")
    assert capsys.readouterr().err == "once\n"


def test_short_work_shows_no_progress(capsys) -> None:
    with progress_bar("clip", 12) as progress:
        progress(5)
        progress(12)
    assert capsys.readouterr().err == ""


def lines_of(capsys, work: Callable[[Callable[..., None]], object], total: int | None = 40) -> list[str]:
    """Return the lines written without a terminal while `work` uses the bar."""
    with progress_bar("clip", total) as progress:
        work(progress)
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_progress_is_printed_in_lines_without_a_terminal(capsys, monkeypatch) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.02)

    def work(progress: Callable[..., None]) -> None:
        time.sleep(0.1)
        progress(10)
        time.sleep(0.1)

    lines = lines_of(capsys, work)
    assert re.fullmatch(r"clip: 0 of 40 frames after \d+ s, the first are being computed", lines[0])
    assert re.fullmatch(r"clip: 10 of 40 frames, \d+\.\d frames/s, \d+ s left", lines[-1])


@pytest.mark.parametrize("total", [None, 5])
def test_an_unknown_or_wrong_total_gives_no_time_left(capsys, monkeypatch, total: int | None) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.02)
    lines = lines_of(capsys, lambda progress: (progress(10), time.sleep(0.1)), total)
    assert re.fullmatch(r"clip: 10 frames, \d+\.\d frames/s", lines[-1])


def test_a_second_name_replaces_the_first(capsys, monkeypatch) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.02)
    lines = lines_of(capsys, lambda progress: (progress(10, "walk"), time.sleep(0.1)))
    assert lines[-1].startswith("walk: 10 of 40 frames")


def test_the_lines_end_with_the_work(capsys, monkeypatch) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.01)
    with pytest.raises(KeyboardInterrupt), progress_bar("clip", 3):
        raise KeyboardInterrupt
    capsys.readouterr()
    time.sleep(0.03)
    assert "dvd-progress" not in {thread.name for thread in threading.enumerate()}
    assert capsys.readouterr().err == ""


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_closed_terminal_does_not_stop_the_work(monkeypatch) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.01)
    monkeypatch.setattr(sys, "stderr", Gone())
    with progress_bar("clip", 3) as progress:
        time.sleep(0.03)
        progress(3)


def test_log_lines_to_a_closed_terminal_do_not_stop_the_work(monkeypatch) -> None:
    """After SIGHUP finished work must still be kept."""
    monkeypatch.setattr(sys, "stderr", Gone())
    monkeypatch.setattr(sys, "stdout", Gone())
    log.warning("keeps 36 frames")
    log.info("going on")


def test_lines_are_written_into_a_pipe_at_once() -> None:
    code = (
        "import os; from dvd.apps.console import announce, show_log; import logging;"
        "show_log(); announce(['clip.mp4'], 'dvd-mini'); logging.getLogger('dvd.x').info('opened'); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "opening clip.mp4, loading dvd-mini …\nopened\n"


def test_several_inputs_are_counted(capsys) -> None:
    announce(["a.mp4", "b.mp4"], "dvd-1.1")
    assert capsys.readouterr().out == "opening 2 inputs, loading dvd-1.1 …\n"


FIRST_LINE = """
import sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "numpy", "av"):
            print("importing", name)
            sys.exit(0)
sys.meta_path.insert(0, Watch())
from dvd.apps.cli import main
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("words", [["predict", "clip.mp4", "-o", "out"], ["demo", "--clip", "clip.mp4"]], ids=str)
def test_the_first_line_comes_before_anything_heavy_is_imported(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_LINE, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "opening clip.mp4, loading dvd-mini …"
    assert done.stdout.splitlines()[1].startswith("importing ")

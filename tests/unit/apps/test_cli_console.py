"""The log above the bar: where it goes, and that a flood becomes a few lines."""

from __future__ import annotations

import logging

import pytest

from dvd.apps.console import ALIKE, hushed, progress_bar, show_log

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


def test_a_flood_of_one_kind_is_cut(capsys) -> None:
    for index in range(50):
        log.warning("seam %d", index)
    log.warning("something else")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:ALIKE] == [f"seam {index}" for index in range(ALIKE)]
    assert len(lines) == ALIKE + 2
    assert lines[ALIKE] == "… and more like this"
    assert lines[-1] == "something else"


def test_hushed_keeps_back_and_lets_through_again(capsys) -> None:
    with hushed():
        log.warning("twice")
    log.warning("once")
    assert capsys.readouterr().err == "once\n"


def test_no_bar_where_there_is_no_terminal(capsys) -> None:
    from synth import info

    with progress_bar(info()) as progress:
        progress(5)
        progress(12)
    assert capsys.readouterr().err == ""

"""A run's history survives being killed; its progress line says where it is."""

import io
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest

from dvd.train.tracking import History, Progress, duration, read_history


def steps(path: Path) -> list[tuple[str, int]]:
    return [(line["phase"], line["step"]) for line in read_history(path)]


def filled(path: Path, **phases: int) -> History:
    history = History(path)
    for phase, count in phases.items():
        for step in range(count):
            history.add(step=step, phase=phase, video_point=0.5 / (step + 1), rate=1e-4)
    return history


def test_every_step_is_one_line(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.add(step=0, phase="vae", video_point=np.float32(0.25), grad_norm=math.inf)
    history.add(step=1, phase="vae", val_abs_rel=0.1)
    lines = [json.loads(line) for line in history.path.read_text().splitlines()]
    assert lines == [
        {"step": 0, "phase": "vae", "video_point": 0.25, "grad_norm": None},
        {"step": 1, "phase": "vae", "val_abs_rel": 0.1},
    ]


def test_an_unused_history_makes_no_file(tmp_path: Path) -> None:
    History(tmp_path / "history.jsonl").rewind("adapt", 0)
    assert list(tmp_path.iterdir()) == []
    assert read_history(tmp_path / "history.jsonl") == []


@pytest.mark.parametrize(
    ("phase", "step", "kept"),
    [
        ("adapt", 2, [("vae", 0), ("vae", 1), ("adapt", 0), ("adapt", 1)]),
        ("adapt", 0, [("vae", 0), ("vae", 1)]),
        ("adapt", 9, [("vae", 0), ("vae", 1), ("adapt", 0), ("adapt", 1), ("adapt", 2)]),
        ("vae", 1, [("vae", 0)]),
        ("vae", 2, [("vae", 0), ("vae", 1)]),
        ("decoder", 0, [("vae", 0), ("vae", 1), ("adapt", 0), ("adapt", 1), ("adapt", 2)]),
    ],
)
def test_a_resumed_run_has_no_step_twice(phase: str, step: int, kept: list[tuple[str, int]], tmp_path: Path) -> None:
    path = filled(tmp_path / "history.jsonl", vae=2, adapt=3).path
    resumed = History(path)
    resumed.rewind(phase, step)
    assert steps(path) == kept
    resumed.add(step=step, phase=phase, video_point=0.1)
    assert steps(path) == [*kept, (phase, step)]
    assert [each.name for each in tmp_path.iterdir()] == ["history.jsonl"]


@pytest.mark.parametrize("rewound", [True, False])
def test_a_half_written_last_line_is_dropped(rewound: bool, tmp_path: Path) -> None:
    path = filled(tmp_path / "history.jsonl", vae=3).path
    path.write_text(path.read_text()[:-12])
    assert steps(path) == [("vae", 0), ("vae", 1)]
    history = History(path)
    if rewound:
        history.rewind("vae", 2)
    history.add(step=2, phase="vae", video_point=0.1)
    assert steps(path) == [("vae", 0), ("vae", 1), ("vae", 2)]
    assert len(path.read_text().splitlines()) == 3


def test_damage_in_the_middle_costs_one_line(tmp_path: Path) -> None:
    path = filled(tmp_path / "history.jsonl", vae=3).path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\0\0\xff\n[1]\n" + lines[2])
    assert steps(path) == [("vae", 0), ("vae", 2)]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_progress_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with caplog.at_level(logging.INFO, "dvd.train.tracking"), Progress(100, "adapt", 90, clock=clock) as progress:
        for step in range(90, 100):
            clock.now += 8
            progress.note(step, {"video_point": 0.5}, 12.34)
    told = [record.getMessage().split(",")[0] for record in caplog.records]
    assert told == ["adapt 91/100", "adapt 95/100", "adapt 99/100", "adapt 100/100"]
    assert caplog.records[1].getMessage() == "adapt 95/100, 40 s left, 12.3 samples/s  video_point 0.5"
    assert "adapt 100/100, done" in caplog.records[-1].getMessage()


def test_terms_are_smoothed_and_stay_when_a_step_lacks_them() -> None:
    progress = Progress(10, "adapt", smoothing=0.5, shown=False)
    progress.note(0, {"video_point": 1.0}, 1)
    progress.note(1, {"image_point": 4.0}, 1)
    progress.note(2, {"video_point": 0.0}, 1)
    assert progress.smooth == {"video_point": 0.5, "image_point": 4.0}


def test_time_left_follows_the_pace_of_the_resumed_run() -> None:
    clock = Clock()
    progress = Progress(1000, "adapt", 500, shown=False, clock=clock)
    for step in range(500, 510):
        clock.now += 6
        progress.note(step, {}, 1)
    assert ", 49 min left," in progress.line(510, 1)


def test_a_terminal_gets_one_line_that_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    with Progress(4, "adapt", 1) as progress:
        for step in range(1, 4):
            progress.note(step, {"video_point": 0.125}, 3.0)
    shown = terminal.getvalue()
    assert shown.count("\n") == 1
    assert shown.split("\r")[-1].startswith("100% |")
    assert "adapt 4/4, done, 3 samples/s  video_point 0.125" in shown.split("\r")[-1]


def test_other_processes_log_no_progress(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Progress(1, "adapt", shown=False) as progress:
        progress.note(0, {"video_point": 1.0}, 1)
    assert caplog.records == []


def test_durations_have_readable_units() -> None:
    shown = [duration(each) for each in (0.4, 89, 90, 3600, 5400, 3600 * 47, 3600 * 60)]
    assert shown == ["0 s", "89 s", "2 min", "60 min", "1 h 30 min", "47 h 00 min", "2.5 days"]

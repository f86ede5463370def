"""The picture of a run shows every quantity in every phase's colour, and does not stop a training."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="the eval extra is not installed")

from dvd.plots import COLOURS
from dvd.train import curves
from dvd.train.tracking import History, read_history


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    history = History(path)
    for phase, scale in (("vae", 1.0), ("adapt", 0.1)):
        for step in range(0, 40, 2):
            history.add(step=step, phase=phase, video_point=scale / (step + 1), rate=1e-3, video_temporal=0.0)
    history.add(step=38, phase="adapt", val_abs_rel=0.2)
    return path


def coloured(path: Path, colour: str) -> int:
    """How many pixels have a phase's colour."""
    wanted = np.array(list(bytes.fromhex(colour.removeprefix("#"))))
    return int((np.abs(np.asarray(Image.open(path).convert("RGB")).astype(int) - wanted).max(axis=2) < 8).sum())


@pytest.mark.slow
def test_every_phase_is_drawn_in_its_colour(history: Path, tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    curves.draw(history, path)
    assert [coloured(path, each) > 100 for each in COLOURS[:3]] == [True, True, False]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["curves.png", "history.jsonl"]


def test_quantities_come_in_the_order_of_interest(history: Path) -> None:
    assert curves._quantities(read_history(history)) == ["val_abs_rel", "video_point", "rate"]


def test_phases_follow_each_other(history: Path) -> None:
    starts = {phase: start for phase, (start, _) in curves._phases(read_history(history)).items()}
    assert starts == {"vae": 0, "adapt": 39}


def test_smoothing_keeps_a_constant_and_the_length() -> None:
    np.testing.assert_allclose(curves._smoothed(np.full(500, 3.0)), 3.0)
    noisy = np.random.default_rng(0).normal(5, 1, 2000)
    assert curves._smoothed(noisy)[100:].std() < 0.3


def test_an_empty_history_draws_nothing(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").touch()
    curves.draw(tmp_path / "history.jsonl", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_a_history_of_nulls_and_one_step_is_drawn(tmp_path: Path) -> None:
    History(tmp_path / "history.jsonl").add(step=0, phase="adapt", video_point=1.0, grad_norm=float("nan"))
    curves.draw(tmp_path / "history.jsonl", tmp_path / "curves.png")
    assert coloured(tmp_path / "curves.png", COLOURS[0]) > 10


def test_a_failure_is_logged_and_not_raised(history: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dvd.train.curves"):
        curves.draw(history, history / "curves.png")
    assert "could not be drawn" in caplog.text

"""benchmarks/pseudo_labels.py: views are undone, names do not collide, stretches are spread, a cut has no label."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dvd
from dvd.errors import InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return runpy.run_path(str(BENCHMARKS / "pseudo_labels.py"))
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_every_view_is_undone(script: dict[str, Any]) -> None:
    video = np.random.default_rng(0).integers(0, 255, (5, 4, 6, 3))
    for view in script["VIEWS"]:
        np.testing.assert_array_equal(view.back(view.of(video)), video)
    assert len({(view.size, view.mirrored) for view in script["VIEWS"]}) == 4


def test_files_of_one_name_are_told_apart(script: dict[str, Any], tmp_path: Path) -> None:
    for folder in ("a", "b/c", "other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.jpg").touch()
    found = script["files"]([tmp_path, tmp_path / "other"], (".jpg",))
    assert set(found) == {"0_a_x.jpg", "0_b_c_x.jpg", "0_other_x.jpg", "1_x.jpg"}
    with pytest.raises(InputError, match=r"holds no \.mp4"):
        script["files"]([tmp_path], (".mp4",))


def test_stretches_are_spread_and_fit(script: dict[str, Any]) -> None:
    assert script["spread"](100, 33, 3) == [0, 34, 67]
    assert script["spread"](34, 33, 8) == [0, 1]
    assert script["spread"](32, 33, 8) == []


@pytest.mark.slow
def test_a_window_gets_one_label_and_a_cut_none(script: dict[str, Any]) -> None:
    rng, model = np.random.default_rng(0), dvd.load("dvd-mini", dtype="float32")
    scene = np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    still = np.repeat(scene[None], 9, axis=0)
    label = script["labelled"](model, still)
    assert label.shape == (9, 96, 128)
    assert np.isfinite(label).all()
    one = model.predict(still, size=(192, 256))
    assert np.corrcoef(label.ravel(), one.ravel())[0, 1] > 0.8
    assert script["labelled"](model, np.concatenate([still, 255 - still])) is None

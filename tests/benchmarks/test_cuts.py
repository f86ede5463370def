"""benchmarks/cuts.py: false and missed cuts are counted, joins are where they are said to be, bad input is one line."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return runpy.run_path(str(BENCHMARKS / "cuts.py"))
    finally:
        sys.path.remove(str(BENCHMARKS))


def clips(count: int = 3, frames: int = 100) -> dict[str, np.ndarray]:
    """Pans over noise in blocks."""
    rng = np.random.default_rng(0)
    found = {}
    for name in "abc"[:count]:
        wide = rng.integers(0, 256, (3, 16, 60), dtype=np.uint8).repeat(6, 1).repeat(6, 2)
        found[name] = np.stack([wide[:, :, 2 * i : 2 * i + 160] for i in range(frames)])
    return found


def test_false_and_missed_cuts_are_counted_at_every_step(script: dict[str, Any]) -> None:
    def find(frames: np.ndarray) -> list[int]:
        return [3, 5]

    every, second = script["clip_lines"]({"a": clips(1)["a"]}, {"a": [3, 10]}, [1, 2], find)
    assert "1 false cuts in 100 frames, 10.00 per 1,000; 1 of 2 missed; false: a 5; missed: a 10" in every
    assert "every 2nd frame: 1 false cuts in 50 frames, 20.00 per 1,000; 1 of 2 missed" in second
    assert "false: a 6; missed: a 4" in second


def test_joins_are_found_where_they_are(script: dict[str, Any]) -> None:
    shot = script["SHOT"]
    titles = list(script["join_lines"](clips(), {}, ["a"], 8, 0, lambda frames: [shot]))
    assert "joins of two clips: 8 of 8 found (100.0 %), 0.00 frames late; 0 other cuts" in titles[0]
    assert "joins within a: 2 of 2 found" in titles[1]
    late, none = (
        script["join_line"]("", [script["between"](clips(), np.random.default_rng(0))], 1, find)
        for find in (lambda frames: [shot + 2, 3], lambda frames: [])
    )
    assert "1 of 1 found (100.0 %), 1.00 frames late; 1 other cuts" in late
    assert "0 of 1 found (0.0 %); 0 other cuts" in none


def test_a_dissolve_goes_from_one_clip_to_the_other(script: dict[str, Any]) -> None:
    shot = script["SHOT"]
    black, white = (np.full((2 * shot, 3, 4, 4), value, np.uint8) for value in (0, 255))
    levels = script["joined"]((black, white), 3)[:, 0, 0, 0]
    np.testing.assert_allclose(levels, [0] * shot + [0.25, 0.5, 0.75] + [1] * shot, atol=1e-6)


def test_any_class_is_a_detector(script: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Third:\n    seen = 0\n\n"
        "    def __call__(self, rgb):\n        self.seen += 1\n        return self.seen == 3\n"
    )
    find = script["detector"](f"{tmp_path / 'mine.py'}:Third")
    assert find(clips(1)["a"][:5]) == find(clips(1)["a"][:5]) == [2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.mp4"], "nothing.mp4"),
        (["CLIP", "--detector", "no.such:Thing"], "detector 'no.such:Thing' cannot be imported"),
        (["CLIP", "--detector", "dvd.shots:CutFinder"], "give dvd, scenedetect, FILE.py:NAME or MODULE:NAME"),
        (["CLIP", "--true", "other=3"], "unknown clip 'other'"),
        (["CLIP", "--true", "clip=x"], "'clip=x' is not NAME=FRAME,FRAME"),
        (["CLIP", "--within", "clip"], "clip has 3 frames"),
        (["CLIP", "--pictures", "."], "holds fewer than two .jpg or .png pictures"),
        (["CLIP", "--joins", "0"], "not a whole number of at least 1"),
    ],
)
def test_bad_input_is_one_line(
    script: dict[str, Any],
    tmp_path: Path,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "clip").mkdir()
    for index in range(3):
        Image.new("RGB", (32, 32)).save(tmp_path / "clip" / f"{index}.bmp")
    given = [str(tmp_path / "clip") if each == "CLIP" else each for each in arguments]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cuts.py", *given])
    with pytest.raises(SystemExit) as ended:
        script["main"]()
    assert ended.value.code == 2
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert said in last

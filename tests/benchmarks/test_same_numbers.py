"""The comparison of two runs sees a changed bit, and ignores times and commits."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import same_numbers

    def run(before: Path, after: Path) -> int:
        monkeypatch.setattr(sys, "argv", ["same_numbers.py", str(before), str(after)])
        return same_numbers.main()

    return run


def write_run(folder: Path, last: float = 1.0, abs_rel: float = 0.1, seconds: float = 2.0) -> Path:
    folder.mkdir()
    np.savez(folder / "clip.npz", disparity=np.array([0.5, last], np.float32))
    results = {"commit": folder.name, "sequences": [{"abs_rel": abs_rel, "seconds": seconds, "scale": float("nan")}]}
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_times_and_commits_may_differ(main, tmp_path: Path) -> None:
    assert main(write_run(tmp_path / "a"), write_run(tmp_path / "b", seconds=3.0)) == 0


@pytest.mark.parametrize("change", [{"last": np.nextafter(np.float32(1), np.float32(2))}, {"abs_rel": 0.1000001}])
def test_a_changed_bit_is_seen(main, tmp_path: Path, change: dict, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(write_run(tmp_path / "a"), write_run(tmp_path / "b", **change)) == 1
    assert "1 of 2 files are equal" in capsys.readouterr().out


def test_a_missing_file_is_seen_and_nothing_to_compare_is_no_success(main, tmp_path: Path) -> None:
    before, after = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    (after / "clip.npz").unlink()
    assert main(before, after) == 1
    (tmp_path / "empty").mkdir()
    assert main(tmp_path / "empty", after) == 1

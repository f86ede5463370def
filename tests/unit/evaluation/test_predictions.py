"""Predictions that wait on the disk: frame by frame, without a trace, and one line where there is no room."""

from pathlib import Path

import numpy as np
import pytest

from dvd.errors import OutputError
from dvd.evaluation.predictions import PredictionFile

FRAMES = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
FULL = Path("/dev/full")


def test_frames_are_read_by_index_and_the_folder_stays_empty(tmp_path: Path) -> None:
    one, other = (PredictionFile(tmp_path / "run", 5, (3, 4)) for _ in range(2))
    one.append(FRAMES[:2])
    other.append(FRAMES[::-1])
    one.append(FRAMES[2:])
    assert list((tmp_path / "run").iterdir()) == [], "nothing to be left behind, whatever becomes of the process"
    for number in (4, 0, 2):
        np.testing.assert_array_equal(one.frame(number), FRAMES[number])
        np.testing.assert_array_equal(other.frame(number), FRAMES[4 - number])
    one.keep(), one.close(), other.close()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_kept_file_gets_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "kept" / "scene" / "a.npy"
    for whole in (False, True):
        file = PredictionFile(tmp_path, 5, (3, 4), place)
        file.append(FRAMES)
        assert not place.exists()
        if whole:
            file.keep()
        file.close()
        assert list(place.parent.iterdir()) == [place] * whole
    np.testing.assert_array_equal(np.load(place), FRAMES)


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("step", ["append", "frame", "keep"])
def test_a_full_disk_is_reported_at_every_step(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small predictions stay in the buffer until they are read or kept."""
    monkeypatch.setattr(Path, "open", lambda *_: open(FULL, "w+b"))  # noqa: SIM115
    file = PredictionFile(tmp_path, 10**4 if step == "append" else 5, (3, 4), tmp_path / "a.npy")

    def fill() -> None:
        file.append(np.zeros((10**4, 3, 4)) if step == "append" else FRAMES)
        file.frame(0) if step == "frame" else file.keep()

    with pytest.raises(OutputError, match=r"a\.npy: the predictions of a sequence, 1 MiB: the disk is full"):
        fill()
    file.close()


def test_the_file_is_closed_before_it_is_renamed_as_windows_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = PredictionFile(tmp_path, 5, (3, 4), tmp_path / "a.npy")
    file.append(FRAMES)
    rename = Path.replace

    def of_windows(path: Path, target: Path) -> Path:
        if not file._file.closed:
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", of_windows)
    file.keep()
    file.close()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), FRAMES)

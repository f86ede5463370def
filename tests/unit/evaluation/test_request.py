"""An evaluation by names, from Python."""

import json
from pathlib import Path

import pytest
from eval_tree import write_recording

import dvd
from dvd.errors import InputError, OptionError


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "recording", frames=4)


def test_a_prior_is_measured_on_a_data_set(recording: Path, tmp_path: Path) -> None:
    results = dvd.evaluate({"rgbd": recording}, "row", out=tmp_path / "out", frames=3)
    assert results.sequences[0].frames == 3
    assert 0 < results.mean()["abs_rel"] < 1
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["method"] == "row"
    assert written["protocol"]["name"] == "paper, frames changed"
    assert written["conditions"]["datasets"]["rgbd"]["root"] == str(recording)


def test_results_go_into_a_folder_named_after_method_and_protocol(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dvd.evaluate({"rgbd": recording}, "constant", protocol="release-image")
    assert (tmp_path / "runs" / "eval" / "constant_release-image" / "results.json").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"datasets": {"rgdb": "x"}}, OptionError, "unknown data set 'rgdb'; did you mean rgbd"),
        ({"datasets": {}}, OptionError, "which data set"),
        ({"datasets": {"rgbd": "nowhere"}}, InputError, "nowhere"),
        ({"method": "rwo"}, OptionError, "did you mean row"),
        ({"protocol": "papr"}, OptionError, "did you mean paper"),
        ({"frame": 3}, OptionError, "unknown field of a protocol 'frame'; did you mean frames"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest(
    recording: Path, tmp_path: Path, arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dvd.evaluate(**{"datasets": {"rgbd": recording}, "method": "row", "out": tmp_path / "out", **arguments})
    assert not (tmp_path / "out").exists()

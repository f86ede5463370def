"""Where the files of an input lie."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dvd.errors import OptionError, OutputError
from dvd.export import ExportOptions
from dvd.outputs import Outputs, output_paths, sidecar_path
from dvd.types import DisparityChunk, VideoInfo


def info(is_image: bool = False) -> VideoInfo:
    return VideoInfo("street", Path("street.mov"), 8, 6, Fraction(25), Fraction(1, 25), is_image=is_image)


def test_a_folder_takes_one_file_for_each_format(tmp_path: Path) -> None:
    places = output_paths(tmp_path, info(), ["mp4", "npz", "png16", "npz"])
    assert places == {
        "mp4": tmp_path / "street.mp4",
        "npz": tmp_path / "street.npz",
        "png16": tmp_path / "street_png16",
    }
    assert sidecar_path(tmp_path, info()) == tmp_path / "street.json"


def test_a_folder_without_formats_takes_a_video(tmp_path: Path) -> None:
    assert output_paths(tmp_path / "new", info(), None) == {"mp4": tmp_path / "new" / "street.mp4"}


def test_a_file_name_chooses_the_format(tmp_path: Path) -> None:
    path = tmp_path / "depth.npz"
    assert output_paths(path, info(), None) == output_paths(path, info(), ["npz"]) == {"npz": path}
    assert sidecar_path(path, info()) == tmp_path / "depth.json"


def test_a_folder_may_be_called_like_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "all.mp4"
    folder.mkdir()
    assert output_paths(folder, info(), ["npz"]) == {"npz": folder / "street.npz"}


def test_a_file_name_and_another_format_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="names one mp4 file but the formats are npz, exr; give a folder"):
        output_paths(tmp_path / "depth.mp4", info(), ["npz", "exr"])


def test_a_description_that_exists_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "street.json").write_text("precious")
    with pytest.raises(OutputError, match=r"street\.json: exists already"):
        Outputs(tmp_path, info(), ["npz"])
    assert (tmp_path / "street.json").read_text() == "precious"


def test_stopping_removes_only_folders_that_were_made(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    assert not Outputs(tmp_path / "old" / "new" / "newer", info(), ["npz"]).abort()
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_range_and_count_grow_with_every_piece(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, info(), ["npz"])
    outputs.write(DisparityChunk(0, np.full((2, 6, 8), 0.25, np.float32)), [0, 1])
    outputs.write(DisparityChunk(2, np.full((1, 6, 8), 0.75, np.float32)), [2])
    outputs.close()
    outputs.release()
    assert outputs.frames == 3
    assert outputs.range == (0.25, 0.75)
    assert [path.name for path in tmp_path.iterdir()] == ["street.npz"]


def run(folder: Path, formats: list[str], facts: dict[str, object], overwrite: bool = False) -> dict[str, Any]:
    """Writes two frames in the formats, describes them, and returns what the JSON then says."""
    outputs = Outputs(folder, info(), formats, ExportOptions(overwrite=overwrite))
    outputs.write(DisparityChunk(0, np.full((2, 6, 8), 0.25, np.float32)), [0, 1])
    outputs.close()
    about = {"source": "street.mov", "polarity": "larger is nearer", "outputs": [w.facts() for w in outputs.writers]}
    outputs.describe({**about, **facts})
    outputs.release()
    return json.loads((folder / "street.json").read_text())


def test_a_second_format_is_added_to_a_folder_that_holds_the_first(tmp_path: Path) -> None:
    run(tmp_path, ["npz"], {"window": 9})
    told = run(tmp_path, ["png16"], {"window": 9})
    assert [output["path"] for output in told["outputs"]] == ["street.npz", "street_png16"]
    assert "earlier" not in told


def test_outputs_of_a_run_with_other_values_keep_their_own_description(tmp_path: Path) -> None:
    run(tmp_path, ["npz"], {"window": 9})
    told = run(tmp_path, ["png16"], {"window": 33})
    assert [output["path"] for output in told["outputs"]] == ["street_png16"]
    assert [(each["window"], each["outputs"][0]["path"]) for each in told["earlier"]] == [(9, "street.npz")]
    told = run(tmp_path, ["png16"], {"window": 45}, overwrite=True)
    assert [(each["window"], each["outputs"][0]["path"]) for each in told["earlier"]] == [(9, "street.npz")]
    told = run(tmp_path, ["npz"], {"window": 45}, overwrite=True)
    assert [output["path"] for output in told["outputs"]] == ["street_png16", "street.npz"]
    assert "earlier" not in told, "nothing is left of the first run"


def test_a_description_of_another_source_is_not_replaced(tmp_path: Path) -> None:
    run(tmp_path, ["npz"], {"source": "elsewhere/street.mov"})
    with pytest.raises(OutputError, match=r"street\.json: exists already"):
        Outputs(tmp_path, info(), ["png16"])


def test_only_one_run_at_a_time_writes_to_the_same_outputs(tmp_path: Path) -> None:
    first = Outputs(tmp_path, info(), ["npz"])
    for formats in (["npz"], ["png16"]):
        with pytest.raises(OutputError, match="street: another run is writing there"):
            Outputs(tmp_path, info(), formats)
    first.abort()
    assert list(tmp_path.iterdir()) == []
    Outputs(tmp_path, info(), ["npz"]).abort()


def test_a_very_long_name_is_cut_alike_for_every_output(tmp_path: Path) -> None:
    long = VideoInfo("é" * 125 + "x", Path("é.mov"), 8, 6, Fraction(25), Fraction(1, 25))
    paths = [*output_paths(tmp_path, long, ["mp4", "png16"]).values(), sidecar_path(tmp_path, long, ["mp4", "png16"])]
    assert {path.name.partition("_")[0].partition(".")[0] for path in paths} == {"é" * 124}
    for path in paths:
        path.touch()


def test_all_files_of_an_input_have_legal_names_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvd.files.WINDOWS", True)
    odd = VideoInfo("9:30", Path("9:30.mov"), 8, 6, Fraction(25), Fraction(1, 25))
    expected = {"mp4": tmp_path / "9_30.mp4", "png16": tmp_path / "9_30_png16"}
    assert output_paths(tmp_path, odd, ["mp4", "png16"]) == expected
    assert sidecar_path(tmp_path, odd) == tmp_path / "9_30.json"


def test_every_shot_has_a_range(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, info(), ["npz"])
    for first, shot, level in ((0, 0, 0.1), (2, 0, 0.3), (4, 4, 0.8)):
        values = np.linspace(level, level + 0.1, 96, dtype=np.float32).reshape(2, 6, 8)
        outputs.write(DisparityChunk(first, values, shot), [first, first + 1])
    outputs.close()
    outputs.release()
    assert outputs.shot_ranges == [pytest.approx((0.1, 0.4), abs=0.02), pytest.approx((0.8, 0.9), abs=0.02)]

"""Where the files of an input lie."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dvd.errors import OptionError, OutputError
from dvd.outputs import Outputs, place, sidecar_place
from dvd.types import VideoInfo


def info(is_image: bool = False) -> VideoInfo:
    return VideoInfo("street", Path("street.mov"), 8, 6, Fraction(25), Fraction(1, 25), is_image=is_image)


def test_a_folder_takes_one_file_for_each_format(tmp_path: Path) -> None:
    places = place(tmp_path, info(), ["mp4", "npz", "png16", "npz"])
    assert places == {
        "mp4": tmp_path / "street.mp4",
        "npz": tmp_path / "street.npz",
        "png16": tmp_path / "street_png16",
    }
    assert sidecar_place(tmp_path, info()) == tmp_path / "street.json"


def test_a_folder_without_formats_takes_a_video(tmp_path: Path) -> None:
    assert place(tmp_path / "new", info(), None) == {"mp4": tmp_path / "new" / "street.mp4"}


def test_a_file_name_chooses_the_format(tmp_path: Path) -> None:
    path = tmp_path / "depth.npz"
    assert place(path, info(), None) == place(path, info(), ["npz"]) == {"npz": path}
    assert sidecar_place(path, info()) == tmp_path / "depth.json"


def test_a_folder_may_be_called_like_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "all.mp4"
    folder.mkdir()
    assert place(folder, info(), ["npz"]) == {"npz": folder / "street.npz"}


def test_a_file_name_and_another_format_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="names one mp4 file but the formats are npz, exr; give a folder"):
        place(tmp_path / "depth.mp4", info(), ["npz", "exr"])


def test_a_description_that_exists_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "street.json").write_text("precious")
    with pytest.raises(OutputError, match=r"street\.json: exists already"):
        Outputs(tmp_path, info(), ["npz"])


def test_stopping_removes_only_folders_that_were_made(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    assert not Outputs(tmp_path / "old" / "new" / "newer", info(), ["npz"]).abort()
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_range_and_count_grow_with_every_piece(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, info(), ["npz"])
    outputs.write(np.full((2, 6, 8), 0.25, np.float32), [0, 1])
    outputs.write(np.full((1, 6, 8), 0.75, np.float32), [2])
    outputs.close()
    assert outputs.frames == 3
    assert outputs.range == (0.25, 0.75)
    assert [path.name for path in tmp_path.iterdir()] == ["street.npz"]

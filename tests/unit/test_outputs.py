"""Where the files of an input lie."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dvd import outputs
from dvd.errors import OptionError, OutputError
from dvd.outputs import Outputs, legal_name, place, sidecar_place
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


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("street.mp4", "street.mp4"),
        ("12:30:05.mp4", "12_30_05.mp4"),
        ('a<b>c"d|e?f*g\\h\n.npz', "a_b_c_d_e_f_g_h_.npz"),
        ("CON.mp4", "_CON.mp4"),
        ("nul", "_nul"),
        ("com1 .tar.mp4", "_com1 .tar.mp4"),
        ("console.mp4", "console.mp4"),
        ("take 3. ", "take 3"),
        ("...", "_"),
        ("Straße_日本.mp4", "Straße_日本.mp4"),
    ],
)
def test_names_are_made_legal_on_windows_only(name: str, legal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "WINDOWS", False)
    assert legal_name(name) == name
    monkeypatch.setattr(outputs, "WINDOWS", True)
    assert legal_name(name) == legal


def test_all_files_of_an_input_have_legal_names_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "WINDOWS", True)
    odd = VideoInfo("9:30", Path("9:30.mov"), 8, 6, Fraction(25), Fraction(1, 25))
    assert place(tmp_path, odd, ["mp4", "png16"]) == {"mp4": tmp_path / "9_30.mp4", "png16": tmp_path / "9_30_png16"}
    assert sidecar_place(tmp_path, odd) == tmp_path / "9_30.json"

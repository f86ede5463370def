"""Files are whole or not there, names are new, and one run at a time writes."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from dvd import files
from dvd.errors import OutputError
from dvd.files import (
    Claim,
    legal_name,
    make_aside,
    name_that_fits,
    remove,
    replacing,
    replacing_files,
    replacing_path,
    why_refused,
    writing,
)


def test_a_name_aside_is_new_and_keeps_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    asides = [make_aside(path) for _ in range(20)]
    assert len(set(asides)) == 20
    assert all(each.parent == tmp_path and each.name.startswith("clip.") for each in asides)
    assert all(each.name.endswith(".part.mp4") and each.stat().st_size == 0 for each in asides)
    assert make_aside(tmp_path / "clip_png16", folder=True).is_dir()


def test_a_name_aside_that_is_taken_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter(["aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr("dvd.files.secrets.token_hex", lambda _: next(tokens))
    (tmp_path / "clip.aaaaaaaa.part.mp4").write_text("mine")
    assert make_aside(tmp_path / "clip.mp4").name == "clip.bbbbbbbb.part.mp4"
    assert (tmp_path / "clip.aaaaaaaa.part.mp4").read_text() == "mine"


def test_a_long_stem_is_cut_between_characters() -> None:
    assert name_that_fits("clip", ".mp4") == "clip.mp4"
    assert name_that_fits("x" * 300, ".json") == "x" * 250 + ".json"
    assert name_that_fits("é" * 126, ".mp4") == "é" * 125 + ".mp4"


def test_a_file_takes_the_place_of_what_was_there_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    for text in (b"one", b"two"):
        with replacing(path) as file:
            file.write(text)
        assert path.read_bytes() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(28, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_nothing_is_left_of_a_file_that_failed(error: BaseException, raised: type, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"one")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"tw")
            raise error

    with pytest.raises(raised, match=r"a\.json: cannot be written \(No space" if raised is OutputError else None):
        fail()
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_under_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written"), replacing(tmp_path / "notes.txt" / "a.txt"):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_why_a_disk_refuses() -> None:
    assert why_refused(OSError(errno.ENOSPC, "")).startswith("the disk is full")
    assert why_refused(OSError(errno.EROFS, "")).startswith("may not be written")
    assert why_refused(OSError(errno.EIO, "input/output error")) == (
        "cannot be written (input/output error); choose another folder"
    )


def test_a_claim_is_held_by_one_at_a_time_and_leaves_nothing(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "clip.json")
    with pytest.raises(OutputError, match="clip: another run is writing there; wait for it, or choose another output"):
        Claim(tmp_path / "clip.json")
    Claim(tmp_path / "other.json").release()
    claim.release()
    claim.release()
    assert list(tmp_path.iterdir()) == []
    Claim(tmp_path / "clip.json").release()


HOLDS = """
import sys
from pathlib import Path
from dvd.files import Claim
claim = Claim(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_process_that_is_killed_lets_go_of_its_claim(tmp_path: Path) -> None:
    path = tmp_path / "clip.json"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match="another run is writing there"):
        Claim(path)
    holder.kill()
    holder.communicate()
    Claim(path).release()
    assert list(tmp_path.iterdir()) == []


def test_removing_takes_files_folders_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    assert (tmp_path / "folder" / "file").exists()
    remove(tmp_path / "folder")
    remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


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
    monkeypatch.setattr(files, "WINDOWS", False)
    assert legal_name(name) == name
    monkeypatch.setattr(files, "WINDOWS", True)
    assert legal_name(name) == legal


def fail(aside: Path, error: Exception) -> None:
    aside.write_bytes(b"half")
    raise error


def test_a_path_takes_its_place_once_the_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.bin"
    with replacing_path(path) as aside:
        aside.write_bytes(b"whole")
    full = RuntimeError("[enforce fail at inline_container.cc:595] . PytorchStreamWriter failed writing file")
    with pytest.raises(OutputError, match=r"x.bin: the disk is full; free some space"), replacing_path(path) as aside:
        fail(aside, full)
    assert [file.name for file in path.parent.iterdir()] == ["x.bin"]
    assert path.read_bytes() == b"whole"


def test_the_files_of_a_folder_are_replaced_together_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    for name in ("a", "inner/b", "other"):
        (folder / name).write_text("old")
    with pytest.raises(ValueError, match="stop"), replacing_files(folder) as aside:
        fail(aside / "a", ValueError("stop"))
    assert {file.read_text() for file in folder.rglob("*") if file.is_file()} == {"old"}
    with replacing_files(folder) as aside:
        (aside / "inner").mkdir()
        for name in ("a", "inner/b"):
            (aside / name).write_text("new")
    assert [(folder / name).read_text() for name in ("a", "inner/b", "other")] == ["new", "new", "old"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_error_inside_a_new_folder_names_the_final_one(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="disk is full") as caught, replacing_files(tmp_path / "model") as aside:
        fail(aside / "x.bin", OutputError(f"{aside / 'x.bin'}: the disk is full"))
    assert str(caught.value) == f"{tmp_path / 'model' / 'x.bin'}: the disk is full"


def test_only_errors_of_the_disk_become_output_errors(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(RuntimeError, match="shapes differ"), writing(path):
        fail(path, RuntimeError("shapes differ"))
    with pytest.raises(OutputError, match=r"x: its folder cannot be made.*; run again$"), writing(path, "; run again"):
        fail(path, FileExistsError(errno.EEXIST, "File exists"))

"""What every writer promises: values, atomicity, refusal, and keeping finished frames."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from synth import NTSC_FILM, disparity, info

from dvd.errors import OptionError, OutputError
from dvd.export import ExportOptions, check_writable, open_writer, read_npz_frames, suffix
from dvd.export.npz import NpzWriter
from dvd.export.values import Png16Writer
from dvd.names import FORMATS
from dvd.types import FrameNumbers
from dvd.video import open_video

TESTS = Path(__file__).resolve().parents[2]


def write(format: str, path: Path, values: np.ndarray, options: ExportOptions | None = None, **about):
    """Write `values` in chunks of 5 frames; return the writer."""
    source = info(height=values.shape[1], width=values.shape[2], **about)
    with open_writer(format, path, source, options) as writer:
        for start in range(0, len(values), 5):
            chunk = values[start : start + 5]
            writer.write(chunk, list(range(start, start + len(chunk))))
    return writer


def decoded(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("shape", [(12, 48, 64), (1, 1, 1), (2, 5, 7)])
def test_npz_holds_the_values_as_they_are(tmp_path, shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    write("npz", tmp_path / "out.npz", values, frame_rate=NTSC_FILM, time_base=Fraction(1001, 24000))
    assert names(tmp_path) == ["out.npz"]
    with np.load(tmp_path / "out.npz") as archive:
        np.testing.assert_array_equal(archive["disparity"], values)
        assert archive["disparity"].dtype == np.float32
        assert archive["pts"].tolist() == list(range(shape[0]))
        assert archive["time_base"].tolist() == [1001, 24000]
        assert archive["frame_rate"].tolist() == [24000, 1001]
    assert zipfile.ZipFile(tmp_path / "out.npz").testzip() is None, "check sums are right"


def test_png16_is_linear_and_says_its_range(tmp_path):
    values = disparity(4)
    values[0, 0, 0], values[1, 0, 0], values[2, 0, 0] = -0.5, 2.5, np.nan
    writer = write("png16", tmp_path / "out_png16", values, ExportOptions(value_range=(0.0, 2.0)))
    assert names(tmp_path / "out_png16") == [f"frame_{index:06d}.png" for index in range(4)]
    assert writer.facts()["value_range"] == [0.0, 2.0]
    assert writer.facts()["clipped_pixels"] == 3
    expected = np.clip(np.nan_to_num(values), 0, 2)
    for index in range(4):
        with Image.open(tmp_path / "out_png16" / f"frame_{index:06d}.png") as picture:
            assert picture.text["disparity_range"] == "0 2"
            levels = np.asarray(picture)
        assert levels.dtype == np.uint16
        assert np.abs(levels * (2.0 / 65535) - expected[index]).max() <= 2.0 / 65535


def test_frames_keep_the_numbers_of_an_image_sequence(tmp_path):
    numbers = FrameNumbers({0: 8, 1: 9, 2: 12}, digits=4)
    write("png16", tmp_path / "out_png16", disparity(3), numbers=numbers)
    assert names(tmp_path / "out_png16") == ["frame_0008.png", "frame_0009.png", "frame_0012.png"]
    write("png16", tmp_path / "out_png16", disparity(2), ExportOptions(overwrite=True), numbers=numbers)
    assert names(tmp_path / "out_png16") == ["frame_0008.png", "frame_0009.png"]


def test_exr_is_float32_without_loss(tmp_path):
    openexr = pytest.importorskip("OpenEXR", reason="the exr extra is not installed")
    values = np.random.default_rng(0).normal(size=(3, 20, 30)).astype(np.float32)
    write("exr", tmp_path / "out_exr", values)
    for index in range(3):
        with openexr.File(str(tmp_path / "out_exr" / f"frame_{index:06d}.exr")) as file:
            np.testing.assert_array_equal(file.channels()["disparity"].pixels, values[index])
            assert "larger is nearer" in file.header()["comments"]


def test_an_image_becomes_one_file_in_each_format(tmp_path):
    values = disparity(1)
    kept = []
    for name in FORMATS:
        path = tmp_path / f"cat{suffix(name, is_image=True)}"
        kept.append(write(name, path, values, is_image=True).path.name)
    assert names(tmp_path) == sorted(kept) == ["cat.exr", "cat.npz", "cat.png", "cat_png16.png"]
    with Image.open(tmp_path / "cat.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (64, 48))
    with Image.open(tmp_path / "cat_png16.png") as picture:
        assert np.abs(np.asarray(picture) / 65535 - values[0]).max() < 1e-4
    assert open_writer("mp4", tmp_path / "dog.mp4", info(is_image=True)).path.name == "dog.png"


def test_a_video_does_not_fit_into_one_picture(tmp_path):
    with pytest.raises(OptionError, match=r"holds one picture, absent\.mp4 is a video; give a folder"):
        open_writer("png16", tmp_path / "out.png", info())


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_lies_at_the_path_before_the_end(tmp_path, name):
    path = tmp_path / f"out{suffix(name)}"
    writer = open_writer(name, path, info())
    writer.write(disparity(3), [0, 1, 2])
    assert not path.exists()
    assert all(".part" in each for each in names(tmp_path))
    writer.close()
    writer.close()
    assert names(tmp_path) == [path.name]
    assert writer.frames == 3


@pytest.mark.parametrize("name", FORMATS)
def test_no_frame_leaves_nothing(tmp_path, name):
    path = tmp_path / f"out{suffix(name)}"
    open_writer(name, path, info()).close()
    with pytest.raises(RuntimeError), open_writer(name, path, info()):
        raise RuntimeError
    assert names(tmp_path) == []


@pytest.mark.parametrize("mode", ["rolling", "shot", "global"])
@pytest.mark.parametrize("name", FORMATS)
def test_ctrl_c_keeps_finished_frames(tmp_path, name, mode):
    path = tmp_path / f"out{suffix(name)}"
    writer = open_writer(name, path, info(), ExportOptions(range=mode))
    writer.write(disparity(7), list(range(7)))
    with pytest.raises(KeyboardInterrupt), writer:
        raise KeyboardInterrupt
    assert writer.abort(), "asked again, it still says that something was kept"
    assert names(tmp_path) == [path.name]
    assert kept_frames(name, path) == 7


def kept_frames(name: str, path: Path) -> int:
    if name == "mp4":
        return decoded(path)
    if name == "npz":
        return len(np.load(path)["disparity"])
    return len(names(path))


def test_ctrl_c_while_a_global_range_is_being_encoded(tmp_path, monkeypatch):
    path = tmp_path / "out.mp4"
    writer = open_writer("mp4", path, info(), ExportOptions(range="global"))
    writer.write(disparity(9), list(range(9)))
    encode = writer._encode

    def interrupted(frame, pts):
        if pts == 6:
            raise KeyboardInterrupt
        encode(frame, pts)

    monkeypatch.setattr(writer, "_encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    assert names(tmp_path) == ["out.mp4"]
    assert decoded(path) == writer.frames == 6


@pytest.mark.parametrize("name", FORMATS)
def test_an_existing_file_is_replaced_only_with_overwrite(tmp_path, name):
    path = tmp_path / f"out{suffix(name)}"
    write(name, path, disparity(3))
    with pytest.raises(OutputError, match="exists already; choose another name or add --overwrite"):
        open_writer(name, path, info())
    write(name, path, disparity(2), ExportOptions(overwrite=True))
    assert names(tmp_path) == [path.name]
    assert kept_frames(name, path) == 2


def test_a_folder_with_other_things_is_never_replaced(tmp_path):
    folder = tmp_path / "out_png16"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds other files"):
        open_writer("png16", folder, info(), ExportOptions(overwrite=True))
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(folder, overwrite=True)


@pytest.mark.parametrize("name", FORMATS)
def test_files_that_the_run_did_not_make_are_never_touched(tmp_path, name):
    """No temporary name is one that a user could have chosen."""
    path = tmp_path / f"out{suffix(name)}"
    mine = [path.with_name(f"{path.stem}.part{path.suffix}"), path.with_name(f"{path.stem}.spool")]
    for each in mine:
        each.mkdir() if not each.suffix else each.write_text("mine")
    write(name, path, disparity(3))
    assert names(tmp_path) == sorted([path.name, *(each.name for each in mine)])
    assert all(each.is_dir() or each.read_text() == "mine" for each in mine)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_appears_at_the_path_meanwhile_is_left_alone(tmp_path, name):
    path = tmp_path / f"out{suffix(name)}"
    writer = open_writer(name, path, info())
    writer.write(disparity(3), [0, 1, 2])
    path.write_text("mine")
    writer.close()
    assert path.read_text() == "mine"
    assert writer.path != path
    assert kept_frames(name, writer.path) == 3


def test_a_file_put_into_a_folder_of_frames_meanwhile_survives(tmp_path):
    folder = tmp_path / "out_png16"
    write("png16", folder, disparity(5))
    with open_writer("png16", folder, info(), ExportOptions(overwrite=True)) as writer:
        writer.write(disparity(2), [0, 1])
        (folder / "notes.txt").write_text("mine")
    assert names(folder) == ["frame_000000.png", "frame_000001.png", "notes.txt"]
    assert names(tmp_path) == ["out_png16"]


def test_results_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    for name in ("mp4", "npz"):
        write(name, tmp_path / f"out{suffix(name)}", disparity(2))
        assert (tmp_path / f"out{suffix(name)}").stat().st_mode == usual


def test_the_longest_name_that_the_disk_allows(tmp_path):
    path = tmp_path / f"{'x' * 251}.mp4"
    write("mp4", path, disparity(3))
    assert names(tmp_path) == [path.name]


def test_values_are_kept_at_the_networks_size_where_it_is_much_smaller(tmp_path):
    values = disparity(4, 24, 32)
    for name in ("npz", "png16"):
        source = info(height=96, width=128)
        with open_writer(name, tmp_path / f"out{suffix(name)}", source, network=(24, 32)) as writer:
            writer.write(values, range(4))
        assert writer.facts()["values_at"] == "network"
        assert writer.facts()["size"] == [24, 32]
        assert "bilinear" in writer.facts()["to_source_size"]
    with np.load(tmp_path / "out.npz") as archive:
        np.testing.assert_array_equal(archive["disparity"], values)
        assert archive["source_size"].tolist() == [96, 128]
        at_source = archive["disparity"]
    # The rule that the JSON states.
    restored = torch.nn.functional.interpolate(
        torch.from_numpy(at_source)[:, None], size=(96, 128), mode="bilinear", align_corners=False
    )[:, 0]
    with open_writer("npz", tmp_path / "b.npz", source, ExportOptions(values_at="source"), (24, 32)) as writer:
        writer.write(values, range(4))
    assert writer.facts()["values_at"] == "source"
    assert "to_source_size" not in writer.facts()
    np.testing.assert_array_equal(np.load(tmp_path / "b.npz")["disparity"], restored.numpy())
    with Image.open(tmp_path / "out_png16" / "frame_000000.png") as picture:
        assert picture.size == (32, 24)


@pytest.mark.parametrize(("network", "at"), [((24, 32), "network"), ((25, 32), "source")])
def test_a_quarter_of_the_pixels_is_much_smaller(network, at):
    assert (ExportOptions().size_of_values(network, (48, 64)) == network) == (at == "network")
    assert ExportOptions().size_of_values(network, (48, 64), is_image=True) == (48, 64)
    assert ExportOptions(values_at="network").size_of_values(network, (48, 64), is_image=True) == network


def test_half_precision_and_compression(tmp_path):
    values = disparity(9)
    write("npz", tmp_path / "plain.npz", values, ExportOptions(compress=False))
    writer = write("npz", tmp_path / "small.npz", values, ExportOptions(half=True, compress=True))
    assert writer.facts()["dtype"] == "float16"
    assert writer.facts()["compression"] == "bzip2"
    with np.load(tmp_path / "small.npz") as archive:
        np.testing.assert_array_equal(archive["disparity"], values.astype(np.float16))
        assert archive["pts"].tolist() == list(range(9))
    assert (tmp_path / "small.npz").stat().st_size < (tmp_path / "plain.npz").stat().st_size / 4
    assert names(tmp_path) == ["plain.npz", "small.npz"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(9, 48, 64), (20, 240, 320)], ids=["smaller than the sample", "larger"])
def test_npz_is_compressed_by_default_where_that_halves_it(tmp_path, size):
    smooth = disparity(*size)
    noise = np.random.default_rng(0).normal(size=size).astype(np.float32)
    assert write("npz", tmp_path / "smooth.npz", smooth).facts()["compression"] == "bzip2"
    assert "compression" not in write("npz", tmp_path / "noise.npz", noise).facts()
    assert (tmp_path / "smooth.npz").stat().st_size <= smooth.nbytes / 2
    for name, values in (("smooth", smooth), ("noise", noise)):
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npz")["disparity"], values)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_stored_values_are_read_frame_by_frame(tmp_path, half, compress):
    values = disparity(6)
    write("npz", tmp_path / "out.npz", values, ExportOptions(half=half, compress=compress))
    frames = read_npz_frames(tmp_path / "out.npz")
    first = next(frames)
    assert first.dtype == np.float32
    expected = values.astype(np.float16 if half else np.float32).astype(np.float32)
    np.testing.assert_array_equal(np.stack([first, *frames]), expected)


def test_half_precision_in_exr(tmp_path):
    openexr = pytest.importorskip("OpenEXR", reason="the exr extra is not installed")
    write("exr", tmp_path / "out_exr", disparity(1), ExportOptions(half=True))
    with openexr.File(str(tmp_path / "out_exr" / "frame_000000.exr")) as file:
        assert file.channels()["disparity"].pixels.dtype == np.float16


def test_the_input_itself_is_never_overwritten(tmp_path):
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"precious")
    with pytest.raises(OutputError, match="is the input itself"):
        open_writer("mp4", source, info(source), ExportOptions(overwrite=True))
    assert source.read_bytes() == b"precious"


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "out.mp4", Path("/proc/out.mp4"), Path("/dev/null/out.mp4")):
        if path.parent.parent.exists():
            with pytest.raises(OutputError, match=r"out\.mp4: .*; choose another folder"):
                check_writable(path, overwrite=False)
    check_writable(tmp_path / "new" / "folder" / "out.mp4", overwrite=False)
    assert names(tmp_path) == ["file"], "looking leaves nothing behind"
    write("npz", tmp_path / "new" / "folder" / "out.npz", disparity(1))


def full_after(method, calls: int):
    """The disk fills up at the call after `calls`; nothing more goes in until something is taken away."""
    count = 0

    def wrapped(*args):
        nonlocal count
        count += 1
        if count > calls:
            raise OSError(errno.ENOSPC, "No space left on device")
        return method(*args)

    return wrapped


def test_full_disk_npz_keeps_whole_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(NpzWriter, "_write_all", full_after(NpzWriter._write_all, 5))
    values = disparity(9)
    path = tmp_path / "out.npz"
    with pytest.raises(
        OutputError, match=r"the disk is full; free some space .*; the 4 finished frames are kept there"
    ):
        write("npz", path, values)
    assert names(tmp_path) == ["out.npz"]
    np.testing.assert_array_equal(np.load(path)["disparity"], values[:4])
    assert zipfile.ZipFile(path).testzip() is None


@pytest.mark.parametrize("taken", [False, True])
def test_full_disk_npz_keeps_plain_values_where_the_archive_has_no_room(tmp_path, monkeypatch, taken):
    """The user's own file of that name is left alone, even with `overwrite`."""
    writer = open_writer("npz", tmp_path / "out.npz", info(), ExportOptions(overwrite=True))
    values = disparity(3)
    writer.write(values, [0, 1, 2])
    if taken:
        (tmp_path / "out.npy").write_text("mine")
    monkeypatch.setattr("dvd.export.npz.shutil.copyfileobj", full_after(None, 0))
    with pytest.raises(OutputError, match=r"\.npy: the disk is full; .*; the 3 finished frames are kept there"):
        writer.close()
    np.testing.assert_array_equal(np.load(writer.path), values)
    assert writer.facts()["path"] == writer.path.name
    assert (writer.path.name == "out.npy") != taken
    assert names(tmp_path) == sorted({writer.path.name, "out.npy"})
    assert not taken or (tmp_path / "out.npy").read_text() == "mine"


def test_ctrl_c_while_compressing_keeps_a_plain_archive(tmp_path, monkeypatch):
    writer = open_writer("npz", tmp_path / "out.npz", info(), ExportOptions(compress=True))
    writer.write(disparity(3), [0, 1, 2])
    write_archive = writer._write_archive

    def interrupted(compress):
        if compress:
            raise KeyboardInterrupt
        write_archive(compress)

    monkeypatch.setattr(writer, "_write_archive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    assert names(tmp_path) == ["out.npz"]
    assert "compression" not in writer.facts()
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["disparity"], disparity(3))


def test_full_disk_png16_keeps_whole_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(Png16Writer, "save", full_after(Png16Writer.save, 3))
    with pytest.raises(OutputError, match=r"the disk is full; .*the 3 finished frames are kept there"):
        write("png16", tmp_path / "out_png16", disparity(5))
    assert names(tmp_path / "out_png16") == [f"frame_{index:06d}.png" for index in range(3)]


def test_full_disk_before_the_first_frame_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(NpzWriter, "_write_all", full_after(NpzWriter._write_all, 1))
    with pytest.raises(OutputError, match="the disk is full") as caught:
        write("npz", tmp_path / "out.npz", disparity(5))
    assert "kept" not in str(caught.value)
    assert names(tmp_path) == []


LIMITED = """
import resource, signal, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from synth import info
from dvd.errors import OutputError
from dvd.export import ExportOptions, open_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
noise = np.random.default_rng(0)
writer = open_writer("mp4", sys.argv[2], info(width=320, height=240), ExportOptions(range="fixed"))
try:
    for index in range(400):
        writer.write(noise.random((1, 240, 320), dtype=np.float32), [index])
    writer.close()
except OutputError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_an_mp4_that_may_grow_no_further_stays_playable(tmp_path):
    path = tmp_path / "out.mp4"
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(TESTS), str(path)], capture_output=True, text=True, check=True
    )
    assert "the file grows larger than is allowed here" in result.stdout, result.stdout + result.stderr
    assert names(tmp_path) == ["out.mp4"]
    with open_video(path) as video:
        frames = len(list(video))
    assert f"the {frames} finished frames are kept there" in result.stdout


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from synth import disparity, info
from dvd.export import ExportOptions, open_writer
writer = open_writer("mp4", sys.argv[2], info(), ExportOptions(range="rolling"))
for start in range(0, 300, 10):
    writer.write(disparity(10), list(range(start, start + 10)))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_process_leaves_a_playable_part(tmp_path):
    result = subprocess.run([sys.executable, "-c", KILLED, str(TESTS), str(tmp_path / "out.mp4")], check=False)
    assert result.returncode == -signal.SIGKILL
    (part,) = tmp_path.iterdir()
    assert re.fullmatch(r"out\.[0-9a-f]{8}\.part\.mp4", part.name)
    assert decoded(part) >= 150
    write("mp4", tmp_path / "out.mp4", disparity(3))
    assert names(tmp_path) == sorted(["out.mp4", part.name]), "another run's part is not this one's to remove"


def test_values_of_the_wrong_shape_are_a_programming_error(tmp_path):
    writer = open_writer("npz", tmp_path / "out.npz", info())
    with pytest.raises(ValueError, match="expected T h w"):
        writer.write(disparity(2, 10, 10), [0, 1])
    with pytest.raises(ValueError, match="expected T h w"):
        writer.write(disparity(2), [0])
    writer.write(disparity(0), [])
    assert writer.frames == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"range": "local"},
        {"colormap": "turbu"},
        {"fixed_range": (1.0, 1.0)},
        {"value_range": (0.0, float("nan"))},
        {"crf": 60},
        {"values_at": "sauce"},
    ],
)
def test_options_outside_their_range_are_refused(wrong):
    with pytest.raises(OptionError):
        ExportOptions(**wrong)

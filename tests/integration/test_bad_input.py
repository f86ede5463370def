"""What a user can get wrong: one clear line that names the file and the mend, status 2, nothing half-written.

What can be used although it is odd is used; the second half of this file says so for every oddity.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from synth import cut, damaged, make_sound, make_video, picture, with_index_first

from dvd.export.npz import NpzWriter

from .conftest import SMALL, Outcome, Run


def assert_refused(outcome: Outcome, *parts: object) -> None:
    """One line on stderr that holds all parts, exit status 2."""
    assert outcome.status == 2, outcome
    assert len(outcome.errors) == 1, outcome.err
    for part in parts:
        assert str(part) in outcome.errors[0]
    assert "Traceback" not in outcome.err


def left(folder: Path) -> list[str]:
    """Everything below a folder, by name; nothing where it does not exist."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def values(path: Path) -> np.ndarray:
    with np.load(path) as archive:
        return archive["disparity"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_video(tmp_path / "clip.mp4", 12)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


# What cannot be read


def test_a_missing_file(predict: Run, clip: Path, out: Path) -> None:
    assert_refused(predict(clip.with_name("clpi.mp4"), "-o", out), "clpi.mp4", "no such file", "did you mean clip.mp4?")
    assert left(out) == []


def test_a_folder_without_frames(predict: Run, tmp_path: Path, out: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert_refused(predict(tmp_path / "nothing", "-o", out), "nothing", "no images", "give a folder of frames")
    assert not out.exists()


def test_an_empty_video(predict: Run, tmp_path: Path, out: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert_refused(predict(empty, "-o", out), "empty.mp4", "is empty", "record it again")
    assert not out.exists()


def test_a_text_file_named_mp4(predict: Run, tmp_path: Path, out: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("this is not a video\n" * 50)
    assert_refused(predict(text, "-o", out), "notes.mp4", "video")
    assert not out.exists()


def test_sound_without_pictures(predict: Run, tmp_path: Path, out: Path) -> None:
    assert_refused(predict(make_sound(tmp_path / "song.m4a"), "-o", out), "song.m4a", "sound but no pictures")
    assert not out.exists()


def test_a_video_cut_before_its_index(predict: Run, clip: Path, out: Path) -> None:
    assert_refused(predict(cut(clip, 0.5), "-o", out), "clip.mp4", "copy or record it again")
    assert not out.exists()


def test_a_time_range_without_frames(predict: Run, clip: Path, out: Path) -> None:
    assert_refused(predict(clip, "-o", out, "--start", 50), "clip.mp4", "no frame lies in --start", "it has 12")
    assert_refused(predict(clip, "-o", out, "--start", "noon"), "--start noon", "give a frame number")
    assert not out.exists()


# What cannot be asked for


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--window", 9, "--overlap", 9], ["overlap is 9", "smaller than the window of 9"]),
        (["--window", 0], ["window is 0", "at least 2 frames"]),
        (["--overlap", 0], ["overlap is 0", "at least 1 frame"]),
        (["--size", "0x48"], ["'0x48'", "at least 1"]),
        (["--size=-32x48"], ["'-32x48'", "HEIGHTxWIDTH"]),
        (["--size", "big"], ["'big'", "480x640"]),
        (["--tau", 1.5], ["tau is 1.5", "between 0 and 1"]),
        (["--tau=-0.1"], ["tau is -0.1", "between 0 and 1"]),
        (["--model", "dvd-mni"], ["unknown model 'dvd-mni'", "did you mean dvd-mini"]),
        (["--format", "png61"], ["unknown format 'png61'", "did you mean png16"]),
        (["--device", "cudda"], ["unknown device 'cudda'", "did you mean cuda"]),
        (["--dtype", "flot32"], ["unknown dtype 'flot32'", "did you mean float32"]),
        (["--colormap", "turob"], ["unknown colormap 'turob'", "did you mean turbo"]),
        (["--range", "golbal"], ["unknown range 'golbal'", "did you mean global"]),
        (["--stitch", "dmo"], ["unknown way of stitching 'dmo'", "did you mean demo"]),
        (["--range", "fixed", "--fixed-range", 1, 0], ["fixed_range", "the smaller first"]),
        (["--values-at", "sauce"], ["unknown size of raw values 'sauce'", "did you mean source"]),
        (["--half"], ["--half is for npz and exr, and mp4 is asked for", "add --format npz"]),
        (["--compress", "--format", "png16"], ["--compress is for npz, and png16 is asked for"]),
        (["--colour", "red"], ["unrecognized arguments: --colour"]),
    ],
    ids=lambda value: "_".join(map(str, value)) if isinstance(value, list) else None,
)
def test_an_impossible_option(predict: Run, clip: Path, out: Path, arguments: list[object], parts: list[str]) -> None:
    assert_refused(predict(clip, "-o", out, *arguments), *parts)
    assert not out.exists()


def test_impossible_options_are_refused_before_the_model_is_opened(
    predict: Run, clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvd.backbones.registry.load", lambda *_: pytest.fail("the weights were read"))
    monkeypatch.setattr("dvd.export.writer.find_spec", lambda name: None)
    assert_refused(predict(clip, "-o", out, "--format", "exr"), "exr needs the OpenEXR library", "dvd-depth[exr]")
    assert_refused(predict(clip, "-o", out / "depth.exr"), "exr needs the OpenEXR library")
    assert_refused(predict(clip, "-o", out, "--window", 9, "--overlap", 9), "overlap is 9")
    assert_refused(predict(clip, "-o", out, "--stitch", "least"), "did you mean least-squares")
    assert not out.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_device(predict: Run, clip: Path, out: Path) -> None:
    assert_refused(predict(clip, "-o", out, "--device", "cuda"), "device 'cuda'", "use auto or cpu")


def test_an_unknown_command(dvd: Run) -> None:
    assert_refused(dvd("perdict"), "unknown command 'perdict'", "did you mean predict")


# Models that are damaged


def test_weights_of_the_wrong_shape(dvd: Run, golden_copy: Path, clip: Path, out: Path) -> None:
    weights = golden_copy / "dvd_tiny.safetensors"
    state = load_file(weights)
    name = "pipe.dit.blocks.1.norm3.weight"
    state[name] = torch.ones(7)
    save_file(state, weights)
    assert_refused(
        dvd("predict", clip, "-o", out, *SMALL, "--model", golden_copy), weights, "blocks.1.norm3.weight", "7"
    )
    assert not out.exists()


@pytest.mark.parametrize("part", ["blocks.0.self_attn.o.base_layer.weight", "head.head.bias"])
def test_nan_in_the_weights(dvd: Run, golden_copy: Path, clip: Path, out: Path, part: str) -> None:
    weights = golden_copy / "dvd_tiny.safetensors"
    state = load_file(weights)
    state[f"pipe.dit.{part}"].view(-1)[3] = float("nan")
    save_file(state, weights)
    assert_refused(dvd("predict", clip, "-o", out, *SMALL, "--model", golden_copy), weights, part, "not finite")
    assert left(out) == []


def test_a_cut_off_weight_file(dvd: Run, golden_copy: Path, clip: Path, out: Path) -> None:
    cut(golden_copy / "dvd_tiny.safetensors", 0.7)
    assert_refused(dvd("predict", clip, "-o", out, *SMALL, "--model", golden_copy), "dvd_tiny.safetensors", "again")


def test_a_missing_model_folder(predict: Run, clip: Path, out: Path, tmp_path: Path) -> None:
    missing = tmp_path / "modle"
    assert_refused(predict(clip, "-o", out, "--model", missing), missing, "no such model folder")


# Places that cannot be written


def test_an_output_below_a_file(predict: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    assert_refused(predict(clip, "-o", tmp_path / "taken" / "deeper"), "taken/deeper", "choose another folder")
    assert (tmp_path / "taken").read_text() == "a file"


@pytest.mark.slow
def test_an_existing_output(predict: Run, clip: Path, out: Path) -> None:
    out.mkdir()
    (out / "clip.mp4").write_text("precious")
    assert_refused(predict(clip, "-o", out), out / "clip.mp4", "exists already", "--overwrite")
    assert (out / "clip.mp4").read_text() == "precious"
    assert left(out) == ["clip.mp4"]
    assert predict(clip, "-o", out, "--overwrite").status == 0
    assert (out / "clip.mp4").stat().st_size > 1000


def test_an_output_that_is_the_input(predict: Run, clip: Path) -> None:
    before = clip.read_bytes()
    assert_refused(predict(clip, "-o", clip, "--overwrite"), clip, "is the input itself")
    assert clip.read_bytes() == before


def test_a_report_that_cannot_be_written(predict: Run, clip: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    assert_refused(predict(clip, "-o", out, "--report", tmp_path / "taken" / "seams.json"), "taken/seams.json")
    assert not out.exists()


def test_a_file_name_with_an_unwritable_ending(predict: Run, clip: Path, tmp_path: Path) -> None:
    assert_refused(predict(clip, "-o", tmp_path / "depth.avi"), "depth.avi", ".avi is not written")
    assert_refused(predict(clip, "-o", tmp_path / "a.npz", "--format", "mp4"), "a.npz", "give a folder")
    assert_refused(predict(clip, clip, tmp_path / "b.mp4", "-o", tmp_path / "a.npz"), "a.npz", "several inputs")


def test_a_full_disk_leaves_nothing(predict: Run, clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(NpzWriter, "add", full)
    assert_refused(predict(clip, "-o", out, "--format", "npz"), "clip.npz", "the disk is full", "free some space")
    assert left(out) == []


@pytest.mark.slow
def test_a_file_size_limit_keeps_the_finished_frames(installed: Run, tmp_path: Path, out: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 40)
    limit = 20 * 48 * 64 * 4

    def shrink() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    outcome = installed("predict", clip, "-o", out, "--format", "npz", *SMALL, preexec_fn=shrink)
    assert outcome.status == 2
    assert [line for line in outcome.errors if line.startswith("dvd: ")] == [outcome.errors[-1]]
    assert "clip.npz" in outcome.errors[-1]
    assert "ulimit" in outcome.errors[-1]
    kept = values(out / "clip.npz")
    assert 1 <= len(kept) <= 20
    assert np.isfinite(kept).all()
    assert left(out) == ["clip.json", "clip.npz"]
    assert json.loads((out / "clip.json").read_text())["outputs"][0]["frames"] == len(kept)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGINT, 130, "dvd: stopped"),
        (signal.SIGTERM, 143, "dvd: stopped by SIGTERM"),
        (signal.SIGHUP, 129, "dvd: stopped by SIGHUP"),
    ],
)
def test_a_signal_keeps_the_finished_frames_in_a_playable_file(
    command: Path, tmp_path: Path, out: Path, number: int, status: int, said: str
) -> None:
    clip = make_video(tmp_path / "clip.mp4", 600)
    arguments = [command, "predict", clip, "-o", out, *SMALL, "--size", "96x128", "--format", "mp4,npz"]
    process = subprocess.Popen(
        [str(each) for each in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background makes them deaf to Ctrl-C, and nohup to SIGHUP.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    give_up = time.monotonic() + 60
    while not any(_size(each) > 30 * 48 * 64 * 4 for each in out.glob("clip.*.part.npy")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up, left(out)
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == said
    kept = values(out / "clip.npz")
    assert f"keeps the {len(kept)} frames that were done" in errors
    with av.open(str(out / "clip.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == len(kept)
    assert 30 <= len(kept) < 600
    assert left(out) == ["clip.json", "clip.mp4", "clip.npz"]
    assert json.loads((out / "clip.json").read_text())["stopped"] == "stopped by the user"


def _size(path: Path) -> int:
    """Bytes of a file; none of one that has just been renamed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


# Several inputs, and what is damaged in part


@pytest.mark.slow
def test_one_bad_input_does_not_stop_the_others(predict: Run, clip: Path, tmp_path: Path, out: Path) -> None:
    second = make_video(tmp_path / "second.mp4", 5)
    outcome = predict(clip, tmp_path / "missing.mp4", second, "-o", out, "--format", "npz")
    assert_refused(outcome, "missing.mp4", "no such file")
    assert left(out) == ["clip.json", "clip.npz", "second.json", "second.npz"]


@pytest.mark.slow
def test_two_inputs_with_the_same_name_do_not_overwrite_each_other(
    predict: Run, clip: Path, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "other").mkdir()
    twin = make_video(tmp_path / "other" / "clip.mp4", 3)
    outcome = predict(clip, twin, "-o", out, "--overwrite", "--format", "npz")
    assert_refused(outcome, twin, "clip.npz", "give each its own folder")
    assert len(values(out / "clip.npz")) == 12


@pytest.mark.slow
def test_the_readable_part_of_a_truncated_video_is_used(predict: Run, tmp_path: Path, out: Path) -> None:
    clip = cut(with_index_first(make_video(tmp_path / "clip.mp4", 40)), 0.6)
    outcome = predict(clip, "-o", out, "--format", "npz")
    assert outcome.status == 0
    frames = values(out / f"{clip.stem}.npz")
    assert 5 < len(frames) < 40
    told = [line for line in outcome.errors if clip.name in line]
    assert len(told) == 1
    assert f"{len(frames)} of 40 frames" in told[0]
    assert told[0] in json.loads((out / f"{clip.stem}.json").read_text())["warnings"]


@pytest.mark.slow
def test_the_intact_frames_of_a_corrupt_video_are_used(predict: Run, tmp_path: Path, out: Path) -> None:
    clip = damaged(make_video(tmp_path / "clip.mkv", 40, codec="ffv1", pix_fmt="bgr0"), 0.4, 0.5)
    outcome = predict(clip, "-o", out, "--format", "npz")
    assert outcome.status == 0
    assert 5 < len(values(out / "clip.npz")) < 40
    assert any("clip.mkv" in line for line in outcome.errors)


def test_a_video_whose_size_changes_midway(predict: Run, tmp_path: Path, out: Path) -> None:
    small = make_video(tmp_path / "1.h264", 4, container_format="h264")
    large = make_video(tmp_path / "2.h264", 4, size=(96, 128), container_format="h264")
    both = tmp_path / "both.h264"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    outcome = predict(both, "-o", out, "--format", "npz")
    assert outcome.status == 0
    assert values(out / "both.npz").shape == (8, 48, 64)
    assert any("the size changes" in line for line in outcome.errors)


# What is odd, but fine


@pytest.mark.parametrize("count", [1, 2])
def test_very_short_videos(predict: Run, tmp_path: Path, out: Path, count: int) -> None:
    clip = make_video(tmp_path / "clip.mp4", count)
    assert predict(clip, "-o", out, "--format", "npz,mp4").status == 0
    assert values(out / "clip.npz").shape == (count, 48, 64)
    with av.open(str(out / "clip.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == count


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (47, 63), (33, 48)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_tiny_and_odd_sizes(predict: Run, tmp_path: Path, out: Path, size: tuple[int, int]) -> None:
    clip = make_video(tmp_path / "clip.mkv", 5, size=size, codec="ffv1", pix_fmt="bgr0")
    assert predict(clip, "-o", out, "--format", "npz,mp4").status == 0
    assert values(out / "clip.npz").shape == (5, *size)
    with av.open(str(out / "clip.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 5


def test_odd_sizes_of_images(predict: Run, tmp_path: Path, out: Path) -> None:
    Image.fromarray(picture(0, 7, 5)).save(tmp_path / "dot.png")
    assert predict(tmp_path / "dot.png", "-o", out).status == 0
    assert Image.open(out / "dot.png").size == (5, 7)


@pytest.mark.parametrize(
    "more",
    [
        {"pix_fmt": "yuv420p10le"},
        {"pix_fmt": "yuv420p10le", "colour": {"color_trc": 16, "colorspace": 9, "color_primaries": 9}},
        {"pix_fmt": "gray"},
        {"codec": "mpeg2video", "interlaced": True},
        {"codec": "ffv1", "pix_fmt": "bgra"},
    ],
    ids=["10-bit", "HDR", "grayscale", "interlaced", "alpha"],
)
def test_unusual_sources(predict: Run, tmp_path: Path, out: Path, more: dict) -> None:
    clip = make_video(tmp_path / "clip.mkv", 6, **more)
    assert predict(clip, "-o", out, "--format", "npz").status == 0
    found = values(out / "clip.npz")
    assert found.shape == (6, 48, 64)
    assert np.isfinite(found).all()


def test_a_window_is_rounded_up_to_4n_plus_1_with_a_warning(predict: Run, clip: Path, out: Path) -> None:
    outcome = predict(clip, "-o", out, "--window", 7, "--format", "npz")
    assert outcome.status == 0
    assert outcome.errors == ["window of 7 frames rounded up to 9, as the model needs"]
    assert json.loads((out / "clip.json").read_text())["window"] == 9


@pytest.mark.slow
def test_a_rounded_window_is_reported_once_for_all_inputs(predict: Run, clip: Path, tmp_path: Path, out: Path) -> None:
    other = make_video(tmp_path / "other.mp4", 3)
    outcome = predict(clip, other, "-o", out, "--window", 7, "--format", "npz")
    assert outcome.errors == ["window of 7 frames rounded up to 9, as the model needs"]

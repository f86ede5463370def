"""`dvd predict` on pictures: numbers of sequences in the outputs and the JSON, and what is said of folders."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from synth import make_video, picture

from .conftest import Run

GAP = "shots: frames 1003–1004 are missing"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Frames 1001, 1002, 1005, 1006."""
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in (1001, 1002, 1005, 1006):
        Image.fromarray(picture(number % 32)).save(folder / f"shot_{number}.png")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_outputs_keep_the_numbers_of_the_sequence_and_gaps_are_reported(predict: Run, shots: Path, out: Path) -> None:
    outcome = predict(shots, "-o", out, "--format", "mp4,npz,png16")
    assert outcome.status == 0
    assert GAP in outcome.err
    assert names(out / "shots_png16") == [f"frame_{number}.png" for number in (1001, 1002, 1005, 1006)]
    facts = json.loads((out / "shots.json").read_text())
    assert facts["source_numbers"] == {"first": 1001, "last": 1006, "step": 1, "missing": [[1003, 1004]]}
    assert facts["warnings"][0].startswith(GAP)
    with np.load(out / "shots.npz") as archive:
        assert archive["pts"].tolist() == [0, 1, 4, 5]
    with av.open(str(out / "shots.mp4")) as video:
        assert [frame.pts * frame.time_base * 25 for frame in video.decode(video=0)] == [0, 1, 4, 5]


def test_a_part_of_a_sequence_keeps_its_numbers(predict: Run, shots: Path, out: Path) -> None:
    assert predict(shots / "shot_%04d.png", "-o", out, "--format", "png16", "--start", 1, "--end", 3).status == 0
    assert names(out / "shot_png16") == ["frame_1002.png", "frame_1005.png"]


def test_other_inputs_have_no_numbers(predict: Run, tmp_path: Path, out: Path) -> None:
    assert predict(make_video(tmp_path / "clip.mp4", 2), "-o", out, "--format", "png16").status == 0
    assert names(out / "clip_png16") == ["frame_000000.png", "frame_000001.png"]
    assert json.loads((out / "clip.json").read_text())["source_numbers"] is None


def test_an_animation_keeps_its_times(predict: Run, tmp_path: Path, out: Path) -> None:
    pictures = [Image.fromarray(picture(index)) for index in range(3)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=[40, 200, 40])
    assert predict(tmp_path / "a.webp", "-o", out).status == 0
    with av.open(str(out / "a.mp4")) as video:
        times_ms = [frame.pts * frame.time_base * 1000 for frame in video.decode(video=0)]
    assert times_ms == [0, 40, 240]


def test_a_mixed_folder_is_refused_before_a_model_is_loaded(
    predict: Run, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("dvd.pipeline.load", load)
    for index in range(3):
        for kind in ("color", "depth"):
            Image.fromarray(picture(index)).save(tmp_path / f"{index}_{kind}.png")
    outcome = predict(tmp_path, "-o", out)
    assert outcome.status == 2
    (line,) = outcome.errors
    assert f"'{tmp_path}/*_color.png' or '{tmp_path}/*_depth.png'" in line
    assert not out.exists()


def test_a_folder_of_videos_is_refused_with_the_right_pattern(predict: Run, tmp_path: Path, out: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mkv", "notes.txt"):
        (clips / name).touch()
    outcome = predict(clips, "-o", out)
    assert outcome.status == 2
    (line,) = outcome.errors
    assert line.endswith(
        f"clips: holds videos (a.mp4, b.mp4, c.mkv), not frames; give them as inputs of their own: "
        f"{clips}/*.mp4 {clips}/*.mkv"
    )


@pytest.mark.slow
def test_a_quoted_pattern_of_videos_is_as_many_inputs(predict: Run, tmp_path: Path, out: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        make_video(tmp_path / name, 2)
    assert predict(tmp_path / "*.mp4", "-o", out, "--format", "npz").status == 0
    assert names(out) == ["a.json", "a.npz", "b.json", "b.npz"]

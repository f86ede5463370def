"""`dvd predict` and its sisters do what they say: outputs, their times and sounds, the JSON, the report."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from synth import NTSC_FILM, make_video, packets, picture

import dvd as product
from dvd.apps.demo import bundled_clip
from dvd.errors import DVDError
from dvd.export import formats
from dvd.names import FORMATS
from dvd.plugins import Plugins

from .conftest import GOLDEN, SMALL, Run


def values(path: Path) -> np.ndarray:
    with np.load(path) as archive:
        return archive["disparity"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def added_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for formats of other packages again, and forget them afterwards."""
    monkeypatch.setattr(formats, "_FORMATS", Plugins("format", FORMATS, "dvd.formats"))


@pytest.mark.slow
def test_the_command_and_the_python_api_predict_the_same(predict: Run, tmp_path: Path, out: Path) -> None:
    frames = [picture(index) for index in range(14)]
    clip = make_video(tmp_path / "clip.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    assert predict(clip, "-o", out, "--format", "npz").status == 0
    model = product.load(GOLDEN, dtype="float32", device="cpu")
    expected = model.predict(np.stack(frames), size=(32, 48), window=9, overlap=3)
    np.testing.assert_allclose(values(out / "clip.npz"), expected, atol=1e-5)


def test_every_format_at_once_with_the_json_beside(predict: Run, tmp_path: Path, out: Path) -> None:
    pytest.importorskip("OpenEXR", reason="the extra exr is not installed")
    clip = make_video(tmp_path / "clip.mp4", 5)
    outcome = predict(clip, "-o", out, "--format", "mp4,npz", "--format", "png16,exr")
    assert outcome.status == 0
    assert sorted(path.name for path in out.iterdir()) == [
        *("clip.json", "clip.mp4", "clip.npz", "clip_exr", "clip_png16")
    ]
    assert len(list((out / "clip_png16").glob("*.png"))) == len(list((out / "clip_exr").glob("*.exr"))) == 5
    facts = json.loads((out / "clip.json").read_text())
    stated = {
        name: facts[name] for name in ("model", "window", "overlap", "tau", "dtype", "size", "source_size", "frames")
    }
    assert stated == {
        "model": "golden",
        "window": 9,
        "overlap": 3,
        "tau": 0.5,
        "dtype": "float32",
        "size": [48, 48],
        "source_size": [48, 64],
        "frames": 5,
    }
    assert facts["polarity"] == "larger is nearer"
    disparity = values(out / "clip.npz")
    low, high = facts["range"]
    assert low <= disparity.min() < low + 0.1
    assert high - 0.1 < disparity.max() <= high
    assert "5 frames in" in outcome.out
    assert str(out / "clip.npz") in outcome.out


TOY = """
from dvd.export import Writer

class MeansWriter(Writer):
    name = "means"
    suffix = image_suffix = "_means.txt"
    endings = (".txt",)

    def add(self, frame, pts):
        with self.part.open("a") as file:
            file.write(f"{pts} {frame.mean()}\\n")
"""


@pytest.mark.slow
def test_a_format_of_another_package_is_predicted_into(
    predict: Run, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, added_formats: None
) -> None:
    """The package is installed as far as Python can tell: a module, and an entry point in its metadata."""
    site = tmp_path / "site"
    (site / "toy-1.0.dist-info").mkdir(parents=True)
    (site / "toy_of_dvd.py").write_text(TOY)
    (site / "toy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (site / "toy-1.0.dist-info" / "entry_points.txt").write_text("[dvd.formats]\nmeans = toy_of_dvd:MeansWriter\n")
    monkeypatch.syspath_prepend(site)
    clip = make_video(tmp_path / "clip.mp4", 5)
    outcome = predict(clip, "-o", out, "--format", "npz,means")
    assert outcome.status == 0, outcome
    means = [float(line.split()[1]) for line in (out / "clip_means.txt").read_text().splitlines()]
    np.testing.assert_allclose(means, values(out / "clip.npz").mean(axis=(1, 2)), atol=1e-5)
    assert json.loads((out / "clip.json").read_text())["outputs"][1] == {"path": "clip_means.txt", "frames": 5}
    assert predict(clip, "-o", tmp_path / "alone.txt").status == 0
    assert (tmp_path / "alone.txt").read_text() == (out / "clip_means.txt").read_text()


def test_a_file_name_chooses_the_format(predict: Run, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 3)
    assert predict(clip, "-o", tmp_path / "deep" / "depth.npz").status == 0
    assert values(tmp_path / "deep" / "depth.npz").shape == (3, 48, 64)
    assert (tmp_path / "deep" / "depth.json").is_file()


@pytest.mark.slow
def test_rate_sound_and_orientation_are_kept(predict: Run, tmp_path: Path, out: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 24, rate=NTSC_FILM, audio="aac", rotation=90)
    assert predict(clip, "-o", out).status == 0
    with av.open(str(out / "clip.mp4")) as video:
        stream = video.streams.video[0]
        assert stream.average_rate == NTSC_FILM
        assert (stream.width, stream.height) == (48, 64)
        assert sum(1 for _ in video.decode(video=0)) == 24
    source, result = packets(clip, "audio"), packets(out / "clip.mp4", "audio")
    assert [content for _, content in result] == [content for _, content in source]


@pytest.mark.slow
def test_variable_frame_rate_keeps_its_times(predict: Run, tmp_path: Path, out: Path) -> None:
    times = [0, 40, 120, 121, 300, 340, 400, 500, 501, 700]
    clip = make_video(tmp_path / "clip.mkv", len(times), time_base=Fraction(1, 1000), pts=times)
    assert predict(clip, "-o", out, "--format", "mp4,npz").status == 0
    with av.open(str(out / "clip.mp4")) as video:
        shown = [float(frame.pts * frame.time_base) for frame in video.decode(video=0)]
    assert shown == pytest.approx([time / 1000 for time in times], abs=1e-3)
    with np.load(out / "clip.npz") as archive:
        assert (archive["pts"] * archive["time_base"][0] / archive["time_base"][1]).tolist() == pytest.approx(shown)


def test_a_folder_a_pattern_and_an_image(predict: Run, tmp_path: Path, out: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(6):
        Image.fromarray(picture(index)).save(frames / f"shot_{index:03d}.png")
    outcome = predict(frames, frames / "shot_%03d.png", frames / "shot_002.png", "-o", out, "--format", "npz")
    assert outcome.status == 0, outcome
    assert values(out / "frames.npz").shape == values(out / "shot.npz").shape == (6, 48, 64)
    np.testing.assert_array_equal(values(out / "frames.npz"), values(out / "shot.npz"))
    assert values(out / "shot_002.npz").shape == (1, 48, 64)


@pytest.mark.slow
def test_raw_values_keep_the_networks_size_if_it_is_much_smaller(predict: Run, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 5, size=(96, 128))
    assert predict(clip, "-o", tmp_path / "a", "--format", "npz,mp4").status == 0
    assert values(tmp_path / "a" / "clip.npz").shape == (5, 48, 48)
    npz, mp4 = json.loads((tmp_path / "a" / "clip.json").read_text())["outputs"]
    assert (npz["values_at"], npz["size"]) == ("network", [48, 48])
    assert "bilinear, half-pixel centres" in npz["to_source_size"]
    assert mp4["range"] == "shot"
    with av.open(str(tmp_path / "a" / "clip.mp4")) as video:
        assert (video.streams.video[0].height, video.streams.video[0].width) == (96, 128)
    outcome = predict(clip, "-o", tmp_path / "b", "--format", "npz", "--values-at", "source", "--half", "--compress")
    assert outcome.status == 0
    assert (values(tmp_path / "b" / "clip.npz").shape, values(tmp_path / "b" / "clip.npz").dtype) == (
        (5, 96, 128),
        np.float16,
    )


@pytest.mark.slow
def test_a_second_format_is_added_beside_the_first(predict: Run, tmp_path: Path, out: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 5)
    assert predict(clip, "-o", out).status == 0
    assert predict(clip, "-o", out, "--format", "npz").status == 0
    assert sorted(path.name for path in out.iterdir()) == ["clip.json", "clip.mp4", "clip.npz"]
    facts = json.loads((out / "clip.json").read_text())
    assert [output["path"] for output in facts["outputs"]] == ["clip.mp4", "clip.npz"]
    assert predict(clip, "-o", out, "--format", "npz").status == 2


def test_a_part_of_a_video(predict: Run, tmp_path: Path, out: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 30)
    assert predict(clip, "-o", out, "--format", "npz", "--start", 10, "--end", "0:01").status == 0
    assert len(values(out / "clip.npz")) == 15


@pytest.mark.slow
def test_the_report_lists_every_seam(predict: Run, tmp_path: Path, out: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 21)
    assert predict(clip, "-o", out, "--format", "npz", "--report", tmp_path / "seams.json").status == 0
    (told,) = json.loads((tmp_path / "seams.json").read_text())["inputs"]
    assert [(seam["start"], seam["stop"]) for seam in told["seams"]] == [(6, 9), (12, 15)]
    assert {"scale", "shift", "r2", "residual", "error_before", "error_after", "trusted"} <= told["seams"][0].keys()
    facts = json.loads((out / "clip.json").read_text())
    assert all(told[name] == facts[name] for name in ("seams", "shots", "cuts"))
    assert (told["shots"][0]["start"], told["shots"][0]["stop"], told["cuts"]) == (0, 21, [])


def test_colour_and_gray_differ_and_values_do_not(predict: Run, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 4)
    assert predict(clip, "-o", tmp_path / "a", "--format", "mp4,npz", "--colormap", "inferno").status == 0
    assert predict(clip, "-o", tmp_path / "b", "--format", "mp4,npz", "--grayscale", "--range", "global").status == 0
    np.testing.assert_array_equal(values(tmp_path / "a" / "clip.npz"), values(tmp_path / "b" / "clip.npz"))
    with av.open(str(tmp_path / "b" / "clip.mp4")) as video:
        gray = next(video.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    with av.open(str(tmp_path / "a" / "clip.mp4")) as video:
        colour = next(video.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.ptp(gray, axis=-1).max() <= 6
    assert np.ptp(colour, axis=-1).max() > 40


@pytest.mark.slow
def test_the_demo_makes_its_three_files(dvd: Run, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "street.mp4", 20, audio="aac")
    outcome = dvd("demo", "--clip", clip, "-o", tmp_path / "demo", *SMALL)
    assert outcome.status == 0, outcome
    names = ["street.json", "street.npz", "street_sheet.png", "street_side_by_side.mp4"]
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == names
    with av.open(str(tmp_path / "demo" / "street_side_by_side.mp4")) as video:
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert video.streams.audio
    assert len(pictures) == 20
    assert pictures[0].shape == (48, 128, 3)
    assert np.abs(pictures[7][:, :64].astype(int) - picture(7)).mean() < 12
    assert Image.open(tmp_path / "demo" / "street_sheet.png").width > 640
    assert all(name in outcome.out for name in names)
    assert "frames per second" in outcome.out
    assert dvd("demo", "--clip", clip, "-o", tmp_path / "demo", *SMALL).status == 0, "a second demo replaces the first"


def test_the_demo_without_its_clip_says_how_to_get_it(
    dvd: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dvd.apps.demo.CLIP_PACKAGE", "no-such-package")
    outcome = dvd("demo", "-o", tmp_path / "demo", *SMALL)
    assert outcome.status == 2
    (line,) = outcome.errors
    assert 'pip install "dvd-depth[demo]"' in line
    assert not (tmp_path / "demo").exists()


@pytest.mark.slow
def test_a_part_of_a_real_clip_through_the_installed_command(installed: Run, out: Path) -> None:
    try:
        clip = bundled_clip()
    except DVDError as error:
        pytest.skip(str(error))
    outcome = installed("predict", clip, "-o", out, "--end", 30, "--format", "mp4,npz", *SMALL)
    assert outcome.status == 0, outcome
    assert values(out / "bikes.npz").shape == (30, 32, 80)
    with av.open(str(out / "bikes.mp4")) as video:
        assert video.streams.video[0].average_rate == 25
        assert sum(1 for _ in video.decode(video=0)) == 30


@pytest.mark.slow
def test_the_installed_command_refuses_in_one_line(installed: Run, tmp_path: Path) -> None:
    outcome = installed("predict", tmp_path / "absent.mp4", "-o", tmp_path / "out")
    assert outcome.status == 2
    (line,) = outcome.errors
    assert line.startswith("dvd: ")
    assert "absent.mp4: no such file" in line


@pytest.mark.slow
def test_models_and_doctor_through_the_installed_command(installed: Run) -> None:
    listed = installed("models")
    assert listed.status == 0
    assert all(name in listed.out for name in ("dvd-mini", "dvd-1.0", "dvd-1.1", "CC BY-NC 4.0", "Apache-2.0"))
    told = installed("doctor", *SMALL)
    assert told.status == 0, told
    for topic in ("processor", "bfloat16", "torch", "FFmpeg", "would run", "would need", "if it is upright", "golden"):
        assert topic in told.out

"""`dvd data` reports, also in its exit status, whether a data set can be trained on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvd.apps.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Write two folders of RGB and depth, three frames each."""
    for name in ("kitchen", "office"):
        for frame in range(3):
            for kind, ending in (("rgb", "jpg"), ("depth", "png")):
                path = tmp_path / name / kind / f"{frame:05d}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                if kind == "rgb":
                    Image.new("RGB", (32, 24)).save(path)
                else:
                    Image.fromarray(np.full((24, 32), 1500 + frame, np.uint16)).save(path)
    return tmp_path


def check(*arguments: object) -> int:
    return main(["data", "check", *map(str, arguments)])


def test_a_whole_data_set_exits_with_0(recording: Path, capsys: Capture) -> None:
    assert check("rgbd", recording) == 0
    output = capsys.readouterr().out
    assert "scenes     2: kitchen, office" in output
    assert "size       32 × 24 (6)" in output
    assert "depth      1.5 … 1.502 m, known for 100% of the pixels" in output
    assert output.splitlines()[-1] == "rgbd: usable and whole; 6 frames in 2 sequences"


def test_missing_and_broken_files_are_named_and_exit_with_2(recording: Path, capsys: Capture) -> None:
    (recording / "office" / "depth" / "00002.png").unlink()
    (recording / "kitchen" / "depth" / "00001.png").write_bytes(b"not a picture")
    assert check("rgbd", recording) == 2
    output = capsys.readouterr().out
    assert "office/depth/00002.png: no such depth for office/rgb/00002.jpg" in output
    assert f"{recording / 'kitchen' / 'depth' / '00001.png'}: cannot be read" in output
    assert output.splitlines()[-1] == (
        "rgbd: usable, but 1 file without a partner and 1 broken of 5 frames read; 5 frames in 2 sequences"
    )


def test_an_unusable_data_set_exits_with_2(recording: Path, capsys: Capture) -> None:
    assert check("rgbd", recording, "--per-metre", "1") == 2
    output = capsys.readouterr().out
    assert "is it stored in 1000 units a metre, not 1?" in output
    assert output.splitlines()[-1] == "rgbd: not usable: 6 broken of 6 frames read"


def test_frames_are_listed(recording: Path, capsys: Capture) -> None:
    (recording / "office" / "depth" / "00002.png").unlink()
    check("rgbd", recording, "--list", "--all")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        "  kitchen  kitchen  00000 … 00002 (3)",
        "  office  office  00000 … 00002 (3); 1 without depth",
    ]


def test_many_faults_are_counted_and_a_few_named(recording: Path, capsys: Capture) -> None:
    for frame in range(3, 20):
        Image.new("RGB", (32, 24)).save(recording / "office" / "rgb" / f"{frame:05d}.jpg")
    assert check("rgbd", recording) == 2
    output = capsys.readouterr().out
    assert "missing    17" in output
    assert "… and 7 more" in output
    assert output.count("no such depth") == 10


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("rgdb", "."), "unknown data set 'rgdb'; did you mean rgbd?"),
        (
            ("rgbd", "nowhere"),
            "nowhere does not exist; give the folder that holds rgbd frames, such as ROOT/office/rgb/",
        ),
        (("rgbd",), "the following arguments are required: ROOT"),
        (("rgbd", ".", "--per-metre", "-5"), "-5 stored units per metre make no sense"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], answer: str, capsys: Capture) -> None:
    assert check(*arguments) == 2
    output = capsys.readouterr().err
    assert answer in output
    assert output.count("\n") == 1


def test_another_layout_is_recognised(recording: Path, capsys: Capture) -> None:
    assert check("tartanair", recording) == 2
    assert capsys.readouterr().err.endswith("; it looks like rgbd\n")


def test_images_published_without_depth_are_not_faults(recording: Path, capsys: Capture) -> None:
    for number in range(3):
        Image.new("RGB", (32, 24)).save(recording / "office" / "rgb" / f"13050311{number:02d}.175304.png")
        Image.fromarray(np.full((24, 32), 9000, np.uint16)).save(
            recording / "office/depth" / f"13050311{number:02d}.18.png"
        )
    Image.new("RGB", (32, 24)).save(recording / "office" / "rgb" / "1305031109.5.png")
    assert check("tum", recording) == 0
    output = capsys.readouterr().out
    assert "frames     3 with depth, 3 read; 1 images or depths without a partner, as published" in output
    assert "depth      1.8 … 1.8 m" in output
    assert output.splitlines()[-1] == "tum: usable and whole; 3 frames in 1 sequence"


def test_the_known_data_sets_are_listed(capsys: Capture) -> None:
    assert main(["data", "list"]) == 0
    output = capsys.readouterr().out
    for name in ("tartanair", "virtual_kitti_2", "hypersim", "rgbd"):
        assert f"{name}: " in output
    assert "ROOT/Scene02/clone/frames/depth/Camera_0/depth_00000.png" in output
    for name in ("kitti", "scannet", "bonn", "sintel", "nyuv2", "diode", "eth3d", "tum"):
        assert f"\n{name}: " in output
    assert "used    the bottom centre of 1216 × 352, evaluated in rows 0.3324324 … 0.9135135" in output
    assert main(["data", "--help"]) == 0
    assert "check" in capsys.readouterr().out


@pytest.mark.slow
def test_a_cache_prints_the_command_that_trains_from_it(recording: Path, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("accelerate", reason="the train extra is not installed")
    golden = Path(__file__).resolve().parents[2] / "golden"
    arguments = ["dvd-wan-1.3b", "--data", str(recording.parent), "--model.weights", str(golden)]
    arguments += ["--hypersim.data", "rgbd", "--hypersim.root", str(recording), "--adapt.mixture.mode", "image"]
    arguments += ["--vkitti-images.weight", "0", "--adapt.mixture.sizes", "32x48", "--precision", "fp32"]
    assert main(["data", "cache", *arguments, "-o", str(tmp_path / "own latents")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("hypersim: 0.0 MiB")
    assert lines[1] == f"train from them with: dvd train {' '.join(arguments)} --latents '{tmp_path / 'own latents'}'"

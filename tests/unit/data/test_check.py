"""The check counts frames, and names missing and broken files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvd.data import check
from dvd.data.check import inspect, spans
from dvd.data.layouts import LAYOUTS, open_source

SIZE = (24, 32)


def scene(root: Path, name: str = "ocean", frames: int = 6, metres: float = 2.0) -> Path:
    """Write one TartanAir sequence and return its folder."""
    folder = root / name / "Hard" / "P003"
    for side in ("image_left", "depth_left"):
        (folder / side).mkdir(parents=True)
    for frame in range(frames):
        Image.new("RGB", SIZE[::-1]).save(folder / "image_left" / f"{frame:06d}_left.png")
        np.save(folder / "depth_left" / f"{frame:06d}_left_depth.npy", np.full(SIZE, metres + frame, np.float32))
    return folder


def test_the_report_of_a_whole_data_set(tmp_path: Path) -> None:
    scene(tmp_path)
    scene(tmp_path, "gascola", frames=4, metres=30)
    (tmp_path / "weights").mkdir()
    report = inspect(open_source("tartanair", tmp_path, "all"))
    assert report.scenes == ("gascola", "ocean")
    assert (report.sequences, report.frames, report.read) == (2, 10, 10)
    assert report.sizes == {(32, 24): 10}
    assert report.depth_m == (2, 33)
    assert report.known == 1
    assert report.missing == report.broken == report.gaps == []
    assert report.other_folders == ("weights",)
    assert report.absent_scenes == tuple(s for s in LAYOUTS["tartanair"].scenes if s not in ("gascola", "ocean"))
    assert report.usable
    assert report.whole


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = scene(tmp_path)
    (folder / "depth_left" / "000001_left_depth.npy").unlink()
    (folder / "image_left" / "000004_left.png").unlink()
    report = inspect(open_source("tartanair", tmp_path, "all"))
    assert report.missing == [
        "ocean/Hard/P003/depth_left/000001_left_depth.npy: no such depth for "
        "ocean/Hard/P003/image_left/000001_left.png",
        "ocean/Hard/P003/depth_left/000004_left_depth.npy: depth without image",
    ]
    assert report.gaps == ["ocean/Hard/P003/left: from 000003 to 000005"]
    assert report.frames == report.read == 4
    assert report.usable
    assert not report.whole


def test_broken_files_are_named_with_the_reason(tmp_path: Path) -> None:
    folder = scene(tmp_path, frames=8)
    depth = [folder / "depth_left" / f"{frame:06d}_left_depth.npy" for frame in range(8)]
    depth[0].write_bytes(depth[0].read_bytes()[:-100])
    depth[1].write_bytes(b"")
    np.save(depth[2], np.where(np.eye(*SIZE), np.nan, 1).astype(np.float32))
    np.save(depth[3], np.ones((12, 16), np.float32))
    np.save(depth[4], np.full(SIZE, 3000, np.float32))
    np.save(depth[5], np.zeros(SIZE, np.float32))
    image = folder / "image_left" / "000006_left.png"
    image.write_bytes(image.read_bytes()[:40])
    report = inspect(open_source("tartanair", tmp_path, "all"))
    assert [error.where for error in report.broken] == [str(path) for path in (*depth[:6], image)]
    reasons = ("cannot be read", "cannot be read", "24 pixels of 768 that are not finite", "is 16 × 12, and its image")
    for error, reason in zip(
        report.broken, (*reasons, "no depth in 0 … 50 m", "no pixel of", "cannot be"), strict=True
    ):
        assert reason in error.why
    assert report.sizes == {(32, 24): 1}
    assert report.usable
    assert not report.whole


def test_a_data_set_of_broken_frames_is_not_usable(tmp_path: Path) -> None:
    folder = scene(tmp_path, frames=2)
    for path in (folder / "depth_left").iterdir():
        path.write_bytes(b"x")
    report = inspect(open_source("tartanair", tmp_path, "all"))
    assert not report.usable
    assert not report.whole


def test_a_sample_reaches_from_the_first_frame_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene(tmp_path, frames=9)
    monkeypatch.setattr(check, "SAMPLE", 3)
    source = open_source("tartanair", tmp_path, "all")
    seen: list[str] = []

    def watch(pairs: list) -> list:
        seen.extend(pair.number for pair in pairs)
        return pairs

    assert inspect(source, watch=watch).read == 3
    assert seen == ["000000", "000004", "000008"]
    assert inspect(source, every=True).read == 9


def test_scenes_outside_the_training_split_are_listed(tmp_path: Path) -> None:
    for name in ("Scene01", "Scene18"):
        for kind, ending in (("rgb", "jpg"), ("depth", "png")):
            path = tmp_path / name / "fog" / "frames" / kind / "Camera_0" / f"{kind}_00000.{ending}"
            path.parent.mkdir(parents=True)
            stored = np.full(SIZE, 500, np.uint16)
            Image.fromarray(stored if kind == "depth" else stored.astype(np.uint8)).save(path)
    report = inspect(open_source("virtual_kitti_2", tmp_path, "all"))
    assert report.scenes == ("Scene01", "Scene18")
    assert report.unlisted_scenes == ("Scene01",)
    assert report.absent_scenes == ("Scene02", "Scene06", "Scene20")
    assert report.depth_m == (5, 5)


def test_absent_scenes_are_counted_where_a_row_has_no_names() -> None:
    assert check.absent_scenes(LAYOUTS["hypersim"], ["ai_001_001", "ai_001_002"]) == 459
    assert check.absent_scenes(LAYOUTS["rgbd"], ["kitchen"]) == ()


def test_frame_numbers_are_listed_in_short(tmp_path: Path) -> None:
    folder = scene(tmp_path, frames=6)
    for path in folder.glob("*/000004_left*"):
        path.unlink()
    [sequence] = open_source("tartanair", tmp_path).sequences
    assert spans(sequence.pairs) == ["000000 … 000003 (4)", "000005"]

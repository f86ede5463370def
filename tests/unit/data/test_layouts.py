"""Tiny folders in each data set's own layout: listing, depth values, refusals and their reasons."""

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvd.data import formats
from dvd.data.check import inspect
from dvd.data.folders import Pair, Patterns, fill, find, nearest, position, runs, survey
from dvd.data.layout import planar
from dvd.data.layouts import LAYOUTS, LayoutSource, open_source
from dvd.data.sources import BadSample
from dvd.errors import InputError, OptionError
from dvd.evaluation.sequences import open_sequences

SIZE = (24, 32)
LABELLED = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "labelled"
F32 = np.float32


def save_image(path: Path, shade: int = 0, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (shade, shade, shade)).save(path)


def save_png16(path: Path, stored: np.ndarray | int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.broadcast_to(np.asarray(stored, np.uint16), SIZE).copy()).save(path)


def save_npy(path: Path, depth_m: np.ndarray | float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.broadcast_to(np.asarray(depth_m, F32), SIZE).copy())


def save_hdf5(path: Path, distance_m: np.ndarray | float) -> None:
    h5py = pytest.importorskip("h5py")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["dataset"] = np.broadcast_to(np.asarray(distance_m, np.float16), SIZE)


def tartanair(root: Path, nested: bool = False, frames: int = 5) -> Path:
    """Two scenes; the frame's number is its shade, and its depth is number + 1 metres."""
    for scene in ("abandonedfactory", "ocean"):
        base = root / scene / scene if nested else root / scene
        for side in ("left", "right"):
            for frame in range(frames):
                number = f"{frame:06d}_{side}"
                save_image(base / "Easy" / "P001" / f"image_{side}" / f"{number}.png", frame)
                save_npy(base / "Easy" / "P001" / f"depth_{side}" / f"{number}_depth.npy", frame + 1)
    return root


def virtual_kitti(root: Path, scenes: tuple[str, ...] = ("Scene01", "Scene02"), frames: int = 3) -> Path:
    for scene in scenes:
        for camera in (0, 1):
            frames_of = root / scene / "clone" / "frames"
            for frame in range(frames):
                save_image(frames_of / "rgb" / f"Camera_{camera}" / f"rgb_{frame:05d}.jpg", frame)
                save_png16(frames_of / "depth" / f"Camera_{camera}" / f"depth_{frame:05d}.png", 250 * (frame + 1))
    return root


def hypersim(root: Path, distance_m: np.ndarray | float = 2.0) -> Path:
    for scene in ("ai_001_001", "ai_010_003"):
        for frame in (0, 1, 7):
            images = root / scene / "images"
            save_image(images / "scene_cam_00_final_preview" / f"frame.{frame:04d}.tonemap.jpg", frame)
            save_hdf5(images / "scene_cam_00_geometry_hdf5" / f"frame.{frame:04d}.depth_meters.hdf5", distance_m)
    return root


def rgbd(root: Path, sequences: tuple[str, ...] = ("kitchen", "office"), frames: int = 4) -> Path:
    for sequence in sequences:
        for frame in range(frames):
            save_image(root / sequence / "rgb" / f"{frame:05d}.jpg", frame)
            save_png16(root / sequence / "depth" / f"{frame:05d}.png", 1000 + frame)
    return root


TREES = {"tartanair": tartanair, "virtual_kitti_2": virtual_kitti, "hypersim": hypersim, "rgbd": rgbd}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_example_of_each_row_matches_its_patterns(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    for path in layout.example:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    [sequence] = survey(tmp_path, layout.paths).sequences
    assert [(pair.rgb, pair.depth, pair.whole) for pair in sequence.pairs] == [(*layout.example, True)]
    assert isinstance(layout.scenes, int) or not layout.scenes or sequence.scene in layout.scenes
    assert layout.range_m[0] < layout.range_m[1]


@pytest.mark.parametrize("name", TREES)
def test_a_source_gives_clips(name: str, tmp_path: Path) -> None:
    source = open_source(name, TREES[name](tmp_path))
    assert source.name == name
    assert source.count(1) > 0
    for index in range(source.count(1)):
        clip = source.clip(index, 1)
        assert clip.rgb.shape == (1, *SIZE, 3)
        assert clip.disparity.shape == (1, *SIZE)
        assert (clip.rgb.dtype, clip.disparity.dtype) == (np.uint8, F32)
    assert source.count(1000) == source.count(0) == 0


def test_tartanair_reads_both_sides_of_all_scenes(tmp_path: Path) -> None:
    source = open_source("tartanair", tartanair(tmp_path))
    assert [sequence.name for sequence in source.sequences] == [
        f"{scene}/Easy/P001/{side}" for scene in ("abandonedfactory", "ocean") for side in ("left", "right")
    ]
    assert [source.count(frames) for frames in (1, 2, 5, 6)] == [20, 16, 4, 0]
    clip = source.clip(5, 2)  # the second clip of the second sequence: four clips of two frames are in the first
    np.testing.assert_array_equal(clip.rgb[:, 0, 0, 0], [1, 2])
    np.testing.assert_array_equal(clip.disparity[:, 0, 0], [F32(1) / F32(2), F32(1) / F32(3)])
    assert clip.valid is None


def test_tartanair_is_read_nested_and_from_a_folder_further_down(tmp_path: Path) -> None:
    nested = tartanair(tmp_path / "nested", nested=True)
    flat = tartanair(tmp_path / "flat")
    names = [sequence.name for sequence in open_source("tartanair", flat).sequences]
    assert [sequence.name for sequence in open_source("tartanair", nested).sequences] == names
    for root, count in (
        (nested / "ocean", 2),
        (nested / "ocean" / "ocean", 2),
        (flat / "ocean", 2),
        (flat / "ocean" / "Easy", 2),
        (flat / "ocean" / "Easy" / "P001", 2),
    ):
        source = open_source("tartanair", root)
        assert [sequence.name for sequence in source.sequences] == names[2:], root
        assert len(source.sequences) == count
        assert source.clip(0, 1).disparity[0, 0, 0] == 1


def test_far_depth_is_clamped_and_zero_depth_is_unknown(tmp_path: Path) -> None:
    tartanair(tmp_path)
    depth = np.full(SIZE, 4.0, F32)
    depth[0, :4] = [0, -1, 1e4, 1e-12]
    save_npy(tmp_path / "abandonedfactory" / "Easy" / "P001" / "depth_left" / "000000_left_depth.npy", depth)
    disparity = open_source("tartanair", tmp_path).clip(0, 1).disparity[0]
    np.testing.assert_array_equal(np.isnan(disparity[0, :4]), [True, True, False, False])
    assert disparity[0, 2] == F32(1) / F32(50)
    assert np.isfinite(disparity[0, 3])
    assert disparity[1, 0] == 0.25


def test_virtual_kitti_trains_on_four_scenes_and_keeps_the_far_sky(tmp_path: Path) -> None:
    virtual_kitti(tmp_path)
    stored = np.full(SIZE, 250)
    stored[0, :3] = [0, 8001, 65535]
    save_png16(tmp_path / "Scene02" / "clone" / "frames" / "depth" / "Camera_0" / "depth_00000.png", stored)
    source = open_source("virtual_kitti_2", tmp_path)
    assert {sequence.scene for sequence in source.sequences} == {"Scene02"}
    assert {sequence.scene for sequence in open_source("virtual_kitti_2", tmp_path, "all").sequences} == {
        "Scene01",
        "Scene02",
    }
    clip = source.clip(0, 3)
    assert np.isnan(clip.disparity[0, 0, 0])
    assert clip.disparity[0, 0, 1] == F32(1) / F32(80.01)
    assert clip.disparity[0, 0, 2] == F32(1) / F32(655.35)
    np.testing.assert_array_equal(clip.valid[0, 0, :4], [False, False, False, True])
    np.testing.assert_array_equal(clip.disparity[:, 1, 0], [F32(1) / F32(2.5), F32(1) / F32(5), F32(1) / F32(7.5)])


def test_hypersim_is_single_images(tmp_path: Path) -> None:
    source = open_source("hypersim", hypersim(tmp_path))
    assert (source.count(1), source.count(2), source.count(45)) == (6, 0, 0)


def test_hypersim_turns_distance_into_depth(tmp_path: Path) -> None:
    """Compare with points on a sphere: the last coordinate of a ray's end at that distance is its depth."""
    source = open_source("hypersim", hypersim(tmp_path, 8.0))
    disparity = source.clip(0, 1).disparity[0]
    focal = 886.81 * 32 / 1024
    for row, column in ((0, 0), (11, 15), (23, 31), (5, 20)):
        ray = np.array([(column + 0.5) - 16, (row + 0.5) - 12, focal])
        end = 8.0 * ray / np.linalg.norm(ray)
        assert disparity[row, column] == pytest.approx(1 / end[2], rel=1e-6)
    assert disparity[0, 0] > disparity[11, 15] > 1 / 8.001


def test_planar_depth_at_the_published_size() -> None:
    depth = planar(np.full((768, 1024), 10, F32), 886.81)
    corner = 10 * 886.81 / (886.81**2 + 511.5**2 + 383.5**2) ** 0.5
    assert depth[0, 0] == pytest.approx(corner, rel=1e-6)
    assert depth.dtype == F32
    np.testing.assert_array_equal(depth, depth[::-1, ::-1])


def test_hypersim_clamps_far_depth_and_keeps_nan_unknown(tmp_path: Path) -> None:
    distance = np.full(SIZE, 2.0)
    distance[12, 16:18] = [np.nan, 400]
    disparity = open_source("hypersim", hypersim(tmp_path, distance)).clip(0, 1).disparity[0]
    assert np.isnan(disparity[12, 16])
    assert disparity[12, 17] == F32(1) / F32(65)
    assert np.isfinite(disparity).sum() == disparity.size - 1


def test_rgbd_is_read_in_all_its_forms(tmp_path: Path) -> None:
    root = rgbd(tmp_path / "several")
    (root / "office" / "rgb").rename(root / "office" / "color")
    (root / "notes").mkdir()
    (root / "office" / "color" / "._00000.jpg").touch()
    source = open_source("rgbd", root)
    assert [(sequence.name, len(sequence.pairs)) for sequence in source.sequences] == [("kitchen", 4), ("office", 4)]
    assert source.survey.other_folders == ("notes",)
    assert [sequence.name for sequence in open_source("rgbd", root / "office").sequences] == ["office"]
    np.testing.assert_array_equal(
        source.clip(0, 4).disparity[:, 0, 0], F32(1) / (np.arange(1000, 1004, dtype=F32) / 1000)
    )
    assert open_source("rgbd", root, per_metre=500).clip(0, 1).disparity[0, 0, 0] == 0.5


def test_rgbd_is_paired_by_time_where_names_differ(tmp_path: Path) -> None:
    images = ("1305031102.175304", "1305031102.211214", "1305031102.243211", "1305031109.000000")
    depths = ("1305031102.160407", "1305031102.226738", "1305031102.262886", "1305031103.000000")
    for shade, stamp in enumerate(images):
        save_image(tmp_path / "desk" / "rgb" / f"{stamp}.png", shade)
    for millimetres, stamp in enumerate(depths, 1000):
        save_png16(tmp_path / "desk" / "depth" / f"{stamp}.png", millimetres)
    source = open_source("rgbd", tmp_path)
    [sequence] = source.sequences
    assert [(pair.number, Path(pair.depth).stem) for pair in sequence.pairs] == list(
        zip(images[:3], depths[:3], strict=True)
    )
    assert source.survey.lone_images == (f"desk/rgb/{images[3]}.png",)
    assert source.survey.lone_depths == (f"desk/depth/{depths[3]}.png",)


def test_the_nearest_in_time_is_paired_once() -> None:
    assert nearest(["1.000", "1.010", "9.0"], ["1.008", "1.030"], 0.02) == {"1.010": "1.008"}
    assert nearest(["rgb_2", "rgb_10"], ["depth_10", "depth_2"], 0.02) == {"rgb_2": "depth_2", "rgb_10": "depth_10"}


def test_no_clip_crosses_a_gap(tmp_path: Path) -> None:
    tartanair(tmp_path, frames=6)
    for path in (tmp_path / "ocean" / "Easy" / "P001").glob("*_left/000003_left*"):
        path.unlink()
    source = open_source("tartanair", tmp_path / "ocean")
    assert [source.count(frames) for frames in (1, 2, 3, 4)] == [5 + 6, 3 + 5, 1 + 4, 3]
    shades = [source.clip(index, 2).rgb[:, 0, 0, 0].tolist() for index in range(3)]
    assert shades == [[0, 1], [1, 2], [4, 5]]


def test_sequences_are_split_where_the_step_doubles() -> None:
    def split(*numbers: str) -> list[list[str]]:
        pairs = tuple(Pair(number, "", "") for number in numbers)
        return [[pair.number for pair in run] for run in runs(pairs)]

    assert split("0", "10", "20", "40", "50") == [["0", "10", "20"], ["40", "50"]]
    assert split("1.00", "1.03", "1.07", "1.10") == [["1.00", "1.03", "1.07", "1.10"]]
    assert split("a1", "a2", "b3", "b4") == [["a1", "a2"], ["b3", "b4"]]
    assert split("7") == [["7"]]
    assert split() == []
    assert sorted(["f10", "f9", "f100"], key=position) == ["f9", "f10", "f100"]


def test_a_source_can_be_pickled_for_worker_processes(tmp_path: Path) -> None:
    source = open_source("rgbd", rgbd(tmp_path))
    copy: LayoutSource = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy.clip(1, 2).disparity, source.clip(1, 2).disparity)
    assert set(pickle.loads(pickle.dumps(dict(LAYOUTS)))) == set(LAYOUTS)


# The same data sets, arranged otherwise

DRIVE = "2011_09_26_drive_0002_sync"
LABELS = f"{DRIVE}/proj_depth/groundtruth/image_02"


def kitti(root: Path, image: str, depth: str, frames: int = 3) -> Path:
    for frame in range(5, 5 + frames):
        save_image(root / image / f"{frame:010d}.png", frame, (352, 1216))
        path = root / depth / f"{frame:010d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((352, 1216), 256 * 4, np.uint16)).save(path)
    return root


@pytest.mark.parametrize(
    ("image", "depth", "split"),
    [
        (f"rgb/2011_09_26/{DRIVE}/image_02/data", f"depth/train/{LABELS}", "train"),  # the release's README
        (f"rgb/2011_09_26/{DRIVE}/image_02/data", f"depth/{LABELS}", ""),
        (f"rgb/2011_09_26/{DRIVE}/image_02/data", f"depth/2011_09_26/{LABELS}", ""),
        (f"rgb/{DRIVE}/image_02/data", f"depth/val/{LABELS}", "val"),
        (f"rgb/train/{DRIVE}/image_02/data", f"depth/train/{LABELS}", "train"),
        (f"rgb/train/2011_09_26/{DRIVE}/image_02/data", f"depth/train/{LABELS}", "train"),
        (f"2011_09_26/{DRIVE}/image_02/data", f"train/{LABELS}", "train"),  # the official archives, side by side
        (f"raw/2011_09_26/{DRIVE}/image_02/data", f"data_depth_annotated/val/{LABELS}", "val"),
        (f"kitti_raw/2011_09_26/{DRIVE}/image_02/data", f"train/{LABELS}", "train"),
        (f"train/{DRIVE}/image_02/data", f"train/{LABELS}", "train"),
        (f"2011_09_26/{DRIVE}/image_02/data", LABELS, ""),  # Marigold's images of the Eigen split
    ],
)
def test_kitti_is_found_in_the_folders_of_a_release(image: str, depth: str, split: str, tmp_path: Path) -> None:
    root = kitti(tmp_path / "kitti_depth", image, depth)
    source = open_source("kitti", root, "all")
    [sequence] = source.sequences
    assert (sequence.name, sequence.split) == (DRIVE, split)
    assert [(pair.number, pair.whole) for pair in sequence.pairs] == [(f"{n:010d}", True) for n in (5, 6, 7)]
    assert source.clip(0, 2).disparity[0, 0, 0] == 0.25
    assert inspect(source).whole
    [measured] = open_sequences("kitti", root, split or None)
    assert [frame.name for frame in measured.frames()] == ["0000000005", "0000000006", "0000000007"]


def test_a_folder_above_or_below_kitti_gives_a_hint(tmp_path: Path) -> None:
    root = kitti(tmp_path / "kitti_depth", f"rgb/2011_09_26/{DRIVE}/image_02/data", f"depth/train/{LABELS}")
    with pytest.raises(InputError, match="kitti_depth holds both: give that"):
        open_source("kitti", tmp_path)
    with pytest.raises(InputError, match="kitti_depth holds both: give that"):
        open_source("kitti", root / "rgb")
    with pytest.raises(InputError, match="kitti_depth holds both: give that"):
        open_source("kitti", root / "depth")


@pytest.mark.parametrize("split", ["train/", "val/", "test/", ""])
def test_prepared_hypersim_is_found(split: str, tmp_path: Path) -> None:
    folder = tmp_path / "hypersim" / split / "ai_001_002"
    for frame in (0, 3):
        save_image(folder / f"rgb_cam_00_fr{frame:04d}.png", frame)
        save_png16(folder / f"depth_plane_cam_00_fr{frame:04d}.png", 2500)
    source = open_source("hypersim", tmp_path / "hypersim", "all")
    [sequence] = source.sequences
    assert (sequence.name, sequence.scene, sequence.split) == ("ai_001_002/cam_00", "ai_001_002", split.rstrip("/"))
    disparity = source.clip(0, 1).disparity
    np.testing.assert_allclose(disparity, 1 / 2.5, rtol=1e-6)  # planar already, corners too
    assert inspect(source).whole
    assert len(open_sequences("hypersim", tmp_path / "hypersim")) == 2


@pytest.mark.parametrize("images", ["images", ""])
def test_hypersim_below_its_splits_keeps_distances_along_the_ray(images: str, tmp_path: Path) -> None:
    for split in ("train", "val"):
        folder = tmp_path / split / f"ai_001_00{len(split)}" / images
        save_image(folder / "scene_cam_01_final_preview" / "frame.0002.tonemap.jpg")
        save_hdf5(folder / "scene_cam_01_geometry_hdf5" / "frame.0002.depth_meters.hdf5", 8.0)
    source = open_source("hypersim", tmp_path)
    assert [sequence.name for sequence in source.sequences] == ["ai_001_005/cam_01"], "val is not trained on"
    disparity = source.clip(0, 1).disparity[0]
    assert disparity[0, 0] > disparity[11, 15] > 1 / 8.001
    held_out = open_source("hypersim", tmp_path, "held-out").sequences
    assert [sequence.split for sequence in held_out] == ["val"]
    assert len(open_source("hypersim", tmp_path, "all").sequences) == 2
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(InputError, match="holds only ai_001_003, which hypersim does not train on; add the folder tr"):
        open_source("hypersim", tmp_path)


def test_contents_are_listed_where_no_form_matches(tmp_path: Path) -> None:
    drive = tmp_path / "rgb" / "2011_09_26" / DRIVE
    (drive / "image_03" / "data").mkdir(parents=True)
    (drive / "oxts").mkdir()
    with pytest.raises(InputError) as refused:
        open_source("kitti", tmp_path)
    line = str(refused.value)
    assert line.startswith(f"{tmp_path} holds no kitti frames, such as ROOT/{LAYOUTS['kitti'].example[0]}")
    assert line.endswith(f"; {drive} has no image_02, it holds image_03/, oxts/")
    with pytest.raises(InputError, match=r"holds only rgb/$"):
        open_source("hypersim", tmp_path)
    for number in range(9):
        (tmp_path / f"take{number}").mkdir()
    with pytest.raises(InputError, match=r"holds only rgb/, take0/, take1/, take2/, take3/, take4/ and 4 more$"):
        open_source("hypersim", tmp_path)


def test_images_alone_do_not_look_like_a_data_set(tmp_path: Path) -> None:
    save_image(tmp_path / "office" / "rgb" / "00000.png")
    with pytest.raises(InputError, match="holds only office/"):
        open_source("kitti", tmp_path)


# Damaged files


def bad(source: LayoutSource, frames: int = 1, index: int = 0) -> BadSample:
    with pytest.raises(BadSample) as refused:
        source.clip(index, frames)
    return refused.value


def test_a_missing_depth_is_named(tmp_path: Path) -> None:
    tartanair(tmp_path)
    path = tmp_path / "abandonedfactory" / "Easy" / "P001" / "depth_left" / "000002_left_depth.npy"
    path.unlink()
    source = open_source("tartanair", tmp_path)
    assert source.count(1) == 20
    assert bad(source, index=2).where == str(path)
    assert bad(source, frames=5).why == "is missing"


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    source = open_source("rgbd", rgbd(tmp_path))
    (tmp_path / "kitchen" / "rgb" / "00000.jpg").unlink()
    assert bad(source).where == str(tmp_path / "kitchen" / "rgb" / "00000.jpg")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_depth_that_is_not_finite_is_named(value: float, tmp_path: Path) -> None:
    depth = np.ones(SIZE)
    depth[3, 4] = value
    path = tmp_path / "abandonedfactory" / "Easy" / "P001" / "depth_left" / "000000_left_depth.npy"
    tartanair(tmp_path)
    save_npy(path, depth)
    error = bad(open_source("tartanair", tmp_path))
    assert error.where == str(path)
    assert "1 pixels of 768 that are not finite" in error.why


def test_infinity_and_only_nan_are_damage_in_hypersim_too(tmp_path: Path) -> None:
    distance = np.full(SIZE, 2.0)
    distance[0, 0] = np.inf
    assert "not finite" in bad(open_source("hypersim", hypersim(tmp_path / "a", distance))).why
    assert "no pixel of known depth" in bad(open_source("hypersim", hypersim(tmp_path / "b", np.nan))).why


def test_sizes_that_differ_are_named(tmp_path: Path) -> None:
    rgbd(tmp_path)
    save_image(tmp_path / "kitchen" / "rgb" / "00000.jpg", size=(24, 30))
    error = bad(open_source("rgbd", tmp_path))
    assert error.where.endswith("00000.png")
    assert error.why == "is 32 × 24, and its image 30 × 24"
    save_image(tmp_path / "office" / "rgb" / "00001.jpg", size=(12, 16))
    Image.fromarray(np.full((12, 16), 900, np.uint16)).save(tmp_path / "office" / "depth" / "00001.png")
    error = bad(open_source("rgbd", tmp_path / "office"), frames=2)
    assert error.where.endswith("00001.jpg")
    assert error.why == "is 16 × 12, and its clip began with 32 × 24"


def test_depth_in_other_units_is_suspected(tmp_path: Path) -> None:
    error = bad(open_source("rgbd", rgbd(tmp_path), per_metre=1))
    assert error.where.endswith("kitchen/depth/00000.png")
    assert error.why.startswith("has no depth in 0.001 … 80 m: it is at 1000 … 1000 m")
    assert error.why.endswith("is it stored in 1000 units a metre, not 1?")


# Wrong folders


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_empty_folder_is_refused_with_the_expected_layout(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        open_source(name, tmp_path)
    image, depth = LAYOUTS[name].example
    assert str(refused.value) == f"{tmp_path} holds no {name} frames, such as ROOT/{image} with ROOT/{depth}"


def test_a_missing_root_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="nowhere does not exist; give the folder that holds rgbd frames, such as"):
        open_source("rgbd", tmp_path / "nowhere")
    with pytest.raises(InputError, match="file is a file, not a folder"):
        open_source("rgbd", tmp_path / "file")


def test_images_without_depth_and_depth_without_images_are_refused(tmp_path: Path) -> None:
    source = rgbd(tmp_path)
    for sequence in ("kitchen", "office"):
        (source / sequence / "depth").rename(source / sequence / "depths")
    with pytest.raises(InputError, match=r"8 images of rgbd but no depth .* looked for .*kitchen/depth/00000\.png"):
        open_source("rgbd", tmp_path)
    for sequence in ("kitchen", "office"):
        (source / sequence / "depths").rename(source / sequence / "depth")
        (source / sequence / "rgb").rename(source / sequence / "images")
    with pytest.raises(InputError, match=r"8 depths of rgbd, such as kitchen/depth/00000\.png, but no images"):
        open_source("rgbd", tmp_path)


def test_hints_for_a_wrong_folder_another_set_and_archives(tmp_path: Path) -> None:
    tartanair(tmp_path / "sets" / "tartan")
    with pytest.raises(InputError, match="tartan holds both: give that"):
        open_source("tartanair", tmp_path / "sets")
    with pytest.raises(InputError, match="P001 holds both: give that"):
        open_source("tartanair", tmp_path / "sets" / "tartan" / "ocean" / "Easy" / "P001" / "image_left")
    with pytest.raises(InputError, match=r"it looks like tartanair$"):
        open_source("hypersim", tmp_path / "sets" / "tartan")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "ai_001_001.zip").touch()
    with pytest.raises(InputError, match="unpack its archives first"):
        open_source("hypersim", tmp_path / "packed")


def test_a_folder_that_cannot_be_listed_does_not_hide_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rgbd(tmp_path)
    (tmp_path / "lost+found").mkdir()
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert open_source("rgbd", tmp_path).count(1) == 8
    assert "lost+found: it cannot be listed (Permission denied)" in caplog.text


def test_only_scenes_outside_the_training_split_is_an_error(tmp_path: Path) -> None:
    virtual_kitti(tmp_path, ("Scene01",))
    with pytest.raises(InputError, match="holds only Scene01, which virtual_kitti_2 does not train on; add Scene02"):
        open_source("virtual_kitti_2", tmp_path)


def test_unknown_names_and_impossible_units_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="unknown data set 'hyprsim'; did you mean hypersim"):
        LAYOUTS["hyprsim"]
    with pytest.raises(OptionError, match="0 stored units per metre make no sense"):
        open_source("rgbd", tmp_path, per_metre=0)


# Other data sets


@pytest.mark.parametrize(
    ("patterns", "image", "depth", "sequence"),
    [
        (
            Patterns(
                rgb="{date}/{drive}_sync/image_{camera}/data/{frame}.png",
                depth="{split:train|val}/{drive}_sync/proj_depth/groundtruth/image_{camera}/{frame}.png",
                scene="{drive}",
                sequence="{drive}/{camera}",
            ),
            "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000005.png",
            "val/2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02/0000000005.png",
            "2011_09_26_drive_0002/02",
        ),
        (
            Patterns(
                rgb=r"training/final/{scene}/frame_{frame:\d+}.png",
                depth=r"training/depth/{scene}/frame_{frame:\d+}.dpt",
                scene="{scene}",
                sequence="{scene}",
            ),
            "training/final/alley_1/frame_0001.png",
            "training/depth/alley_1/frame_0001.dpt",
            "alley_1",
        ),
        (
            Patterns(
                rgb="{place:indoors|outdoor}/{scene}/{scan}/{frame}.png",
                depth="{place:indoors|outdoor}/{scene}/{scan}/{frame}_depth.npy",
                scene="{scene}",
                sequence="{place}/{scan}",
            ),
            "indoors/scene_00019/scan_00183/00019_00183_indoors_000_010.png",
            "indoors/scene_00019/scan_00183/00019_00183_indoors_000_010_depth.npy",
            "indoors/scan_00183",
        ),
    ],
    ids=["kitti", "sintel", "diode"],
)
def test_other_data_sets_are_rows_of_patterns(
    patterns: Patterns, image: str, depth: str, sequence: str, tmp_path: Path
) -> None:
    for path in (image, depth):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = survey(tmp_path, patterns)
    assert [match.name for match in found.sequences] == [sequence]
    assert [(pair.rgb, pair.depth, pair.whole) for pair in found.sequences[0].pairs] == [(image, depth, True)]
    assert found.lone_depths == ()


def test_a_new_row_is_read_without_new_code(tmp_path: Path) -> None:
    row = replace(
        LAYOUTS["rgbd"],
        paths=Patterns(rgb="{s}/{frame}.png", depth="{s}/{frame}_depth.npy", scene="{s}", sequence="{s}"),
        read=formats.read_npy,
        per_metre=2,
    )
    save_image(tmp_path / "a" / "0.png")
    save_npy(tmp_path / "a" / "0_depth.npy", 8.0)
    source = LayoutSource(row, tmp_path, survey(tmp_path, row.paths), "all", row.per_metre)
    assert source.clip(0, 1).disparity[0, 0, 0] == 0.25


def test_a_recurring_field_is_the_same_text(tmp_path: Path) -> None:
    for name in ("a/a_1.png", "a/b_1.png", "b/b_2.png"):
        save_image(tmp_path / name)
    assert [path for _, path in find(tmp_path, r"{scene}/{scene}_{frame:\d+}.png")] == ["a/a_1.png", "b/b_2.png"]
    assert fill("{scene}/{:png|jpg}/{frame}", {"scene": "a"}) == "a/png/*"


# Real material


@pytest.mark.skipif(not LABELLED.is_dir(), reason="../shared/data/labelled is not here")
def test_the_labelled_clips_are_read() -> None:
    source = open_source("rgbd", LABELLED)
    frames = {sequence.name: len(sequence.pairs) for sequence in source.sequences}
    assert frames == {"aims_slam": 195, "office_walk": 160, "redwood_rgbd": 5, "tum_cabinet": 58, "tum_fr1_rpy": 200}
    assert source.count(1) == 618
    assert source.count(45) == 151 + 116 + 14 + 156
    assert source.survey.other_folders == ("tartanair_indoor",)
    clip = source.clip(0, 2)
    stored = np.asarray(Image.open(LABELLED / "aims_slam" / "depth" / "00001.png")).astype(np.float64)
    np.testing.assert_array_equal(np.isnan(clip.disparity[1]), stored == 0)
    known = stored > 0
    np.testing.assert_allclose(clip.disparity[1][known], 1000 / stored[known], rtol=2e-7)

    flight = open_source("tartanair", LABELLED / "tartanair_indoor")
    assert [(sequence.name, len(sequence.pairs)) for sequence in flight.sequences] == [
        ("tartanair_indoor/Easy/P000/left", 10)
    ]
    path = LABELLED / "tartanair_indoor" / "Easy" / "P000" / "depth_left" / "000009_left_depth.npy"
    np.testing.assert_array_equal(flight.clip(9, 1).disparity[0], 1 / np.load(path))

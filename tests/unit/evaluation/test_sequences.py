"""Tiny trees in each data set's own layout open as sequences, value by value; and what is no good is named."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from eval_tree import write_mask, write_sintel, write_tagged
from PIL import Image

from dvd.data import motion, nyu_mat
from dvd.data.check import inspect
from dvd.data.layouts import LAYOUTS, open_source
from dvd.data.rows.evaluation import EVALUATION
from dvd.errors import InputError, OptionError
from dvd.evaluation.sequences import EvalFrame, EvalSequence, open_sequences

SIZE = (24, 32)
LABELLED = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "labelled"
STREET = "2011_09_26"
DRIVE = f"{STREET}_drive_0002_sync"
F32 = np.float32


def noise(seed: int, size: tuple[int, int] = SIZE, low: int = 1, high: int = 65536) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, size).astype(np.uint16)


def save_image(path: Path, shade: int = 0, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (shade, shade, shade)).save(path, format="PNG")


def save_png16(path: Path, stored: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored).save(path)
    return stored


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def matrix_text(matrix: np.ndarray) -> str:
    return "\n".join(" ".join(map(str, row)) for row in matrix)


def kitti(root: Path, frames: int = 2, poses: bool = False) -> dict[int, np.ndarray]:
    """A drive of which the first and the last image have no depth; returns what was stored."""
    stored = {}
    raw, truth = root / STREET / DRIVE, root / "val" / DRIVE / "proj_depth" / "groundtruth" / "image_02"
    for frame in range(4, 6 + frames):
        save_image(raw / "image_02" / "data" / f"{frame:010d}.png", frame, (375, 1242))
        if 4 < frame < 5 + frames:
            values = np.zeros((375, 1242), np.uint16)
            values[::7, ::5] = noise(frame, values[::7, ::5].shape)
            stored[frame] = save_png16(truth / f"{frame:010d}.png", values)
        if poses:
            longitude = np.degrees(1.25 * frame / 6378137)
            write(raw / "oxts" / "data" / f"{frame:010d}.txt", " ".join(map(str, [0, longitude, 30, *[0] * 27])))
    if poses:
        write(
            root / STREET / "calib_cam_to_cam.txt",
            "calib_time: 09-Jan-2012 13:57:47\nS_rect_02: 1242 375\nR_rect_00: 1 0 0 0 1 0 0 0 1\n"
            "P_rect_02: 720 0 610 44.64 0 720 173 0 0 0 1 0\n",
        )
        write(root / STREET / "calib_velo_to_cam.txt", "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n")
        write(root / STREET / "calib_imu_to_velo.txt", "R: 1 0 0 0 1 0 0 0 1\nT: 0 0 0\n")
    return stored


def scannet(root: Path) -> dict[int, np.ndarray]:
    stored = {frame: noise(frame, (480, 640), 0) for frame in (0, 1)}
    folder = root / "scene0707_00"
    for frame, values in stored.items():
        save_image(folder / "color" / f"{frame}.jpg", 10 * frame, (968, 1296))
        save_png16(folder / "depth" / f"{frame}.png", values)
    write(folder / "pose" / "0.txt", matrix_text(np.diag([1, 1, 1, 1]) + np.eye(4, k=3)))
    write(folder / "pose" / "1.txt", "-inf -inf -inf -inf\n" * 4)
    write(folder / "intrinsic" / "intrinsic_depth.txt", matrix_text(np.diag([577.0, 578, 1, 1])))
    return stored


def tum(root: Path, folder: str = "rgbd_dataset_freiburg1_desk") -> list[np.ndarray]:
    """Three frames and an image without depth, paired by time; one pose."""
    images = ("1305031102.175304", "1305031102.211214", "1305031102.243211", "1305031109.000000")
    depths = ("1305031102.160407", "1305031102.226738", "1305031102.262886")
    for shade, stamp in enumerate(images):
        save_image(root / folder / "rgb" / f"{stamp}.png", shade)
    stored = [save_png16(root / folder / "depth" / f"{stamp}.png", noise(i)) for i, stamp in enumerate(depths)]
    for kind, stamps in (("rgb", images), ("depth", depths)):
        write(root / folder / f"{kind}.txt", "".join(f"{stamp} {kind}/{stamp}.png\n" for stamp in stamps))
    write(root / folder / "groundtruth.txt", "# tx ty tz q\n1305031102.1758 1 2 3 0 0 0 1\n")
    return stored


def bonn(root: Path) -> list[np.ndarray]:
    return tum(root, "rgbd_bonn_balloon")


def sintel(root: Path, passes: tuple[str, ...] = ("final", "clean")) -> dict[int, np.ndarray]:
    stored = {}
    for frame in (1, 2):
        depth = np.linspace(0.05, 80, 436 * 1024, dtype=F32).reshape(436, 1024) + F32(frame)
        write_tagged(root / "training" / "depth" / "alley_1" / f"frame_{frame:04d}.dpt", depth)
        for look in passes:
            save_image(root / "training" / look / "alley_1" / f"frame_{frame:04d}.png", frame, (436, 1024))
        camera = root / "training" / "camdata_left" / "alley_1" / f"frame_{frame:04d}.cam"
        camera.parent.mkdir(parents=True, exist_ok=True)
        values = np.concatenate([np.diag([1120.0, 1120, 1]).ravel(), np.eye(3, 4).ravel()])
        values[12] = frame  # the world lies that far to the right
        camera.write_bytes(struct.pack("<f", 202021.25) + values.tobytes())
        stored[frame] = depth
    return stored


def nyuv2(root: Path) -> dict[str, np.ndarray]:
    stored = {}
    for kind, number in (("bathroom", "00045"), ("kitchen", "00003")):
        save_image(root / "test" / kind / f"rgb_{number}.jpg", 7, (480, 640))
        stored[f"{kind}/{number}"] = noise(int(number), (480, 640), 0)
        save_png16(root / "test" / kind / f"sync_depth_{number}.png", stored[f"{kind}/{number}"])
    return stored


def diode(root: Path) -> dict[str, np.ndarray]:
    stored = {}
    for place, scene in (("indoors", "scene_00019"), ("outdoor", "scene_00022")):
        folder = root / "val" / place / scene / "scan_00183"
        frame = f"{scene[6:]}_00183_{place}_000_010"
        save_image(folder / f"{frame}.png", 9)
        depth = np.linspace(0.1, 400, 24 * 32, dtype=F32).reshape(24, 32, 1)
        np.save(folder / f"{frame}_depth.npy", depth)
        np.save(folder / f"{frame}_depth_mask.npy", np.tile([0.0, 1.0, 1.0, 1.0], (24, 8)).astype(F32))
        stored[f"{place}/{scene}/scan_00183/{frame}"] = depth[..., 0]
    return stored


def eth3d(root: Path) -> dict[str, np.ndarray]:
    stored = {}
    for scene in ("courtyard", "pipes"):
        save_image(root / scene / "images" / "dslr_images" / "DSC_0286.JPG", 11)
        path = root / scene / "ground_truth_depth" / "dslr_images" / "DSC_0286.JPG"
        path.parent.mkdir(parents=True)
        depth = np.linspace(0.2, 90, 24 * 32, dtype="<f4").reshape(24, 32)
        depth[3, 4:9] = np.inf
        path.write_bytes(depth.tobytes())
        write(
            root / scene / "dslr_calibration_jpg" / "images.txt",
            "# comment\n1 1 0 0 0 1 2 3 0 dslr_images/DSC_0286.JPG\n\n",
        )
        stored[f"{scene}/DSC_0286"] = depth
    return stored


TREES: dict[str, Callable[[Path], object]] = {
    "kitti": kitti,
    "scannet": scannet,
    "bonn": bonn,
    "sintel": sintel,
    "nyuv2": nyuv2,
    "diode": diode,
    "eth3d": eth3d,
    "tum": tum,
}


def equal(frame: EvalFrame, depth_m: np.ndarray, mask: np.ndarray) -> None:
    """Depth as expected where it is known, 0 in `depth_m` being unknown; and the mask."""
    assert (frame.rgb.dtype, frame.depth_m.dtype, frame.mask.dtype) == (np.uint8, F32, bool)
    assert frame.rgb.shape == (*depth_m.shape, 3)
    np.testing.assert_array_equal(frame.depth_m, np.where(depth_m > 0, depth_m, np.nan).astype(F32))
    np.testing.assert_array_equal(frame.mask, mask)


def test_every_evaluation_row_has_a_tree() -> None:
    assert set(TREES) == {layout.name for layout in EVALUATION}
    assert set(TREES) < set(LAYOUTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TREES)
def test_every_layout_is_checked_whole_and_opens(name: str, tmp_path: Path) -> None:
    TREES[name](tmp_path)
    report = inspect(open_source(name, tmp_path, "all"))
    assert report.whole, (report.missing, report.broken)
    assert report.frames == report.read > 1
    sequences = open_sequences(name, tmp_path)
    assert len({sequence.name for sequence in sequences}) == len(sequences)
    for sequence in sequences:
        assert sequence.dataset == name
        assert sequence.range_m == LAYOUTS[name].range_m
        assert [frame.rgb.shape[:2] for frame in sequence.frames()] == [sequence.size] * sequence.count


def test_kitti_is_cropped_and_masked(tmp_path: Path) -> None:
    stored = kitti(tmp_path)
    [sequence] = open_sequences("kitti", tmp_path)
    assert (sequence.name, sequence.count, sequence.size, sequence.fps) == (DRIVE, 2, (352, 1216), 10)
    eigen = np.zeros((352, 1216), bool)
    eigen[117:321, 43:1172] = True
    for frame, number in zip(sequence.frames(), (5, 6), strict=True):
        depth_m = (stored[number][23:, 13:1229] / 256).astype(F32)
        equal(frame, depth_m, eigen & (depth_m > 0) & (depth_m <= 80))
        assert (frame.name, frame.rgb[0, 0, 0]) == (f"{number:010d}", number)
        assert (frame.pose, frame.intrinsics) == (None, None)
    report = inspect(open_source("kitti", tmp_path, "all"))
    assert (report.unlabelled, report.missing) == (2, [])


def test_kitti_cameras_follow_the_car(tmp_path: Path) -> None:
    """The car goes 1.25 m a frame along its x axis, the camera's z; camera 2 sits 6.2 cm to the left of camera 0."""
    kitti(tmp_path, poses=True)
    first, second = open_sequences("kitti", tmp_path)[0].frames()
    np.testing.assert_allclose(first.intrinsics, [[720, 0, 597], [0, 720, 150], [0, 0, 1]])
    ahead = np.eye(4)
    ahead[2, 3] = 1.25
    np.testing.assert_allclose(np.linalg.inv(first.pose) @ second.pose, ahead, atol=1e-8)
    np.testing.assert_allclose(first.pose[:3, 3], [0, 44.64 / 720, 0], atol=1e-9)
    np.testing.assert_allclose(first.pose[:3, 2], [1, 0, 0], atol=1e-12)


def test_kitti_splits(tmp_path: Path) -> None:
    kitti(tmp_path)
    with pytest.raises(OptionError, match=r"unknown split of kitti in .* 'vall'; did you mean val"):
        open_sequences("kitti", tmp_path, "vall")
    (tmp_path / "val").rename(tmp_path / "train")
    with pytest.raises(InputError, match="holds only train of kitti, and results are reported on val"):
        open_sequences("kitti", tmp_path)
    assert len(open_sequences("kitti", tmp_path, "train")) == len(open_sequences("kitti", tmp_path, "all")) == 1
    images = open_sequences("kitti", tmp_path, "train", single_images=True)
    assert [(image.name, image.count) for image in images] == [(f"{DRIVE}/{5:010d}", 1), (f"{DRIVE}/{6:010d}", 1)]


def test_kitti_images_smaller_than_the_crop_are_named(tmp_path: Path) -> None:
    kitti(tmp_path)
    name = f"{5:010d}.png"
    save_image(tmp_path / STREET / DRIVE / "image_02" / "data" / name, size=(300, 1242))
    truth = tmp_path / "val" / DRIVE / "proj_depth" / "groundtruth" / "image_02" / name
    save_png16(truth, noise(0, (300, 1242)))
    with pytest.raises(InputError, match=f"{name}: is 1242 × 300, less than the 1216 × 352"):
        open_sequences("kitti", tmp_path)[0].size  # noqa: B018


def test_scannet_brings_colour_to_the_depth(tmp_path: Path) -> None:
    stored = scannet(tmp_path)
    [sequence] = open_sequences("scannet", tmp_path)
    assert (sequence.name, sequence.size, sequence.fps) == ("scene0707_00", (480, 640), 30)
    first, second = sequence.frames()
    for frame, number in ((first, 0), (second, 1)):
        depth_m = (stored[number].astype(np.float64) / 1000).astype(F32)
        equal(frame, depth_m, (depth_m >= F32(1e-3)) & (depth_m <= 10))
        np.testing.assert_array_equal(frame.rgb, 10 * number)
        np.testing.assert_array_equal(frame.intrinsics, np.diag([577.0, 578, 1]))
    np.testing.assert_array_equal(first.pose[:3, 3], [1, 0, 0])
    assert second.pose is None  # tracking was lost


def test_scannet_archives_of_millimetres(tmp_path: Path) -> None:
    stored = scannet(tmp_path)
    folder = tmp_path / "scene0707_00"
    for frame, values in stored.items():
        (folder / "depth" / f"{frame}.png").unlink()
        np.savez(folder / "depth" / f"{frame}.npz", depth=values)
    (folder / "intrinsic" / "intrinsic_depth.txt").unlink()
    write(folder / "intrinsic" / "intrinsic_color.txt", matrix_text(np.diag([1170.0, 1171, 1, 1])))
    frame = next(open_sequences("scannet", tmp_path)[0].frames())
    depth_m = (stored[0].astype(np.float64) / 1000).astype(F32)
    equal(frame, depth_m, (depth_m >= F32(1e-3)) & (depth_m <= 10))
    assert frame.intrinsics[0, 0] == pytest.approx(1170 * 640 / 1296)


@pytest.mark.parametrize(("name", "folder"), [("tum", "rgbd_dataset_freiburg1_desk"), ("bonn", "rgbd_bonn_balloon")])
def test_recordings_of_tums_form(name: str, folder: str, tmp_path: Path) -> None:
    stored = TREES[name](tmp_path)
    for root in (tmp_path, tmp_path / folder):
        [sequence] = open_sequences(name, root)
        assert (sequence.name, sequence.count, sequence.fps, sequence.range_m) == (folder, 3, 30, (0.1, 10))
        frames = list(sequence.frames())
        for shade, (frame, values) in enumerate(zip(frames, stored, strict=True)):
            depth_m = (values.astype(np.float64) / 5000).astype(F32)
            equal(frame, depth_m, (depth_m >= F32(0.1)) & (depth_m <= 10))
            assert frame.rgb[0, 0, 0] == shade
        assert frames[1].pose is None
    moved = frames[0].pose
    if name == "tum":
        np.testing.assert_array_equal(moved[:3], [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3]])
        expected = motion.TUM_KINECTS["freiburg1"]
    else:
        np.testing.assert_allclose(moved[:3, :3] @ moved[:3, :3].T, np.eye(3), atol=1e-12)
        expected = motion.BONN_KINECT
    # Published for 640 × 480; these images have a twentieth of that.
    assert frames[0].intrinsics[0, 0] == pytest.approx(expected[0, 0] / 20)


def test_sintel_is_resized_and_has_two_passes(tmp_path: Path) -> None:
    stored = sintel(tmp_path)
    [sequence] = open_sequences("sintel", tmp_path)
    assert (sequence.name, sequence.size, sequence.fps) == ("alley_1/final", (480, 640), 24)
    assert [one.name for one in open_sequences("sintel", tmp_path / "training", "clean")] == ["alley_1/clean"]
    assert [one.name for one in open_sequences("sintel", tmp_path, "all")] == ["alley_1/clean", "alley_1/final"]
    rows = [int((row + 0.5) * 436 / 480) for row in range(480)]
    columns = [int((column + 0.5) * 1024 / 640) for column in range(640)]
    for frame, (number, depth_m) in zip(sequence.frames(), stored.items(), strict=True):
        expected = depth_m[rows][:, columns]
        equal(frame, expected, (expected >= F32(0.1)) & (expected <= 70))
        np.testing.assert_array_equal(frame.pose[:3, 3], [-number, 0, 0])
        assert frame.intrinsics[1, 1] == pytest.approx(1120 * 480 / 436)


@pytest.mark.slow
def test_sintel_flow_is_read_from_beside_its_depth(tmp_path: Path) -> None:
    """Of the nearest pixel as depth is, in pixels of the frame that is used; not where a mask says so."""
    sintel(tmp_path)
    training = tmp_path / "training"
    stored = np.random.default_rng(0).normal(0, 20, (436, 1024, 2)).astype(F32)
    write_tagged(training / "flow" / "alley_1" / "frame_0001.flo", stored)
    for kind, row in (("occlusions", 7), ("invalid", 400)):
        marked = np.zeros((436, 1024), bool)
        marked[row, 3:] = True
        stored[marked] = np.nan
        write_mask(training / kind / "alley_1" / "frame_0001.png", marked)
    rows = [int((row + 0.5) * 436 / 480) for row in range(480)]
    columns = [int((column + 0.5) * 1024 / 640) for column in range(640)]
    expected = stored[rows][:, columns] * [640 / 1024, 480 / 436]
    assert 600 < np.isnan(expected).any(axis=-1).sum() < 3000
    for split in ("final", "clean"):
        first, last = open_sequences("sintel", training, split)[0].frames()
        assert first.flow.dtype == F32
        np.testing.assert_allclose(first.flow, expected, rtol=1e-6)
        assert last.flow is None
    assert next(iter(open_sequences("sintel", tmp_path, single_images=True)[0].frames())).flow is None
    report = inspect(open_source("sintel", tmp_path, "all"))
    assert report.whole


def test_flow_exists_only_to_the_next_frame_number(tmp_path: Path) -> None:
    depths = [np.full((480, 640), 3.0, F32)] * 4
    training = write_sintel(tmp_path, depths, np.ones((480, 640, 2)))
    (training / "flow" / "alley_1" / "frame_0002.flo").unlink()
    [sequence] = open_sequences("sintel", tmp_path)
    assert [frame.flow is not None for frame in sequence.frames()] == [True, False, True, False]
    assert [frame.flow is not None for frame in sequence.frames(2, 3)] == [True]
    for kind, ending in (("final", "png"), ("depth", "dpt")):
        (training / kind / "alley_1" / f"frame_0002.{ending}").unlink()
    [sequence] = open_sequences("sintel", tmp_path)
    assert [(frame.name, frame.flow is not None) for frame in sequence.frames()] == [
        ("0001", False),
        ("0003", True),
        ("0004", False),
    ]


def test_damaged_flow_is_named_when_it_is_read(tmp_path: Path) -> None:
    training = write_sintel(tmp_path, [np.full((24, 32), 3.0, F32)] * 2, np.ones((24, 30, 2)))
    [sequence] = open_sequences("sintel", tmp_path)
    first, _ = sequence.frames()
    with pytest.raises(InputError, match=r"frame_0001\.flo: is 30 × 24, and its frame 32 × 24; mend or remove it"):
        _ = first.flow
    write_tagged(training / "flow" / "alley_1" / "frame_0001.flo", np.ones((24, 32, 2)))
    write_mask(training / "invalid" / "alley_1" / "frame_0001.png", np.ones((12, 32)))
    with pytest.raises(InputError, match=r"invalid/alley_1/frame_0001\.png: is 32 × 12, and its frame 32 × 24"):
        _ = next(sequence.frames()).flow


def test_nyuv2_folders(tmp_path: Path) -> None:
    stored = nyuv2(tmp_path)
    sequences = open_sequences("nyuv2", tmp_path)
    assert [(one.name, one.count, one.fps) for one in sequences] == [(name, 1, None) for name in stored]
    counted = np.zeros((480, 640), bool)
    counted[45:471, 41:601] = True
    for sequence, values in zip(sequences, stored.values(), strict=True):
        [frame] = sequence.frames()
        depth_m = (values.astype(np.float64) / 1000).astype(F32)
        equal(frame, depth_m, counted & (depth_m >= F32(1e-3)) & (depth_m <= 10))
        np.testing.assert_array_equal(frame.intrinsics, motion.NYU_KINECT)
    (tmp_path / "test" / "kitchen" / "sync_depth_00003.png").rename(tmp_path / "test" / "kitchen" / "depth_00003.png")
    assert len(open_sequences("nyuv2", tmp_path / "test" / "kitchen")) == 1
    with pytest.raises(OptionError, match="has no splits; leave out 'test'"):
        open_sequences("nyuv2", tmp_path, "test")


def test_nyuv2_in_one_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    h5py, io = pytest.importorskip("h5py"), pytest.importorskip("scipy.io")
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 24)).astype(np.uint8)
    depths = np.random.default_rng(1).uniform(0.5, 12, (3, 32, 24)).astype(F32)
    depths[:, :3] = 0
    with h5py.File(tmp_path / nyu_mat.FILE, "w") as file:
        file["images"], file["rawDepths"] = images, depths
        kinds = []
        for index, kind in enumerate(("kitchen", "office", "kitchen")):
            file[f"#refs#/{index}"] = np.array([[ord(letter)] for letter in kind], np.uint16)
            kinds.append(file[f"#refs#/{index}"].ref)
        file.create_dataset("sceneTypes", data=np.array([kinds], h5py.ref_dtype), dtype=h5py.ref_dtype)

    assert [one.name for one in open_sequences("nyuv2", tmp_path)] == ["kitchen/0001", "kitchen/0003", "office/0002"]
    assert "test images and those to train on are taken together" in caplog.text

    io.savemat(tmp_path / "splits.mat", {"trainNdxs": np.array([[1]]), "testNdxs": np.array([[2], [3]])})
    assert inspect(open_source("nyuv2", tmp_path, "all")).whole
    sequences = open_sequences("nyuv2", tmp_path)
    assert [one.name for one in sequences] == ["test/kitchen/0003", "test/office/0002"]
    [frame] = sequences[0].frames()
    np.testing.assert_array_equal(frame.rgb, images[2].transpose(2, 1, 0))
    depth_m = depths[2].T
    counted = np.zeros((24, 32), bool)
    counted[2:23, 2:30] = True
    equal(frame, depth_m, counted & (depth_m > 0) & (depth_m <= 10))

    (tmp_path / nyu_mat.FILE).write_bytes(b"MATLAB 5.0")
    with pytest.raises(InputError, match=r"nyu_depth_v2_labeled\.mat: cannot be read .*; fetch it again"):
        open_sequences("nyuv2", tmp_path)


def test_diode_and_its_masks(tmp_path: Path) -> None:
    stored = diode(tmp_path)
    sequences = open_sequences("diode", tmp_path)
    assert [one.name for one in sequences] == list(stored)
    assert len(open_sequences("diode", tmp_path / "val", "outdoor")) == 1
    for sequence, depth_m in zip(sequences, stored.values(), strict=True):
        [frame] = sequence.frames()
        known = depth_m * np.tile([0, 1, 1, 1], (24, 8)).astype(F32)
        equal(frame, known, (known >= F32(0.6)) & (known <= 350))
    beside = next((tmp_path / "val" / "indoors").rglob("*_depth_mask.npy"))
    beside.unlink()
    with pytest.raises(InputError, match=rf"{beside.name}: is missing"):
        next(sequences[0].frames())


def test_eth3d_depth_has_the_size_of_its_image(tmp_path: Path) -> None:
    stored = eth3d(tmp_path)
    sequences = open_sequences("eth3d", tmp_path)
    assert [one.name for one in sequences] == list(stored)
    for sequence, depth_m in zip(sequences, stored.values(), strict=True):
        [frame] = sequence.frames()
        equal(frame, np.where(np.isinf(depth_m), 0, depth_m), np.isfinite(depth_m))
        np.testing.assert_array_equal(frame.pose[:3, 3], [-1, -2, -3])
        assert frame.intrinsics is None
    path = tmp_path / "pipes" / "ground_truth_depth" / "dslr_images" / "DSC_0286.JPG"
    path.write_bytes(path.read_bytes()[:-32])
    with pytest.raises(InputError, match=r"DSC_0286\.JPG: has 760 values, and its image 32 × 24 pixels"):
        next(sequences[1].frames())


# Reading


def flight(root: Path, frames: int = 6) -> EvalSequence:
    folder = root / "ocean" / "Easy" / "P001"
    for kind in ("image_left", "depth_left"):
        (folder / kind).mkdir(parents=True)
    for frame in range(frames):
        save_image(folder / "image_left" / f"{frame:06d}_left.png", frame)
        np.save(folder / "depth_left" / f"{frame:06d}_left_depth.npy", np.full(SIZE, frame + 1, F32))
    (folder / "pose_left.txt").write_text("".join(f"{frame} 0 0 0 0 0 1\n" for frame in range(frames)))
    [sequence] = open_sequences("tartanair", root)
    return sequence


def test_any_frame_by_number(tmp_path: Path) -> None:
    sequence = flight(tmp_path)
    assert [frame.name for frame in sequence.frames(4)] == ["000004", "000005"]
    assert [int(frame.depth_m[0, 0]) for frame in sequence.frames(1, 3)] == [2, 3]
    assert list(sequence.frames(6)) == []
    [frame] = sequence.frames(3, 4)
    np.testing.assert_array_equal(frame.pose[:3, 3], [3, 0, 0])
    for start, stop in ((-1, None), (0, 7), (4, 3)):
        with pytest.raises(OptionError, match="has 6 frames"):
            sequence.frames(start, stop)


def test_frames_are_read_one_by_one(tmp_path: Path) -> None:
    sequence = flight(tmp_path)
    for path in (tmp_path / "ocean" / "Easy" / "P001" / "depth_left").glob("00000[2-5]*"):
        path.unlink()
    frames = sequence.frames()
    assert [next(frames).name, next(frames).name] == ["000000", "000001"]
    with pytest.raises(InputError, match=r"000002_left_depth\.npy: is missing"):
        next(frames)


def test_missing_depth_is_named_before_anything_is_predicted(tmp_path: Path) -> None:
    flight(tmp_path)
    (tmp_path / "ocean" / "Easy" / "P001" / "depth_left" / "000002_left_depth.npy").unlink()
    with pytest.raises(
        InputError, match=r"1 images of tartanair .* have no depth, such as .*000002_left\.png"
    ) as error:
        open_sequences("tartanair", tmp_path)
    assert f"dvd data check tartanair {tmp_path}" in str(error.value)


def test_sizes_that_differ_are_named(tmp_path: Path) -> None:
    sequence = flight(tmp_path)
    folder = tmp_path / "ocean" / "Easy" / "P001"
    np.save(folder / "depth_left" / "000001_left_depth.npy", np.ones((12, 16), F32))
    with pytest.raises(InputError, match=r"000001_left_depth\.npy: is 16 × 12, and its image 32 × 24"):
        list(sequence.frames())
    save_image(folder / "image_left" / "000001_left.png", size=(12, 16))
    with pytest.raises(InputError, match="is 16 × 12, and its sequence began with 32 × 24"):
        list(sequence.frames())


def test_a_frame_without_valid_pixels_is_kept_and_explained(tmp_path: Path) -> None:
    sequence = flight(tmp_path)
    folder = tmp_path / "ocean" / "Easy" / "P001" / "depth_left"
    np.save(folder / "000001_left_depth.npy", np.zeros(SIZE, F32))
    np.save(folder / "000002_left_depth.npy", np.full(SIZE, 2500, F32))
    frames = list(sequence.frames())
    assert [frame.mask.any() for frame in frames] == [True, False, False, True, True, True]
    assert sequence.explain(frames[1]) == "has no pixel of known depth"
    assert sequence.explain(frames[2]).endswith("at 2500 … 2500 m; is it stored in 1000 units a metre, not 1?")
    [millimetres] = open_sequences("tartanair", tmp_path, per_metre=1000)
    assert next(millimetres.frames(2)).depth_m[0, 0] == 2.5


def test_a_mask_can_be_empty(tmp_path: Path) -> None:
    kitti(tmp_path, frames=1)
    stored = np.zeros((375, 1242), np.uint16)
    stored[30, 600] = 2560
    save_png16(tmp_path / "val" / DRIVE / "proj_depth" / "groundtruth" / "image_02" / f"{5:010d}.png", stored)
    [sequence] = open_sequences("kitti", tmp_path)
    [frame] = sequence.frames()
    assert not frame.mask.any()
    assert "in the part of the frame that is evaluated" in sequence.explain(frame)


def test_damaged_poses_are_named(tmp_path: Path) -> None:
    tum(tmp_path)
    (tmp_path / "rgbd_dataset_freiburg1_desk" / "groundtruth.txt").write_text("1 2 3\n")
    [sequence] = open_sequences("tum", tmp_path)
    with pytest.raises(InputError, match=r"groundtruth\.txt: is no table with rows of 8 numbers"):
        list(sequence.frames())


def test_unknown_data_sets(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="unknown data set 'kity'; did you mean kitti"):
        open_sequences("kity", tmp_path)
    with pytest.raises(InputError, match="holds no sintel frames, such as ROOT/training/final/alley_1/frame_0001"):
        open_sequences("sintel", tmp_path)


# Real material


@pytest.mark.skipif(not LABELLED.is_dir(), reason="../shared/data/labelled is not here")
def test_the_labelled_clips_open() -> None:
    recordings = open_sequences("rgbd", LABELLED)
    flights = open_sequences("tartanair", LABELLED / "tartanair_indoor")
    assert {sequence.name: (sequence.count, sequence.size) for sequence in recordings + flights} == {
        "aims_slam": (195, (240, 320)),
        "office_walk": (160, (360, 540)),
        "redwood_rgbd": (5, (480, 640)),
        "tum_cabinet": (58, (240, 320)),
        "tum_fr1_rpy": (200, (240, 320)),
        "tartanair_indoor/Easy/P000/left": (10, (480, 640)),
    }
    for sequence in recordings + flights:
        frames = list(sequence.frames(sequence.count - 2))
        assert len(frames) == 2
        for frame in frames:
            assert frame.mask.mean() > 0.4
            np.testing.assert_array_equal(
                frame.mask, np.isfinite(frame.depth_m) & (frame.depth_m <= sequence.range_m[1])
            )
    walk = next(sequence for sequence in recordings if sequence.name == "office_walk")
    first, second = walk.frames(0, 2)
    assert (first.name, second.name) == ("00003", "00004")
    np.testing.assert_allclose(first.pose[:3, 3], [-1.94312, 0.112344, 4.67999], rtol=1e-6)
    assert first.intrinsics[0, 2] == pytest.approx(269.5029)
    assert np.linalg.norm(second.pose[:3, 3] - first.pose[:3, 3]) < 0.05
    stored = np.asarray(Image.open(LABELLED / "office_walk" / "depth" / "00003.png")).astype(np.float64)
    np.testing.assert_array_equal(first.depth_m[first.mask], (stored[first.mask] / 1000).astype(F32))

"""How each data set stores the camera of a frame (intrinsics and pose, read by `poses.py`) and its optical flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvd.data import formats, poses
from dvd.data.folders import FrameSequence, Pair
from dvd.data.framing import Size, size_text
from dvd.data.sources import BadSample

NEAR_S = 0.02
"""A pose belongs to a frame at most this many seconds away: the default of TUM's associate.py."""


@dataclass(frozen=True)
class Camera:
    """`pose` 4 × 4 camera to world in metres, `intrinsics` 3 × 3 for images of height and width `of` (None: as stored).

    Axes point right, down and forward; the centre of the first pixel is (0, 0). None where unknown.
    """

    pose: np.ndarray | None = None
    intrinsics: np.ndarray | None = None
    of: Size | None = None


CameraReader = Callable[[Path, FrameSequence], Callable[[Pair], Camera]]
"""(root, sequence) → a function that returns the camera of each of its frames."""


FlowReader = Callable[[Path, Pair, Pair, Size], np.ndarray | None]
"""(root, frame, next frame of its sequence, stored height and width) → stored flow `H W 2` float32.

In pixels to the right and down; NaN where it is unknown or the point is hidden in the next frame. None where there is
no flow.
"""


def pinhole(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """Return 3 × 3 intrinsics."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def constant(intrinsics: np.ndarray, of: Size, _root: Path, _sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """Return one pinhole camera without poses; with the first two arguments bound this is a `CameraReader`."""
    return lambda _pair: Camera(None, intrinsics, of)


# TUM: https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats (calibration of the colour cameras)
TUM_KINECTS = {
    "freiburg1": pinhole(517.3, 516.5, 318.6, 255.3),
    "freiburg2": pinhole(520.9, 521.0, 325.1, 249.7),
    "freiburg3": pinhole(535.4, 539.2, 320.1, 247.6),
}

# Bonn: https://www.ipb.uni-bonn.de/data/rgbd-dynamic-dataset (calibration; from the markers to the sensor)
BONN_KINECT = pinhole(542.822841, 542.576870, 315.593520, 237.756098)
BONN_AXES = np.array([[-1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
BONN_MARKERS = np.array(
    [
        [1.0157, 0.1828, -0.2389, 0.0113],
        [0.0009, -0.8431, -0.6413, -0.0098],
        [-0.3009, 0.6147, -0.8085, 0.0111],
        [0, 0, 0, 1],
    ]
)

# NYUv2: camera_params.m of its toolbox (the colour camera)
NYU_KINECT = pinhole(518.857901, 519.469611, 325.582449, 253.736166)
# DIODE: its development kit, for 1024 × 768
DIODE_CAMERA = pinhole(886.81, 927.06, 512, 384)


def tum(root: Path, sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """Read `groundtruth.txt` beside `rgb/`; the folder's name says whose Kinect's intrinsics to use."""
    track = _trajectory(_folder(root, sequence))
    matrix = next((matrix for name, matrix in TUM_KINECTS.items() if name in sequence.name), None)
    return lambda pair: Camera(track.at(float(pair.number), NEAR_S) if track else None, matrix, (480, 640))


def bonn(root: Path, sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """Read the markers' poses in `groundtruth.txt`; the published, scaling, matrix turns them into the sensor's."""
    track = _trajectory(_folder(root, sequence))

    def camera(pair: Pair) -> Camera:
        markers = track.at(float(pair.number), NEAR_S) if track else None
        sensor = None if markers is None else poses.rigid(BONN_AXES @ markers @ BONN_AXES @ BONN_MARKERS)
        return Camera(sensor, BONN_KINECT, (480, 640))

    return camera


def scannet(root: Path, sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """`pose/N.txt`, all infinite where tracking was lost, and `intrinsic/`: the depth's, for depth is what is moved."""
    folder = _folder(root, sequence)
    of_depth, of_colour = (folder / "intrinsic" / f"intrinsic_{which}.txt" for which in ("depth", "color"))
    matrix, of = None, None
    if of_depth.exists():
        matrix, of = poses.read_matrix(of_depth, 4)[:3, :3], (480, 640)
    elif of_colour.exists():
        matrix, of = poses.read_matrix(of_colour, 4)[:3, :3], (968, 1296)

    def camera(pair: Pair) -> Camera:
        path = folder / "pose" / f"{pair.number}.txt"
        pose = poses.read_matrix(path, 4) if path.exists() else None
        return Camera(pose if pose is not None and np.isfinite(pose).all() else None, matrix, of)

    return camera


def sintel(root: Path, sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """Read `camdata_left/SCENE/frame_N.cam` beside `depth/`."""
    del sequence

    def camera(pair: Pair) -> Camera:
        depth = root / pair.depth
        path = depth.parents[2] / "camdata_left" / depth.parent.name / f"{depth.stem}.cam"
        if not path.exists():
            return Camera()
        intrinsics, pose = poses.read_sintel_cam(path)
        return Camera(pose, intrinsics)

    return camera


def sintel_flow(root: Path, pair: Pair, later: Pair, size: Size) -> np.ndarray | None:
    """Read `flow/SCENE/frame_N.flo` beside `depth/`; pixels marked in `occlusions/` or `invalid/`, if any, are NaN.

    Flow leads from frame N to N + 1; None where that frame is missing. Raise BadSample for a damaged file, or one of
    another size than its frame.
    """
    depth = root / pair.depth
    top, scene = depth.parents[2], depth.parent.name
    path = top / "flow" / scene / f"{depth.stem}.flo"
    if int(later.number) != int(pair.number) + 1 or not path.exists():
        return None
    flow = _of_size(path, formats.read_flo(path), size)
    for kind in ("occlusions", "invalid"):
        mask = top / kind / scene / f"{depth.stem}.png"
        if mask.exists():
            flow[_of_size(mask, formats.read_rgb(mask), size).any(axis=-1)] = np.nan
    return flow


def kitti(root: Path, sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """Read the day's `calib_*.txt` and the drive's `oxts/`; positions are relative to the first frame's."""
    drive = (root / sequence.pairs[0].rgb).parents[2]
    number = (root / sequence.pairs[0].rgb).parents[1].name.removeprefix("image_")
    cameras, of_velodyne, of_imu = (
        drive.parent / f"calib_{which}.txt" for which in ("cam_to_cam", "velo_to_cam", "imu_to_velo")
    )
    if not cameras.exists():
        return lambda _pair: Camera()
    projection, rectify, of = _rectified(cameras, number)
    from_imu = None
    if of_velodyne.exists() and of_imu.exists():
        from_imu = rectify @ poses.rigid_of_kitti(of_velodyne) @ poses.rigid_of_kitti(of_imu)
    first = drive / "oxts" / "data" / f"{sequence.pairs[0].number}.txt"
    start, latitude = poses.read_oxts(first) if first.exists() else (None, None)

    def camera(pair: Pair) -> Camera:
        path = drive / "oxts" / "data" / f"{pair.number}.txt"
        if from_imu is None or start is None or not path.exists():
            return Camera(None, projection, of)
        body, _ = poses.read_oxts(path, latitude)
        body[:3, 3] -= start[:3, 3]
        return Camera(body @ np.linalg.inv(from_imu), projection, of)

    return camera


def eth3d(root: Path, sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """Read the scene's `dslr_calibration_jpg/images.txt`; no intrinsics, because the lens is a fish-eye."""
    path = (root / sequence.pairs[0].rgb).parents[2] / "dslr_calibration_jpg" / "images.txt"
    known = poses.read_colmap_images(path) if path.exists() else {}
    return lambda pair: Camera(known.get(f"dslr_images/{Path(pair.rgb).name}"))


def tartanair(root: Path, sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """Read `pose_left.txt` or `pose_right.txt` beside the images' folder, one line per frame; one camera for all."""
    folder = (root / sequence.pairs[0].rgb).parent
    path = folder.parent / f"pose_{folder.name.removeprefix('image_')}.txt"
    known = poses.read_tartanair(path) if path.exists() else None

    def camera(pair: Pair) -> Camera:
        pose = None
        if known is not None:
            if int(pair.number) >= len(known):
                raise BadSample(str(path), f"has {len(known)} poses, and none for frame {pair.number}")
            pose = known[int(pair.number)]
        return Camera(pose, pinhole(320, 320, 320, 240), (480, 640))

    return camera


def recording(root: Path, sequence: FrameSequence) -> Callable[[Pair], Camera]:
    """Read `intrinsics.txt` (3 × 3) and `poses.txt` (12 or 16 numbers per frame, in order), if they exist."""
    folder = _folder(root, sequence)
    matrix = poses.read_matrix(folder / "intrinsics.txt", 3) if (folder / "intrinsics.txt").exists() else None
    path = folder / "poses.txt"
    if not path.exists():
        return lambda _pair: Camera(None, matrix)
    known = poses.read_matrices(path)
    if len(known) != len(sequence.pairs):
        raise BadSample(str(path), f"has {len(known)} poses, and there are {len(sequence.pairs)} frames")
    by_number = {pair.number: pose for pair, pose in zip(sequence.pairs, known, strict=True)}
    return lambda pair: Camera(by_number[pair.number], matrix)


def _folder(root: Path, sequence: FrameSequence) -> Path:
    """Return the sequence's folder, the one above its images'."""
    return (root / sequence.pairs[0].rgb).parents[1]


def _trajectory(folder: Path) -> poses.Trajectory | None:
    path = folder / "groundtruth.txt"
    return poses.read_tum(path) if path.exists() else None


def _rectified(path: Path, number: str) -> tuple[np.ndarray, np.ndarray, Size]:
    """Return a KITTI camera's intrinsics, the motion from the unrectified camera 0 to it, and its height and width."""
    values = poses.read_kitti_calibration(path)
    try:
        projection = values[f"P_rect_{number}"].reshape(3, 4)
        turn = poses.pose(values["R_rect_00"].reshape(3, 3), (0, 0, 0))
        width, height = values[f"S_rect_{number}"]
    except (KeyError, ValueError) as error:
        raise BadSample(str(path), f"does not hold P_rect_{number}, S_rect_{number} and R_rect_00") from error
    matrix = projection[:, :3]
    beside = poses.pose(np.eye(3), np.linalg.solve(matrix, projection[:, 3]))
    return matrix, beside @ turn, (int(height), int(width))


def _of_size(path: Path, values: np.ndarray, size: Size) -> np.ndarray:
    if values.shape[:2] != size:
        raise BadSample(str(path), f"is {size_text(values.shape)}, and its frame {size_text(size)}")
    return values

"""Poses and calibrations in every published format are read exactly, and damaged files are named."""

import struct
from pathlib import Path

import numpy as np
import pytest

from dvd.data import motion, poses
from dvd.data.sources import BadSample

QUARTER = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
"""A quarter turn about z."""


def test_rotation_of_a_quaternion() -> None:
    np.testing.assert_allclose(poses.rotation((0, 0, 0, 2)), np.eye(3))
    np.testing.assert_allclose(poses.rotation((0, 0, 1, 1)), QUARTER, atol=1e-15)
    turn = poses.rotation((0.1, -0.4, 0.3, 0.8))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_tum_trajectories_are_found_by_time(tmp_path: Path) -> None:
    path = tmp_path / "groundtruth.txt"
    path.write_text(
        "# ground truth trajectory\n# timestamp tx ty tz qx qy qz qw\n"
        "1305031098.6758 4 5 6 0 0 0.70710678 0.70710678\n1305031098.6659 1 2 3 0 0 0 1\n\n"
    )
    track = poses.read_tum(path)
    np.testing.assert_array_equal(track.at(1305031098.6700, 0.02), poses.pose(np.eye(3), (1, 2, 3)))
    np.testing.assert_allclose(track.at(1305031098.6800, 0.02), poses.pose(np.array(QUARTER), (4, 5, 6)), atol=1e-8)
    assert track.at(1305031098.7, 0.02) is None
    assert track.at(0, 0.02) is None


def test_tartanair_looks_along_x(tmp_path: Path) -> None:
    path = tmp_path / "pose_left.txt"
    path.write_text("0 0 0 0 0 0 1\n5 0 0 0 0 0.70710678 0.70710678\n")
    first, second = poses.read_tartanair(path)
    np.testing.assert_allclose(first @ [0, 0, 1, 1], [1, 0, 0, 1])  # ahead
    np.testing.assert_allclose(first @ [1, 0, 0, 1], [0, 1, 0, 1])  # to the right
    np.testing.assert_allclose(first @ [0, 1, 0, 1], [0, 0, 1, 1])  # down
    np.testing.assert_allclose(second @ [0, 0, 2, 1], [5, 2, 0, 1], atol=1e-7)


def test_matrices_in_one_line_and_in_several(tmp_path: Path) -> None:
    lines = tmp_path / "poses.txt"
    lines.write_text("1 0 0 7 0 1 0 8 0 0 1 9\n0 -1 0 1 1 0 0 2 0 0 1 3\n")
    np.testing.assert_array_equal(
        poses.read_matrices(lines), [poses.pose(np.eye(3), (7, 8, 9)), poses.pose(np.array(QUARTER), (1, 2, 3))]
    )
    whole = tmp_path / "0.txt"
    whole.write_text("-inf -inf -inf -inf\n" * 4)
    assert np.isneginf(poses.read_matrix(whole, 4)).all()


def test_sintel_cameras_are_inverted(tmp_path: Path) -> None:
    path = tmp_path / "frame_0001.cam"
    matrix = np.array([[1120.0, 0, 511.5], [0, 1120, 217.5], [0, 0, 1]])
    outward = np.hstack([np.array(QUARTER), [[1], [2], [3]]])
    path.write_bytes(struct.pack("<f", 202021.25) + matrix.tobytes() + outward.astype("<f8").tobytes())
    intrinsics, pose = poses.read_sintel_cam(path)
    np.testing.assert_array_equal(intrinsics, matrix)
    np.testing.assert_allclose(np.vstack([outward, [0, 0, 0, 1]]) @ pose, np.eye(4), atol=1e-15)


def test_colmap_images_are_read(tmp_path: Path) -> None:
    path = tmp_path / "images.txt"
    path.write_text(
        "# two lines an image\n1 1 0 0 0 1 2 3 0 dslr_images/DSC_1.JPG\n0 0 -1\n"
        "2 0.70710678 0 0 0.70710678 0 0 0 0 dslr_images/DSC_2.JPG\n\n"
    )
    known = poses.read_colmap_images(path)
    np.testing.assert_allclose(known["dslr_images/DSC_1.JPG"], poses.pose(np.eye(3), (-1, -2, -3)))
    np.testing.assert_allclose(known["dslr_images/DSC_2.JPG"][:3, :3], np.transpose(QUARTER), atol=1e-8)


def test_a_drive_along_the_equator(tmp_path: Path) -> None:
    """One thousandth of a degree east is 111.3 m of x; yaw is counted from the east, to the left."""
    path = tmp_path / "0000000000.txt"
    path.write_text(" ".join(map(str, [0, 0.001, 100, 0, 0, np.pi / 2, *[0] * 24])))
    body, latitude = poses.read_oxts(path)
    assert latitude == 0
    np.testing.assert_allclose(body[:3, 3], [6378137 * np.radians(0.001), 0, 100], atol=1e-6)
    np.testing.assert_allclose(body[:3, :3], QUARTER, atol=1e-15)
    path.write_text(" ".join(map(str, [0, 0, 0, 0.1, 0.2, 0.3, *[0] * 24])))
    turn = poses.read_oxts(path)[0][:3, :3]
    np.testing.assert_allclose(turn[2], [-np.sin(0.2), np.cos(0.2) * np.sin(0.1), np.cos(0.2) * np.cos(0.1)])


def test_a_similarity_becomes_rigid_in_camera_units() -> None:
    """Bonn's published matrix scales; points move from frame to frame as by the whole chain of matrices."""
    chains, motions = [], []
    for turn, position in (((0.1, 0.2, 0.3, 0.9), (1, 2, 3)), ((0.3, 0.1, 0.2, 0.9), (2, 2, 2))):
        markers = poses.pose(poses.rotation(turn), position)
        chains.append(motion.BONN_AXES @ markers @ motion.BONN_AXES @ motion.BONN_MARKERS)
        motions.append(poses.rigid(chains[-1]))
        np.testing.assert_allclose(motions[-1][:3, :3] @ motions[-1][:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(motions[-1][:3, :3]) == pytest.approx(1)
    point = np.array([0.3, -0.2, 2.5, 1])
    np.testing.assert_allclose(
        np.linalg.inv(motions[0]) @ motions[1] @ point, np.linalg.inv(chains[0]) @ chains[1] @ point, atol=1e-3
    )


@pytest.mark.parametrize(
    ("read", "content", "why"),
    [
        (poses.read_tum, "1.0 2.0\n", "rows of 8 numbers"),
        (poses.read_tum, "", "rows of 8 numbers"),
        (poses.read_tum, "1 2 3 4 5 6 7 x\n", "cannot be read"),
        (poses.read_matrices, "1 0 0 0 0 1 0 0 0 0 1 0\n1 2 3\n", "rows of 12 or 16 numbers"),
        (lambda path: poses.read_matrix(path, 3), "1 0 0\n0 1 0\n", "has 2 rows of 3 numbers"),
        (poses.read_sintel_cam, "not a camera", "is not a .cam file"),
        (poses.read_colmap_images, "1 1 0 0 0 1\n\n", "cannot be read"),
        (poses.rigid_of_kitti, "calib_time: 15-Mar-2012\nR: 1 0 0\n", "does not hold R"),
    ],
)
def test_damaged_files_are_named(read: object, content: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text(content)
    with pytest.raises(BadSample, match=rf"file\.txt: .*{why}"):
        read(path)  # type: ignore[operator]

"""One small reader for each published file format of poses and calibrations.

A pose is a 4 × 4 float64 matrix from the camera to the world: x right, y down, z forward, in metres. Every reader
raises BadSample, with the file's name, for a damaged file.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dvd.data.formats import DPT_TAG, reading
from dvd.data.sources import BadSample

EARTH_RADIUS_M = 6378137.0
"""Radius of the spheroid that KITTI's positions refer to."""

AXES_OF_NED = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
"""Camera axes (right, down, forward) → axes of a body whose x is forward, y right and z down, as in TartanAir."""


class Trajectory(NamedTuple):
    """Poses by time: `stamps` in seconds, ascending, and `poses` `N 4 4`."""

    stamps: list[float]
    poses: np.ndarray

    def at(self, stamp: float, tolerance: float) -> np.ndarray | None:
        """Return the pose nearest in time; None where none is within `tolerance` seconds."""
        index = bisect_left(self.stamps, stamp)
        near = min(
            range(max(0, index - 1), min(len(self.stamps), index + 1)),
            key=lambda neighbour: abs(self.stamps[neighbour] - stamp),
            default=None,
        )
        return None if near is None or abs(self.stamps[near] - stamp) > tolerance else self.poses[near]


def rotation(quaternion: ArrayLike) -> np.ndarray:
    """Return the 3 × 3 rotation of a quaternion (x, y, z, w) of any length but 0."""
    x, y, z, w = np.asarray(quaternion, np.float64) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose(turn: np.ndarray, position: ArrayLike) -> np.ndarray:
    """Return a 4 × 4 pose from a 3 × 3 rotation and a position (3 values)."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = position
    return matrix


def rigid(similarity: np.ndarray) -> np.ndarray:
    """Return a 4 × 4 motion that also scales, camera to world units, as a rigid motion in the camera's units."""
    linear, position = similarity[:3, :3], similarity[:3, 3]
    left, stretch, right = np.linalg.svd(linear)
    return pose(left @ right, position / stretch.mean())


def read_table(path: Path, *widths: int) -> np.ndarray:
    """Read rows of numbers as `N width`, where `widths` lists the allowed ones; commas are blanks, `#` is a comment."""
    with reading(path):
        lines = (line.split("#")[0].replace(",", " ").split() for line in path.read_text(encoding="utf-8").splitlines())
        rows = [[float(word) for word in words] for words in lines if words]
        if not rows or len(rows[0]) not in widths or any(len(row) != len(rows[0]) for row in rows):
            raise BadSample(str(path), f"is no table with rows of {' or '.join(map(str, widths))} numbers")
        return np.array(rows)


def read_tum(path: Path) -> Trajectory:
    """Read TUM's `stamp tx ty tz qx qy qz qw`, one pose per line."""
    rows = read_table(path, 8)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return Trajectory(rows[:, 0].tolist(), np.stack([pose(rotation(row[4:]), row[1:4]) for row in rows]))


def read_tartanair(path: Path) -> np.ndarray:
    """Read TartanAir's `tx ty tz qx qy qz qw`, of a body that looks along its x axis, as poses `N 4 4`."""
    return np.stack([pose(rotation(row[3:]), row[:3]) @ AXES_OF_NED for row in read_table(path, 7)])


def read_matrices(path: Path) -> np.ndarray:
    """Read one 3 × 4 or 4 × 4 matrix per line, row by row, as `N 4 4`."""
    rows = read_table(path, 12, 16)
    last = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (len(rows), 4))
    return np.concatenate([rows[:, :12], last], axis=1).reshape(-1, 4, 4)


def read_matrix(path: Path, rows: int) -> np.ndarray:
    """Read a square matrix, one row per line."""
    matrix = read_table(path, rows)
    if matrix.shape != (rows, rows):
        raise BadSample(str(path), f"has {len(matrix)} rows of {rows} numbers, and {rows} were expected")
    return matrix


def read_sintel_cam(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read Sintel's .cam (a .dpt's tag, 3 × 3 intrinsics, 3 × 4 world to camera, float64) as (intrinsics, pose)."""
    with reading(path):
        raw = path.read_bytes()
        if len(raw) != 4 + 8 * 21 or struct.unpack("<f", raw[:4])[0] != DPT_TAG:
            raise BadSample(str(path), "is not a .cam file")
        values = np.frombuffer(raw, "<f8", offset=4)
    outward = np.vstack([values[9:].reshape(3, 4), [0, 0, 0, 1]])
    return values[:9].reshape(3, 3).copy(), np.linalg.inv(outward)


def read_kitti_calibration(path: Path) -> dict[str, np.ndarray]:
    """Read KITTI's lines `name: numbers`; lines with anything else, such as the date, are skipped."""
    values_by_name = {}
    with reading(path):
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, values = line.partition(":")
            try:
                values_by_name[name.strip()] = np.array([float(word) for word in values.split()])
            except ValueError:
                continue
    return values_by_name


def rigid_of_kitti(path: Path) -> np.ndarray:
    """Read the 4 × 4 motion of a calibration with `R` and `T`."""
    values = read_kitti_calibration(path)
    try:
        return pose(values["R"].reshape(3, 3), values["T"])
    except (KeyError, ValueError) as error:
        raise BadSample(str(path), "does not hold R (9 numbers) and T (3)") from error


def read_oxts(path: Path, latitude: float | None = None) -> tuple[np.ndarray, float]:
    """Read KITTI's GPS and inertial unit (latitude, longitude, altitude, roll, pitch, yaw, …) as (4 × 4, latitude).

    The position is a Mercator projection at the scale of `latitude`, that of the drive's first frame; else of its own.
    """
    lat, lon, altitude, roll, pitch, yaw = read_table(path, 30)[0, :6]
    latitude = lat if latitude is None else latitude
    scale = np.cos(np.radians(latitude)) * EARTH_RADIUS_M
    position = (scale * np.radians(lon), scale * np.log(np.tan(np.radians(45 + lat / 2))), altitude)
    return pose(_about(2, yaw) @ _about(1, pitch) @ _about(0, roll), position), latitude


def read_colmap_images(path: Path) -> dict[str, np.ndarray]:
    """Read COLMAP's images.txt as file name → pose; every second line (key points) is skipped."""
    pose_by_name = {}
    with reading(path, IndexError):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        for line in lines[::2]:
            words = line.split()
            if not words:
                continue
            w, x, y, z, *position = (float(word) for word in words[1:8])
            pose_by_name[words[9]] = np.linalg.inv(pose(rotation((x, y, z, w)), position))
    return pose_by_name


def _about(axis: int, angle: float) -> np.ndarray:
    """Return a rotation about x, y or z (0, 1, 2) by an angle in radians."""
    first, second = ((1, 2), (2, 0), (0, 1))[axis]
    turn = np.eye(3)
    turn[[first, second], [first, second]] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return turn

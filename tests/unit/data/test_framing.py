"""Crop, resize and mask of a frame, and the intrinsics that follow them."""

import numpy as np
import pytest

from dvd.data.framing import Framing
from dvd.data.rows.evaluation import EVALUATION

KITTI = next(layout.framing for layout in EVALUATION if layout.name == "kitti")


def test_the_default_framing_changes_nothing() -> None:
    depth = np.random.default_rng(0).random((6, 8), np.float32)
    rgb = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    plain = Framing()
    np.testing.assert_array_equal(plain.depth(depth), depth)
    np.testing.assert_array_equal(plain.rgb(rgb, (6, 8)), rgb)
    assert plain.counts((6, 8)).all()
    assert plain.describe() == ""


def test_the_kitti_crop_is_the_bottom_centre() -> None:
    depth = np.arange(375 * 1242, dtype=np.float32).reshape(375, 1242)
    np.testing.assert_array_equal(KITTI.depth(depth), depth[23:, 13:1229])
    rgb = np.repeat(depth.astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(KITTI.rgb(rgb, (375, 1242)), rgb[23:, 13:1229])
    assert KITTI.size((370, 1224)) == (352, 1216)


def test_the_eigen_mask_of_the_crop() -> None:
    mask = KITTI.counts((352, 1216))
    expected = np.zeros((352, 1216), bool)
    expected[117:321, 43:1172] = True
    np.testing.assert_array_equal(mask, expected)


def test_depth_is_sampled_at_the_nearest_pixel_and_colour_interpolated() -> None:
    framing = Framing(resize=(4, 6))
    depth = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    np.testing.assert_array_equal(framing.depth(depth), np.repeat(np.repeat(depth, 2, 0), 2, 1))
    rgb = np.repeat((40 * depth).astype(np.uint8)[..., None], 3, axis=2)
    resized = framing.rgb(rgb, (2, 3))
    np.testing.assert_array_equal(resized[0, :, 0], [40, 50, 70, 90, 110, 120])
    np.testing.assert_array_equal(
        Framing(resize=(1, 3)).depth(np.arange(27, dtype=np.float32).reshape(3, 9)), [[10, 13, 16]]
    )


def test_flow_is_scaled_with_the_frame() -> None:
    flow = np.random.default_rng(0).normal(0, 9, (375, 1242, 2)).astype(np.float32)
    np.testing.assert_array_equal(KITTI.flow(flow), flow[23:, 13:1229])
    flow[0, 0] = np.nan
    resized = Framing(resize=(750, 621)).flow(flow)
    assert (resized.dtype, resized.shape) == (np.float32, (750, 621, 2))
    np.testing.assert_array_equal(resized, np.repeat(flow, 2, axis=0)[:, 1::2] * np.array([0.5, 2], np.float32))
    both = Framing(crop=(100, 200), resize=(50, 400)).flow(flow)
    np.testing.assert_array_equal(both[0, 0], flow[276, 521] * np.array([2, 0.5], np.float32))


def test_intrinsics_follow_a_point_through_crop_and_resize() -> None:
    """A point is projected to where the frame shows its pixel; pixels are squares centred on whole numbers."""
    matrix = np.array([[700.0, 0, 600.3], [0, 710, 180.2], [0, 0, 1]])
    point = np.array([0.3, -0.1, 2.0])
    u, v, _ = matrix @ point / point[2]
    cropped = KITTI.intrinsics(matrix, (375, 1242), (375, 1242)) @ point / point[2]
    np.testing.assert_allclose(cropped[:2], (u - 13, v - 23))
    resized = Framing(resize=(480, 640)).intrinsics(matrix, (436, 1024), (436, 1024)) @ point / point[2]
    np.testing.assert_allclose(resized[:2] + 0.5, ((u + 0.5) * 640 / 1024, (v + 0.5) * 480 / 436))
    other = Framing().intrinsics(matrix, (480, 640), (240, 320)) @ point / point[2]
    np.testing.assert_allclose(other[:2] + 0.5, ((u + 0.5) / 2, (v + 0.5) / 2))
    assert matrix[0, 2] == 600.3


@pytest.mark.parametrize(
    ("framing", "rgb", "depth", "flaw"),
    [
        (Framing(), (24, 32), (24, 32), ""),
        (Framing(), (24, 30), (24, 32), "is 32 × 24, and its image 30 × 24"),
        (Framing(own_colour_size=True), (968, 1296), (480, 640), ""),
        (Framing(own_colour_size=True), (480, 848), (480, 640), "is 640 × 480, and its image 848 × 480"),
        (Framing(crop=(352, 1216)), (300, 1242), (300, 1242), "is 1242 × 300, less than the 1216 × 352 that are cut"),
    ],
)
def test_mismatched_sizes_are_refused(framing: Framing, rgb: tuple, depth: tuple, flaw: str) -> None:
    reason = framing.flaw(rgb, depth)
    assert reason.startswith(flaw)
    assert bool(reason) == bool(flaw)


def test_a_crop_with_colour_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="colour has a size of its own"):
        Framing(crop=(4, 4), own_colour_size=True)

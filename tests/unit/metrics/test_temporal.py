"""Temporal metrics and seam error: zero where depth follows the scene, and the size of the error elsewhere."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvd import metrics
from dvd.align import AffineFit
from dvd.types import Seam

seeds = st.integers(0, 2**32 - 1)
INTRINSICS = np.array([[20.0, 0, 9.5], [0, 20.0, 7.5], [0, 0, 1]])


def clip(seed: int, frames: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return prediction, truth and mask, `T 6 7`."""
    rng = np.random.default_rng(seed)
    mask = rng.random((frames, 6, 7)) < 0.8
    mask[:, 0, 0] = True
    return rng.uniform(1, 9, mask.shape), np.where(mask, rng.uniform(1, 9, mask.shape), 0), mask


@given(seeds, st.floats(0.01, 100))
def test_a_constant_scale_has_no_temporal_difference(seed: int, scale: float) -> None:
    _, truth_m, mask = clip(seed)
    assert metrics.relative_temporal_difference(scale * truth_m, truth_m, mask) == pytest.approx(0, abs=1e-12)


def test_temporal_difference_by_hand() -> None:
    truth_m = np.array([[[2.0, 1.0]], [[2.0, 0.0]], [[2.0, 3.0]]])
    depth_m = np.array([[[1.0, 5.0]], [[1.5, 5.0]], [[1.5, 5.0]]])
    assert metrics.relative_temporal_difference(depth_m, truth_m, truth_m > 0) == pytest.approx((0.5 + 0) / 2)


@settings(deadline=None)
@given(seeds)
def test_a_clip_is_the_mean_of_its_pairs(seed: int) -> None:
    depth_m, truth_m, mask = clip(seed)
    pairs = [
        metrics.pair_temporal_difference(depth_m[t : t + 2], truth_m[t : t + 2], mask[t : t + 2]) for t in range(3)
    ]
    assert metrics.relative_temporal_difference(depth_m, truth_m, mask) == pytest.approx(np.mean(pairs))
    tensors = torch.tensor(depth_m), torch.tensor(truth_m), torch.tensor(mask)
    assert metrics.relative_temporal_difference(*tensors) == metrics.relative_temporal_difference(
        depth_m, truth_m, mask
    )


def test_pairs_without_a_common_pixel_are_left_out() -> None:
    depth_m, truth_m, mask = clip(3)
    mask[1] = False
    assert math.isnan(metrics.pair_temporal_difference(depth_m[:2], truth_m[:2], mask[:2]))
    rest = metrics.pair_temporal_difference(depth_m[2:], truth_m[2:], mask[2:])
    assert metrics.relative_temporal_difference(depth_m, truth_m, mask) == rest
    with pytest.raises(ValueError, match="no two neighbouring frames share a valid pixel"):
        metrics.relative_temporal_difference(depth_m[:2], truth_m[:2], mask[:2])
    with pytest.raises(ValueError, match="no two neighbouring frames"):
        metrics.relative_temporal_difference(depth_m[:1], truth_m[:1], mask[:1])


def wall(poses: np.ndarray, distance: float = 6.0) -> np.ndarray:
    """Return depth `T 16 20` of the world plane z = distance, by intersecting every ray with it."""
    y, x = np.mgrid[:16, :20].astype(float)
    rays = np.linalg.inv(INTRINSICS) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return np.stack([((distance - pose[2, 3]) / (pose[:3, :3] @ rays)[2]).reshape(x.shape) for pose in poses])


def path(frames: int = 3) -> np.ndarray:
    """Return poses, camera to world, that turn and move sideways and forward."""
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for t, pose in enumerate(poses):
        angle = 0.03 * t
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        pose[:3, 3] = 0.2 * t, -0.1 * t, 0.15 * t
    return poses


def test_a_wall_seen_by_a_moving_camera_is_aligned() -> None:
    poses = path()
    depth_m = wall(poses)
    # Points land on the nearest pixel: half a pixel of a wall seen at a slant.
    assert metrics.temporal_alignment_error(depth_m, poses, INTRINSICS) < 2e-3
    assert metrics.temporal_alignment_error(depth_m, np.linalg.inv(poses), INTRINSICS) > 0.02


@settings(deadline=None)
@given(st.floats(0.5, 2))
def test_the_alignment_error_of_a_rescaled_frame(scale: float) -> None:
    still = np.tile(np.eye(4), (2, 1, 1))
    depth_m = np.stack([np.full((6, 8), 3.0), np.full((6, 8), 3.0 * scale)])
    wanted = (abs(1 - scale) / scale + abs(1 - scale)) / 2
    assert metrics.temporal_alignment_error(depth_m, still, INTRINSICS) == pytest.approx(wanted)


@settings(deadline=None)
@given(seeds)
def test_a_still_camera_compares_pixel_by_pixel(seed: int) -> None:
    depth_m, _, mask = clip(seed, frames=2)
    error = abs(depth_m[0] - depth_m[1])
    found = metrics.pair_alignment_error(depth_m[0], depth_m[1], np.eye(3), np.zeros(3), INTRINSICS, mask[1])
    assert found == pytest.approx(np.mean((error / depth_m[1])[mask[1]]))


def test_intrinsics_may_change_from_frame_to_frame() -> None:
    zoomed = INTRINSICS * [[2], [2], [1]]
    still = np.tile(np.eye(4), (2, 1, 1))
    depth_m = np.full((2, 16, 20), 3.0)
    depth_m[0, 4:8, 5:10] = 2.0  # lands at rows 8 … 14 and columns 10 … 18, every second of each
    depth_m[1, 8:16, 10:20] = 2.0
    forth = metrics.pair_alignment_error(
        depth_m[0], depth_m[1], np.eye(3), np.zeros(3), INTRINSICS, None, other_intrinsics=zoomed
    )
    assert forth == 0
    # Backwards, two pixels fall into one: only what lies beside an edge can be wrong.
    right = metrics.temporal_alignment_error(depth_m, still, np.stack([INTRINSICS, zoomed]))
    assert right < metrics.temporal_alignment_error(depth_m, still, INTRINSICS) / 4


def test_points_outside_the_frame_or_behind_the_camera_do_not_count() -> None:
    depth_m = np.full((2, 6, 8), 3.0)
    away = metrics.pair_alignment_error(*depth_m, np.eye(3), np.array([100.0, 0, 0]), INTRINSICS)
    behind = metrics.pair_alignment_error(*depth_m, np.eye(3), np.array([0, 0, -5.0]), INTRINSICS)
    assert math.isnan(away)
    assert math.isnan(behind)
    apart = np.stack([np.eye(4), np.eye(4)])
    apart[1, 0, 3] = 100
    with pytest.raises(ValueError, match="no two neighbouring frames"):
        metrics.temporal_alignment_error(depth_m, apart, INTRINSICS)
    with pytest.raises(ValueError, match="must be T H W and T 4 4"):
        metrics.temporal_alignment_error(depth_m, apart[:1], INTRINSICS)


def carried(dx: float, dy: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two frames of a tilted plane that moves by (dx, dy) pixels, and its flow."""
    y, x = np.mgrid[:10, :12].astype(float)
    depth_m = np.stack([5 + 0.1 * x + 0.2 * y, 5 + 0.1 * (x - dx) + 0.2 * (y - dy)])
    return depth_m, np.broadcast_to([dx, dy], (1, 10, 12, 2)).copy()


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_depth_that_moves_with_the_flow_has_no_warping_error(dx: float, dy: float) -> None:
    depth_m, flow = carried(dx, dy)
    assert metrics.flow_warping_error(depth_m, flow, np.ones(depth_m.shape)) == pytest.approx(0, abs=1e-9)


@settings(deadline=None)
@given(st.floats(-2, 2))
def test_the_flow_warping_error_is_the_change_along_the_flow(step: float) -> None:
    depth_m, flow = carried(1.5, -0.75)
    depth_m[1] += step
    assert metrics.flow_warping_error(depth_m, flow, np.ones(depth_m.shape)) == pytest.approx(abs(step))


def test_flow_that_is_nan_or_ends_at_masked_pixels_does_not_count() -> None:
    depth_m, flow = carried(0.5, 0)
    mask = np.ones(depth_m.shape, bool)
    mask[1, :, 6] = False
    depth_m[1, :, 6] = np.nan
    flow[0, 0, 0] = np.nan
    assert metrics.flow_warping_error(depth_m, flow, mask) == pytest.approx(0, abs=1e-12)
    still = np.zeros_like(flow)
    depth_m[1] = depth_m[0]
    depth_m[1, :, 6] = np.nan
    assert metrics.flow_warping_error(depth_m, still, mask) == 0
    assert math.isnan(metrics.pair_warping_error(depth_m, flow[0] + 100, mask))
    with pytest.raises(ValueError, match="must be T H W, T-1 H W 2, T H W"):
        metrics.flow_warping_error(depth_m, flow[0], mask)


# Seam error


def overlap(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 2, (3, 4, 5))


@given(seeds, st.floats(0.2, 5), st.floats(-2, 2))
def test_the_seam_error_of_an_affine_difference_vanishes(seed: int, scale: float, shift: float) -> None:
    earlier = overlap(seed)
    later = (earlier - shift) / scale
    before, after = metrics.seam_error(earlier, later)
    assert before == pytest.approx(np.mean((later - earlier) ** 2))
    assert after == pytest.approx(0, abs=1e-14)


@given(seeds, st.floats(-3, 3), st.floats(-1e3, 1e3))
def test_seam_errors_are_means_over_the_pixels(seed: int, scale: float, shift: float) -> None:
    earlier, later = overlap(seed), overlap(seed + 1)
    before, after = metrics.seam_error(earlier, later, AffineFit(scale, shift, 1.0, 0.0, 60))
    assert before == pytest.approx(np.mean((later - earlier) ** 2), rel=1e-12)
    assert after == pytest.approx(np.mean((scale * later + shift - earlier) ** 2), rel=1e-12)


@given(seeds)
def test_alignment_never_increases_the_seam_error(seed: int) -> None:
    error = metrics.seam_error(overlap(seed), overlap(seed + 1))
    assert error.after <= error.before


def test_the_given_fit_is_used() -> None:
    earlier, later = np.array([1.0, 2.0]), np.array([0.0, 1.0])
    assert metrics.seam_error(earlier, later, AffineFit(2.0, 0.0, 1.0, 0.0, 2)) == (1.0, 0.5)
    assert metrics.seam_error(earlier, later, Seam(0, 1, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0)) == (1.0, 0.0)


def test_seam_errors_with_masks_and_tensors() -> None:
    earlier, later = overlap(1), overlap(2)
    mask = overlap(3) > 1
    later[~mask] = np.nan
    wanted = metrics.seam_error(earlier[mask], later[mask])
    assert metrics.seam_error(earlier, later, mask=mask) == wanted
    assert metrics.seam_error(torch.tensor(earlier), torch.tensor(later), mask=torch.tensor(mask)) == wanted


def test_overlaps_must_have_one_shape_and_a_pixel() -> None:
    with pytest.raises(ValueError, match="must have one shape and a pixel"):
        metrics.seam_error(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="must have one shape and a pixel"):
        metrics.seam_error(np.ones((2, 3)), np.ones((2, 3)), mask=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="must have one shape and a pixel"):
        metrics.seam_error(np.ones((2, 3)), np.ones((2, 3)), mask=np.ones((3, 2)))
    with pytest.raises(ValueError, match="must have one shape and a pixel"):
        metrics.seam_error(np.ones((0, 3)), np.ones((0, 3)))

"""The release's metrics and alignment on the golden clip; Depth Pro's and Video Depth Anything's own numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from dvd import metrics

GOLDEN = Path(__file__).parent
WANTED: dict[str, Any] = json.loads((GOLDEN / "values.json").read_text())
NAMES = {
    "abs_relative_difference": metrics.abs_rel,
    "squared_relative_difference": metrics.sq_rel,
    "rmse_linear": metrics.rmse,
    "rmse_log": metrics.rmse_log,
    "log10": metrics.log10,
    "delta1_acc": metrics.delta1,
    "delta2_acc": metrics.delta2,
    "delta3_acc": metrics.delta3,
    "i_rmse": metrics.inverse_rmse,
    "silog_rmse": metrics.silog,
    "relative_temporal_diff": metrics.relative_temporal_difference,
}


@pytest.fixture(scope="module")
def clip() -> dict[str, np.ndarray]:
    tensors = load_file(str(GOLDEN / "tensors.safetensors"))
    return {name.removeprefix("metric."): tensor for name, tensor in tensors.items() if name.startswith("metric.")}


@pytest.mark.parametrize("name", NAMES)
def test_metric_is_that_of_the_release(name: str, clip: dict[str, np.ndarray]) -> None:
    value = NAMES[name](clip["aligned_depth"], clip["gt_depth"], clip["mask"] > 0)
    assert value == pytest.approx(WANTED["metrics"][name], rel=1e-4)
    assert type(value) is float


def test_aligned_depth_is_that_of_the_release(clip: dict[str, np.ndarray]) -> None:
    depth_m = metrics.align(clip["pred_disparity"], clip["gt_depth"], clip["mask"] > 0, (0.1, 10.0))
    error = np.linalg.norm(depth_m - clip["aligned_depth"]) / np.linalg.norm(clip["aligned_depth"])
    assert error <= 1e-4


def test_alignment_frame_by_frame_is_that_of_the_release(clip: dict[str, np.ndarray]) -> None:
    alignment = metrics.Alignment()
    for frame in zip(clip["pred_disparity"], clip["gt_depth"], clip["mask"] > 0, strict=True):
        alignment.add(*frame)
    fit = alignment.solve()
    assert fit.scale == pytest.approx(WANTED["align"]["scale"], rel=1e-4)
    assert fit.shift == pytest.approx(WANTED["align"]["shift"], rel=1e-4)
    assert WANTED["align"]["min_disparity"] == metrics.LEAST_DISPARITY
    depth_m = metrics.to_depth_m(clip["pred_disparity"], fit, "disparity", tuple(WANTED["align"]["clip_depth"]))
    error = np.linalg.norm(depth_m - clip["aligned_depth"]) / np.linalg.norm(clip["aligned_depth"])
    assert error <= 1e-4


@pytest.mark.parametrize("layout", ["T 3 H W", "T H W 3"])
def test_edges_against_the_image_are_those_of_the_release(layout: str, clip: dict[str, np.ndarray]) -> None:
    rgb = clip["rgb"] if layout == "T 3 H W" else clip["rgb"].transpose(0, 2, 3, 1)
    scores = metrics.rgb_boundary(clip["aligned_depth"], rgb, clip["mask"] > 0)
    # The release adds 1e-6 to each denominator, which is all that differs.
    assert scores == pytest.approx(WANTED["metrics"]["rgb_edge_boundary"], rel=2e-6)


def test_boundary_f1_counts_as_depth_pro_does(clip: dict[str, np.ndarray]) -> None:
    scores = metrics.si_boundary_f1(clip["aligned_depth"], clip["gt_depth"])
    np.testing.assert_allclose(scores, WANTED["metrics"]["si_boundary_f1_per_frame"], rtol=1e-14)


def test_boundary_recall_counts_as_depth_pro_does(clip: dict[str, np.ndarray]) -> None:
    scores = metrics.si_boundary_recall(clip["aligned_depth"], clip["fg_mask"])
    np.testing.assert_allclose(scores, WANTED["metrics"]["si_boundary_recall_per_frame"], rtol=1e-14)


def test_one_pair_scores_as_video_depth_anything_does(clip: dict[str, np.ndarray]) -> None:
    pair = WANTED["metrics"]["tae_pair"]
    first, second = clip["aligned_depth"][:2]
    value = metrics.pair_alignment_error(first, second, pair["R_2_1"], pair["T_2_1"], pair["K"], clip["mask"][1] > 0)
    assert value == pytest.approx(pair["value"], rel=1e-6)


def test_a_clip_of_two_frames_has_the_mean_of_both_directions(clip: dict[str, np.ndarray]) -> None:
    pair = WANTED["metrics"]["tae_pair"]
    depth_m, mask = clip["aligned_depth"][:2], clip["mask"][:2] > 0
    rotation, translation = np.array(pair["R_2_1"]), np.array(pair["T_2_1"])
    poses = np.stack([np.eye(4), np.eye(4)])
    poses[1, :3, :3], poses[1, :3, 3] = rotation.T, -rotation.T @ translation  # second camera to the first's world
    back = metrics.pair_alignment_error(
        depth_m[1], depth_m[0], rotation.T, -rotation.T @ translation, pair["K"], mask[0]
    )
    whole = metrics.temporal_alignment_error(depth_m, poses, pair["K"], mask)
    assert whole == pytest.approx((pair["value"] + back) / 2, rel=1e-6)

"""Accuracy: values computed by hand, the effect of scale, arrays of every kind."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvd import metrics
from dvd.errors import OptionError

seeds = st.integers(0, 2**32 - 1)
CLIP = {name: getattr(metrics, name) for name in metrics.ACCURACY}
PERFECT = {name: 1.0 if name.startswith("delta") else 0.0 for name in CLIP}


def clip(seed: int, frames: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return predicted and true depth, 0 where unknown, and the mask."""
    rng = np.random.default_rng(seed)
    mask = rng.random((frames, 5, 7)) < 0.7
    mask[:, 0, 0] = True
    truth_m = np.where(mask, rng.uniform(0.5, 20, mask.shape), 0).astype(np.float32)
    return rng.uniform(0.5, 20, mask.shape).astype(np.float32), truth_m, mask


def test_values_by_hand() -> None:
    truth_m, depth_m = np.array([[[2.0, 4.0, 0.0]]]), np.array([[[3.0, 4.0, 5.0]]])
    found = {name: metric(depth_m, truth_m, truth_m > 0) for name, metric in CLIP.items()}
    assert found == pytest.approx(
        {
            "abs_rel": 0.25,
            "sq_rel": 0.25,
            "rmse": math.sqrt(0.5),
            "rmse_log": math.log(1.5) / math.sqrt(2),
            "log10": math.log10(1.5) / 2,
            "delta1": 0.5,
            "delta2": 1.0,
            "delta3": 1.0,
            "inverse_rmse": (1 / 2 - 1 / 3) / math.sqrt(2),
            "silog": 100 * math.log(1.5) / 2,
        }
    )


def test_frames_have_equal_weight() -> None:
    truth_m = np.array([[[1.0, 1.0]], [[1.0, 0.0]]])
    assert metrics.abs_rel(np.array([[[1.0, 1.0]], [[2.0, 9.0]]]), truth_m, truth_m > 0) == 0.5


@pytest.mark.slow
@given(seeds)
def test_the_truth_has_no_error(seed: int) -> None:
    _, truth_m, mask = clip(seed)
    assert {name: metric(truth_m, truth_m, mask) for name, metric in CLIP.items()} == pytest.approx(PERFECT)


@given(seeds, st.floats(0.01, 100))
def test_silog_ignores_scale(seed: int, scale: float) -> None:
    depth_m, truth_m, mask = clip(seed)
    assert metrics.silog(scale * depth_m, truth_m, mask) == pytest.approx(
        metrics.silog(depth_m, truth_m, mask), rel=1e-4
    )
    assert metrics.silog(scale * truth_m, truth_m, mask) == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
@given(seeds, st.floats(0.01, 100))
def test_relative_metrics_ignore_the_unit(seed: int, unit: float) -> None:
    depth_m, truth_m, mask = (array.astype(np.float64) for array in clip(seed))
    for name in ("abs_rel", "delta1", "delta2", "delta3", "rmse_log", "log10"):
        here = CLIP[name](depth_m, truth_m, mask)
        assert CLIP[name](unit * depth_m, unit * truth_m, mask) == pytest.approx(here, rel=1e-9, abs=1e-12)


@given(seeds)
def test_thresholds_are_nested(seed: int) -> None:
    frames = clip(seed)
    assert 0 <= metrics.delta1(*frames) <= metrics.delta2(*frames) <= metrics.delta3(*frames) <= 1


@pytest.mark.slow
@settings(deadline=None)
@given(seeds)
def test_a_clip_is_the_mean_of_its_frames(seed: int) -> None:
    depth_m, truth_m, mask = clip(seed, frames=4)
    rows = [metrics.score_frame(*frame) for frame in zip(depth_m, truth_m, mask, strict=True)]
    for name, metric in CLIP.items():
        assert metric(depth_m, truth_m, mask) == pytest.approx(np.mean([row[name] for row in rows]), rel=1e-12)


def test_pixels_outside_the_mask_do_not_count() -> None:
    depth_m, truth_m, mask = clip(5)
    spoilt = np.where(mask, depth_m, np.nan)
    assert metrics.score_frame(spoilt[0], truth_m[0], mask[0]) == metrics.score_frame(depth_m[0], truth_m[0], mask[0])


def test_only_requested_metrics_are_computed() -> None:
    depth_m, truth_m, mask = clip(6, frames=1)
    assert list(metrics.score_frame(depth_m[0], truth_m[0], mask[0], ("silog", "rmse"))) == ["silog", "rmse"]
    with pytest.raises(OptionError, match=r"unknown metric 'absrel'; did you mean .*abs_rel"):
        metrics.score_frame(depth_m[0], truth_m[0], mask[0], ("absrel",))


def test_tensors_score_like_arrays() -> None:
    depth_m, truth_m, mask = clip(7)
    tensors = torch.tensor(depth_m, requires_grad=True), torch.tensor(truth_m), torch.tensor(mask)
    for metric in CLIP.values():
        value = metric(*tensors)
        assert type(value) is float
        assert value == metric(depth_m, truth_m, mask)
    narrow = tensors[0].detach().bfloat16()
    assert metrics.abs_rel(narrow, *tensors[1:]) == metrics.abs_rel(narrow.float().numpy(), truth_m, mask)
    assert metrics.abs_rel(depth_m, truth_m, mask.astype(np.uint8)) == metrics.abs_rel(depth_m, truth_m, mask)


def test_metrics_do_not_import_torch() -> None:
    code = (
        "import sys, numpy as np; from dvd import metrics; one = np.ones((2, 3, 3));"
        "metrics.abs_rel(one, one, one), metrics.align(one, one, one);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_frame_without_valid_pixels_is_refused() -> None:
    depth_m, truth_m, mask = clip(8)
    mask[1] = False
    with pytest.raises(ValueError, match="frame 1 has no valid pixel"):
        metrics.abs_rel(depth_m, truth_m, mask)
    with pytest.raises(ValueError, match="no valid pixel"):
        metrics.score_frame(depth_m[1], truth_m[1], mask[1])


def test_shapes_must_agree() -> None:
    depth_m, truth_m, mask = clip(9)
    with pytest.raises(ValueError, match="must have one shape T H W"):
        metrics.rmse(depth_m[:, :-1], truth_m, mask)
    with pytest.raises(ValueError, match="must have one shape T H W"):
        metrics.rmse(depth_m[0], truth_m[0], mask[0])
    with pytest.raises(ValueError, match="must have one shape"):
        metrics.score_frame(depth_m[0], truth_m[0], mask[1][:, :-1])

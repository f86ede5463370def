"""Alignment undoes a scale and shift, is the same frame by frame and at once, and refuses NaN."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvd import metrics
from dvd.align import fit
from dvd.errors import InputError, OptionError
from dvd.names import FitName, Space

seeds = st.integers(0, 2**32 - 1)


def clip(seed: int, frames: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return true depth in metres, 0 where unknown, and the mask."""
    rng = np.random.default_rng(seed)
    mask = rng.random((frames, 6, 8)) < 0.8
    mask[:, 0, :2] = True
    return np.where(mask, rng.uniform(0.5, 9, mask.shape), 0), mask


def inverse(truth_m: np.ndarray) -> np.ndarray:
    """Return 1 / truth, and any number where it is unknown."""
    return 1 / np.where(truth_m > 0, truth_m, 3)


def gather(alignment: metrics.Alignment, prediction: np.ndarray, truth_m: np.ndarray, mask: np.ndarray) -> None:
    for frame in zip(prediction, truth_m, mask, strict=True):
        alignment.add(*frame)


@settings(deadline=None)
@given(seeds, st.floats(0.1, 10), st.floats(0, 5))
def test_affine_disparity_is_aligned_to_metres(seed: int, scale: float, shift: float) -> None:
    truth_m, mask = clip(seed)
    depth_m = metrics.align(scale * inverse(truth_m) + shift, truth_m, mask)
    np.testing.assert_allclose(depth_m[mask], truth_m[mask], rtol=1e-6)


@settings(deadline=None)
@given(seeds)
def test_frames_one_by_one_equal_all_at_once(seed: int) -> None:
    truth_m, mask = clip(seed)
    prediction = np.random.default_rng(seed + 1).normal(0.5, 0.4, truth_m.shape).astype(np.float32)
    alignment = metrics.Alignment()
    gather(alignment, prediction, truth_m, mask)
    counted = mask & (prediction > 0)
    direct = fit(prediction[counted], 1 / truth_m[counted])
    assert alignment.count == counted.sum() == alignment.solve().count
    assert alignment.solve().scale == pytest.approx(direct.scale, rel=1e-9)
    assert alignment.solve().shift == pytest.approx(direct.shift, rel=1e-9)
    streamed = metrics.to_depth_m(prediction, alignment.solve())
    np.testing.assert_allclose(streamed, metrics.align(prediction, truth_m, mask), rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["least-squares", "scale", "median"])
@pytest.mark.parametrize("space", ["disparity", "depth"])
@settings(max_examples=20, deadline=None)
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_every_fit_undoes_a_scale(space: Space, name: FitName, seed: int, scale: float) -> None:
    truth_m, mask = clip(seed)
    prediction = scale * (inverse(truth_m) if space == "disparity" else truth_m)
    alignment = metrics.Alignment(space, name)
    gather(alignment, prediction, truth_m, mask)
    found = alignment.solve()
    assert found.scale == pytest.approx(1 / scale, rel=2e-5)
    assert found.shift == pytest.approx(0, abs=1e-9)
    depth_m = metrics.to_depth_m(prediction, found, space)
    np.testing.assert_allclose(depth_m[mask], truth_m[mask], rtol=1e-4)


@settings(deadline=None)
@given(seeds)
def test_scale_alone_is_the_least_squares_solution(seed: int) -> None:
    truth_m, mask = clip(seed)
    prediction = np.random.default_rng(seed + 1).uniform(0.1, 3, truth_m.shape)
    alignment = metrics.Alignment("depth", "scale")
    gather(alignment, prediction, truth_m, mask)
    (scale,), (squares,), *_ = np.linalg.lstsq(prediction[mask][:, None], truth_m[mask], rcond=None)
    assert alignment.solve().scale == pytest.approx(scale, rel=1e-9)
    assert alignment.solve().residual == pytest.approx(np.sqrt(squares / mask.sum()), rel=1e-6)


@pytest.mark.slow
@settings(deadline=None)
@given(seeds, st.integers(1, 30))
def test_medians_agree_with_numpy(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    prediction, truth_m = np.exp(rng.normal(0, 3, (2, 1, count)))
    alignment = metrics.Alignment("depth", "median")
    alignment.add(prediction, truth_m, np.ones((1, count)))
    assert alignment.solve().scale == pytest.approx(np.median(truth_m) / np.median(prediction), rel=2e-5)


def test_values_outside_the_range_count_as_its_ends() -> None:
    alignment = metrics.Alignment("depth", "median")
    alignment.add(np.array([1e-30, 1.0, 1e30, 1e30]), np.array([1.0, 2.0, 2.0, 5.0]), np.ones(4))
    assert alignment.solve().scale == pytest.approx(2 / ((1 + 2.0**24) / 2), rel=2e-5)


def test_memory_does_not_grow_with_the_frames() -> None:
    medians = metrics.Medians()
    before = medians._counts.nbytes
    for seed in range(3):
        medians.add(*np.random.default_rng(seed).uniform(0.1, 9, (2, 10_000)))
    assert medians._counts.nbytes == before < 64e6
    assert medians.count == 30_000


def test_a_constant_is_aligned_to_the_mean_of_the_truth() -> None:
    truth_m, mask = clip(3)
    depth_m = metrics.align(np.full_like(truth_m, 0.3), truth_m, mask)
    np.testing.assert_allclose(depth_m, 1 / np.mean(1 / truth_m[mask]))


def test_depth_is_clipped_and_disparity_kept_positive() -> None:
    prediction = np.array([-1.0, 0.0, 0.05, 100.0])
    unchanged = fit(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(metrics.to_depth_m(prediction, unchanged, "disparity", (0.1, 50.0)), [50, 50, 20, 0.1])
    np.testing.assert_allclose(metrics.to_depth_m(prediction, unchanged, "depth", (0.1, 50.0)), [0.1, 0.1, 0.1, 50])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_not_finite_are_refused(bad: float) -> None:
    truth_m, mask = clip(4)
    prediction = inverse(truth_m)
    prediction[~mask] = bad
    metrics.Alignment().add(prediction, truth_m, mask)  # where nothing counts, nothing is wrong
    prediction[1, 0, 0] = bad
    with pytest.raises(InputError, match=r"not finite at 1 of \d+ valid pixels; predict again") as refusal:
        metrics.Alignment().add(prediction, truth_m, mask)
    assert "\n" not in str(refusal.value)


def test_align_keeps_nan() -> None:
    truth_m, mask = clip(5)
    prediction = inverse(truth_m)
    prediction[0, 0, 0] = np.nan
    depth_m = metrics.align(prediction, truth_m, mask)
    assert np.isnan(depth_m[0, 0, 0])
    assert np.isnan(depth_m).sum() == 1
    assert np.isnan(metrics.align(np.full_like(prediction, np.nan), truth_m, mask)).all()


def test_nothing_to_align_is_refused() -> None:
    truth_m, mask = clip(6)
    alignment = metrics.Alignment()
    assert alignment.add(inverse(truth_m), truth_m, np.zeros_like(mask)) == 0
    assert alignment.add(-inverse(truth_m), truth_m, mask) == 0
    with pytest.raises(InputError, match="no pixel has both a valid truth and a positive prediction"):
        alignment.solve()
    assert metrics.ScaleSums().fit().flaw == metrics.Medians().fit().flaw == "no pixels"


def test_unknown_names_and_shapes_are_refused() -> None:
    with pytest.raises(OptionError, match="unknown alignment space 'dept'; did you mean depth"):
        metrics.Alignment("dept")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="unknown alignment 'medians'; did you mean median"):
        metrics.Alignment("depth", "medians")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must have one shape"):
        metrics.Alignment().add(np.ones((2, 3)), np.ones((3, 2)), np.ones((2, 3)))


def test_tensors_align_like_arrays() -> None:
    truth_m, mask = clip(7)
    tensors = torch.tensor(inverse(truth_m)), torch.tensor(truth_m), torch.tensor(mask)
    np.testing.assert_array_equal(metrics.align(*tensors), metrics.align(inverse(truth_m), truth_m, mask))

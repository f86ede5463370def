"""Depth Pro's boundary scores equal a plain loop over pixels, ignore scale, and are fast."""

import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvd.metrics import boundary, si_boundary_f1, si_boundary_recall

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 9)


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """Return the loops of the benchmark."""
    return runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "boundary.py"))


def frame(seed: int, height: int = 9, width: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return prediction and truth with steps of every size, some equal, and a matte."""
    rng = np.random.default_rng(seed)
    truth_m = rng.choice([1.0, 1.08, 1.2, 1.3, 1.5, 2.0], (height, width))
    depth_m = np.where(rng.random((height, width)) < 0.7, truth_m, rng.uniform(1, 2, (height, width)))
    return depth_m, truth_m, rng.random((height, width)) < 0.4


@settings(deadline=None, max_examples=50)
@given(seed=seeds, height=sides, width=sides)
def test_scores_equal_a_loop_over_pixels(plain: dict[str, Any], seed: int, height: int, width: int) -> None:
    depth_m, truth_m, front = frame(seed, height, width)
    wanted = plain["loop_f1"](depth_m.tolist(), truth_m.tolist())
    assert si_boundary_f1(depth_m, truth_m) == pytest.approx(wanted, rel=1e-12)
    wanted = plain["loop_recall"](depth_m.tolist(), front.tolist())
    assert si_boundary_recall(depth_m, front) == pytest.approx(wanted, rel=1e-12)


def test_bands_do_not_change_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    depth_m, truth_m, _ = frame(1, 23, 17)
    whole = si_boundary_f1(depth_m, truth_m)
    monkeypatch.setattr(boundary, "BAND", 40)
    assert si_boundary_f1(depth_m, truth_m) == whole


@pytest.mark.slow
@settings(deadline=None)
@given(seeds, st.integers(-8, 8))
def test_scale_does_not_matter(seed: int, power: int) -> None:
    depth_m, truth_m, front = frame(seed)
    scale = 2.0**power  # exact, so that no ratio moves across a threshold by rounding
    assert si_boundary_f1(scale * depth_m, truth_m) == si_boundary_f1(depth_m, truth_m)
    assert si_boundary_f1(depth_m, scale * truth_m) == si_boundary_f1(depth_m, truth_m)
    assert si_boundary_recall(scale * depth_m, front) == si_boundary_recall(depth_m, front)


@pytest.mark.slow
@settings(deadline=None)
@given(seeds)
def test_f1_ignores_direction_and_order(seed: int) -> None:
    depth_m, truth_m, _ = frame(seed)
    here = pytest.approx(si_boundary_f1(depth_m, truth_m), rel=1e-12)
    assert si_boundary_f1(truth_m, depth_m) == here
    assert si_boundary_f1(depth_m.T, truth_m.T) == here
    assert si_boundary_f1(depth_m[::-1, ::-1], truth_m[::-1, ::-1]) == here


def test_the_truth_is_perfect_and_a_plane_has_no_boundary() -> None:
    truth_m = np.ones((6, 8))
    truth_m[2:4, 3:6] = 0.5
    assert si_boundary_f1(truth_m, truth_m) == pytest.approx(1)
    assert si_boundary_recall(truth_m, truth_m < 1) == pytest.approx(1)
    assert si_boundary_f1(np.ones((6, 8)), truth_m) == 0
    assert si_boundary_f1(np.ones((6, 8)), np.ones((6, 8))) == 0
    assert si_boundary_recall(np.ones((6, 8)), truth_m < 1) == 0


def test_one_contour_by_hand() -> None:
    truth_m, depth_m = np.array([[2.0, 2.0, 1.0, 1.0]]), np.array([[1.2, 1.2, 1.0, 1.0]])
    # In one of four directions, at the seven thresholds below 1.2.
    wanted = boundary.WEIGHTS[:7].sum() / 4
    assert (boundary.THRESHOLDS < 1.2).sum() == 7
    assert si_boundary_f1(depth_m, truth_m) == pytest.approx(wanted)
    assert si_boundary_recall(depth_m, truth_m < 2) == pytest.approx(wanted)
    assert si_boundary_f1(depth_m[:, ::-1], truth_m) == 0  # the other way round
    assert si_boundary_f1(np.array([[1.2, 1.0, 1.0, 1.0]]), truth_m) == 0  # a pixel aside


def test_only_the_peak_of_a_slope_is_a_contour() -> None:
    slope = np.array([[2.0, 1.8, 1.5, 1.4]])  # ratios 1.11, 1.2, 1.07
    assert si_boundary_recall(slope, np.array([[False, False, True, True]])) > 0.1
    assert si_boundary_recall(slope, np.array([[False, True, True, True]])) == 0


def test_the_first_of_equal_ratios_is_kept() -> None:
    steps = np.array([[4.0, 2.0, 1.0]])
    assert si_boundary_recall(steps, np.array([[False, True, True]])) == pytest.approx(0.25)
    assert si_boundary_recall(steps, np.array([[False, False, True]])) == 0


@pytest.mark.slow
@settings(deadline=None)
@given(seeds)
def test_masked_pixels_count_as_if_cropped(seed: int) -> None:
    depth_m, truth_m, _ = frame(seed, 9, 12)
    mask = np.ones(truth_m.shape, bool)
    mask[:, 8:] = mask[:2] = False
    truth_m[~mask] = 0
    assert si_boundary_f1(depth_m, truth_m, mask) == si_boundary_f1(depth_m[2:, :8], truth_m[2:, :8])


def test_several_frames_give_one_score_each() -> None:
    frames = [frame(seed) for seed in range(3)]
    depth_m, truth_m, front = (np.stack(arrays) for arrays in zip(*frames, strict=True))
    assert si_boundary_f1(depth_m, truth_m).tolist() == [si_boundary_f1(d, t) for d, t, _ in frames]
    assert si_boundary_recall(depth_m, front).tolist() == [si_boundary_recall(d, f) for d, _, f in frames]
    assert type(si_boundary_f1(depth_m[0], truth_m[0])) is type(si_boundary_recall(depth_m[0], front[0])) is float


def test_tensors_and_mattes_of_every_kind() -> None:
    depth_m, truth_m, front = frame(2)
    narrow, alpha = depth_m.astype(np.float32), np.where(front, 0.6, 0.1)
    assert si_boundary_f1(torch.tensor(depth_m), torch.tensor(truth_m)) == si_boundary_f1(depth_m, truth_m)
    assert si_boundary_recall(narrow, alpha) == si_boundary_recall(narrow, front)
    assert si_boundary_recall(torch.tensor(narrow), torch.tensor(front)) == si_boundary_recall(narrow, front)
    assert si_boundary_recall(depth_m.astype(np.float16), front.astype(np.uint8)) > 0


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        si_boundary_f1(np.ones((4, 5)), np.ones((5, 4)))
    with pytest.raises(ValueError, match="must have one shape"):
        si_boundary_recall(np.ones((4, 5)), np.ones((5, 4)))
    with pytest.raises(ValueError, match="one frame, H W, or several"):
        si_boundary_f1(np.ones(5), np.ones(5))


@pytest.mark.slow
def test_twenty_times_faster_than_a_loop_with_the_same_value(plain: dict[str, Any]) -> None:
    depth_m, truth_m, front = plain["scene"](480, 640)
    for ours, loop, reference in (
        (si_boundary_f1, plain["loop_f1"], truth_m),
        (si_boundary_recall, plain["loop_recall"], front),
    ):
        value, seconds = best(lambda: ours(depth_m, reference), 9)  # noqa: B023
        rows, wanted_rows = depth_m.tolist(), reference.tolist()
        wanted, loop_seconds = best(lambda: loop(rows, wanted_rows), 2)  # noqa: B023
        assert value == pytest.approx(wanted, rel=1e-12)
        assert loop_seconds > 20 * seconds


def best(work: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Return (value, least seconds); other programs can only make it slower."""
    took = []
    for _ in range(repeats):
        begin = time.perf_counter()
        value = work()
        took.append(time.perf_counter() - begin)
    return value, min(took)

"""Seam error: an affine disagreement vanishes once aligned, and the stitcher's own seams say what they left."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dvd.align import AffineFit
from dvd.metrics import seam_error
from dvd.types import Seam

seeds = st.integers(0, 2**32 - 1)


def overlap(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 2, (3, 4, 5))


@given(seeds, st.floats(0.2, 5), st.floats(-2, 2))
def test_an_affine_disagreement_vanishes(seed: int, scale: float, shift: float) -> None:
    earlier = overlap(seed)
    later = (earlier - shift) / scale
    before, after = seam_error(earlier, later)
    assert before == pytest.approx(np.mean((later - earlier) ** 2))
    assert after == pytest.approx(0, abs=1e-14)


@given(seeds, st.floats(-3, 3), st.floats(-1e3, 1e3))
def test_both_are_means_over_the_pixels(seed: int, scale: float, shift: float) -> None:
    earlier, later = overlap(seed), overlap(seed + 1)
    before, after = seam_error(earlier, later, AffineFit(scale, shift, 1.0, 0.0, 60))
    assert before == pytest.approx(np.mean((later - earlier) ** 2), rel=1e-12)
    assert after == pytest.approx(np.mean((scale * later + shift - earlier) ** 2), rel=1e-12)


@given(seeds)
def test_alignment_never_makes_it_worse(seed: int) -> None:
    error = seam_error(overlap(seed), overlap(seed + 1))
    assert error.after <= error.before


def test_the_fit_given_is_the_fit_used() -> None:
    earlier, later = np.array([1.0, 2.0]), np.array([0.0, 1.0])
    assert seam_error(earlier, later, AffineFit(2.0, 0.0, 1.0, 0.0, 2)) == (1.0, 0.5)
    assert seam_error(earlier, later, Seam(0, 1, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0)) == (1.0, 0.0)


def test_masks_and_tensors() -> None:
    earlier, later = overlap(1), overlap(2)
    mask = overlap(3) > 1
    later[~mask] = np.nan
    wanted = seam_error(earlier[mask], later[mask])
    assert seam_error(earlier, later, mask=mask) == wanted
    assert seam_error(torch.tensor(earlier), torch.tensor(later), mask=torch.tensor(mask)) == wanted


def test_overlaps_must_have_one_shape_and_a_pixel() -> None:
    with pytest.raises(ValueError, match="must have one shape and a pixel"):
        seam_error(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="must have one shape and a pixel"):
        seam_error(np.ones((2, 3)), np.ones((2, 3)), mask=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="must have one shape and a pixel"):
        seam_error(np.ones((2, 3)), np.ones((2, 3)), mask=np.ones((3, 2)))
    with pytest.raises(ValueError, match="must have one shape and a pixel"):
        seam_error(np.ones((0, 3)), np.ones((0, 3)))

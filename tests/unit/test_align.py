"""The affine fit recovers affine maps in any order and pieces, and flags fits that mean nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvd.align import AffineFit, Moments, fit, fit_robust

seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-50, 50).filter(lambda scale: abs(scale) > 1e-3)
shifts = st.floats(-100, 100)


def cloud(seed: int, count: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)


@given(seeds, scales, shifts)
def test_the_fit_recovers_any_affine_map(seed: int, scale: float, shift: float) -> None:
    source = cloud(seed)
    found = fit(source, scale * source + shift)
    assert found.scale == pytest.approx(scale, rel=1e-9)
    assert found.shift == pytest.approx(shift, rel=1e-9, abs=1e-9)
    assert found.r2 == pytest.approx(1)
    assert found.residual < 1e-6 * (abs(scale) + 1)
    assert not found.flaw


@given(seeds, scales, shifts, st.floats(0.01, 3), st.floats(-1e4, 1e4))
def test_the_fit_equals_a_direct_least_squares_solution(
    seed: int, scale: float, shift: float, noise: float, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    source = rng.normal(size=300) + offset
    target = scale * source + shift + noise * rng.normal(size=300)
    found = fit(source, target)
    # Centred, so that the direct solution is itself exact for large offsets.
    centre = source.mean()
    (slope, height), *_ = np.linalg.lstsq(np.stack([source - centre, np.ones(300)], 1), target, rcond=None)
    assert found.scale == pytest.approx(slope, rel=1e-8, abs=1e-8)
    assert found.scale * centre + found.shift == pytest.approx(height, rel=1e-8, abs=1e-8)
    errors = found.scale * source + found.shift - target
    assert found.residual == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-5)
    assert found.r2 == pytest.approx(1 - errors.var() / target.var(), rel=1e-5, abs=1e-8)


@given(seeds, st.lists(st.integers(0, 400), max_size=6))
def test_order_and_pieces_do_not_matter(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    source, noise = rng.normal(3, 1, 400), rng.normal(size=400)
    target = 2 * source - 1 + noise
    whole = fit(source, target)
    order = rng.permutation(400)
    parts = []
    for piece in np.split(order, sorted(cuts)):
        moments = Moments()
        moments.add(source[piece], target[piece])
        parts.append(moments)
    merged = Moments()
    for index in rng.permutation(len(parts)):
        merged.merge(parts[index])
    for name in ("scale", "shift", "r2", "residual"):
        assert getattr(merged.fit(), name) == pytest.approx(getattr(whole, name), rel=1e-9)
    assert merged.fit().count == 400


@given(seeds, scales, shifts, st.lists(st.integers(0, 400), max_size=6))
def test_the_error_of_any_map_follows_from_the_sums(seed: int, scale: float, shift: float, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(3, 1, 400), rng.normal(size=400)
    moments = Moments()
    for piece in np.split(np.arange(400), sorted(cuts)):
        moments.add(source[piece], target[piece])
    assert moments.error() == pytest.approx(np.mean((source - target) ** 2), rel=1e-10)
    assert moments.error(scale, shift) == pytest.approx(np.mean((scale * source + shift - target) ** 2), rel=1e-10)
    best = moments.fit()
    assert moments.error(best.scale, best.shift) == pytest.approx(best.residual**2, rel=1e-8)


def test_the_error_is_never_negative_and_precise_beside_a_large_offset() -> None:
    source = 1e6 + cloud(0, 1000)
    moments = Moments()
    moments.add(source, source + 1e-3)
    assert moments.error() == pytest.approx(1e-6, rel=1e-6)
    for seed in range(50):
        explained = Moments()
        explained.add(cloud(seed), 1.7 * cloud(seed))
        assert 0 <= explained.error(1.7) < 1e-14


def test_the_error_without_finite_pixels_is_nan() -> None:
    assert math.isnan(Moments().error())
    for value in (np.nan, np.inf):
        moments = Moments()
        moments.add(np.array([1.0, value]), np.array([1.0, 2.0]))
        assert math.isnan(moments.error())
    moments = Moments()
    moments.add(np.ones(3), np.ones(3))
    assert math.isnan(moments.error(math.nan, 0))


def test_a_large_offset_costs_no_precision() -> None:
    source = 1e6 + cloud(0, 1000) * 1e-2
    found = fit(source, 3 * source - 2e6)
    assert found.scale == pytest.approx(3, rel=1e-6)


def test_large_inputs_are_added_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    source = cloud(1, 1000)
    target = source**2 + source
    whole = fit(source, target)
    monkeypatch.setattr("dvd.align.BLOCK", 7)
    assert fit(source, target).scale == pytest.approx(whole.scale, rel=1e-10)


def test_float32_input_is_summed_in_float64() -> None:
    source = (1000 + cloud(2, 100_000)).astype(np.float32)
    target = (0.5 * source.astype(np.float64) - 20).astype(np.float32)
    assert fit(source, target).scale == pytest.approx(0.5, rel=1e-4)


def test_only_masked_pixels_count() -> None:
    source = cloud(3).reshape(4, 10, 10)
    target = 2 * source + 1
    mask = np.zeros(source.shape, bool)
    mask[1:3] = True
    target[~mask] = np.nan
    found = fit(source, target, mask)
    assert (found.scale, found.shift, found.count) == (pytest.approx(2), pytest.approx(1), 200)


def test_no_pixels_is_flagged() -> None:
    found = fit(np.zeros(5), np.zeros(5), np.zeros(5, bool))
    assert found.flaw == "no pixels"
    assert math.isnan(found.scale)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_a_flat_source_gives_the_best_constant_and_is_flagged(value: float) -> None:
    target = cloud(4)
    found = fit(np.full(400, value), target)
    assert found.flaw == "no variance in the source"
    assert found.scale == 0
    assert found.shift == pytest.approx(target.mean())
    assert found.residual == pytest.approx(target.std())


def test_a_source_too_small_to_divide_by_is_flat() -> None:
    assert fit(np.array([0.0, 1e-160]), np.array([0.0, 1e150])).flaw == "no variance in the source"


def test_a_flat_target_is_flagged() -> None:
    found = fit(cloud(5), np.full(400, 0.3))
    assert found.flaw == "no variance in the target"
    assert found.scale == pytest.approx(0)
    assert found.shift == pytest.approx(0.3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_flagged(value: float) -> None:
    source = cloud(6)
    source[7] = value
    assert fit(source, source).flaw == "values that are not finite"


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(3,\) and target \(4,\)"):
        Moments().add(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="mask"):
        Moments().add(np.zeros(3), np.zeros(3), np.zeros((3, 1), bool))


def test_a_fit_applies_itself_in_the_dtype_of_the_source() -> None:
    aligned = AffineFit(2, 1, 1, 0, 1)(np.array([1, 2], np.float32))
    assert aligned.dtype == np.float32
    assert aligned.tolist() == [3, 5]


@pytest.mark.slow
@settings(deadline=None)
@given(seeds, st.floats(0.2, 5), shifts, st.floats(0, 0.15))
def test_the_robust_fit_ignores_gross_errors(seed: int, scale: float, shift: float, wrong: float) -> None:
    rng = np.random.default_rng(seed)
    source = rng.uniform(0, 1, 600)
    target = scale * source + shift
    bad = rng.random(600) < wrong
    target[bad] += rng.uniform(5, 50, bad.sum())
    found = fit_robust(source, target, keep=0.75)
    assert found.scale == pytest.approx(scale, rel=1e-6)
    assert found.shift == pytest.approx(shift, rel=1e-6, abs=1e-6)


def test_the_robust_fit_that_keeps_everything_is_the_plain_fit() -> None:
    source, target = cloud(7), cloud(8)
    assert fit_robust(source, target, keep=1) == fit(source, target)
    assert fit_robust(source, source, np.zeros(400, bool)).flaw == "no pixels"


def test_the_robust_fit_refuses_to_keep_less_than_half() -> None:
    with pytest.raises(ValueError, match=r"keep is 0\.3"):
        fit_robust(cloud(0), cloud(0), keep=0.3)


@pytest.mark.slow
@given(st.floats(-3, 3), st.floats(0.1, 5), st.floats(0, 1), st.integers(0, 99))
def test_the_symmetric_fit_is_the_same_in_both_directions(shift: float, scale: float, noise: float, seed: int) -> None:
    """Its way back is its inverse, its scale the ratio of deviations, and R² that of least squares."""
    rng = np.random.default_rng(seed)
    source = rng.normal(size=200)
    target = scale * source + shift + noise * rng.normal(size=200)
    there, back = Moments(), Moments()
    there.add(source, target)
    back.add(target, source)
    found, inverse = there.fit_symmetric(), back.fit_symmetric()
    assert found.scale == pytest.approx(np.std(target) / np.std(source) * np.sign(np.corrcoef(source, target)[0, 1]))
    assert found.scale * inverse.scale == pytest.approx(1)
    assert found(target * inverse.scale + inverse.shift) == pytest.approx(target, abs=1e-9)
    assert found.r2 == there.fit().r2
    assert found.residual == pytest.approx(np.sqrt(np.mean((found(source) - target) ** 2)), abs=1e-6)
    assert abs(found.scale) >= abs(there.fit().scale) * (1 - 1e-12)


def test_flaws_of_the_symmetric_fit_are_those_of_least_squares() -> None:
    for pairs in (([], []), ([1.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0, np.nan])):
        moments = Moments()
        moments.add(*map(np.array, pairs))
        assert repr(moments.fit_symmetric()) == repr(moments.fit())
        assert moments.fit().flaw

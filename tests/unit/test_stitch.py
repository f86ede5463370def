"""Windows that differ by an affine map become one stream; a fit that means nothing is not applied."""

import logging
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvd.errors import OptionError
from dvd.metrics import seam_error
from dvd.stitch import RULES, Stitcher, StitchRule, choose_rule
from dvd.types import Shot, Window
from dvd.windows import windows


def scene(count: int, seed: int = 0, shape: tuple[int, ...] = (6, 8)) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.2, 0.8, (count, *shape)).astype(np.float32)


def stitch(
    truth: np.ndarray, plan: list[Window], rule: StitchRule = RULES["default"], seed: int = 1
) -> tuple[np.ndarray, Stitcher]:
    """Every window after the first has the truth at its own scale and shift."""
    rng = np.random.default_rng(seed)
    stitcher, settled = Stitcher(rule), []
    for index, window in enumerate(plan):
        scale, shift = (rng.uniform(0.5, 2), rng.uniform(-0.1, 0.1)) if index else (1, 0)
        seen = (truth[window.start : window.stop] * scale + shift).astype(np.float32)
        settled.append(stitcher.push(window, seen))
    return np.concatenate(settled), stitcher


plans = st.integers(2, 12).flatmap(
    lambda window: st.tuples(
        st.integers(1, 60), st.just(window), st.integers(1, window - 1), st.sampled_from(["default", "benchmark"])
    )
)


@pytest.mark.slow
@settings(deadline=None)
@given(plans, st.integers(0, 99))
def test_affine_windows_become_one_stream(case: tuple[int, int, int, str], seed: int) -> None:
    count, window, overlap, name = case
    truth = scene(count, seed)
    plan = windows(count, window, overlap, RULES[name].last)
    stitched, stitcher = stitch(truth, plan, RULES[name], seed)
    np.testing.assert_allclose(stitched, truth, atol=2e-4)
    assert len(stitcher.seams) == len(plan) - 1
    assert all(seam.trusted and seam.r2 > 0.999 for seam in stitcher.seams)


def test_seams_state_their_frames_and_fit() -> None:
    truth = scene(23)
    stitcher = Stitcher()
    for window in windows(23, 9, 3):
        stitcher.push(window, truth[window.start : window.stop] * (1 if window.start == 0 else 0.5))
    assert [(seam.start, seam.stop) for seam in stitcher.seams] == [(6, 9), (12, 15), (14, 21)]
    for seam in stitcher.seams:
        assert seam.scale == pytest.approx(2, rel=1e-5)
        assert seam.shift == pytest.approx(0, abs=1e-5)
        assert seam.residual == pytest.approx(0, abs=1e-5)
        assert seam.error_before == pytest.approx(np.mean((truth[seam.start : seam.stop] / 2) ** 2), rel=1e-4)
        assert seam.error_after == pytest.approx(0, abs=1e-10)
        assert seam.note == ""


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_errors_are_those_of_the_metric_with_the_applied_scale(rule: StitchRule) -> None:
    """Good fits, one that is clipped and one that is refused, against the metric and against the mean itself."""
    truth, rough = scene(17), np.random.default_rng(3)
    stitcher = Stitcher(rule)
    stitcher.push(Window(0, 5, 3), truth[:5])
    for start, answer in ((3, 0.8), (6, 4.0), (9, -1.0), (12, 0.5)):
        window = Window(start, start + 5, start + 3)
        seen = (answer * truth[start : start + 5] + 0.3 + rough.normal(0, 0.02, (5, 6, 8))).astype(np.float32)
        there = np.array(stitcher._tail)
        stitcher.push(window, seen)
        seam, overlap = stitcher.seams[-1], seen[:2]
        assert (seam.error_before, seam.error_after) == seam_error(there, overlap, seam)
        apart = overlap.astype(np.float64) - there
        assert seam.error_before == pytest.approx(np.mean(apart**2), rel=1e-9)
        apart = seam.scale * overlap.astype(np.float64) + seam.shift - there
        assert seam.error_after == pytest.approx(np.mean(apart**2), rel=1e-9)
        if seam.trusted and rule.clip_scale is None:
            assert seam.error_after == pytest.approx(seam.residual**2, rel=1e-6)
            assert seam.error_after < seam.error_before
    assert all(seam.trusted for seam in stitcher.seams) != rule.guarded


def test_the_overlap_blends_linearly_from_old_to_new() -> None:
    flat = np.linspace(0.3, 0.6, 20, dtype=np.float32)
    first = np.broadcast_to(flat, (5, 20)).copy()
    second = first + np.float32(0.1) * np.where(np.arange(20) % 2, 1, -1).astype(np.float32)
    stitcher = Stitcher(StitchRule("test", guarded=False))
    settled = stitcher.push(Window(0, 5, 2), first)
    assert len(settled) == 2
    joined = stitcher.push(Window(2, 7, None), second)
    seam = stitcher.seams[0]
    aligned = seam.scale * second + seam.shift
    for frame, weight in enumerate([0, 0.5, 1]):
        np.testing.assert_allclose(joined[frame], first[0] * (1 - weight) + aligned[0] * weight, rtol=1e-5)
    np.testing.assert_allclose(joined[3:], aligned[3:], rtol=1e-5)


def test_disparity_is_never_below_zero() -> None:
    truth = scene(8)
    later = truth.copy()
    later[6:] -= 5
    stitcher = Stitcher()
    stitcher.push(Window(0, 5, 3), truth[:5])
    assert stitcher.push(Window(3, 8, None), later[3:])[3:].max() == 0


def test_a_clipped_scale_keeps_the_fitted_shift() -> None:
    truth = scene(8)
    stitcher = Stitcher(RULES["demo"])
    stitcher.push(Window(0, 5, 3), truth[:5])
    stitcher.push(Window(3, 8, None), truth[3:] * 4 - 0.8)
    assert stitcher.seams[0].scale == 0.7
    assert stitcher.seams[0].shift == pytest.approx(0.2, abs=1e-4)


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return scene(shape[0], 99, shape[1:])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda seen: np.full_like(seen, 0.5), "no variance in the source"),
        (lambda seen: 1 - seen, "not positive"),
        (lambda seen: noise(seen.shape), "R²|not positive"),
        (lambda seen: seen / 50, "times the previous window's"),
        (lambda seen: np.where(seen > 0.5, np.nan, seen), "not finite"),
    ],
)
def test_a_fit_that_cannot_be_trusted_falls_back(spoil, message: str, caplog: pytest.LogCaptureFixture) -> None:
    truth = scene(13)
    stitcher = Stitcher()
    stitcher.push(Window(0, 5, 4), truth[:5])
    stitcher.push(Window(4, 9, 8), truth[4:9] * 0.5)
    with caplog.at_level(logging.WARNING, "dvd.stitch"):
        stitcher.push(Window(8, 13, None), spoil(truth[8:]).astype(np.float32))
    good, bad = stitcher.seams
    assert good.trusted
    assert not bad.trusted
    assert (bad.scale, bad.shift) == (good.scale, good.shift)
    assert re.search(message, bad.note)
    assert "seam at frames 8 to 8" in caplog.text


def test_after_a_fallback_the_next_window_is_fitted_again() -> None:
    truth = scene(13)
    stitcher = Stitcher()
    stitcher.push(Window(0, 5, 4), truth[:5])
    stitcher.push(Window(4, 9, 8), 1 - truth[4:9])
    stitcher.push(Window(8, 13, None), 2 * (1 - truth[8:]))
    assert [seam.trusted for seam in stitcher.seams] == [False, True]
    assert stitcher.seams[1].scale == pytest.approx(0.5, rel=1e-4)


def test_only_the_next_overlap_is_kept() -> None:
    stitcher = Stitcher()
    for window in windows(100, 20, 4):
        stitcher.push(window, scene(window.length))
        tail = stitcher._tail
        if window.next_start is None:
            assert tail is None
        else:
            assert tail is not None
            assert tail.base is None
            assert len(tail) == window.stop - window.next_start


def test_any_trailing_shape_is_fitted_as_a_whole() -> None:
    truth = scene(12, shape=(3, 6, 8))
    stitched, _ = stitch(truth, windows(12, 5, 2))
    np.testing.assert_allclose(stitched, truth, atol=1e-4)


def test_a_window_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="holds 5 frames"):
        Stitcher().push(Window(0, 5, None), scene(4))


def test_rules_are_chosen_by_name() -> None:
    assert choose_rule("demo") is RULES["demo"]
    own = StitchRule("own", least_r2=0.9)
    assert choose_rule(own) is own
    with pytest.raises(OptionError, match="did you mean demo"):
        choose_rule("dem")


def test_a_new_shot_begins_at_its_own_scale() -> None:
    stitcher = Stitcher(RULES["default"])
    rng = np.random.default_rng(0)
    first, second, other = (rng.random((4, 6, 8), dtype=np.float32) for _ in range(3))
    second[:2] = first[2:] * 2 + 1
    stitcher.push(Window(0, 4, 2), first)
    stitcher.push(Window(2, 6, None), second)
    assert np.array_equal(stitcher.push(Window(6, 10, None), other), other)
    assert len(stitcher.seams) == 1


def test_contrast_is_kept_along_a_chain_of_noisy_overlaps() -> None:
    """Windows of one still scene, each with errors of its own: least squares fade it out, the default does not."""
    truth, rng = np.repeat(scene(1), 401, axis=0), np.random.default_rng(5)
    left = {}
    for name in ("default", "least-squares"):
        stitcher, settled = Stitcher(RULES[name]), []
        for window in windows(401, 9, 3):
            seen = truth[window.start : window.stop] + rng.normal(0, 0.05, (1, *truth.shape[1:]))
            settled.append(stitcher.push(window, seen.astype(np.float32)))
        left[name] = np.std(settled[-1][-1]) / np.std(truth[-1])
        assert all(seam.trusted for seam in stitcher.seams)
    assert left["least-squares"] < 0.4
    assert 0.6 < left["default"] < 1.6


def drifting(factor: float, count: int = 29, rule: str = "default") -> Stitcher:
    """Windows of 5 frames, 2 shared, each seen `factor` times smaller than the one before."""
    truth, stitcher = scene(count), Stitcher(RULES[rule])
    for index, window in enumerate(windows(count, 5, 2, RULES[rule].last)):
        stitcher.push(window, (truth[window.start : window.stop] / factor**index).astype(np.float32))
    return stitcher


def test_the_scale_of_a_seam_is_accumulated_and_its_change_is_its_own() -> None:
    seams = drifting(1.1).seams
    np.testing.assert_allclose([seam.scale for seam in seams], 1.1 ** np.arange(1, len(seams) + 1), rtol=1e-4)
    np.testing.assert_allclose([seam.change for seam in seams], 1.1, rtol=1e-4)


def test_a_shot_states_how_far_its_scale_went(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dvd.stitch"):
        (shot,) = drifting(1.1).shots
    assert (shot.start, shot.stop) == (0, 29)
    assert shot.scale == pytest.approx((1, 1.1**8), rel=1e-4)
    assert shot.shift == pytest.approx((0, 0), abs=1e-4)
    assert shot.farthest == (24, 26)
    assert not shot.steady
    (message,) = caplog.messages
    assert "frames 0 to 28" in message
    assert "2.14" in message
    assert "frames 24 to 25" in message


@pytest.mark.parametrize("factor", [1.02, 0.98])
def test_a_scale_that_wanders_little_is_steady(factor: float, caplog: pytest.LogCaptureFixture) -> None:
    (shot,) = drifting(factor).shots
    assert shot.steady
    assert caplog.messages == []


def test_a_shrinking_scale_is_reported_like_a_growing_one() -> None:
    (shot,) = drifting(1 / 1.1).shots
    assert shot.scale == pytest.approx((1.1**-8, 1), rel=1e-4)
    assert not shot.steady


def test_every_shot_is_listed_and_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    truth, stitcher = scene(14), Stitcher()
    for start, factor in ((0, 2), (14, 1), (28, 3)):
        stitcher.push(Window(start, start + 5, start + 3), truth[:5])
        stitcher.push(Window(start + 3, start + 8, start + 6), truth[3:8] / factor)
        stitcher.push(Window(start + 6, start + 11), truth[6:11] / factor)
    assert [(shot.start, shot.stop, shot.steady) for shot in stitcher.shots] == [
        (0, 11, False),
        (14, 25, True),
        (28, 39, False),
    ]
    assert [message.split(":")[0] for message in caplog.messages] == ["frames 0 to 10", "frames 28 to 38"]


def test_an_unguarded_rule_that_applies_a_flat_fit_reports_the_lost_scale(
    caplog: pytest.LogCaptureFixture,
) -> None:
    truth, stitcher = scene(14), Stitcher(RULES["benchmark"])
    stitcher.push(Window(0, 5, 3), truth[:5])
    stitcher.push(Window(3, 8, 6), np.full((5, 6, 8), 0.5, np.float32))
    stitcher.push(Window(6, 11), truth[6:11])
    assert [seam.scale for seam in stitcher.seams] == pytest.approx([0, 0], abs=1e-6)
    assert not stitcher.shots[0].steady
    assert "wandered to 0.00" in caplog.text


def test_a_shot_of_one_window_has_scale_one() -> None:
    stitcher = Stitcher()
    stitcher.push(Window(0, 5), scene(5))
    assert stitcher.shots == [Shot(0, 5)]

"""Camera axes, and the exposure, blur, noise and compression of linear radiance."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from dvd.scenes.camera import Look, develop, draw_look, rotation

PLAIN = Look(1.0, (1.0, 1.0, 1.0), 2.2, 0.0, 1.0, 0.0, (0.0, 0.0), 0.0, 0.0, 0)


def grey(level: float) -> np.ndarray:
    return np.full((24, 32, 3), level, np.float32)


def develop_still(look: Look, radiance: np.ndarray) -> np.ndarray:
    return develop(look, radiance, np.random.default_rng(0))


def test_camera_axes_are_right_down_forward() -> None:
    turn = rotation(0.4, -0.2, 0.1)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    level = rotation(0.0, 0.0, 0.0)
    np.testing.assert_allclose(level[:, 2], (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(level[:, 1], (0, 0, -1), atol=1e-12)


@pytest.mark.slow
def test_plain_look_is_the_gamma_curve() -> None:
    for level in (0.0, 0.01, 0.2, 0.55):
        expected = 255 * level ** (1 / 2.2)
        assert np.abs(develop_still(PLAIN, grey(level)).astype(float) - expected).max() <= 1.0


@pytest.mark.slow
def test_more_light_is_never_darker() -> None:
    values = [develop_still(PLAIN, grey(level)).mean() for level in np.geomspace(1e-3, 30, 40)]
    assert (np.diff(values) >= 0).all()
    assert values[-1] == 255


def test_exposure_adapts_to_the_scene() -> None:
    ramp = np.linspace(0.2, 2.0, 24 * 32, dtype=np.float32).reshape(24, 32, 1).repeat(3, 2)
    for scale in (0.01, 1.0, 100.0):
        means = [develop_still(draw_look(Random(seed), ramp * scale), ramp * scale).mean() for seed in range(30)]
        assert 70 < np.median(means) < 190


def test_blur_spreads_a_point_and_keeps_its_light() -> None:
    point = np.zeros((25, 33, 3), np.float32)
    point[12, 16] = 0.5
    line = develop_still(replace(PLAIN, gamma=1.0, blur=(1.5, 0.0)), point)
    assert (line[12, 13:20] > 0).all()
    assert line[11].max() == 0
    assert line[12].sum(0)[0] == pytest.approx(127.5, abs=6)


def test_noise_is_seeded_and_changes_between_frames() -> None:
    look = replace(PLAIN, noise=0.03, quality=80)
    first, again = develop_still(look, grey(0.3)), develop_still(look, grey(0.3))
    grain = np.random.default_rng(0)
    develop(look, grey(0.3), grain)
    np.testing.assert_array_equal(first, again)
    assert (develop(look, grey(0.3), grain) != first).any()

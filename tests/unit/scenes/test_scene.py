"""Placements and motions."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from dvd.scenes.scene import Motion, SceneBuilder, Stage
from dvd.scenes.textures import Sky, TextureBank


def test_nested_placements_compose() -> None:
    b = SceneBuilder(Random(0), TextureBank.empty())
    with b.at(1, 2, 3, np.pi / 2), b.at(1, 0, 0.5, np.pi / 2):
        np.testing.assert_allclose(b.world(1, 0, 0), (0, 3, 3.5), atol=1e-12)
    assert b.world(1, 0, 0) == (1, 0, 0)


def test_motion_carries_a_body_rigidly() -> None:
    motion = Motion((1.0, -0.5, 0.2), 0.7, (1.0, 0.0, 0.0), (0.0, 0.0, 0.9), 0.4, 0.5, 1.3, 0.2)
    turn, shift = motion.pose(0.8)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1.0)
    drift = Motion((1.0, -0.5, 0.2)).pose(2.0)
    np.testing.assert_allclose(drift[0], np.eye(3))
    np.testing.assert_allclose(drift[1], (2.0, -1.0, 0.4))
    # A pure spin leaves its pivot in place, a pure swing its hinge.
    for still, point in (
        (Motion(spin=0.7, pivot=(1, 2, 0)), (1, 2, 0)),
        (Motion(hinge=(0, 1, 1), swing=0.4), (0, 1, 1)),
    ):
        turn, shift = still.pose(0.3)
        np.testing.assert_allclose(turn @ np.array(point) + shift, point, atol=1e-12)
        assert not np.allclose(turn, np.eye(3))


def test_only_movers_move() -> None:
    b = SceneBuilder(Random(0), TextureBank.empty())
    paint = b.add(b.paint.material())
    b.box((0, 0, 0), (1, 1, 1), paint)
    with b.moving(Motion((3.0, 0.0, 0.0))):
        b.ellipsoid((5, 0, 0), (1, 2, 3), paint, (0.3, 0.2, 0.1))
    scene = b.finish("test", Stage((0, 0, 0), (1, 1, 1)), Sky(), 1.0)
    before, after = scene.solids_at(0.0), scene.solids_at(0.5)
    assert scene.moves
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_allclose(after[1]["centre"] - before[1]["centre"], (1.5, 0, 0))
    np.testing.assert_allclose(after[1]["inverse"] @ after[1]["axes"], np.eye(3), atol=1e-12)

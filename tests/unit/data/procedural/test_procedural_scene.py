"""Placements, motions and surfaces."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from PIL import Image

from dvd.data.procedural import patterns
from dvd.data.procedural.materials import Palette
from dvd.data.procedural.scene import Motion, SceneBuilder, Sky, Stage
from dvd.data.procedural.textures import LEVELS, TextureBank
from dvd.errors import InputError


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
    paint = b.add(b.paint.row())
    b.box((0, 0, 0), (1, 1, 1), paint)
    with b.moving(Motion((3.0, 0.0, 0.0))):
        b.ellipsoid((5, 0, 0), (1, 2, 3), paint, (0.3, 0.2, 0.1))
    scene = b.finish("test", Stage((0, 0, 0), (1, 1, 1)), Sky(), (1, 1, 1), (1, 1, 1), 1.0)
    before, after = scene.frames_at(0.0), scene.frames_at(0.5)
    assert scene.moves
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_allclose(after[1, 9:12] - before[1, 9:12], (1.5, 0, 0))
    # M and A stay each other's inverse.
    np.testing.assert_allclose(after[1, :9].reshape(3, 3) @ after[1, 12:21].reshape(3, 3), np.eye(3), atol=1e-12)


def test_covered_is_the_box_filter_of_the_pulse_train() -> None:
    for x, fraction, width in ((0.3, 0.25, 0.4), (-1.7, 0.6, 2.3), (5.01, 0.1, 0.05)):
        samples = x + width * (np.arange(200_000) + 0.5) / 200_000 - width / 2
        expected = (samples % 1.0 < fraction).mean()
        assert patterns.covered(x, fraction, width) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("pattern", range(11))
def test_every_pattern_is_finite_and_fades_with_distance(pattern: int) -> None:
    paint = Palette(Random(1), TextureBank.empty())
    row = np.array(paint.row((0.8, 0.7, 0.6), (0.1, 0.1, 0.2), pattern=pattern, period=(0.3, 0.2), fraction=0.4))
    bank, rgb = TextureBank.empty(), np.empty(3)
    spread = []
    for width in (1e-3, 5.0):
        seen = []
        for x in np.linspace(-2, 2, 40):
            for y in np.linspace(-0.25, 0.25, 11):
                patterns.albedo(row, x, y, 2.0, 0.3, width, bank.pixels, bank.offsets, bank.sizes, bank.means, rgb)
                assert np.isfinite(rgb).all()
                assert (rgb >= 0).all()
                seen.append(rgb.copy())
        spread.append(np.std(seen, 0).max())
    assert spread[0] > 0.02 or pattern == patterns.PLAIN
    assert spread[1] <= max(0.25 * spread[0], 1e-9) or pattern in (patterns.BOOKS, patterns.FACADE, patterns.ROAD)


def test_bank_reads_photographs_first_and_averages_its_levels(tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "materials").mkdir()
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "photos/a.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "materials/b.png")
    bank = TextureBank.load(tmp_path)
    assert (bank.count, bank.photos, bank.offsets.shape) == (2, 1, (2, LEVELS))
    assert tuple(bank.pixels[0]) == (255, 0, 0)
    last = bank.pixels[bank.offsets[1, -1] :].astype(float)
    assert (last / 255.0).__pow__(2).mean() == pytest.approx(bank.means[1], abs=0.01)


def test_a_folder_without_pictures_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="no textures in"):
        TextureBank.load(tmp_path)

"""Patterns, and photographs read from a folder."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from dvd.errors import InputError
from dvd.scenes.materials import Palette
from dvd.scenes.textures import BOOKS, FACADE, LEVELS, MATERIAL, PATTERNS, PLAIN, ROAD, TextureBank, albedo, covered


def test_covered_is_the_box_filter_of_the_pulse_train() -> None:
    for x, fraction, width in ((0.3, 0.25, 0.4), (-1.7, 0.6, 2.3), (5.01, 0.1, 0.05)):
        samples = x + width * (np.arange(200_000) + 0.5) / 200_000 - width / 2
        expected = (samples % 1.0 < fraction).mean()
        assert covered(x, fraction, width) == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_is_finite_and_fades_with_distance(pattern: int) -> None:
    paint = Palette(Random(1), TextureBank.empty())
    drawn = paint.material((0.8, 0.7, 0.6), (0.1, 0.1, 0.2), pattern=pattern, period=(0.3, 0.2), fraction=0.4)
    material = np.array([drawn], MATERIAL)[0]
    bank, rgb = TextureBank.empty(), np.empty(3)
    spread = []
    for width in (1e-3, 5.0):
        seen = []
        for x in np.linspace(-2, 2, 40):
            for y in np.linspace(-0.25, 0.25, 11):
                albedo(material, x, y, 2.0, 0.3, width, bank, rgb)
                assert np.isfinite(rgb).all()
                assert (rgb >= 0).all()
                seen.append(rgb.copy())
        spread.append(np.std(seen, 0).max())
    assert spread[0] > 0.02 or pattern == PLAIN
    assert spread[1] <= max(0.25 * spread[0], 1e-9) or pattern in (BOOKS, FACADE, ROAD)


def test_bank_reads_photographs_first_and_averages_its_levels(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "materials").mkdir()
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "photos/a.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "materials/b.png")
    bank = TextureBank.load(tmp_path)
    assert (len(bank.sizes), bank.photos, bank.offsets.shape) == (2, 1, (2, LEVELS))
    assert tuple(bank.pixels[0]) == (255, 0, 0)
    last = bank.pixels[bank.offsets[1, -1] :].astype(float)
    assert (last / 255.0).__pow__(2).mean() == pytest.approx(bank.means[1], abs=0.01)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no textures in"):
        TextureBank.load(tmp_path)

"""How disparity is shown: colours and ranges."""

from __future__ import annotations

import numpy as np
import pytest
from synth import disparity

from dvd.errors import OptionError
from dvd.export.display import (
    FixedRange,
    RollingRange,
    WholeRange,
    colour_levels,
    coloured,
    robust_range,
    table,
    to_levels,
)
from dvd.names import COLORMAPS


@pytest.mark.parametrize("name", COLORMAPS)
def test_colormaps_are_smooth(name):
    colours = table(name).astype(int)
    assert colours.shape == (256, 3)
    assert np.abs(np.diff(colours, axis=0)).max() <= 16
    values = disparity(2)
    np.testing.assert_array_equal(coloured(values, 0, 1, name), table(name)[to_levels(values, 0, 1)])
    rgba = colour_levels(to_levels(values[0], 0, 1), name)
    np.testing.assert_array_equal(rgba[..., :3], coloured(values[0], 0, 1, name))
    assert (rgba[..., 3] == 255).all()


@pytest.mark.parametrize("name", ["viridis", "inferno", "magma", "plasma", "gray"])
def test_perceptual_maps_grow_brighter(name):
    brightness = table(name) @ np.array([0.2126, 0.7152, 0.0722])
    if name == "plasma":
        brightness = brightness[:240]
    assert (np.diff(brightness) > -0.6).all()
    assert brightness[-1] - brightness[0] > 100


@pytest.mark.parametrize("name", ["turbo", "viridis", "inferno", "magma", "plasma"])
def test_colormaps_match_the_published_ones(name):
    colormaps = pytest.importorskip("matplotlib", reason="matplotlib is not installed").colormaps
    published = 255 * colormaps[name](np.linspace(0, 1, 256))[:, :3]
    assert np.abs(table(name) - published).mean() < (7 if name == "turbo" else 4)


def test_unknown_colormap():
    with pytest.raises(OptionError, match="did you mean turbo"):
        coloured(disparity(1), 0, 1, "turbu")


def test_levels_are_rounded_clipped_and_finite():
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan, np.inf, -np.inf], dtype=np.float32)
    assert to_levels(values, 0.0, 1.0).tolist() == [0, 0, 128, 255, 255, 0, 255, 0]
    assert to_levels(np.float32([3, 4, 5]), 3, 5).tolist() == [0, 128, 255]


def test_fixed_range_is_fixed():
    shown = FixedRange(0.2, 0.9)
    assert shown.of(disparity(1)[0] * 50, 3.0) == (0.2, 0.9)


def test_rolling_range_starts_right_and_never_jumps():
    noise = np.random.default_rng(0)
    frames = [noise.random((60, 80)).astype(np.float32) * (1 if index < 50 else 3) for index in range(200)]
    shown = RollingRange(np.stack(frames[:10]))
    ranges = np.array([shown.of(frame, index / 25) for index, frame in enumerate(frames)])
    assert ranges[0] == pytest.approx([0.02, 0.98], abs=0.02)
    assert np.abs(np.diff(ranges[:, 1])).max() < 0.03 * 2, "a step of 2 moves the range by a fiftieth a frame"
    assert ranges[100, 1] == pytest.approx(0.98 + 1.96 * (1 - np.exp(-51 / 50)), abs=0.1)
    assert ranges[-1, 1] == pytest.approx(2.94, abs=0.15)


def test_rolling_range_depends_on_time_not_on_frames():
    step = [disparity(1)[0]] * 2 + [disparity(1)[0] + 1] * 60
    slow, fast = RollingRange(np.stack(step[:1])), RollingRange(np.stack(step[:1]))
    after_slow = [slow.of(frame, index / 15) for index, frame in enumerate(step)][2 + 15]
    after_fast = [fast.of(frame, index / 30) for index, frame in enumerate(step)][2 + 30]
    assert after_slow == pytest.approx(after_fast, abs=0.03)


def test_ranges_survive_flat_and_broken_frames():
    flat, broken = np.full((8, 8), 0.3, dtype=np.float32), np.full((8, 8), np.nan, dtype=np.float32)
    for frame in (flat, broken):
        low, high = RollingRange(frame[None]).of(frame, 0.0)
        assert high > low
    low, high = robust_range([flat])
    assert low < 0.3 < high


def test_whole_range_stays_small_and_right():
    shown = WholeRange()
    for index in range(2000):
        shown.see(np.full((64, 64), index, dtype=np.float32))
    low, high = shown.result()
    assert low == pytest.approx(40, abs=5)
    assert high == pytest.approx(1960, abs=10)
    assert shown._samples.size <= 1 << 20

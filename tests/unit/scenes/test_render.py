"""Clips and views: determinism, ranges, geometry between frames, sky, movers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dvd.errors import OptionError
from dvd.scenes import FAMILIES, Clip, render

SIZE = {"height": 36, "width": 48}
KNOWN = (
    ("room", 3, "walk", 113.068, 111.047, 43.714, 0.732988, 0.200115, (4.0814, 1.64876, 0.72958)),
    ("room", 14, "pan", 98.373, 99.987, 39.598, 0.435090, 0.101997, (4.55674, 2.57529, 1.13057)),
    ("clutter", 3, "hand", 129.191, 128.166, 49.052, 0.998785, 0.854431, (-0.73788, -0.23948, 1.019)),
    ("clutter", 14, "tripod", 125.980, 125.812, 56.511, 1.153242, 0.694872, (-0.79251, -0.07338, 1.12574)),
    ("street", 3, "car", 125.649, 126.230, 89.979, 0.119496, 0.099969, (2.345, 1.71503, 2.24503)),
    ("street", 14, "pan", 90.160, 88.662, 49.670, 0.340429, 0.257020, (-6.76078, -1.27154, 1.1102)),
    ("terrain", 3, "hand", 139.073, 140.425, 47.408, 0.088337, 0.109235, (1.68936, -1.23243, 1.62501)),
    ("terrain", 14, "walk", 112.300, 113.824, 26.373, 0.035057, 0.033648, (-2.51227, 2.24023, 5.62571)),
)
"""Family, seed, move, means of both frames and deviation of red, mean and deviation of disparity, second position."""


def first_clip(wanted: Callable[[Clip], bool], frames: int, family: str | None = None) -> Clip:
    """The first of some seeds' clips that has a property."""
    for seed in range(60):
        clip = render(seed, frames, 24, 32, family=family)[0]
        if wanted(clip):
            return clip
    raise AssertionError("no such clip among 60 seeds")


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_bits_and_sound_ranges(family: str) -> None:
    (clip,), (again,) = render(3, 2, family=family, **SIZE), render(3, 2, family=family, **SIZE)
    for name in ("rgb", "depth_m", "intrinsics", "poses"):
        np.testing.assert_array_equal(getattr(clip, name), getattr(again, name))
    assert clip.family == family
    assert (clip.rgb.shape, clip.rgb.dtype) == ((2, 36, 48, 3), np.uint8)
    assert (clip.depth_m.shape, clip.depth_m.dtype) == ((2, 36, 48), np.float32)
    assert (clip.depth_m > 0.0).all()
    assert not np.isnan(clip.depth_m).any()
    assert clip.rgb.std() > 5
    fov = 2 * np.degrees(np.arctan(0.5 * 48 / clip.intrinsics[0, 0]))
    assert 34.9 <= fov <= 100.1
    assert (clip.rgb != render(4, 2, family=family, **SIZE)[0].rgb).any()


@pytest.mark.parametrize(("family", "seed", "move", "first", "second", "red", "mean", "deviation", "position"), KNOWN)
def test_a_seed_keeps_its_pixels_from_one_version_to_the_next(
    family: str,
    seed: int,
    move: str,
    first: float,
    second: float,
    red: float,
    mean: float,
    deviation: float,
    position: tuple[float, float, float],
) -> None:
    (clip,) = render(seed, 2, family=family, **SIZE)
    disparity = 1.0 / clip.depth_m
    assert clip.move == move
    # Not hashes: NumPy, libm and the JPEG library may round the last bit differently on another processor.
    assert [clip.rgb[0].mean(), clip.rgb[1].mean(), clip.rgb[..., 0].std()] == pytest.approx(
        [first, second, red], abs=0.1
    )
    assert [disparity.mean(), disparity.std()] == pytest.approx([mean, deviation], rel=1e-3)
    np.testing.assert_allclose(clip.poses[1, :3, 3], position, atol=2e-5)


def test_views_share_a_scene_but_not_a_camera() -> None:
    views = render(11, views=3, family="room", **SIZE)
    assert len(views) == 3
    assert {view.family for view in views} == {"room"}
    assert not np.allclose(views[0].poses, views[1].poses)
    assert (views[0].rgb != views[2].rgb).any()
    np.testing.assert_array_equal(views[1].rgb, render(11, views=3, family="room", **SIZE)[1].rgb)


def test_default_mixture_is_mostly_indoors() -> None:
    assert sum(FAMILIES.values()) == pytest.approx(1.0)
    assert 0.5 < FAMILIES["room"] + FAMILIES["clutter"] < 0.7


@pytest.mark.slow
@pytest.mark.parametrize("family", ["room", "street"])
def test_views_are_worth_looking_at(family: str) -> None:
    flat = near = 0
    for seed in range(12):
        depth = render(seed, 1, 24, 32, family=family)[0].depth_m
        disparity = np.where(np.isfinite(depth), 1 / depth, 0)
        low, high = np.quantile(disparity, (0.05, 0.95))
        flat += (high - low) / high < 0.25
        near += (depth < 0.3).mean() > 0.3
    assert flat <= 1
    assert near == 0


def reprojection_error(clip: Clip, frame: int, pose: np.ndarray) -> np.ndarray:
    """Relative differences between frame 0's points seen from `pose` and the depth of `frame` at those pixels."""
    depth = clip.depth_m[0]
    y, x = np.nonzero(np.isfinite(depth))
    k = clip.intrinsics.astype(float)
    rays = np.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], np.ones(len(x))])
    points = rays * depth[y, x]
    world = clip.poses[0, :3, :3] @ points + clip.poses[0, :3, 3:]
    local = pose[:3, :3].T @ (world - pose[:3, 3:])
    front = local[2] > 0.1
    u = np.round(k[0, 0] * local[0, front] / local[2, front] + k[0, 2]).astype(int)
    v = np.round(k[1, 1] * local[1, front] / local[2, front] + k[1, 2]).astype(int)
    inside = (u >= 0) & (u < depth.shape[1]) & (v >= 0) & (v < depth.shape[0])
    there = clip.depth_m[frame][v[inside], u[inside]]
    return np.abs(local[2, front][inside] / there - 1.0)


@pytest.mark.slow
def test_still_scenes_reproject_between_frames() -> None:
    checked = 0
    for seed in range(60):
        clip = render(seed, 5, 72, 96, family="room")[0]
        step = np.linalg.norm(clip.poses[-1, :3, 3] - clip.poses[0, :3, 3])
        # Far enough to tell right from wrong, and not so far that little of the first frame is still seen.
        if clip.moving or clip.move != "walk" or not 0.15 <= step <= 0.6:
            continue
        right = reprojection_error(clip, 4, clip.poses[4])
        wrong = reprojection_error(clip, 4, clip.poses[0])
        assert np.median(right) < 0.01
        assert (right < 0.05).mean() > 0.85
        assert np.median(wrong) > 3 * np.median(right)
        checked += 1
        if checked == 3:
            return
    raise AssertionError("too few walking clips of still rooms among 60 seeds")


def test_sky_is_infinitely_far_and_above() -> None:
    clip = first_clip(lambda c: 0.2 < np.isinf(c.depth_m).mean() < 0.6, 1, "street")
    sky = np.isinf(clip.depth_m[0])
    rows = np.arange(24)[:, None] * np.ones((1, 32))
    assert rows[sky].mean() < rows[~sky].mean()


def test_still_tripod_repeats_depth_but_not_noise() -> None:
    clip = first_clip(lambda c: c.move == "tripod" and not c.moving, 3, "clutter")
    np.testing.assert_array_equal(clip.depth_m[0], clip.depth_m[2])
    np.testing.assert_array_equal(clip.poses[0], clip.poses[2])
    assert (clip.rgb[0] != clip.rgb[2]).any()


@pytest.mark.slow
def test_movers_change_depth_before_a_still_camera() -> None:
    clip = first_clip(lambda c: c.move == "tripod" and c.moving and bool((c.depth_m[0] != c.depth_m[4]).any()), 5)
    changed = clip.depth_m[0] != clip.depth_m[4]
    assert 0 < changed.mean() < 0.9
    np.testing.assert_array_equal(clip.poses[0], clip.poses[4])


def test_unknown_family_and_empty_clip_are_refused() -> None:
    with pytest.raises(OptionError, match="did you mean street"):
        render(0, family="streets")
    with pytest.raises(OptionError, match="at least 1 frame"):
        render(0, frames=0)

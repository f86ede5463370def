"""Depth against intersections written down independently, and shadow rays against a search without a tree."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from dvd.scenes.camera import rotation
from dvd.scenes.scene import Scene, SceneBuilder, Stage
from dvd.scenes.textures import Sky, TextureBank
from dvd.scenes.trace import BARS, CAMERA, DISC, Cut, build_tree, first_hits, hit, is_occluded

HEIGHT, WIDTH, FOCAL = 40, 56, 45.0
TURN = rotation(0.3, -0.15, 0.2)
EYE = np.array([-0.4, 0.25, 1.3])


def scene_of(build: Callable[[SceneBuilder], None]) -> Scene:
    b = SceneBuilder(Random(0), TextureBank.empty())
    paint = b.add(b.paint.material())
    assert paint == 0
    build(b)
    return b.finish("test", Stage((0, 0, 0), (1, 1, 1)), Sky(), 1.0)


def camera() -> np.record:
    return np.array([(EYE, TURN, FOCAL, FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)], CAMERA)[0]


def rays() -> np.ndarray:
    """H W 3 world directions with forward component 1."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    local = np.stack([(x - (WIDTH - 1) / 2) / FOCAL, (y - (HEIGHT - 1) / 2) / FOCAL, np.ones_like(x)], -1)
    return local @ TURN.T


def traced(scene: Scene) -> np.ndarray:
    depth, key = first_hits(scene.solids_at(0.0), camera(), HEIGHT, WIDTH)
    np.testing.assert_array_equal(np.isfinite(depth), key >= 0)
    return depth


def test_plane_depth_is_exact() -> None:
    depth = traced(scene_of(lambda b: b.box((0, 0, -0.5), (900, 900, 0.5), 0)))
    directions = rays()
    expected = np.where(directions[..., 2] < 0, -EYE[2] / directions[..., 2], np.inf)
    inside = (
        np.abs(EYE[:2] + np.where(np.isfinite(expected), expected, 0)[..., None] * directions[..., :2]).max(-1) < 900
    )
    expected = np.where(inside, expected, np.inf)
    assert 0.2 < np.isfinite(expected).mean() < 0.9
    np.testing.assert_allclose(depth, expected, rtol=1e-9)


def test_sphere_depth_is_exact() -> None:
    centre, radius = np.array([3.0, 1.0, 1.0]), 0.8
    depth = traced(scene_of(lambda b: b.ellipsoid((3.0, 1.0, 1.0), (radius,) * 3, 0, (0.4, 0.2, 0.1))))
    d, o = rays(), EYE - centre
    a, half_b, c = (d * d).sum(-1), d @ o, o @ o - radius**2
    root = half_b**2 - a * c
    expected = np.where(root >= 0, (-half_b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    assert np.isfinite(expected).sum() > 100
    np.testing.assert_allclose(depth, expected, rtol=1e-9)


def test_rotated_box_depth_is_exact() -> None:
    yaw, centre, half = 0.7, np.array([3.0, 0.9, 1.0]), np.array([0.5, 0.8, 0.6])
    depth = traced(scene_of(lambda b: b.box((3.0, 0.9, 1.0), (0.5, 0.8, 0.6), 0, (yaw, 0, 0))))
    axes = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    d, expected = rays(), np.full((HEIGHT, WIDTH), np.inf)
    # Six face planes, each met only inside the others: no slabs, unlike the tracer.
    for axis in range(3):
        for side in (-1, 1):
            plane = side * half[axis] - axes[axis] @ (EYE - centre)
            t = plane / (d @ axes[axis])
            local = (EYE + t[..., None] * d - centre) @ axes.T
            others = [k for k in range(3) if k != axis]
            good = (t > 0) & np.all(np.abs(local[..., others]) <= half[others], -1)
            expected = np.minimum(expected, np.where(good, t, np.inf))
    assert np.isfinite(expected).sum() > 100
    np.testing.assert_allclose(depth, expected, rtol=1e-9)


@pytest.mark.parametrize("taper", [0.0, 0.6, 1.0, -0.4])
def test_cylinder_hits_lie_on_its_surface(taper: float) -> None:
    scene = scene_of(lambda b: b.cylinder((3.0, 0.8, 1.0), (0.5, 0.7, 0.6), 0, (0.5, 0.9, 0.2), taper))
    depth = traced(scene)
    solid = scene.solids_at(0.0)[0]
    seen = np.isfinite(depth)
    points = EYE + depth[seen][:, None] * rays()[seen]
    x, y, z = ((points - solid["centre"]) @ solid["inverse"].T).T
    radius = 1.0 - taper * (z + 1.0) / 2.0
    side = np.abs(np.hypot(x, y) - np.abs(radius))
    cap = np.where(np.hypot(x, y) <= np.abs(radius) + 1e-9, np.abs(np.abs(z) - 1.0), np.inf)
    assert seen.sum() > 50
    assert np.minimum(side, cap).max() < 1e-9
    assert np.abs(z).max() <= 1.0 + 1e-9


def test_nearest_of_several_wins_whatever_the_order() -> None:
    def several(b: SceneBuilder) -> None:
        b.box((6.0, 0, 1), (0.1, 9, 9), 0)
        b.ellipsoid((3.0, 1.0, 1.0), (0.5, 0.5, 0.5), 0)
        b.cylinder((4.0, 0.5, 1.0), (0.3, 0.3, 2.0), 0)

    solids = scene_of(several).solids_at(0.0)
    depth, _ = first_hits(solids, camera(), HEIGHT, WIDTH)
    alone = [first_hits(solids[n : n + 1], camera(), HEIGHT, WIDTH)[0] for n in range(3)]
    np.testing.assert_array_equal(depth, np.minimum.reduce(alone))
    swapped, _ = first_hits(solids[::-1].copy(), camera(), HEIGHT, WIDTH)
    np.testing.assert_array_equal(depth, swapped)


def test_an_object_that_reaches_behind_the_camera_is_kept() -> None:
    depth = traced(scene_of(lambda b: b.box((0, 0, -0.5), (40, 40, 0.5), 0, (0.6, 0.0, 0.0))))
    below = rays()[..., 2] < -0.1
    assert below.any()
    assert np.isfinite(depth[below]).all()


def test_cut_outs_leave_holes() -> None:
    whole = traced(scene_of(lambda b: b.quad((3, 1, 1), (1, 1), 0, (0.3, 1.5708, 0))))
    disc = traced(scene_of(lambda b: b.quad((3, 1, 1), (1, 1), 0, (0.3, 1.5708, 0), Cut(DISC))))
    bars = traced(scene_of(lambda b: b.quad((3, 1, 1), (1, 1), 0, (0.3, 1.5708, 0), Cut(BARS, 4, 4, 0.3))))
    filled = np.isfinite(whole).sum()
    assert np.isfinite(disc).sum() / filled == pytest.approx(np.pi / 4, abs=0.04)
    assert np.isfinite(bars).sum() / filled == pytest.approx(1 - 0.7**2, abs=0.08)
    np.testing.assert_array_equal(disc[np.isfinite(disc)], whole[np.isfinite(disc)])


@pytest.mark.slow
def test_tree_finds_exactly_what_a_search_finds() -> None:
    random = Random(5)

    def crowd(b: SceneBuilder) -> None:
        for n in range(60):
            at = (random.uniform(-3, 3), random.uniform(-3, 3), random.uniform(-3, 3))
            half = (random.uniform(0.05, 0.5), random.uniform(0.05, 0.5), random.uniform(0.05, 0.5))
            turn = (random.uniform(0, 6), random.uniform(-1, 1), random.uniform(-1, 1))
            (b.box, b.ellipsoid, b.cylinder)[n % 3](at, half, 0, turn)

    solids = scene_of(crowd).solids_at(0.0)
    tree = build_tree(solids)
    assert sorted(tree.order) == list(range(60))
    grain, stack, blocked = np.random.default_rng(1), np.empty(256, np.int64), 0
    for _ in range(300):
        ray, reach = grain.normal(size=6), grain.uniform(0.2, 4.0)
        expected = False
        for solid in solids:
            local = (*(solid["inverse"] @ (ray[:3] - solid["centre"])), *(solid["inverse"] @ ray[3:]))
            expected |= hit(solid, *local, 2e-3)[0] < reach
        assert is_occluded(ray, reach, solids, tree, stack) == expected
        blocked += expected
    assert 30 < blocked < 270

"""Cuts are found, motion and light are not mistaken for one, and a stream is split without loss."""

from itertools import pairwise

import numpy as np
import pytest

from dvd.shots import AHEAD, Thumbnail, by_shot, is_mixture, mark_cuts, shared, shrink

HEIGHT, WIDTH = 96, 128


def picture(seed: int, height: int = 240, width: int = 640) -> np.ndarray:
    """`3 H W` in [0, 1]: patches of colour of several sizes, in colours of its own."""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(0.1, 0.9, (3, 5))
    layers = [
        colours[:, rng.integers(0, 5, (height // side + 1, width // side + 1))].repeat(side, 1).repeat(side, 2)
        for side in (40, 12)
    ]
    return (0.6 * layers[0][:, :height, :width] + 0.4 * layers[1][:, :height, :width]).astype(np.float32)


def pan(seed: int, frames: int, speed: int = 2) -> list[np.ndarray]:
    wide = picture(seed, width=WIDTH + speed * frames)
    return [wide[:, :HEIGHT, speed * i : speed * i + WIDTH] for i in range(frames)]


def zoom(seed: int, frames: int, step: float = 0.03) -> list[np.ndarray]:
    """Each frame shows a larger part of the picture than the one before."""
    whole = picture(seed)
    zoomed = []
    for i in range(frames):
        rows, columns = ((np.arange(n) * (1 + step * i)).astype(int) for n in (HEIGHT, WIDTH))
        zoomed.append(whole[:, rows][:, :, columns])
    return zoomed


def cuts(frames: list[np.ndarray]) -> list[int]:
    return [index for index, (_, begins) in enumerate(mark_cuts(frames, lambda rgb: rgb)) if begins]


def test_cuts_between_scenes_are_found() -> None:
    assert cuts(pan(1, 20) + pan(2, 7) + zoom(3, 20)) == [20, 27]


@pytest.mark.parametrize("length", [2, 3])
def test_a_cut_is_found_near_the_beginning_and_the_end(length: int) -> None:
    assert cuts(pan(1, length) + pan(2, 10)) == [length]
    assert cuts(pan(1, 10) + pan(2, length)) == [10]


def test_a_cut_to_another_view_of_one_room_is_found() -> None:
    """The colours are the same; the camera is elsewhere."""
    wide = pan(1, 300, speed=3)
    assert cuts(wide[:10] + wide[200:210]) == [10]


@pytest.mark.parametrize("speed", [0, 2, 8, 30])
def test_motion_is_no_cut(speed: int) -> None:
    assert cuts(pan(4, 30, speed)) == []


@pytest.mark.parametrize("step", [0.01, 0.05])
def test_a_zoom_is_no_cut(step: float) -> None:
    assert cuts(zoom(5, 15, step)) == []
    assert cuts(zoom(5, 15, step)[::-1]) == []


def test_a_camera_that_starts_and_stops_is_no_cut() -> None:
    wide = pan(6, 400, speed=1)
    assert cuts([wide[x] for x in [0] * 6 + list(range(0, 240, 24)) + [240] * 6]) == []


def test_frames_far_apart_are_no_cuts() -> None:
    assert cuts([frame for seed in range(12) for frame in pan(seed, 1)]) == []


@pytest.mark.parametrize(
    "flash", [lambda rgb: np.ones_like(rgb), lambda rgb: np.clip(3 * rgb + 0.4, 0, 1), np.zeros_like]
)
@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_is_no_cut(flash, length: int) -> None:
    frames = pan(7, 20)
    assert cuts(frames[:9] + [flash(rgb) for rgb in frames[9 : 9 + length]] + frames[9 + length :]) == []


def test_one_spoilt_frame_is_no_cut() -> None:
    frames = pan(8, 20)
    assert cuts(pan(9, 1) + frames + pan(9, 1)) == []
    assert cuts([*frames[:9], pan(9, 1)[0], *frames[10:]]) == []


@pytest.mark.parametrize("gain", [0.3, 1.1])
def test_switching_a_light_is_no_cut(gain: float) -> None:
    frames = pan(10, 20)
    assert cuts(frames[:10] + [np.clip(gain * rgb, 0, 1) for rgb in frames[10:]]) == []
    assert cuts([np.clip(gain * rgb, 0, 1) for rgb in frames[:10]] + frames[10:]) == []


def test_somebody_passing_close_to_the_camera_is_no_cut() -> None:
    frames = [rgb.copy() for rgb in pan(11, 24, speed=0)]
    for i, rgb in enumerate(frames):
        rgb[:, :, max(0, 16 * (i - 4)) : max(0, 16 * (i - 4) + 140)] = 0.2
    assert cuts(frames) == []


def test_noise_of_a_fixed_camera_is_no_cut() -> None:
    rng = np.random.default_rng(0)
    noisy = [np.clip(rgb + rng.normal(0, 0.08, rgb.shape), 0, 1) for rgb in pan(12, 30, speed=0)]
    assert cuts(noisy) == []
    assert cuts([np.clip(rng.normal(0.02, 0.02, rgb.shape), 0, 1) for rgb in noisy]) == []


def test_black_between_two_scenes_is_one_cut_and_within_one_none() -> None:
    first, second, black = pan(13, 10), pan(14, 10), [np.zeros((3, HEIGHT, WIDTH), np.float32)] * 5
    assert cuts(black + first + black + second + black) == [20]
    assert cuts(first + black + first) == []


def test_a_slow_dissolve_is_no_cut() -> None:
    one, two = pan(1, 1)[0], pan(2, 1)[0]
    assert cuts([one * (1 - t) + two * t for t in np.linspace(0, 1, 30, dtype=np.float32)]) == []


def test_a_cut_with_one_mixed_frame_is_one_cut() -> None:
    first, second = pan(15, 10), pan(16, 10)
    mixed = (first[-1] + second[0]) / 2
    assert cuts([*first, mixed, *second]) == [11]


def test_a_mixture_is_distinguished_from_a_third_frame() -> None:
    one, two, three = (Thumbnail(pan(seed, 1)[0]) for seed in range(3))
    mixed = Thumbnail(0.3 * pan(0, 1)[0] + 0.7 * pan(1, 1)[0])
    assert is_mixture(mixed, one, two)
    assert not is_mixture(three, one, two)
    assert not is_mixture(one, one, two)


def test_moved_frames_share_much_and_unrelated_ones_nothing() -> None:
    moved = [Thumbnail(rgb) for rgb in pan(17, 3, speed=30)]
    assert min(shared(one, other) for one, other in pairwise(moved)) > 0.5
    others = [Thumbnail(pan(seed, 1)[0]) for seed in range(20, 26)]
    assert max(shared(one, other) for one, other in pairwise(others)) < 0.15


def test_frames_are_yielded_in_order_once_the_next_ones_are_known() -> None:
    taken = 0

    def source():
        nonlocal taken
        for rgb in pan(1, 20) + pan(2, 20):
            taken += 1
            yield rgb

    for index, (rgb, _) in enumerate(mark_cuts(source(), lambda rgb: rgb)):
        assert taken <= index + 1 + AHEAD
        np.testing.assert_array_equal(rgb, (pan(1, 20) + pan(2, 20))[index])
    assert index == 39


def test_frames_too_small_to_compare_have_no_cuts() -> None:
    rng = np.random.default_rng(0)
    for side in (1, 7, 8, 16):
        assert cuts([np.full((3, side, side), rng.random(), np.float32) for _ in range(8)]) == []


def test_every_frame_is_in_one_shot_in_order() -> None:
    starts, seen = [], []
    for start, shot in by_shot((n, n in (5, 6, 19)) for n in range(20)):
        starts.append(start)
        seen += list(shot)
    assert starts == [0, 5, 6, 19]
    assert seen == list(range(20))


def test_shrinking_keeps_the_mean_and_tiny_frames() -> None:
    rgb = np.random.default_rng(0).random((3, 96, 144))
    assert shrink(rgb).shape == (48, 48)
    assert shrink(rgb).mean() == pytest.approx(rgb.mean())
    assert shrink(rgb[:, :1, :1]).shape == (1, 1)

"""Cuts are found, motion is not taken for one, and a stream is split without loss."""

import numpy as np
import pytest

from dvd.shots import CutDetector, by_shot, histogram, shrink


def scene(seed: int, frames: int, speed: int = 2) -> list[np.ndarray]:
    """A pan over a picture of its own colours."""
    rng = np.random.default_rng(seed)
    colours = 0.1 + 0.8 * (rng.random((3, 6)) > 0.5)
    wide = colours[:, rng.integers(0, 6, (12, 200))].repeat(8, 1).repeat(8, 2)
    return [wide[:, :96, speed * i : speed * i + 128].astype(np.float32) for i in range(frames)]


def cuts(frames: list[np.ndarray]) -> list[int]:
    detector = CutDetector()
    return [index for index, frame in enumerate(frames) if detector(frame)]


def test_cuts_between_scenes_are_found() -> None:
    assert cuts(scene(1, 20) + scene(2, 7) + scene(3, 20)) == [20, 27]


@pytest.mark.parametrize("speed", [0, 2, 8, 40])
def test_motion_is_no_cut(speed: int) -> None:
    assert cuts(scene(4, 30, speed)) == []


def test_frames_far_apart_are_no_cuts() -> None:
    assert cuts([frame for seed in range(12) for frame in scene(seed, 1)]) == []


def test_a_fade_is_no_cut() -> None:
    one, two = scene(1, 1)[0], scene(2, 1)[0]
    assert cuts([one * (1 - t) + two * t for t in np.linspace(0, 1, 30, dtype=np.float32)]) == []


def test_every_frame_is_in_one_shot_in_order() -> None:
    starts, seen = [], []
    for start, shot in by_shot(range(20), lambda n: n in (5, 6, 19)):
        starts.append(start)
        seen += list(shot)
    assert starts == [0, 5, 6, 19]
    assert seen == list(range(20))


def test_shrinking_keeps_the_mean_and_tiny_frames() -> None:
    rgb = np.random.default_rng(0).random((3, 96, 144))
    assert shrink(rgb).shape == (3, 48, 48)
    assert shrink(rgb).mean() == pytest.approx(rgb.mean())
    assert shrink(rgb[:, :1, :1]).shape == (3, 1, 1)
    assert histogram(rgb).sum() == pytest.approx(1)

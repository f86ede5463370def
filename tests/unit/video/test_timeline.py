"""Times of frames with missing, repeated or unordered stamps, or stamps of several clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from synth import make_video, picture

from dvd.types import ClockJump, MediaFile, Timeline
from dvd.video import Video, open_video
from dvd.video.reader import Raw
from dvd.video.timeline import timed
from dvd.video.trim import Trim

STEP, GAP = 40, 10_000


def times(stamps: Sequence[int | None], timeline: Timeline | None = None, jumped: list[int] | None = None) -> list[int]:
    """Return the times of frames with these stamps at 25 frames per second, in milliseconds."""
    raws = [Raw(stamp, lambda: np.empty(0)) for stamp in stamps]
    seen = jumped if jumped is not None else []
    pairs = list(timed(raws, 0, STEP, GAP, timeline or Timeline(), seen.append))
    assert [raw for _, raw in pairs] == raws, "every frame, in order"
    shown = [time for time, _ in pairs]
    assert shown == sorted(set(shown)), "strictly increasing"
    return shown


def test_correct_stamps_are_kept():
    assert times([0, 40, 85, 90, 3000, 3040]) == [0, 40, 85, 90, 3000, 3040]


def test_no_stamps_make_even_steps():
    assert times([None] * 5) == [0, 40, 80, 120, 160]


def test_repeated_stamps_are_spread_and_errors_do_not_add_up():
    stamps = [40 * (index - index // 6) for index in range(60)]
    shown = times(stamps)
    assert max(abs(time - stamp) for time, stamp in zip(shown, stamps, strict=True)) <= STEP
    assert shown[-1] == stamps[-1]
    assert times([0, 0, 0, 120]) == [0, 40, 80, 120]


def test_one_wrong_stamp_does_not_change_later_times():
    assert times([0, 40, 20, 120, 160]) == [0, 40, 80, 120, 160]
    assert times([0, 40, 9_999_999, 120, 160]) == [0, 40, 80, 120, 160]
    assert times([0, 40, None, 120, 160]) == [0, 40, 80, 120, 160]
    assert times([4000, 4040, 0, 4120, 4160]) == [4000, 4040, 4080, 4120, 4160]


def test_a_clock_too_coarse_for_the_frames_is_followed():
    stamps = [100 * (index // 6) for index in range(61)]
    shown = times(stamps)
    assert max(abs(time - 1000 * index / 60) for index, time in enumerate(shown)) < 1


def test_identical_stamps_are_ignored():
    assert times([7] * 20) == [7 + 40 * index for index in range(20)]


def test_the_clock_catches_up_with_guessed_times():
    stamps = [0, 40, *[None] * 10, 160, 200, 240, *range(280, 2000, 40)]
    shown = times(stamps)
    assert shown[-1] == stamps[-1]


@pytest.mark.parametrize("first", [0, 20_000, -50_000])
def test_a_clock_that_restarts_or_leaps_is_joined(first):
    timeline, jumped = Timeline(), []
    stamps = [*range(4000, 4400, 40), *range(first, first + 400, 40)]
    assert times(stamps, timeline, jumped) == list(range(4000, 4800, 40))
    assert timeline.jumps == [ClockJump(first, 4400)]
    assert jumped == [10]


def test_clips_shorter_than_a_second_are_joined_too():
    timeline = Timeline()
    assert times([*range(0, 480, 40)] * 3, timeline) == list(range(0, 3 * 480, 40))
    assert timeline.jumps == [ClockJump(0, 480), ClockJump(0, 960)]


def test_joined_broadcast_streams_are_read_whole_with_one_warning(tmp_path):
    part = make_video(tmp_path / "part.ts", 30)
    path = tmp_path / "joined.ts"
    path.write_bytes(part.read_bytes() * 3)
    with open_video(path) as video:
        shown = [frame.pts * video.info.time_base for frame in video]
        (line,) = video.warnings
    assert len(shown) == 90
    assert [time - shown[0] for time in shown] == [Fraction(index, 25) for index in range(90)]
    assert "joined.ts: its clock jumps, first at frame 30" in line


def test_a_time_base_of_whole_frames_leaves_room_for_repeated_stamps(tmp_path):
    stamps = [0, 1, 2, 2, 3, 4, 4, 5]
    with Video(Stamped(stamps, tmp_path / "coarse.avi"), Trim()) as video:
        shown = [float(frame.pts * video.info.time_base * 25) for frame in video]
    assert shown == [0, 1, 2, 2.5, 3, 4, 4.5, 5]


class Stamped:
    """A file with a time base of whole frames and these stamps."""

    name, frame_rate, time_base, start_pts = "coarse", Fraction(25), Fraction(1, 25), 0
    has_audio = is_image = False
    numbers = None

    def __init__(self, stamps: Sequence[int], path: Path) -> None:
        self.path, self._stamps, self.frame_count = path, stamps, len(stamps)
        self.media = MediaFile(path)

    def frames(self, warn: Callable[[str], None], needed_from: int = 0) -> Iterator[Raw]:
        for index, stamp in enumerate(self._stamps):
            yield Raw(stamp, partial(picture, index))


def test_frames_without_stamps_follow_the_rate_in_the_stream(tmp_path):
    path = make_video(tmp_path / "raw.h264", 6, rate=Fraction(30000, 1001), container_format="h264")
    with open_video(path) as video:
        assert video.info.frame_rate == Fraction(30000, 1001)
        assert [frame.pts * video.info.time_base for frame in video] == [Fraction(1001 * n, 30000) for n in range(6)]

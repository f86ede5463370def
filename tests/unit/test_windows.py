"""Every frame is in a window, neighbours overlap, and no frame is held longer than needed."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvd.errors import OptionError
from dvd.types import Window
from dvd.windows import Last, plan, round_window, windows

plans = st.integers(2, 40).flatmap(
    lambda window: st.tuples(
        st.integers(0, 200), st.just(window), st.integers(1, window - 1), st.sampled_from(["full", "short"])
    )
)


@pytest.mark.slow
@given(plans)
def test_settled_frames_cover_every_frame_once(case: tuple[int, int, int, Last]) -> None:
    count, window, overlap, last = case
    settled = [
        frame
        for planned in windows(count, window, overlap, last)
        for frame in range(planned.start, planned.stop if planned.next_start is None else planned.next_start)
    ]
    assert settled == list(range(count))


@pytest.mark.slow
@given(plans)
def test_neighbours_share_at_least_the_overlap(case: tuple[int, int, int, Last]) -> None:
    count, window, overlap, last = case
    planned = windows(count, window, overlap, last)
    for before, after in pairwise(planned):
        assert before.length == window
        assert before.next_start == after.start
        assert before.stop - after.start >= overlap
        assert after.stop > before.stop
        if last == "short" or after.next_start is not None:
            assert before.stop - after.start == overlap
    if last == "full" and count >= window:
        assert planned[-1].length == window
    assert (planned == []) == (count == 0)


@pytest.mark.slow
@given(plans)
def test_a_window_has_its_own_frames_and_little_is_read_ahead(case: tuple[int, int, int, Last]) -> None:
    count, window, overlap, last = case
    taken = 0

    def frames() -> Iterator[int]:
        nonlocal taken
        for index in range(count):
            taken += 1
            yield index

    for planned, held in plan(frames(), window, overlap, last):
        assert held == list(range(planned.start, planned.stop))
        assert taken - planned.start <= 2 * window - overlap


def test_no_frame_is_read_before_the_first_window_is_taken() -> None:
    def frames() -> Iterator[int]:
        raise AssertionError("read too early")
        yield 0

    plan(frames(), 9, 3)


def test_a_single_frame_is_one_window() -> None:
    assert windows(1, 45, 9) == [Window(0, 1, None)]


@pytest.mark.parametrize(
    ("window", "overlap", "message"),
    [
        (0, 1, "window is 0"),
        (-4, 1, "window is -4"),
        (9, 0, "overlap is 0"),
        (9, 9, "overlap is 9"),
        (9, 12, "smaller overlap"),
    ],
)
def test_impossible_plans_are_refused_before_iteration(window: int, overlap: int, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        plan([], window, overlap)


def test_an_unknown_last_window_is_refused() -> None:
    with pytest.raises(OptionError, match="did you mean full"):
        plan([], 9, 3, "ful")  # type: ignore[arg-type]


@pytest.mark.parametrize(("wanted", "rounded"), [(1, 1), (2, 5), (5, 5), (44, 45), (45, 45), (46, 49), (81, 81)])
def test_windows_are_rounded_up_to_the_form_4n_plus_1(wanted: int, rounded: int) -> None:
    assert round_window(wanted, 4) == rounded

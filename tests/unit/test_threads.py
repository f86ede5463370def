"""Work ahead and behind keeps its order, its bounds and its failures."""

import time
from collections.abc import Iterator
from threading import Event, current_thread, main_thread

import pytest

from dvd.threads import Ahead, Behind


def wait_for(condition, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_ahead_gives_everything_in_order_from_another_thread() -> None:
    threads = set()

    def items() -> Iterator[int]:
        for index in range(50):
            threads.add(current_thread())
            yield index

    assert list(Ahead(items(), depth=3)) == list(range(50))
    assert main_thread() not in threads


def test_ahead_stays_within_its_depth() -> None:
    made = []

    def items() -> Iterator[int]:
        for index in range(50):
            made.append(index)
            yield index

    with Ahead(items(), depth=3) as ahead:
        next(ahead)
        wait_for(lambda: len(made) == 5)
        time.sleep(0.02)
        assert len(made) == 5


def test_what_fails_ahead_is_raised_after_what_came_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    ahead = Ahead(items(), depth=4)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)
    with pytest.raises(StopIteration):
        next(ahead)


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_leaving_early_stops_the_thread(depth: int) -> None:
    def items() -> Iterator[int]:
        yield from range(10**9)

    with Ahead(items(), depth) as ahead:
        assert next(ahead) == 0
    assert not ahead._thread.is_alive()


def test_behind_does_everything_in_order_before_it_finishes() -> None:
    done = []
    with Behind(lambda item: (time.sleep(0.001), done.append(item)), depth=2) as behind:
        for index in range(20):
            behind.give(index)
    assert done == list(range(20))


def test_behind_makes_the_giver_wait() -> None:
    gate, done = Event(), []

    def work(item: int) -> None:
        gate.wait(5)
        done.append(item)

    with Behind(work, depth=1) as behind:
        behind.give(0)
        behind.give(1)
        assert not done
        gate.set()
    assert done == [0, 1]


def test_what_fails_behind_is_raised_to_the_giver_and_nothing_more_is_done() -> None:
    done = []

    def work(item: int) -> None:
        if item == 1:
            raise OSError("no space")
        done.append(item)

    def give_all() -> None:
        with Behind(work, depth=1) as behind:
            for index in range(100):
                behind.give(index)

    with pytest.raises(OSError, match="no space"):
        give_all()
    assert done == [0]


def test_the_last_failure_behind_is_not_lost() -> None:
    def work(item: int) -> None:
        raise OSError("no space")

    def give_one() -> None:
        with Behind(work, depth=1) as behind:
            behind.give(1)

    with pytest.raises(OSError, match="no space"):
        give_one()


def test_an_error_of_the_giver_goes_before_one_behind() -> None:
    def work(item: int) -> None:
        raise OSError("no space")

    def give_and_stop() -> None:
        with Behind(work, depth=1) as behind:
            behind.give(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_and_stop()

"""Work ahead and behind keeps its order, its bounds and its failures."""

import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Event, Thread, Timer, current_thread, main_thread

import pytest

from dvd import threads
from dvd.threads import Ahead, Behind


def wait_for(condition, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_ahead_yields_everything_in_order_from_another_thread() -> None:
    seen = set()

    def items() -> Iterator[int]:
        for index in range(50):
            seen.add(current_thread())
            yield index

    assert list(Ahead(items(), depth=3)) == list(range(50))
    assert main_thread() not in seen


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


def test_a_failure_ahead_is_raised_after_the_items_before_it() -> None:
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
def test_closing_early_stops_the_thread(depth: int) -> None:
    def items() -> Iterator[int]:
        yield from range(10**9)

    with Ahead(items(), depth) as ahead:
        assert next(ahead) == 0
    assert not ahead._thread.is_alive()


@pytest.mark.parametrize("depth", [1, 3])
def test_dropping_ahead_ends_its_thread_and_reads_no_more(depth: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for index in range(10**9):
            taken.append(index)
            yield index

    ahead = Ahead(items(), depth)
    next(ahead)
    wait_for(lambda: len(taken) == depth + 2)
    thread = ahead._thread
    del ahead
    thread.join(2)
    assert not thread.is_alive()
    assert len(taken) == depth + 2


def test_a_source_that_hangs_does_not_block_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE_S", 0.05)
    gate = Event()

    def items() -> Iterator[int]:
        yield 0
        gate.wait(10)

    started = time.monotonic()
    with Ahead(items(), depth=2) as ahead:
        next(ahead)
    assert time.monotonic() - started < 2
    gate.set()


def test_a_side_that_was_not_woken_checks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "POLL_S", 0.01)
    ahead = Ahead(iter(range(10**9)), depth=1)
    wait_for(lambda: len(ahead._queue._items) == 1)
    with ahead._queue._changed:  # held by another thread, as when the collector runs at the wrong moment
        stopping = Thread(target=ahead._queue.stop)
        stopping.start()
        stopping.join(2)
        assert not stopping.is_alive()
    wait_for(lambda: not ahead._thread.is_alive())


def test_python_exits_while_a_thread_is_at_work() -> None:
    code = (
        "import itertools, time; from dvd.threads import Ahead, Behind\n"
        "def items():\n"
        "    for index in itertools.count():\n"
        "        yield index\n"
        "    \n"
        "ahead = Ahead(items(), 2); print(next(ahead)); behind = Behind(print, 2); behind.give(7); time.sleep(0.1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("0\n7\n", "")


def test_dropping_behind_ends_its_thread() -> None:
    behind = Behind(lambda item: None, depth=1)
    thread = behind._thread
    del behind
    thread.join(2)
    assert not thread.is_alive()


def test_ctrl_c_during_finish_waits_for_the_item_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    started, gate, done = Event(), Event(), []

    def work(item: int) -> None:
        started.set()
        gate.wait(5)
        done.append(item)

    def interrupted() -> None:
        monkeypatch.undo()
        Timer(0.05, gate.set).start()
        raise KeyboardInterrupt

    behind = Behind(work, depth=3)
    for index in range(3):
        behind.give(index)
    started.wait(5)
    monkeypatch.setattr(behind._thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        behind.finish()
    assert not behind._thread.is_alive()
    assert done == [0]


def test_behind_does_everything_in_order_before_it_finishes() -> None:
    done = []
    with Behind(lambda item: (time.sleep(0.001), done.append(item)), depth=2) as behind:
        for index in range(20):
            behind.give(index)
    assert done == list(range(20))


def test_give_waits_while_the_queue_is_full() -> None:
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


def test_a_failure_behind_is_raised_to_the_caller_and_nothing_more_is_done() -> None:
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


def test_a_failure_of_the_last_item_is_raised_by_finish() -> None:
    def work(item: int) -> None:
        raise OSError("no space")

    def give_one() -> None:
        with Behind(work, depth=1) as behind:
            behind.give(1)

    with pytest.raises(OSError, match="no space"):
        give_one()


def test_an_error_of_the_caller_hides_one_behind() -> None:
    def work(item: int) -> None:
        raise OSError("no space")

    def give_and_stop() -> None:
        with Behind(work, depth=1) as behind:
            behind.give(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_and_stop()

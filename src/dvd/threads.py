"""Work that runs ahead of the network (decoding) and behind it (encoding), so that the three overlap in time.

A thread holds the queue between the two sides and its own work, never the `Ahead` or `Behind` that started it: so when
that object is dropped, it is collected and its thread ends. Threads also end when Python exits.
"""

from __future__ import annotations

import atexit
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Condition, Thread, current_thread
from time import monotonic
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
W = TypeVar("W")

PATIENCE_S = 5.0
"""How long to wait for a thread that was stopped but is still busy with one item."""
POLL_S = 0.5
"""How often a waiting side checks whether the other side has gone without waking it."""


class _Stopped(Exception):
    """The queue was stopped, or has ended and is empty."""


class _Queue(Generic[T]):
    """At most `depth` items between two threads; either side may stop the queue, even while the other waits."""

    def __init__(self, depth: int) -> None:
        self._items: deque[T] = deque()
        self._depth = depth
        self._ended = self._is_stopped = False
        self._changed = Condition()
        self.failure: BaseException | None = None
        """The exception that ended the thread's work."""

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    def put(self, item: T) -> None:
        """Wait for room and add the item; raise `_Stopped` if nobody will take it."""
        with self._changed:
            self._wait_until(lambda: len(self._items) < self._depth)
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Wait for an item and return it; raise `_Stopped` if none will come."""
        with self._changed:
            self._wait_until(lambda: bool(self._items or self._ended))
            if not self._items:
                raise _Stopped
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def end(self) -> None:
        """Mark the end: no more items are added; those inside can still be taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Release both sides; items inside are lost.

        Never waits for a lock, because the garbage collector may call this in any thread. A side that is not woken
        checks again after `POLL_S`.
        """
        self._is_stopped = True
        if self._changed.acquire(blocking=False):
            try:
                self._changed.notify_all()
            finally:
                self._changed.release()

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        while not (self._is_stopped or ready()):
            self._changed.wait(POLL_S)
        if self._is_stopped:
            raise _Stopped


class Ahead(Generic[T]):
    """Iterate over `items` in a thread, at most `depth` items ahead; an exception of the thread is raised here.

    The thread ends at the end of `items`, on `close`, when this object is dropped, or when Python exits.
    """

    def __init__(self, items: Iterable[T], depth: int) -> None:
        self._queue: _Queue[T] = _Queue(depth)
        self._thread = _start("dvd-ahead", _take_all, self._queue, items)
        weakref.finalize(self, self._queue.stop).atexit = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return self._queue.get()
        except _Stopped:
            self.close()
        failure, self._queue.failure = self._queue.failure, None
        if failure is not None:
            raise failure
        raise StopIteration

    def close(self) -> None:
        """Stop the thread; items that were not taken are lost."""
        self._queue.stop()
        _join(self._thread)

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Behind(Generic[T]):
    """Do `work` on items in a thread, in order, at most `depth` items behind the caller."""

    def __init__(self, work: Callable[[T], None], depth: int) -> None:
        self._queue: _Queue[T] = _Queue(depth)
        self._thread = _start("dvd-behind", _do_all, self._queue, work)
        weakref.finalize(self, self._queue.stop).atexit = False

    def give(self, item: T) -> None:
        """Hand over an item, waiting for room; raise the exception of an earlier item."""
        self._raise_failure()
        self._queue.put(item)

    def finish(self) -> None:
        """Wait until all items are done; raise the exception of one that failed."""
        self._queue.end()
        try:
            self._thread.join()
        except BaseException:
            # Ctrl-C: the thread must not be at work any more when the caller cleans up.
            self._queue.stop()
            _join(self._thread)
            raise
        self._raise_failure()

    def __enter__(self) -> Behind[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.finish()
        except BaseException:
            # The exception that is already being raised came first and says more.
            if error is None:
                raise

    def _raise_failure(self) -> None:
        if self._queue.failure is not None:
            raise self._queue.failure


_RUNNING: weakref.WeakKeyDictionary[Thread, Callable[[], None]] = weakref.WeakKeyDictionary()
"""Every thread started here, and the function that stops it."""


def _start(name: str, target: Callable[[_Queue[T], W], None], queue: _Queue[T], work: W) -> Thread:
    thread = Thread(target=target, args=(queue, work), name=name, daemon=True)
    _RUNNING[thread] = queue.stop
    thread.start()
    return thread


def _join(thread: Thread) -> None:
    """Wait for a stopped thread, but not for ever: its source may hang."""
    if thread is not current_thread():
        thread.join(PATIENCE_S)


@atexit.register
def _stop_all() -> None:
    """Stop all threads: one that still decodes while Python shuts down may crash it."""
    for stop in list(_RUNNING.values()):
        stop()
    deadline = monotonic() + PATIENCE_S
    for thread in list(_RUNNING):
        if thread.is_alive():
            thread.join(max(0.0, deadline - monotonic()))


def _take_all(queue: _Queue[T], items: Iterable[T]) -> None:
    try:
        for item in items:
            queue.put(item)
            if queue.is_stopped:
                return
    except _Stopped:
        return
    except BaseException as failure:
        queue.failure = failure
    queue.end()


def _do_all(queue: _Queue[T], work: Callable[[T], None]) -> None:
    """Do the work on every item; after a failure take the items without work, so that the caller does not block."""
    while True:
        try:
            item = queue.get()
        except _Stopped:
            return
        if queue.failure is None:
            try:
                work(item)
            except BaseException as failure:
                queue.failure = failure

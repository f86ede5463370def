"""Work that runs ahead of the network (decoding) and behind it (encoding), so that the three overlap in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, Queue
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE_S = 5.0
"""How long to wait for a thread that was told to stop but is still busy with one item."""


class _End:
    """Marks the end of a queue."""


class Ahead(Generic[T]):
    """Iterates over `items` in a thread of its own, at most `depth` items ahead; what fails there is raised here."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        self._queue: Queue[T | _End] = Queue(maxsize=depth)
        self._stopped = Event()
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._work, args=(items,), name="dvd-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._stopped.is_set():
            raise StopIteration
        item = self._queue.get()
        if not isinstance(item, _End):
            return item
        self.close()
        if self._failure is not None:
            raise self._failure
        raise StopIteration

    def close(self) -> None:
        """Stops the thread; items that nobody took are lost."""
        self._stopped.set()
        give_up = monotonic() + PATIENCE_S
        while self._thread.is_alive() and monotonic() < give_up:
            # A thread that waits for room in the queue only sees the order to stop once it has got it.
            with suppress(Empty):
                self._queue.get_nowait()
            self._thread.join(0.001)

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                if self._stopped.is_set():
                    return
                self._queue.put(item)
        except BaseException as failure:
            self._failure = failure
        self._queue.put(_End())


class Behind(Generic[T]):
    """Does `work` on items in a thread of its own, in order, at most `depth` items behind whoever gives them."""

    def __init__(self, work: Callable[[T], None], depth: int) -> None:
        self._do = work
        self._queue: Queue[T | _End] = Queue(maxsize=depth)
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._work, name="dvd-behind", daemon=True)
        self._thread.start()

    def give(self, item: T) -> None:
        """Hands over an item, waiting for room; raises what an earlier item failed with."""
        self._raise_failure()
        self._queue.put(item)

    def finish(self) -> None:
        """Waits until everything given is done; raises what it failed with."""
        if self._thread.is_alive():
            self._queue.put(_End())
            self._thread.join()
        self._raise_failure()

    def __enter__(self) -> Behind[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.finish()
        except BaseException:
            # The error that is already under way came first and says more.
            if error is None:
                raise

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while not isinstance(item := self._queue.get(), _End):
            if self._failure is None:
                try:
                    self._do(item)
                except BaseException as failure:
                    self._failure = failure

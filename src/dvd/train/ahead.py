"""Work that is prepared while the step before runs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(make: Callable[[int], T], start: int, stop: int, depth: int = 3) -> Iterator[T]:
    """Yields make(start), …, make(stop − 1) in order, up to `depth` of them prepared in threads beforehand.

    What `make` raises is raised where its item would have come.
    """
    workers = max(1, min(depth, (os.cpu_count() or 1) - 1))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    waiting: deque[Future[T]] = deque()
    try:
        for index in range(start, stop):
            waiting.extend(pool.submit(make, later) for later in range(index + len(waiting), min(index + depth, stop)))
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

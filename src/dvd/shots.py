"""Where one shot ends and the next begins: windows and seams do not reach across a cut.

The paper's alignment fails there (Fig. 14): frames on both sides share nothing that a scale and a shift could join.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

LEAST_COLOUR_CHANGE = 0.2
LEAST_PICTURE_CHANGE = 0.15
SUDDEN = 4.0
CALM = 0.05
RECENT = 15
FEWEST = 4
SIDE = 48


class CutDetector:
    """Tells of each frame in turn whether it begins a new shot.

    A cut changes the colours (half the L1 distance of 8 × 8 × 8 histograms) and the picture (mean absolute difference
    of brightness), and it does so suddenly: by `SUDDEN` times the median change of the frames before, so that fast
    motion and frames far apart in time are none. The first `FEWEST` changes only teach what is usual.
    """

    def __init__(self) -> None:
        self._last: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None
        self._changes: deque[float] = deque(maxlen=RECENT)

    def __call__(self, rgb: NDArray[np.floating]) -> bool:
        """`rgb`: `3 H W` in [0, 1]; all frames of one size."""
        small = shrink(rgb)
        now = histogram(small), small.mean(axis=0)
        last, self._last = self._last, now
        if last is None:
            return False
        colours = 0.5 * float(np.abs(now[0] - last[0]).sum())
        picture = float(np.abs(now[1] - last[1]).mean())
        enough_seen = len(self._changes) >= FEWEST
        usual = max(CALM, median(self._changes)) if enough_seen else 1.0
        self._changes.append(colours)
        return picture > LEAST_PICTURE_CHANGE and colours > max(LEAST_COLOUR_CHANGE, SUDDEN * usual)


def by_shot(frames: Iterable[T], begins_shot: Callable[[T], bool]) -> Iterator[tuple[int, Iterator[T]]]:
    """Splits a stream into shots: the index of each one's first frame, and its frames, to be used up in order."""
    first = 0

    def numbered() -> Iterator[tuple[int, T]]:
        nonlocal first
        for index, frame in enumerate(frames):
            if begins_shot(frame):
                first = index
            yield first, frame

    for start, shot in groupby(numbered(), key=lambda pair: pair[0]):
        yield start, (frame for _, frame in shot)


def shrink(rgb: NDArray[np.floating]) -> NDArray[np.floating]:
    """`3 H W` → at most about `SIDE` rows and columns, each the mean of a block."""
    _, height, width = rgb.shape
    down, across = max(1, height // SIDE), max(1, width // SIDE)
    blocks = rgb[:, : height // down * down, : width // across * across]
    return blocks.reshape(3, height // down, down, width // across, across).mean(axis=(2, 4))


def histogram(rgb: NDArray[np.floating]) -> NDArray[np.floating]:
    """Shares of the pixels of `3 H W` in 8 × 8 × 8 bins of colour."""
    bins = np.minimum((rgb * 8).astype(np.int64), 7)
    counts = np.bincount((bins[0] * 64 + bins[1] * 8 + bins[2]).ravel(), minlength=512)
    return counts / counts.sum()

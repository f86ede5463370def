"""Where one shot ends and the next begins: windows and seams do not reach across a cut.

The paper's alignment fails there (Fig. 14): frames on both sides share nothing that a scale and a shift could join.

Two frames of one shot show the same things, moved. So every textured block of a thumbnail is searched for in the other
frame by correlation, which does not depend on exposure. A block counts if it is found and a neighbouring block has
moved the same way: between unrelated frames single blocks match by chance, but not side by side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import groupby, pairwise
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

T = TypeVar("T")

# Chosen on the clips and joins that `benchmarks/cuts.py` measures; its table says how well they work.
SIDE = 48
"""A thumbnail has about this many rows and columns."""
BLOCK = 8
"""Side of a block, in pixels of the thumbnail."""
TEXTURE = 0.01
"""Least standard deviation of brightness, in [0, 1], of a block that can be recognised."""
FEWEST_BLOCKS = 4
"""A frame with fewer textured blocks (black, white, very small) is not compared with others."""
LEAST_CORRELATION = 0.8
"""A block is found if its correlation is at least this."""
NEARBY = 2
"""Neighbouring blocks have moved the same way if their displacements differ by at most this many pixels."""
BEHIND, AHEAD = 2, 2
"""How many frames before a cut are compared with how many after it (one more, the first of the new shot)."""
ACROSS = 0.3
"""Frames on both sides of a cut share less than this fraction of what neighbouring frames of either side share."""
SURE = 2 * ACROSS
"""If this share of the blocks is found in one direction, no cut is possible and nothing more is computed."""
MIXED_R2, MIXED_LEAST = 0.8, 0.15
"""A frame is a mixture of two others if they explain this share of its variance, each with at least this weight."""


class Thumbnail:
    """A frame shrunk for comparison with others: brightness, about `SIDE` rows and columns, in blocks."""

    def __init__(self, rgb: NDArray[np.floating]) -> None:
        """`rgb`: `3 H W` in [0, 1]."""
        self.brightness = shrink(rgb)
        height, width = self.brightness.shape
        self.rows, self.columns = height // BLOCK, width // BLOCK
        """The number of whole blocks."""

    @property
    def comparable(self) -> bool:
        """Whether the frame has enough texture to be recognised."""
        return int(self.textured.sum()) >= FEWEST_BLOCKS

    def found_in(self, other: Thumbnail) -> float:
        """Return the share of textured blocks found in `other` beside a neighbour that moved the same way."""
        unmoved = np.zeros((2, self.rows, self.columns), np.int64)
        still = self._moved_together(self._correlation_unmoved(other), unmoved)
        # Most frames hardly move, and the search takes most of the time.
        return still if still >= SURE else self._moved_together(*self._search(other))

    @cached_property
    def textured(self) -> NDArray[np.bool_]:
        """Which blocks can be recognised, `rows columns`."""
        return (self._block_deviation > TEXTURE).reshape(self.rows, self.columns)

    @cached_property
    def blocks(self) -> NDArray[np.float32]:
        """`rows · columns, BLOCK²`: every block, centred and scaled to unit variance."""
        centred = self._raw_blocks - self._raw_blocks.mean(axis=1, keepdims=True)
        return centred / np.maximum(self._block_deviation, TEXTURE / 2)[:, None]

    @cached_property
    def patches(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The block at every pixel, uncentred, `H' · W', BLOCK²`, and its standard deviation, `H' · W'`."""
        patches = np.ascontiguousarray(sliding_window_view(self.brightness, (BLOCK, BLOCK))).reshape(-1, BLOCK**2)
        variance = mean_around(self.brightness**2) - mean_around(self.brightness) ** 2
        return patches, np.sqrt(np.maximum(variance, (TEXTURE / 2) ** 2)).astype(np.float32).ravel()

    @cached_property
    def _raw_blocks(self) -> NDArray[np.float32]:
        whole = self.brightness[: self.rows * BLOCK, : self.columns * BLOCK]
        return whole.reshape(self.rows, BLOCK, self.columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK**2)

    @cached_property
    def _block_deviation(self) -> NDArray[np.float32]:
        return self._raw_blocks.std(axis=1)

    def _correlation_unmoved(self, other: Thumbnail) -> NDArray[np.float32]:
        """Return the correlation of each block with the one at its position in `other`, `rows columns`."""
        return np.einsum("ij,ij->i", self.blocks, other.blocks).reshape(self.rows, self.columns) / BLOCK**2

    def _search(self, other: Thumbnail) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return each block's best correlation in `other`, `rows columns`, and its displacement, `2 rows columns`."""
        patches, deviation = other.patches
        # The blocks are centred, so the patches need not be.
        correlation = self.blocks @ patches.T / (BLOCK**2 * deviation)
        best = correlation.argmax(axis=1)
        found_at = np.stack(np.divmod(best, other.brightness.shape[1] - BLOCK + 1)).reshape(2, self.rows, self.columns)
        moved = found_at - BLOCK * np.indices((self.rows, self.columns))
        return correlation[np.arange(len(best)), best].reshape(self.rows, self.columns), moved

    def _moved_together(self, correlation: NDArray[np.float32], moved: NDArray[np.int64]) -> float:
        found = self.textured & (correlation > LEAST_CORRELATION)
        together = np.zeros_like(found)
        for one, other in (np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:]):
            apart = np.abs(moved[:, *one] - moved[:, *other]).max(axis=0)
            alike = found[one] & found[other] & (apart <= NEARBY)
            together[one] |= alike
            together[other] |= alike
        return float(together.sum() / max(1, self.textured.sum()))


class CutDetector:
    """Decide for each frame in turn whether it begins a new shot.

    A cut is lasting: the frames before it share next to nothing with those after it, which excludes a flash or a
    spoilt frame. And it is sudden: frames on each side share much with their neighbours, which excludes fast motion
    and frames far apart in time; a shot has at least two frames. Frames without texture are skipped, and the ones
    around them compared.
    """

    def __init__(self) -> None:
        self._before: deque[Thumbnail] = deque(maxlen=BEHIND + 1)

    def __call__(self, frame: Thumbnail, ahead: Iterable[Thumbnail] = ()) -> bool:
        """Return whether `frame` begins a shot; `ahead` holds the next `AHEAD` frames, fewer at the end."""
        if not frame.comparable:
            return False
        after = [frame, *(each for each in ahead if each.comparable)]
        begins = self._is_cut(list(self._before), after)
        if begins:
            self._before.clear()
        self._before.append(frame)
        return begins

    def _is_cut(self, before: list[Thumbnail], after: list[Thumbnail]) -> bool:
        if not before or after[0].found_in(before[-1]) >= SURE:
            return False
        # A cut sometimes leaves a mixture of both shots between them.
        if len(before) > BEHIND and is_mixture(before[-1], before[-2], after[0]):
            before = before[:-1]
        before = before[-BEHIND:]
        if shared(before[-1], after[0]) >= ACROSS:
            return False
        # A frame alone on its side may be a flash or spoilt.
        if min(len(before), len(after)) < 2:
            return False
        neighbours = [shared(one, other) for side in (before, after) for one, other in pairwise(side)]
        least = ACROSS * min(neighbours)
        return all(shared(one, other) < least for one in before for other in after)


def shared(one: Thumbnail, other: Thumbnail) -> float:
    """Return how much two frames have in common, in [0, 1]: the share of blocks found, mean of both directions."""
    return (one.found_in(other) + other.found_in(one)) / 2


def is_mixture(frame: Thumbnail, one: Thumbnail, other: Thumbnail) -> bool:
    """Return whether a weighted sum of two others explains the frame, as after blending or interlacing both shots."""
    sources = np.stack([one.brightness.ravel(), other.brightness.ravel()])
    sources = sources - sources.mean(axis=1, keepdims=True)
    target = frame.brightness.ravel() - frame.brightness.mean()
    weights = np.linalg.lstsq(sources @ sources.T, sources @ target, rcond=None)[0]
    if weights.min() < MIXED_LEAST:
        return False
    return float(np.square(target - weights @ sources).sum()) < (1 - MIXED_R2) * float(np.square(target).sum())


def mark_cuts(frames: Iterable[T], rgb: Callable[[T], NDArray[np.floating]]) -> Iterator[tuple[T, bool]]:
    """Yield each frame in order, and whether it begins a new shot, once the `AHEAD` frames after it are known.

    `rgb` returns a frame as `3 H W` in [0, 1]; all have one size.
    """
    detector, held = CutDetector(), deque[tuple[T, Thumbnail]]()

    def first() -> tuple[T, bool]:
        frame, thumbnail = held.popleft()
        return frame, detector(thumbnail, [each for _, each in held])

    for frame in frames:
        held.append((frame, Thumbnail(rgb(frame))))
        if len(held) > AHEAD:
            yield first()
    while held:
        yield first()


def by_shot(marked: Iterable[tuple[T, bool]]) -> Iterator[tuple[int, Iterator[T]]]:
    """Split marked frames into shots: yield the index of each shot's first frame, and an iterator over its frames.

    `marked` holds each frame and whether it begins a shot. Use up the frames of a shot before taking the next shot.
    """
    first = 0

    def numbered() -> Iterator[tuple[int, T]]:
        nonlocal first
        for index, (frame, begins) in enumerate(marked):
            if begins:
                first = index
            yield first, frame

    for start, shot in groupby(numbered(), key=lambda pair: pair[0]):
        yield start, (frame for _, frame in shot)


def mean_around(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean of the block that starts at every pixel of `H W`, `H' W'`."""
    sums = np.zeros((image.shape[0] + 1, image.shape[1] + 1))
    sums[1:, 1:] = image.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    return (sums[BLOCK:, BLOCK:] - sums[:-BLOCK, BLOCK:] - sums[BLOCK:, :-BLOCK] + sums[:-BLOCK, :-BLOCK]) / BLOCK**2


def shrink(rgb: NDArray[np.floating]) -> NDArray[np.float32]:
    """Shrink `3 H W` to brightness of about `SIDE` rows and columns, each pixel the mean of a block."""
    _, height, width = rgb.shape
    down, across = max(1, round(height / SIDE)), max(1, round(width / SIDE))
    whole = rgb[:, : height // down * down, : width // across * across]
    # Sums over one axis after the other are several times faster than a mean over all.
    rows = whole.reshape(3, height // down, down, -1).sum(axis=(0, 2), dtype=np.float32)
    return rows.reshape(len(rows), width // across, across).sum(axis=2) / np.float32(3 * down * across)

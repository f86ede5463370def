"""Scale-invariant boundary scores of Depth Pro (Bochkovskii et al. 2024): do depth and truth jump at the same pixels?

An occluding contour is between two neighbouring pixels whose depths differ by more than a threshold; each of the four
directions is counted separately. Do not confuse them with `rgb_boundary`, the release's score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dvd.metrics.arrays import to_array, to_floats, to_mask

if TYPE_CHECKING:
    from dvd.metrics.arrays import Array, Mask, Values

THRESHOLDS = np.linspace(1.05, 1.25, 10)
"""Ratios of neighbouring depths above which there is a contour."""

WEIGHTS = THRESHOLDS / THRESHOLDS.sum()
"""Weight of each threshold, proportional to itself, so that steeper contours count more."""

LEAST_DEPTH_M = 1e-6

BAND = 1 << 16
"""Number of pixels compared at a time."""

FOREGROUND = 0.1
"""The alpha above which a matte is foreground."""


def si_boundary_f1(depth_m: Values, truth_m: Values, mask: Values | None = None) -> float | NDArray[np.float64]:
    """Return the scale-invariant boundary F1 in [0, 1] of one frame, `H W`, or of each frame of `T H W`.

    Precision and recall of the contours are means over the directions; F1 is the weighted mean over `THRESHOLDS`.
    Depth may have any scale; float32 is compared in float32. The truth must be dense; with `mask` (not in Depth Pro) a
    pair of neighbours counts only where both are valid. Raise ValueError where the shapes differ.
    """
    depth, truth = to_floats(depth_m), to_floats(truth_m)
    valid = np.ones(depth.shape, bool) if mask is None else to_mask(mask)
    if not depth.shape == truth.shape == valid.shape:
        raise ValueError(f"depth {depth.shape}, truth {truth.shape} and mask {valid.shape} must have one shape")
    return _per_frame(_f1, depth, truth, valid)


def si_boundary_recall(depth_m: Values, foreground: Values) -> float | NDArray[np.float64]:
    """Return the scale-invariant boundary recall in [0, 1] against a matte, of one frame `H W` or each of `T H W`.

    `foreground`: bool, or alpha in [0, 1], foreground above 0.1. Contours of the depth are thinned first: each run of
    neighbours above the threshold, along its direction, keeps its greatest ratio (the first of equals). Recall is the
    mean over four directions, then the weighted mean over `THRESHOLDS`. Raise ValueError where the shapes differ.
    """
    depth, matte = to_floats(depth_m), to_array(foreground)
    if depth.shape != matte.shape:
        raise ValueError(f"depth {depth.shape} and foreground {matte.shape} must have one shape")
    return _per_frame(_recall, depth, matte > FOREGROUND)


def directions(image: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield views of all pixels and of their neighbours to the right, left, below and above, along the views' rows."""
    yield from _both_ways(image)
    yield from _both_ways(image.T)


def _both_ways(lines: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    yield lines[:, :-1], lines[:, 1:]
    yield lines[:, 1:], lines[:, :-1]


def _f1(depth: Array, truth: Array, valid: Mask) -> float:
    found, true, agreed = counts = np.zeros((3, 4, len(THRESHOLDS)))
    for axis, (lines, true_lines, known) in enumerate(((depth, truth, valid), (depth.T, truth.T, valid.T))):
        # Bands of lines that fit in the processor's cache.
        height = max(1, BAND // max(lines.shape[1], 1))
        for first in range(0, len(lines), height):
            band = slice(first, first + height)
            counts[:, 2 * axis : 2 * axis + 2] += _contours(lines[band], true_lines[band], known[band])
    precision = (agreed / np.maximum(found, 1)).mean(axis=0)
    recall = (agreed / np.maximum(true, 1)).mean(axis=0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return float((f1 * WEIGHTS).sum())


def _contours(depth: Array, truth: Array, valid: Mask) -> NDArray[np.float64]:
    """Count contours along the rows (found, true, both), in both directions and above each threshold."""
    counts = np.zeros((3, 2, len(THRESHOLDS)))
    dense = valid.all()
    sides = zip(_both_ways(_nearness(depth)), _both_ways(_nearness(truth)), _both_ways(valid), strict=True)
    for way, ((far, near), (true_far, true_near), (known, also_known)) in enumerate(sides):
        leap, true_leap = near / far, true_near / true_far
        if not dense:
            pairs = known & also_known
            leap, true_leap = leap[pairs], true_leap[pairs]
        counts[:, way] = _above(leap), _above(true_leap), _above(np.minimum(leap, true_leap))
    return counts


def _recall(depth: Array, matte: Mask) -> float:
    recall = np.zeros(len(THRESHOLDS))
    for (far, near), (behind, front) in zip(directions(_nearness(depth)), directions(matte), strict=True):
        contour = front & ~behind
        # A column of ones, which exceed no threshold, keeps the runs of neighbouring rows apart.
        leap = np.pad(near / far, ((0, 0), (0, 1)), constant_values=1)
        found = _found_by_peaks(leap.ravel(), np.pad(contour, ((0, 0), (0, 1))).ravel())
        recall += found / max(int(contour.sum()), 1) / 4
    return float((recall * WEIGHTS).sum())


def _above(leap: Array) -> NDArray[np.intp]:
    """Return, for each threshold, the number of ratios above it."""
    thresholds = THRESHOLDS.astype(leap.dtype)
    # Read in memory order, and keep only the few steep ones: this makes a frame take milliseconds.
    flat = leap.ravel(order="K")
    steep = flat[np.flatnonzero(flat > thresholds[0])]
    return np.array([np.count_nonzero(steep > threshold) for threshold in thresholds])


def _found_by_peaks(leap: Array, contour: Mask) -> NDArray[np.float64]:
    """Return, for each threshold, the number of contour pixels that are the peak of a run of ratios above it; 1-D."""
    found = np.zeros(len(THRESHOLDS))
    indices = np.flatnonzero(leap > leap.dtype.type(THRESHOLDS[0]))
    ratios = leap[indices]
    for index, threshold in enumerate(THRESHOLDS.astype(leap.dtype)):
        above = ratios > threshold
        indices, ratios = indices[above], ratios[above]
        if not indices.size:
            break
        begins = np.diff(indices, prepend=-2) > 1
        run = np.cumsum(begins) - 1
        peaks = np.flatnonzero(ratios == np.maximum.reduceat(ratios, np.flatnonzero(begins))[run])
        first = np.diff(run[peaks], prepend=-1) > 0
        found[index] = np.count_nonzero(contour[indices[peaks[first]]])
    return found


def _nearness(depth: Array) -> Array:
    inverse: Array = np.maximum(depth, depth.dtype.type(LEAST_DEPTH_M))
    np.divide(1, inverse, out=inverse)
    return inverse


def _per_frame(score: Callable[..., float], *arrays: NDArray) -> float | NDArray[np.float64]:
    """Return the score of one frame `H W` as a float, of `T H W` as one number per frame."""
    if arrays[0].ndim == 2:
        return score(*arrays)
    if arrays[0].ndim != 3:
        raise ValueError(f"depth {arrays[0].shape} must be one frame, H W, or several, T H W")
    return np.array([score(*frame) for frame in zip(*arrays, strict=True)])

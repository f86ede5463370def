"""Consistency over time: relative temporal difference, temporal alignment, flow warping and inter-window seam error.

The first three are means of one number per pair of neighbouring frames. The functions of a pair are public too, so that
a sequence of any length can be scored two frames at a time. A pair without a common valid pixel scores NaN and is left
out of the mean. Raise ValueError for a clip that has only such pairs, or only one frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dvd.align import Moments
from dvd.metrics.arrays import clip_of, to_array, to_mask

if TYPE_CHECKING:
    from dvd.metrics.arrays import Mask, Values

Doubles = NDArray[np.float64]


class Affine(Protocol):
    """A scale and a shift: an AffineFit, or a stitcher's Seam."""

    @property
    def scale(self) -> float: ...

    @property
    def shift(self) -> float: ...


class SeamError(NamedTuple):
    """Mean squared difference of disparity over an overlap, before and after aligning the later window."""

    before: float
    after: float


def relative_temporal_difference(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the error of the relative change between frames; `T H W`, metres, `mask` where the truth is valid.

    Root mean square of (d′ − d) / d − (d*′ − d*) / d* over the pixels that are valid in both frames of a pair, then
    the mean over pairs (the release's `relative_temporal_diff`).
    """
    depth, truth, valid = clip_of(depth_m, truth_m, mask)
    return _mean(
        pair_temporal_difference(depth[t : t + 2], truth[t : t + 2], valid[t : t + 2]) for t in range(len(depth) - 1)
    )


def pair_temporal_difference(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """Return the relative temporal difference of two frames, `2 H W`."""
    depth, truth, valid = clip_of(depth_m, truth_m, mask)
    both = valid[0] & valid[1]
    if not both.any():
        return math.nan
    changes = [(late - early) / early for early, late in (_pixels(depth, both), _pixels(truth, both))]
    return float(np.sqrt(np.mean((changes[0] - changes[1]) ** 2)))


def temporal_alignment_error(depth_m: Values, poses: Values, intrinsics: Values, mask: Values | None = None) -> float:
    """Return the TAE of Video Depth Anything (Chen et al. 2025): AbsRel of each frame to its projected neighbours.

    `depth_m`: `T H W`, metres. `poses`: `T 4 4`, camera to world, metres, x right, y down, z forward. `intrinsics`:
    `3 3` or `T 3 3`, pixels, with the centre of the first pixel at (0, 0). `mask`: `T H W`, the pixels that count
    in the frame projected to; None for all. The mean over pairs and both directions, as a fraction (their tables show
    it × 100).
    """
    depth, pose = to_array(depth_m).astype(np.float64), to_array(poses).astype(np.float64)
    frames = len(depth)
    camera = np.broadcast_to(to_array(intrinsics).astype(np.float64), (frames, 3, 3))
    if depth.ndim != 3 or pose.shape != (frames, 4, 4):
        raise ValueError(f"depth {depth.shape} and poses {pose.shape} must be T H W and T 4 4")
    valid = np.ones(depth.shape, bool) if mask is None else to_mask(mask)
    errors = []
    for first in range(frames - 1):
        for source, target in ((first, first + 1), (first + 1, first)):
            motion = np.linalg.inv(pose[target]) @ pose[source]
            errors.append(
                pair_alignment_error(
                    depth[source],
                    depth[target],
                    motion[:3, :3],
                    motion[:3, 3],
                    camera[source],
                    valid[target],
                    camera[target],
                )
            )
    return _mean(errors)


def pair_alignment_error(
    depth_m: Values,
    other_depth_m: Values,
    rotation: Values,
    translation: Values,
    intrinsics: Values,
    other_mask: Values | None = None,
    other_intrinsics: Values | None = None,
) -> float:
    """Return the AbsRel of one frame's depth, projected into another camera, against that camera's; `H W`, metres.

    `rotation` (`3 3`) and `translation` (`3`, metres) map points of the first camera to the second. Points are drawn at
    the nearest pixel; of several, the last in reading order is kept, as in the original. `other_mask` selects pixels of
    the second frame. `other_intrinsics`: None for those of the first.
    """
    depth, other = to_array(depth_m).astype(np.float64), to_array(other_depth_m).astype(np.float64)
    camera = to_array(intrinsics).astype(np.float64)
    other_camera = camera if other_intrinsics is None else to_array(other_intrinsics).astype(np.float64)
    seen = _project(depth, to_array(rotation), to_array(translation), camera, other_camera, other.shape)
    valid = (seen > 0) & (other > 0)
    if other_mask is not None:
        valid &= to_mask(other_mask)
    if not valid.any():
        return math.nan
    return float(np.mean(np.abs(seen[valid] - other[valid]) / other[valid]))


def flow_warping_error(depth_m: Values, flow: Values, mask: Values) -> float:
    """Return the change of depth along optical flow, metres: mean |d′(p + flow(p)) − d(p)| (Wang et al. 2023, OPW).

    `depth_m`, `mask`: `T H W`; `mask` selects the pixels that count, so exclude those occluded in the next frame.
    `flow`: `T−1 H W 2`, pixels to the right and down, from each frame to the next, which is sampled bilinearly. Pixels
    whose flow is not finite, leaves the frame or ends beside a masked pixel do not count.
    """
    depth, motion, valid = to_array(depth_m), to_array(flow), to_mask(mask)
    if depth.ndim != 3 or valid.shape != depth.shape or motion.shape != (len(depth) - 1, *depth.shape[1:], 2):
        raise ValueError(
            f"depth {depth.shape}, flow {motion.shape} and mask {valid.shape} must be T H W, T-1 H W 2, T H W"
        )
    return _mean(pair_warping_error(depth[t : t + 2], motion[t], valid[t : t + 2]) for t in range(len(motion)))


def pair_warping_error(depth_m: Values, flow: Values, mask: Values) -> float:
    """Return the flow warping error of two frames, `2 H W`, with the flow `H W 2` from the first to the second."""
    depth, motion, valid = to_array(depth_m).astype(np.float64), to_array(flow).astype(np.float64), to_mask(mask)
    height, width = depth.shape[1:]
    rows, columns = np.nonzero(valid[0] & np.isfinite(motion).all(axis=-1))
    x, y = columns + motion[rows, columns, 0], rows + motion[rows, columns, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    rows, columns, x, y = rows[inside], columns[inside], x[inside], y[inside]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    warped, known = np.zeros(len(x)), np.ones(len(x), bool)
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        weight = (1 - np.abs(x - column)) * (1 - np.abs(y - row))
        # Beyond the last row and column the weight is zero; a masked pixel of weight zero does not matter.
        row, column = np.minimum(row, height - 1), np.minimum(column, width - 1)
        needed = weight > 0
        warped += np.where(needed, weight * np.where(valid[1, row, column], depth[1, row, column], 0), 0)
        known &= valid[1, row, column] | ~needed
    if not known.any():
        return math.nan
    return float(np.mean(np.abs(warped - depth[0, rows, columns])[known]))


def seam_error(earlier: Values, later: Values, fit: Affine | None = None, mask: Values | None = None) -> SeamError:
    """Compare two windows over their overlap (Fig. 6): disparity `T H W` of the frames that both have.

    `fit` maps the later window to the earlier one; None for the least-squares fit over the overlap (Eq. 9). `mask`, of
    the same shape, selects pixels. Raise ValueError where shapes differ or no pixel is left.
    """
    reference, window = to_array(earlier), to_array(later)
    valid = None if mask is None else to_mask(mask)
    sums = Moments()
    if reference.shape == window.shape and (valid is None or valid.shape == window.shape):
        sums.add(window, reference, valid)
    if not sums.count:
        shapes = f"{reference.shape} and {window.shape}" + ("" if valid is None else f" and mask {valid.shape}")
        raise ValueError(f"overlaps {shapes} must have one shape and a pixel to compare")
    affine = sums.fit() if fit is None else fit
    return error_from_sums(sums, affine.scale, affine.shift)


def error_from_sums(overlap: Moments, scale: float, shift: float) -> SeamError:
    """Return the seam error from running sums: the later window as source, the earlier one as target."""
    return SeamError(before=overlap.error(), after=overlap.error(scale, shift))


def _project(
    depth: Doubles, rotation: Doubles, translation: Doubles, camera: Doubles, other: Doubles, size: tuple[int, ...]
) -> Doubles:
    """Project depth `H W` into the camera `other` with images of `size`; 0 where there is no point."""
    y, x = np.nonzero(depth > 0)
    rays = np.stack([x, y, np.ones(len(x))]).astype(np.float64)
    points = rotation @ (np.linalg.inv(camera) @ rays * depth[y, x]) + translation.reshape(3, 1)
    points = points[:, points[2] > 0]
    pixels = np.rint((other @ points)[:2] / points[2])
    height, width = size
    inside = (pixels[0] >= 0) & (pixels[0] < width) & (pixels[1] >= 0) & (pixels[1] < height)
    column, row = pixels[:, inside].astype(int)
    seen = np.zeros(size)
    seen[row, column] = points[2, inside]
    return seen


def _pixels(frames: NDArray[np.floating], keep: Mask) -> tuple[Doubles, Doubles]:
    return frames[0][keep].astype(np.float64), frames[1][keep].astype(np.float64)


def _mean(pairs: Iterable[float]) -> float:
    known = [value for value in pairs if not math.isnan(value)]
    if not known:
        raise ValueError("no two neighbouring frames share a valid pixel, which a temporal metric needs")
    return float(np.mean(known))

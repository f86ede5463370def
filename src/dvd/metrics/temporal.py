"""How steady depth is in time: relative temporal difference, temporal alignment error, flow warping error.

Every metric of a clip is the mean of one number per pair of neighbouring frames. The function of a pair is public too,
so that a sequence of any length can be scored two frames at a time. A pair that shares no valid pixel scores NaN and is
left out of the mean; a clip of such pairs only, or of one frame, is a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dvd.metrics.arrays import clip_of, to_array, to_mask

if TYPE_CHECKING:
    from dvd.metrics.arrays import Mask, Values

Doubles = NDArray[np.float64]


def relative_temporal_difference(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """How far the relative change from frame to frame is from the true one; `T H W`, metres, `mask` where truth is.

    Root mean square of (d′ − d) / d − (d*′ − d*) / d* over the pixels that are valid in both frames of a pair, then
    the mean over pairs (the release's `relative_temporal_diff`).
    """
    depth, truth, valid = clip_of(depth_m, truth_m, mask)
    return _mean(
        pair_temporal_difference(depth[t : t + 2], truth[t : t + 2], valid[t : t + 2]) for t in range(len(depth) - 1)
    )


def pair_temporal_difference(depth_m: Values, truth_m: Values, mask: Values) -> float:
    """The relative temporal difference of two frames, `2 H W`."""
    depth, truth, valid = clip_of(depth_m, truth_m, mask)
    both = valid[0] & valid[1]
    if not both.any():
        return math.nan
    changes = [(late - early) / early for early, late in (_pixels(depth, both), _pixels(truth, both))]
    return float(np.sqrt(np.mean((changes[0] - changes[1]) ** 2)))


def temporal_alignment_error(depth_m: Values, poses: Values, intrinsics: Values, mask: Values | None = None) -> float:
    """TAE of Video Depth Anything (Chen et al. 2025): AbsRel between each frame and its neighbours seen from it.

    `depth_m`: `T H W`, metres. `poses`: `T 4 4`, camera to world, metres, x right, y down, z forward. `intrinsics`:
    `3 3` or `T 3 3`, pixels, with the centre of the first pixel at (0, 0). `mask`: `T H W`, the pixels of the frame
    compared with that count; all where none is given. The mean over pairs, both directions of each; a fraction (their
    tables give it × 100).
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
    """AbsRel of one frame's depth, carried into another camera, against that camera's depth; both `H W`, metres.

    `rotation` (`3 3`) and `translation` (`3`, metres) take points of the first camera to the second. Points land on
    the nearest pixel; where several do, the last in reading order stays, as in the original. `other_mask` selects
    pixels of the second frame. `other_intrinsics` are those of the first where none are given.
    """
    depth, other = to_array(depth_m).astype(np.float64), to_array(other_depth_m).astype(np.float64)
    camera = to_array(intrinsics).astype(np.float64)
    landing = camera if other_intrinsics is None else to_array(other_intrinsics).astype(np.float64)
    seen = _carry(depth, to_array(rotation), to_array(translation), camera, landing, other.shape)
    valid = (seen > 0) & (other > 0)
    if other_mask is not None:
        valid &= to_mask(other_mask)
    if not valid.any():
        return math.nan
    return float(np.mean(np.abs(seen[valid] - other[valid]) / other[valid]))


def flow_warping_error(depth_m: Values, flow: Values, mask: Values) -> float:
    """How much depth changes along given optical flow, metres: mean |d′(p + flow(p)) − d(p)| (Wang et al. 2023, OPW).

    `depth_m`, `mask`: `T H W`; `mask` holds where depth is to count, so take out what is occluded in the next frame.
    `flow`: `T−1 H W 2`, pixels to the right and down, from each frame to the next, which is read bilinearly. Pixels
    whose flow is not finite, leaves the frame or ends beside a masked pixel do not count.
    """
    depth, motion, valid = to_array(depth_m), to_array(flow), to_mask(mask)
    if depth.ndim != 3 or valid.shape != depth.shape or motion.shape != (len(depth) - 1, *depth.shape[1:], 2):
        raise ValueError(
            f"depth {depth.shape}, flow {motion.shape} and mask {valid.shape} must be T H W, T-1 H W 2, T H W"
        )
    return _mean(pair_warping_error(depth[t : t + 2], motion[t], valid[t : t + 2]) for t in range(len(motion)))


def pair_warping_error(depth_m: Values, flow: Values, mask: Values) -> float:
    """The flow warping error of two frames, `2 H W`, by the flow `H W 2` from the first to the second."""
    depth, motion, valid = to_array(depth_m).astype(np.float64), to_array(flow).astype(np.float64), to_mask(mask)
    height, width = depth.shape[1:]
    rows, columns = np.nonzero(valid[0] & np.isfinite(motion).all(axis=-1))
    x, y = columns + motion[rows, columns, 0], rows + motion[rows, columns, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    rows, columns, x, y = rows[inside], columns[inside], x[inside], y[inside]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    arrived, known = np.zeros(len(x)), np.ones(len(x), bool)
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        weight = (1 - np.abs(x - column)) * (1 - np.abs(y - row))
        # Beyond the last row and column the weight is zero, and so it is at a masked pixel that does not matter.
        row, column = np.minimum(row, height - 1), np.minimum(column, width - 1)
        needed = weight > 0
        arrived += np.where(needed, weight * np.where(valid[1, row, column], depth[1, row, column], 0), 0)
        known &= valid[1, row, column] | ~needed
    if not known.any():
        return math.nan
    return float(np.mean(np.abs(arrived - depth[0, rows, columns])[known]))


def _carry(
    depth: Doubles, rotation: Doubles, translation: Doubles, camera: Doubles, landing: Doubles, size: tuple[int, ...]
) -> Doubles:
    """Depth `H W` as another camera of `size` sees it: 0 where no point lands."""
    y, x = np.nonzero(depth > 0)
    rays = np.stack([x, y, np.ones(len(x))]).astype(np.float64)
    points = rotation @ (np.linalg.inv(camera) @ rays * depth[y, x]) + translation.reshape(3, 1)
    points = points[:, points[2] > 0]
    pixels = np.rint((landing @ points)[:2] / points[2])
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

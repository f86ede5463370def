"""Score one sequence against its truth, frame by frame: a protocol's metrics, and AbsRel per clip and per frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dvd.align import AffineFit
from dvd.evaluation.protocol import RGB_BOUNDARY, SI_BOUNDARY, Protocol
from dvd.evaluation.sequences import EvalFrame
from dvd.metrics import (
    ACCURACY,
    Alignment,
    EdgeCounts,
    count_edges,
    pair_alignment_error,
    pair_temporal_difference,
    pair_warping_error,
    score_frame,
    si_boundary_f1,
    to_depth_m,
)
from dvd.names import Space

DENSE = 0.5
"""The least share of known pixels for the scale-invariant boundary score, which needs a dense truth."""

Scores = dict[str, float]


def counted(frame: EvalFrame, protocol: Protocol) -> NDArray[np.bool_]:
    """Return the pixels `H W` that are measured: the frame's mask, narrowed to the protocol's range if it has one."""
    if protocol.range_m is None:
        return frame.mask
    low, high = protocol.range_m
    with np.errstate(invalid="ignore"):
        return frame.mask & (frame.depth_m >= low) & (frame.depth_m <= high)


def in_space(prediction: NDArray, predicted: Space, protocol: Protocol) -> NDArray:
    """Convert a prediction of any shape from the space `predicted` to the protocol's; 0 where it is not positive.

    First it is raised to the protocol's least prediction, if there is one.
    """
    if protocol.least_prediction is not None:
        prediction = np.maximum(prediction, np.float32(protocol.least_prediction))
    if predicted == protocol.space:
        return prediction
    inverse = np.zeros_like(prediction)
    # Not "> 0", so that NaN stays NaN and is noticed.
    np.divide(1, prediction, out=inverse, where=~(prediction <= 0))
    return inverse


class Fits:
    """Gathers the frames of one sequence in order, for the scale and shift of the protocol's scope."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self._clip = Alignment(protocol.space, protocol.fit)
        self._first = Alignment(protocol.space, protocol.fit) if protocol.scope == "first-window" else None
        self.frames = 0

    def add(self, prediction: NDArray, frame: EvalFrame, mask: NDArray[np.bool_]) -> None:
        """Add a frame. Raise InputError if the prediction is not finite at a valid pixel."""
        self._clip.add(prediction, frame.depth_m, mask)
        if self._first is not None and self.frames < self.protocol.window:
            self._first.add(prediction, frame.depth_m, mask)
        self.frames += 1

    def clip(self) -> AffineFit:
        """Return the fit over all frames. Raise InputError if no pixel counted."""
        return self._clip.solve()

    def scope(self) -> AffineFit | None:
        """Return the fit that all frames are measured with; None if each has its own."""
        if self.protocol.scope == "frame":
            return None
        return self.clip() if self._first is None else self._first.solve()


@dataclass
class _Earlier:
    """The previous frame, for the metrics of pairs."""

    frame: EvalFrame
    depth_m: NDArray[np.float64]
    mask: NDArray[np.bool_]


@dataclass
class SequenceScores:
    """Scores the frames of a sequence in order. `per_frame` has a value or None for every frame.

    The temporal metrics of two neighbouring frames are those of the later frame. Beside the protocol's metrics there
    are `abs_rel_per_clip` and `abs_rel_per_frame`, AbsRel with one scale and shift for the clip and for each frame.
    """

    protocol: Protocol
    range_m: tuple[float, float]
    clip_fit: AffineFit
    scope_fit: AffineFit | None
    per_frame: dict[str, list[float | None]] = field(default_factory=dict)
    _edges: EdgeCounts = field(default_factory=EdgeCounts)
    _earlier: _Earlier | None = None
    _count: int = 0

    def add(self, prediction: NDArray, frame: EvalFrame, mask: NDArray[np.bool_]) -> None:
        """Score a frame; `prediction` `H W` in the protocol's space. A frame without a valid pixel has no values."""
        if mask.any():
            depth_m, scores = self._aligned(prediction, frame, mask)
            scores |= self._of_frame(depth_m, frame, mask)
            scores |= self._of_pair(depth_m, frame, mask)
            self._earlier = _Earlier(frame, depth_m, mask)
            self._append(scores)
        else:
            self._earlier = None
            self._append({})

    def depth_m(self, prediction: NDArray, frame: EvalFrame, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return a frame's depth `H W` in metres, aligned with the fit of the protocol's scope."""
        return self._to_depth_m(prediction, self.scope_fit or _fit_of(prediction, frame, mask, self.protocol))

    def means(self) -> Scores:
        """Return the mean of each metric over the frames that have it; RGB boundary scores from summed counts.

        `wander` is AbsRel per clip over AbsRel per frame: about 1 if one scale and shift fits every frame alike.
        """
        known = {name: [v for v in values if v is not None] for name, values in self.per_frame.items()}
        means = {name: float(np.mean(values)) for name, values in known.items() if values and name not in _FITS}
        means |= {name: value for name, value in _named(self._edges).items() if name in means}
        if self._count > 1 and means.get("abs_rel_per_frame"):
            means["wander"] = means["abs_rel_per_clip"] / means["abs_rel_per_frame"]
        return means

    def _aligned(
        self, prediction: NDArray, frame: EvalFrame, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], Scores]:
        """Return the depth in metres as the protocol aligns it, and AbsRel with the clip's fit and the frame's own."""
        own = _fit_of(prediction, frame, mask, self.protocol)
        scores = {"frame_scale": own.scale, "frame_shift": own.shift}
        depths: dict[str, NDArray[np.float64]] = {}
        for name, fit in (("abs_rel_per_clip", self.clip_fit), ("abs_rel_per_frame", own)):
            depths[name] = self._to_depth_m(prediction, fit)
            scores |= {name: score_frame(depths[name], frame.depth_m, mask, ("abs_rel",))["abs_rel"]}
        if self.scope_fit is None:
            return depths["abs_rel_per_frame"], scores
        if self.scope_fit == self.clip_fit:
            return depths["abs_rel_per_clip"], scores
        return self._to_depth_m(prediction, self.scope_fit), scores

    def _to_depth_m(self, prediction: NDArray, fit: AffineFit) -> NDArray[np.float64]:
        return to_depth_m(prediction, fit, self.protocol.space, self.range_m, self.protocol.least_disparity)

    def _of_frame(self, depth_m: NDArray[np.float64], frame: EvalFrame, mask: NDArray[np.bool_]) -> Scores:
        wanted = self.protocol.metrics
        scores = score_frame(depth_m, frame.depth_m, mask, [name for name in wanted if name in ACCURACY])
        if any(name in wanted for name in RGB_BOUNDARY):
            edges = count_edges(depth_m.astype(np.float32), frame.rgb, mask)
            self._edges += edges
            scores |= {name: value for name, value in _named(edges).items() if name in wanted}
        if SI_BOUNDARY[0] in wanted and mask.mean() >= DENSE:
            truth_m = np.where(mask, frame.depth_m, 1).astype(np.float32)
            scores[SI_BOUNDARY[0]] = float(si_boundary_f1(depth_m.astype(np.float32), truth_m, mask))
        return scores

    def _of_pair(self, depth_m: NDArray[np.float64], frame: EvalFrame, mask: NDArray[np.bool_]) -> Scores:
        earlier, wanted, scores = self._earlier, self.protocol.metrics, {}
        if earlier is None:
            return {}
        if "relative_temporal_difference" in wanted:
            pair = ((earlier.depth_m, depth_m), (earlier.frame.depth_m, frame.depth_m), (earlier.mask, mask))
            scores["relative_temporal_difference"] = pair_temporal_difference(*map(np.stack, pair))
        if "temporal_alignment_error" in wanted:
            both_ways = list(_alignment_errors(earlier.frame, earlier.depth_m, frame, depth_m))
            scores["temporal_alignment_error"] = float(np.mean(both_ways)) if both_ways else math.nan
        if "flow_warping_error" in wanted and (flow := earlier.frame.flow) is not None:
            depths, masks = np.stack((earlier.depth_m, depth_m)), np.stack((earlier.mask, mask))
            scores["flow_warping_error"] = pair_warping_error(depths, flow, masks)
        return scores

    def _append(self, scores: Scores) -> None:
        for name in dict.fromkeys([*self.per_frame, *scores]):
            value = scores.get(name, math.nan)
            column = self.per_frame.setdefault(name, [None] * self._count)
            column.append(value if math.isfinite(value) else None)
        self._count += 1


_FITS = ("frame_scale", "frame_shift")
"""Values of a frame that have no meaningful mean."""


def _fit_of(prediction: NDArray, frame: EvalFrame, mask: NDArray[np.bool_], protocol: Protocol) -> AffineFit:
    """Return the frame's own fit; its values are NaN if no pixel counts."""
    alignment = Alignment(protocol.space, protocol.fit)
    if not alignment.add(prediction, frame.depth_m, mask):
        return AffineFit(math.nan, math.nan, math.nan, math.nan, 0, "no pixels")
    return alignment.solve()


def _named(edges: EdgeCounts) -> Scores:
    return {f"rgb_boundary_{name}": value for name, value in edges.scores().items()}


def _alignment_errors(
    one: EvalFrame, one_m: NDArray[np.float64], other: EvalFrame, other_m: NDArray[np.float64]
) -> Iterator[float]:
    """Yield the error of each frame's depth in the other's view; nothing if a camera is unknown."""
    if one.pose is None or other.pose is None or one.intrinsics is None or other.intrinsics is None:
        return
    motion = np.linalg.inv(other.pose) @ one.pose
    back = np.linalg.inv(motion)
    for error in (
        pair_alignment_error(
            one_m, other_m, motion[:3, :3], motion[:3, 3], one.intrinsics, other_intrinsics=other.intrinsics
        ),
        pair_alignment_error(
            other_m, one_m, back[:3, :3], back[:3, 3], other.intrinsics, other_intrinsics=one.intrinsics
        ),
    ):
        if not math.isnan(error):
            yield error

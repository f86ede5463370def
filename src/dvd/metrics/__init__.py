"""Metrics of depth as pure functions on arrays: NumPy or torch in, Python floats out (Tables 1–4, Fig. 6).

Metrics take `depth_m` in metres, and `truth_m` and `mask` where needed; `align` converts disparity to such depth. Torch
tensors are copied to the host; torch itself is never imported here.
"""

from dvd.metrics.accuracy import (
    ACCURACY,
    abs_rel,
    delta1,
    delta2,
    delta3,
    inverse_rmse,
    log10,
    rmse,
    rmse_log,
    score_frame,
    silog,
    sq_rel,
)
from dvd.metrics.alignment import LEAST_DISPARITY, Alignment, Medians, ScaleSums, align, to_depth_m
from dvd.metrics.arrays import Array, Mask
from dvd.metrics.boundary import si_boundary_f1, si_boundary_recall
from dvd.metrics.rgb_edges import EdgeCounts, count_edges, rgb_boundary
from dvd.metrics.temporal import (
    SeamError,
    flow_warping_error,
    pair_alignment_error,
    pair_temporal_difference,
    pair_warping_error,
    relative_temporal_difference,
    seam_error,
    temporal_alignment_error,
)

__all__ = [
    "ACCURACY",
    "LEAST_DISPARITY",
    "Alignment",
    "Array",
    "EdgeCounts",
    "Mask",
    "Medians",
    "ScaleSums",
    "SeamError",
    "abs_rel",
    "align",
    "count_edges",
    "delta1",
    "delta2",
    "delta3",
    "flow_warping_error",
    "inverse_rmse",
    "log10",
    "pair_alignment_error",
    "pair_temporal_difference",
    "pair_warping_error",
    "relative_temporal_difference",
    "rgb_boundary",
    "rmse",
    "rmse_log",
    "score_frame",
    "seam_error",
    "si_boundary_f1",
    "si_boundary_recall",
    "silog",
    "sq_rel",
    "temporal_alignment_error",
    "to_depth_m",
]

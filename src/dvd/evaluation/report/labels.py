"""How metrics and data sets are printed: label, factor, unit, decimals, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

Better = Literal["lower", "higher"]

MISSING = "–"


@dataclass(frozen=True)
class Label:
    """How a metric is printed: its value × `factor`, in `unit` ("1" for a fraction), with `digits` decimals.

    `better` is None if neither way is better, or it is not known.
    """

    text: str
    better: Better | None = None
    factor: float = 1
    unit: str = "1"
    digits: int = 3

    @property
    def arrow(self) -> str:
        return {"lower": "↓", "higher": "↑", None: ""}[self.better]

    @property
    def heading(self) -> str:
        """The label as the head of a column, such as AbsRel↓."""
        return f"{self.text}{self.arrow}"

    def show(self, value: float | None) -> str:
        """Print a measured value; a dash if it is None or not finite."""
        if value is None or not math.isfinite(value):
            return MISSING
        return f"{value * self.factor:.{self.digits}f}"


METRICS: Mapping[str, Label] = MappingProxyType(
    {
        "abs_rel": Label("AbsRel", "lower", 100, "× 100", 1),
        "sq_rel": Label("SqRel", "lower", unit="m"),
        "rmse": Label("RMSE", "lower", unit="m"),
        "rmse_log": Label("RMSE log", "lower"),
        "log10": Label("log10", "lower"),
        "delta1": Label("δ1", "higher"),
        "delta2": Label("δ2", "higher"),
        "delta3": Label("δ3", "higher"),
        "inverse_rmse": Label("iRMSE", "lower", unit="1/m", digits=4),
        "silog": Label("SILog", "lower", unit="× 100", digits=2),
        "boundary_recall": Label("B-Recall", "higher"),
        "boundary_f1": Label("B-F1", "higher"),
        "rgb_boundary_recall": Label("B-Recall (RGB edges)", "higher"),
        "rgb_boundary_precision": Label("B-Precision (RGB edges)", "higher"),
        "rgb_boundary_f1": Label("B-F1 (RGB edges)", "higher"),
        "si_boundary_recall": Label("B-Recall (scale-invariant)", "higher"),
        "si_boundary_f1": Label("B-F1 (scale-invariant)", "higher"),
        "relative_temporal_difference": Label("RTD", "lower", digits=4),
        "temporal_alignment_error": Label("TAE", "lower", 100, "× 100", 2),
        "flow_warping_error": Label("OPW", "lower", unit="m", digits=4),
        "wander": Label("AbsRel per clip / per frame", "lower"),
        "seam_error_before": Label("Seam error before alignment", "lower", digits=5),
        "seam_error_after": Label("Seam error after alignment", "lower", digits=5),
        "frame_scale": Label("Scale of the frame", digits=4),
        "frame_shift": Label("Shift of the frame", digits=4),
    }
)
"""By name; the accuracy and boundary labels, units and decimals are those of Tables 1–4."""

_DATASETS = MappingProxyType(
    {
        **{"kitti": "KITTI", "scannet": "ScanNet", "bonn": "Bonn", "sintel": "Sintel", "nyuv2": "NYUv2"},
        **{"diode": "DIODE", "eth3d": "ETH3D", "tum": "TUM"},
    }
)


def label(metric: str) -> Label:
    """Return the label of a metric, or one like its base metric's (abs_rel for abs_rel_per_frame).

    The label of an unknown metric is its name.
    """
    if metric in METRICS:
        return METRICS[metric]
    known = [name for name in METRICS if metric.startswith(f"{name}_")]
    if not known:
        return Label(metric, digits=4)
    base = max(known, key=len)
    return replace(METRICS[base], text=f"{METRICS[base].text} {metric.removeprefix(f'{base}_').replace('_', ' ')}")


def dataset_label(name: str) -> str:
    """Return a data set's name as the field writes it; unknown names stay as they are."""
    return _DATASETS.get(name, name)

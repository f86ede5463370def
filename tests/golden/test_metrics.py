"""The release's accuracy metrics and alignment on the golden clip."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dvd import metrics

GOLDEN = Path(__file__).parent
NAMES = {
    "abs_relative_difference": metrics.abs_rel,
    "squared_relative_difference": metrics.sq_rel,
    "rmse_linear": metrics.rmse,
    "rmse_log": metrics.rmse_log,
    "log10": metrics.log10,
    "delta1_acc": metrics.delta1,
    "delta2_acc": metrics.delta2,
    "delta3_acc": metrics.delta3,
    "i_rmse": metrics.inverse_rmse,
    "silog_rmse": metrics.silog,
}


@pytest.fixture(scope="module")
def clip() -> dict[str, np.ndarray]:
    tensors = load_file(str(GOLDEN / "tensors.safetensors"))
    return {name.removeprefix("metric."): tensor for name, tensor in tensors.items() if name.startswith("metric.")}


@pytest.mark.parametrize("name", NAMES)
def test_metric_is_that_of_the_release(name: str, clip: dict[str, np.ndarray]) -> None:
    wanted = json.loads((GOLDEN / "values.json").read_text())["metrics"][name]
    value = NAMES[name](clip["aligned_depth"], clip["gt_depth"], clip["mask"] > 0)
    assert value == pytest.approx(wanted, rel=1e-4)


def test_aligned_depth_is_that_of_the_release(clip: dict[str, np.ndarray]) -> None:
    depth_m = metrics.align(clip["pred_disparity"], clip["gt_depth"], clip["mask"] > 0, (0.1, 10.0))
    error = np.linalg.norm(depth_m - clip["aligned_depth"]) / np.linalg.norm(clip["aligned_depth"])
    assert error <= 1e-4

"""The release's one scale and shift for a whole clip."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dvd.align import fit

GOLDEN = Path(__file__).parent


def test_scale_and_shift_are_those_of_the_release() -> None:
    tensors = load_file(str(GOLDEN / "tensors.safetensors"))
    wanted = json.loads((GOLDEN / "values.json").read_text())["align"]
    mask = tensors["metric.mask"] > 0
    found = fit(tensors["metric.pred_disparity"], 1 / tensors["metric.gt_depth"].astype(np.float64), mask)
    assert found.scale == pytest.approx(wanted["scale"], rel=1e-4)
    assert found.shift == pytest.approx(wanted["shift"], rel=1e-4)
    assert found.count == mask.sum()

"""The release's loss values on the golden latents."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from dvd.losses import lmr_loss

GOLDEN = Path(__file__).parent


def test_loss_terms_are_those_of_the_release() -> None:
    tensors = load_file(str(GOLDEN / "tensors.safetensors"))
    wanted = json.loads((GOLDEN / "values.json").read_text())["loss"]
    total, terms = lmr_loss(tensors["loss.pred"], tensors["loss.target"])
    assert float(terms["point"]) == pytest.approx(wanted["mse"], rel=1e-4)
    for name in ("temporal", "height", "width"):
        assert float(terms[name]) == pytest.approx(wanted[name], rel=1e-4)
    assert float(total) == pytest.approx(wanted["total"], rel=1e-4)

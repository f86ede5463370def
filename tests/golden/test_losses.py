"""The release's loss values, on the golden latents and on the first training step of the golden network."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dvd.backbones import registry
from dvd.backbones.wan.backbone import WanBackbone
from dvd.losses import Objective, lmr_loss, objective_loss

GOLDEN = Path(__file__).parent
LOSS = json.loads((GOLDEN / "values.json").read_text())["loss"]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(str(GOLDEN / "tensors.safetensors"))


def test_loss_terms_are_those_of_the_release(tensors: dict[str, Tensor]) -> None:
    total, terms = lmr_loss(tensors["loss.pred"], tensors["loss.target"])
    assert float(terms["point"]) == pytest.approx(LOSS["mse"], rel=1e-4)
    for name in ("temporal", "height", "width"):
        assert float(terms[name]) == pytest.approx(LOSS[name], rel=1e-4)
    assert float(total) == pytest.approx(LOSS["total"], rel=1e-4)


def test_a_training_step_loses_what_the_release_loses(tensors: dict[str, Tensor]) -> None:
    backbone = registry.load(GOLDEN, dtype=torch.float32)
    assert isinstance(backbone, WanBackbone)
    with torch.no_grad():
        predicted = backbone.transformer(tensors["train.rgb_latent"][None], 500.0)
    total, terms = objective_loss(Objective(), predicted, tensors["train.depth_latent"][None])
    wanted = LOSS["train_step"]
    assert float(terms["point"]) == pytest.approx(wanted["mse"], rel=1e-4)
    for name in ("temporal", "height", "width"):
        assert float(terms[name]) == pytest.approx(wanted[name], rel=1e-4)
    assert float(total) == pytest.approx(wanted["total"], rel=1e-4)

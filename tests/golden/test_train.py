"""One training step as the release takes it: latents, loss terms, gradient norm, and LoRA after AdamW."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dvd.backbones.wan.checkpoints import load_vae
from dvd.backbones.wan.training import WanCodec
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import WanVAE
from dvd.backbones.wan.weights import open_weights
from dvd.train.adapters import load_adapted
from dvd.train.mixture import Batch
from dvd.train.tasks import AdaptPhase, AdaptTask

GOLDEN = Path(__file__).parent
CONFIG = json.loads((GOLDEN / "config.json").read_text())
STEP = json.loads((GOLDEN / "values.json").read_text())["loss"]["train_step"]
TENSORS = load_file(str(GOLDEN / "tensors.safetensors"))
AFTER = "train.after_step."


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    return load_vae(open_weights(GOLDEN / "wan_vae_tiny.pth"), CONFIG["vae"]).requires_grad_(False)


def open_transformer(release_layout: bool = False) -> WanTransformer:
    """The golden checkpoint with its own A and B, unmerged."""
    weights = open_weights(GOLDEN / "dvd_tiny.safetensors")
    return load_adapted(weights, CONFIG["transformer"], CONFIG["lora"], release_layout)


def relative(got: Tensor, wanted: Tensor) -> float:
    assert got.shape == wanted.shape
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


def batch() -> Batch:
    rgb, disparity = (TENSORS[f"train.{name}"].transpose(0, 1).unsqueeze(0) for name in ("rgb", "disparity"))
    return Batch("video", "golden", rgb * 2 - 1, disparity, seeds=(0,))  # here disparity has three channels of its own


def task(vae: WanVAE, release_layout: bool = False) -> AdaptTask:
    """The trainer's own step, its defaults being the release's."""
    phase = AdaptPhase(name="golden", steps=1, tau=CONFIG["anchor_timestep"] / 1000)
    assert (phase.rate, phase.weight_decay, phase.clip_norm) == (STEP["lr"], STEP["weight_decay"], 1)
    return AdaptTask(open_transformer(release_layout), WanCodec(vae), phase, lambda step: [])


def clip(transformer: nn.Module) -> float:
    return float(torch.nn.utils.clip_grad_norm_(transformer.parameters(), 1.0))


def test_latents(vae: WanVAE) -> None:
    codec = WanCodec(vae)
    assert relative(codec.inputs(batch().rgb)[0], TENSORS["train.rgb_latent"]) < 1e-5
    assert relative(codec.target(batch().disparity)[0], TENSORS["train.depth_latent"]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("release_layout", [False, True])
def test_one_step(vae: WanVAE, release_layout: bool) -> None:
    """Only LoRA learns, and whether the unreachable pairs are there makes no difference."""
    trained = task(vae, release_layout)
    transformer, (optimizer,) = trained.module, trained.optimizers()
    before = {name: value.clone() for name, value in transformer.state_dict().items()}
    total, terms = trained.loss(transformer, batch())
    names = {"point": "mse", "temporal": "temporal", "height": "height", "width": "width"}
    for ours, theirs in names.items():
        assert terms[ours].item() == pytest.approx(STEP[theirs], rel=1e-4)
    assert total.item() == pytest.approx(STEP["total"], rel=1e-4)

    total.backward()
    assert clip(transformer) == pytest.approx(STEP["grad_norm_before_clip"], rel=1e-4)
    optimizer.step()

    after = transformer.state_dict()
    keys = [key for key in TENSORS if key.startswith(AFTER)]
    for key in keys:
        name = key.removeprefix(AFTER)
        assert relative(after[name], TENSORS[key]) < 1e-4
        # The step is far smaller than the weights: it must be the same by itself.
        assert relative(after[name] - before[name], TENSORS[key] - before[name]) < 1e-3
    assert len(keys) == 2
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {name for name, value in transformer.named_parameters() if value.requires_grad}


@pytest.mark.slow
def test_the_gradient_norm_covers_the_trained_parameters(vae: WanVAE) -> None:
    """If anything beside LoRA had learned there, the norm would be another."""
    trained = task(vae)
    trained.module.requires_grad_(True)
    trained.loss(trained.module, batch())[0].backward()
    assert clip(trained.module) > 1.1 * STEP["grad_norm_before_clip"]

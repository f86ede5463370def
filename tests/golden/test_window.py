"""The release's numbers for one window, one image and other anchors, through the networks themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dvd.backbones import registry
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.fold import fold
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import WanVAE

GOLDEN = Path(__file__).parent
CONFIG = json.loads((GOLDEN / "config.json").read_text())
ANCHOR = CONFIG["anchor_timestep"]


@pytest.fixture(scope="module")
def opened() -> WanBackbone:
    backbone = registry.load(GOLDEN, dtype=torch.float32)
    assert isinstance(backbone, WanBackbone)
    return backbone


@pytest.fixture(scope="module")
def transformer(opened: WanBackbone) -> WanTransformer:
    return opened.transformer.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def vae(opened: WanBackbone) -> WanVAE:
    return opened.vae.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(str(GOLDEN / "tensors.safetensors"))


def relative(got: Tensor, wanted: Tensor) -> float:
    assert got.shape == wanted.shape
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


def enter(rgb: Tensor) -> Tensor:
    """`T 3 H W` in [0, 1] → `1 3 T H W` in [-1, 1]."""
    return rgb.transpose(0, 1)[None] * 2 - 1


def leave(video: Tensor) -> Tensor:
    """`1 C T H W` in [-1, 1] → `T H W C` in [0, 1]."""
    return ((video.clamp(-1, 1) + 1) / 2)[0].permute(1, 2, 3, 0)


@pytest.mark.parametrize("chunk", [None, 1, 2])
def test_window(transformer: WanTransformer, vae: WanVAE, tensors: dict[str, Tensor], chunk: int | None) -> None:
    rgb_latent = vae.encode(enter(tensors["window.rgb"]), chunk)
    assert relative(rgb_latent[0], tensors["window.rgb_latent"]) < 1e-5
    depth_latent = transformer(rgb_latent, ANCHOR)
    assert relative(depth_latent[0], tensors["window.depth_latent"]) < 1e-5
    assert relative(leave(vae.decode(depth_latent, chunk)), tensors["window.depth"]) < 1e-5


def test_image(transformer: WanTransformer, vae: WanVAE, tensors: dict[str, Tensor]) -> None:
    frames = vae.decode(transformer(vae.encode(enter(tensors["image.rgb"])), ANCHOR))
    assert relative(leave(frames), tensors["image.depth"]) < 1e-5


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("tau", ["0.0", "0.1", "0.5", "0.9", "1.0"])
def test_anchors(transformer: WanTransformer, tensors: dict[str, Tensor], tau: str, folded: bool) -> None:
    latent, timestep = tensors["window.rgb_latent"][None], 1000 * float(tau)
    got = fold(transformer, timestep)(latent) if folded else transformer(latent, timestep)
    wanted = tensors["window.depth_latent" if tau == "0.5" else f"anchor.{tau}.depth_latent"]
    assert relative(got[0], wanted) < 1e-5


def test_half_width_stays_near(transformer: WanTransformer, vae: WanVAE, tensors: dict[str, Tensor]) -> None:
    latent = tensors["window.rgb_latent"][None].bfloat16()
    got = fold(transformer, ANCHOR).bfloat16()(latent)
    assert relative(got[0], tensors["window.depth_latent"]) < 2e-2

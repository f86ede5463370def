"""diffusers' classes, filled with the golden weights through diffusers' own converters, agree with ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dvd.backbones.wan.checkpoints import load_transformer
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.backbones.wan.weights import open_weights

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: pip install 'dvd-depth[diffusers]'")

GOLDEN = Path(__file__).parent
CONFIG = json.loads((GOLDEN / "config.json").read_text())


def relative(got: Tensor, wanted: Tensor) -> float:
    assert got.shape == wanted.shape
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(str(GOLDEN / "tensors.safetensors"))


def merged() -> dict[str, Tensor]:
    """The golden transformer in the original layout, adapters merged."""
    return dict(
        load_transformer(
            open_weights(GOLDEN / "dvd_tiny.safetensors"), CONFIG["transformer"], CONFIG["lora"]
        ).state_dict()
    )


def tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


@pytest.mark.slow
@pytest.mark.parametrize("timestep", [0.0, 500.0])
def test_transformers_agree(tensors: dict[str, Tensor], timestep: float) -> None:
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    sizes = tuples({name: value for name, value in CONFIG["transformer"].items() if name != "has_image_input"})
    ours = WanTransformer(TransformerConfig(**sizes))
    ours.load_state_dict(merged())
    theirs = diffusers.WanTransformer3DModel(
        patch_size=sizes["patch_size"],
        num_attention_heads=sizes["num_heads"],
        attention_head_dim=sizes["dim"] // sizes["num_heads"],
        in_channels=sizes["in_dim"],
        out_channels=sizes["out_dim"],
        text_dim=sizes["text_dim"],
        freq_dim=sizes["freq_dim"],
        ffn_dim=sizes["ffn_dim"],
        num_layers=sizes["num_layers"],
        eps=sizes["eps"],
    ).eval()
    theirs.load_state_dict(convert_wan_transformer_to_diffusers(merged()))
    latent, text = tensors["window.rgb_latent"][None], torch.zeros(1, 512, sizes["text_dim"])
    with torch.no_grad():
        wanted = theirs(latent, torch.tensor([timestep]), text, return_dict=False)[0]
        assert relative(ours(latent, timestep), wanted) < 1e-5
        speech = torch.randn(1, 512, sizes["text_dim"], generator=torch.Generator().manual_seed(0))
        wanted = theirs(latent, torch.tensor([timestep]), speech, return_dict=False)[0]
        assert relative(ours(latent, timestep, speech), wanted) < 1e-5


@pytest.mark.slow
def test_vaes_agree(tensors: dict[str, Tensor]) -> None:
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    state = torch.load(GOLDEN / "wan_vae_tiny.pth", weights_only=True)
    config = VAEConfig(**tuples(CONFIG["vae"]))
    ours = WanVAE(config)
    ours.load_state_dict(state)
    theirs = diffusers.AutoencoderKLWan(
        base_dim=config.dim,
        z_dim=config.z_dim,
        dim_mult=list(config.dim_mult),
        num_res_blocks=config.num_res_blocks,
        temperal_downsample=list(config.temporal_downsample),
    ).eval()
    theirs.load_state_dict(convert_wan_vae_to_diffusers(dict(state)))
    rgb = tensors["window.rgb"].transpose(0, 1)[None] * 2 - 1
    with torch.no_grad():
        posterior = theirs.encode(rgb).latent_dist
        mean, log_variance = ours.posterior(rgb)
        assert relative(mean, posterior.mean) < 1e-5
        assert relative(log_variance.clamp(-30, 20), posterior.logvar) < 1e-5
        latent = ours.encode(rgb)
        frames = theirs.decode(mean, return_dict=False)[0]
        assert relative(ours.decode(latent).clamp(-1, 1), frames.clamp(-1, 1)) < 1e-5

"""The golden model opened as a user opens it, in every layout, with the release's numbers coming out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dvd.backbones import registry
from dvd.backbones.base import Backbone
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.names import rename, transformer_table, vae_table

GOLDEN = Path(__file__).parent
CONFIG = json.loads((GOLDEN / "config.json").read_text())
TENSORS = load_file(str(GOLDEN / "tensors.safetensors"))


@pytest.fixture(scope="module")
def backbone() -> WanBackbone:
    opened = registry.load(GOLDEN, dtype=torch.float32)
    assert isinstance(opened, WanBackbone)
    return opened


def relative_error(value: Tensor, wanted: Tensor) -> float:
    return float((value - wanted).norm() / wanted.norm())


def rgb(key: str) -> Tensor:
    return TENSORS[f"{key}.rgb"].transpose(0, 1).unsqueeze(0) * 2 - 1  # B 3 T H W


def disparity(backbone: Backbone, key: str, tau: float = 0.5) -> Tensor:
    depth_latent = backbone.forward(backbone.encode(rgb(key)), 1000 * tau)
    return backbone.decode(depth_latent).clamp(-1, 1).add(1).div(2)[0].permute(1, 2, 3, 0)  # T H W 3


def save(path: Path, state: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state.items()}, str(path))


def merged(backbone: WanBackbone, folder: Path) -> None:
    save(folder / "any name.safetensors", {f"pipe.dit.{k}": v for k, v in backbone.transformer.state_dict().items()})
    shutil.copy(GOLDEN / "wan_vae_tiny.pth", folder)
    shutil.copy(GOLDEN / "config.json", folder)


def without_prefix(backbone: WanBackbone, folder: Path) -> None:
    raw = load_file(str(GOLDEN / "dvd_tiny.safetensors"))
    save(folder / "model.safetensors", {name.removeprefix("pipe.dit."): value for name, value in raw.items()})
    save(folder / "autoencoder.safetensors", dict(backbone.vae.state_dict()))
    shutil.copy(GOLDEN / "config.json", folder)


def all_pth(backbone: WanBackbone, folder: Path) -> None:
    torch.save(load_file(str(GOLDEN / "dvd_tiny.safetensors")), folder / "transformer.pth")
    shutil.copy(GOLDEN / "wan_vae_tiny.pth", folder / "Wan2.1_VAE.pth")
    shutil.copy(GOLDEN / "config.json", folder)


def diffusers_layout(backbone: WanBackbone, folder: Path) -> None:
    sizes, vae = CONFIG["transformer"], CONFIG["vae"]
    tables = {"transformer": transformer_table(sizes["num_layers"]), "vae": vae_table(vae["num_res_blocks"], 4)}
    states = {"transformer": backbone.transformer.state_dict(), "vae": backbone.vae.state_dict()}
    configs = {
        "transformer": {
            "_class_name": "WanTransformer3DModel",
            "num_attention_heads": sizes["num_heads"],
            "attention_head_dim": sizes["dim"] // sizes["num_heads"],
            "in_channels": sizes["in_dim"],
            "out_channels": sizes["out_dim"],
            "qk_norm": "rms_norm_across_heads",
            **{name: sizes[name] for name in ("ffn_dim", "text_dim", "freq_dim", "eps", "patch_size", "num_layers")},
        },
        "vae": {
            "_class_name": "AutoencoderKLWan",
            "base_dim": vae["dim"],
            "temperal_downsample": vae["temporal_downsample"],
            **{name: vae[name] for name in ("z_dim", "dim_mult", "num_res_blocks", "latents_mean", "latents_std")},
        },
    }
    for part, state in states.items():
        named = {rename(name, tables[part]): value for name, value in state.items()}
        save(folder / part / "diffusion_pytorch_model.safetensors", named)
        (folder / part / "config.json").write_text(json.dumps(configs[part]))


@pytest.mark.slow
def test_a_window_comes_out_as_the_releases(backbone: WanBackbone) -> None:
    latent = backbone.encode(rgb("window"))
    depth_latent = backbone.forward(latent, CONFIG["anchor_timestep"])
    assert relative_error(latent[0], TENSORS["window.rgb_latent"]) <= 1e-4
    assert relative_error(depth_latent[0], TENSORS["window.depth_latent"]) <= 1e-4
    assert relative_error(disparity(backbone, "window"), TENSORS["window.depth"]) <= 1e-4


def test_an_image_comes_out_as_the_releases(backbone: WanBackbone) -> None:
    assert relative_error(disparity(backbone, "image"), TENSORS["image.depth"]) <= 1e-4


def test_every_anchor_comes_out_as_the_releases_one_after_the_other(backbone: WanBackbone) -> None:
    latent = TENSORS["window.rgb_latent"].unsqueeze(0)
    anchors = sorted(key.removesuffix(".depth_latent") for key in TENSORS if key.startswith("anchor."))
    for key in (*anchors, anchors[0]):
        predicted = backbone.forward(latent, 1000 * float(key.removeprefix("anchor.")))
        assert relative_error(predicted[0], TENSORS[f"{key}.depth_latent"]) <= 1e-4
    assert len(anchors) == 4


def test_the_card_and_the_units(backbone: WanBackbone) -> None:
    assert (backbone.card.name, backbone.card.tau) == ("golden", 0.5)
    assert (backbone.time_factor, backbone.side_multiple) == (4, 16)
    assert (backbone.device, backbone.dtype) == (torch.device("cpu"), torch.float32)


def test_the_folded_transformer_is_kept_until_the_timestep_changes(backbone: WanBackbone) -> None:
    first = backbone.folded(500.0)
    assert backbone.folded(500.0) is first
    assert backbone.folded(900.0) is not first
    backbone.forget()
    assert backbone.folded(500.0) is not first


@pytest.mark.slow
def test_a_window_too_large_for_the_memory_goes_in_chunks_to_the_same_numbers(
    backbone: WanBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    decode = backbone.vae.decode
    monkeypatch.setattr(backbone.vae, "decode", lambda z, chunk: asked.append(chunk) or decode(z, chunk))
    whole = disparity(backbone, "window")
    monkeypatch.setattr(backbone, "vae_memory", 1)
    chunked = disparity(backbone, "window")
    assert asked == [None, 1]
    assert relative_error(chunked, whole) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("layout", [merged, without_prefix, all_pth, diffusers_layout])
def test_every_layout_gives_identical_disparity(
    layout: Callable[[WanBackbone, Path], None], backbone: WanBackbone, tmp_path: Path
) -> None:
    layout(backbone, tmp_path)
    other = registry.load(tmp_path)
    assert isinstance(other, WanBackbone)
    assert other.transformer.config == backbone.transformer.config
    assert other.vae.config == backbone.vae.config
    assert torch.equal(disparity(other, "window"), disparity(backbone, "window"))


def test_a_transformers_file_is_enough_beside_its_autoencoder(backbone: WanBackbone) -> None:
    other = registry.load(str(GOLDEN / "dvd_tiny.safetensors"))
    assert torch.equal(disparity(other, "image"), disparity(backbone, "image"))


@pytest.mark.slow
def test_bfloat16_comes_close_and_back(backbone: WanBackbone) -> None:
    half = registry.load(GOLDEN, dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    assert relative_error(disparity(half, "window").float(), TENSORS["window.depth"]) <= 0.05
    assert isinstance(half, WanBackbone)
    assert half.to(dtype=torch.float32).dtype == torch.float32
    assert disparity(half, "window").dtype == torch.float32

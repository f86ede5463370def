"""dvd-mini: folding, time groups, the model folder and its guards."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dvd.backbones import mini
from dvd.backbones.base import ModelCard
from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.errors import ModelError

CARD = ModelCard(name="tiny", licence="Apache-2.0", size=(32, 48))
SMALL = mini.MiniConfig(
    feature_channels=8,
    refine_channels=8,
    transformer=TransformerConfig(dim=32, in_dim=32, ffn_dim=64, text_dim=8, num_heads=2, num_layers=2),
    vae=VAEConfig(
        dim=8,
        dim_mult=(1, 2, 2),
        num_res_blocks=1,
        temporal_downsample=(True, True),
        latents_mean=tuple(0.1 * i for i in range(16)),
        latents_std=(2.0,) * 16,
        patch=2,
        channels=1,
    ),
)


@pytest.fixture
def network() -> mini.MiniNetwork:
    torch.manual_seed(0)
    made = mini.MiniNetwork(SMALL).eval()
    torch.nn.init.normal_(made.refinement.correct.weight, std=0.1)
    torch.nn.init.normal_(made.transformer.head.head.weight, std=0.1)
    return made


@pytest.fixture
def folder(tmp_path: Path, network: mini.MiniNetwork) -> Path:
    mini.save(tmp_path / "model", network, WanVAE(SMALL.vae), CARD, dtype=torch.float32)
    return tmp_path / "model"


@pytest.mark.slow
def test_the_shipped_sizes_keep_the_promise() -> None:
    config = mini.MiniConfig()
    with torch.device("meta"):
        parts = mini.MiniNetwork(config), WanVAE(config.vae, encoder=False)
    assert sum(p.numel() for part in parts for p in part.parameters()) <= 16_000_000


def test_first_frame_is_a_group_of_its_own() -> None:
    features = torch.arange(9.0).view(1, 9, 1, 1, 1)
    groups = mini.fold_time(features)
    assert groups[0, :, :, 0, 0].T.tolist() == [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.slow
def test_folded_backbone_equals_the_network_in_training(network: mini.MiniNetwork, folder: Path) -> None:
    rgb = torch.rand(1, 3, 5, 32, 48) * 2 - 1
    with torch.no_grad():
        wanted = network(rgb, 500.0)
        backbone = mini.load(folder)
        latent = backbone.forward(backbone.encode(rgb), 500.0)
    assert float((latent - wanted).norm() / wanted.norm()) < 1e-5
    assert backbone.decode(latent).shape == (1, 1, 5, 32, 48)


def test_another_timestep_is_folded_anew(folder: Path) -> None:
    backbone = mini.load(folder)
    with torch.no_grad():
        features = backbone.encode(torch.rand(1, 3, 1, 32, 32))
        one, two, again = (backbone.forward(features, t) for t in (500.0, 100.0, 500.0))
    assert not torch.equal(one, two)
    assert torch.equal(one, again)


def test_config_survives_the_folder(folder: Path) -> None:
    assert mini.read_config(folder) == (SMALL, CARD)


def test_missing_and_unknown_keys_are_named(folder: Path) -> None:
    path = folder / "network.safetensors"
    state = load_file(str(path))
    state["stranger"] = state.pop("pyramid.fine.weight")
    save_file(state, str(path))
    with pytest.raises(ModelError, match=r"network\.safetensors.*pyramid\.fine\.weight, stranger"):
        mini.load(folder)


def test_nan_in_the_weights_is_named(folder: Path) -> None:
    path = folder / "vae.safetensors"
    state = load_file(str(path))
    state["conv2.bias"][0] = float("nan")
    save_file(state, str(path))
    with pytest.raises(ModelError, match=r"vae\.safetensors: not finite in conv2\.bias"):
        mini.load(folder)


def test_damaged_files_are_named(folder: Path) -> None:
    (folder / "network.safetensors").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"network\.safetensors: cannot be read"):
        mini.load(folder)
    (folder / "config.json").write_text(json.dumps({"backbone": "mini"}))
    with pytest.raises(ModelError, match=r"config\.json: not the configuration"):
        mini.load(folder)


def test_sizes_that_do_not_meet_are_refused() -> None:
    with pytest.raises(ModelError, match="256 channels but four frames of 32 features make 128"):
        mini.MiniConfig(feature_channels=32)

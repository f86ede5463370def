"""The networks of a recipe: what they start from, and a frozen base beside LoRA in bfloat16 at no cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

pytest.importorskip("accelerate", reason="the train extra is not installed")

from accelerate.state import AcceleratorState
from golden_run import golden_recipe

from dvd.backbones import registry
from dvd.backbones.mini import MiniBackbone
from dvd.backbones.mini_training import training_config
from dvd.backbones.settings import Adaptation
from dvd.backbones.wan.lora import adapt
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.errors import ModelError
from dvd.train.adapters import inject
from dvd.train.loop import train
from dvd.train.networks import base_dtype, build, outline, refuse_unfit_weights
from dvd.train.recipes import MINI, MINI_FINETUNE, PAPER, RECIPES
from dvd.train.settings import ModelSettings, Recipe
from dvd.train.tracking import read_history

pytestmark = pytest.mark.slow  # PEFT takes seconds to import

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CONFIG = TransformerConfig(dim=48, ffn_dim=64, text_dim=20, freq_dim=16, num_heads=2, num_layers=3)
LORA = Adaptation(rank=4, alpha=4)


def adapted(dtype: torch.dtype, adaptation: Adaptation = LORA) -> WanTransformer:
    """Every parameter random, so that nothing hides behind a zero."""
    torch.manual_seed(0)
    model = WanTransformer(CONFIG)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    adapt(model, adaptation, inject, dtype)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.manual_seed(len(name))
            nn.init.normal_(parameter, std=0.1)
    return model


def loss_and_gradients(model: WanTransformer) -> tuple[float, dict[str, Tensor]]:
    latent = torch.randn(2, 16, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(latent, 500.0).float().square().mean()
    loss.backward()
    return loss.item(), {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("adaptation", [LORA, replace(LORA, layers=(1,)), replace(LORA, release_layout=True)])
def test_under_autocast_a_base_in_bfloat16_gives_the_same_bits(adaptation: Adaptation) -> None:
    """Autocast rounds the base at every use: rounding it once is the same loss and the same gradients."""
    loss, gradients = loss_and_gradients(adapted(torch.float32, adaptation))
    other_loss, other_gradients = loss_and_gradients(adapted(torch.bfloat16, adaptation))
    assert loss == other_loss
    assert gradients.keys() == other_gradients.keys()
    for name, value in gradients.items():
        assert value.dtype == other_gradients[name].dtype == torch.float32
        assert torch.equal(value, other_gradients[name]), name


def test_only_the_frozen_products_of_the_blocks_are_rounded() -> None:
    for name, value in adapted(torch.bfloat16, replace(LORA, release_layout=True)).named_parameters():
        product = name.startswith("blocks.") and not any(part in name for part in (".lora_", "norm", "modulation"))
        assert value.dtype == (torch.bfloat16 if product else torch.float32), name
        assert not (product and value.requires_grad)


def test_the_base_is_in_bfloat16_only_beside_lora_under_bf16() -> None:
    assert base_dtype(PAPER) == torch.bfloat16
    assert base_dtype(replace(PAPER, precision="fp32")) == torch.float32
    assert base_dtype(replace(PAPER, adaptation=Adaptation("full"))) == torch.float32
    assert base_dtype(replace(MINI, precision="bf16")) == torch.float32


@pytest.mark.slow
def test_the_papers_frozen_base_takes_half_the_memory() -> None:
    bytes_of = dict.fromkeys((torch.float32, torch.bfloat16), 0)
    for value in outline(RECIPES["dvd-wan-1.3b"]).network.parameters():
        if not value.requires_grad:
            bytes_of[value.dtype] += value.nbytes
    assert bytes_of[torch.bfloat16] == 2 * 30 * (8 * (1536 * 1536 + 1536) + 2 * 1536 * 8960 + 1536 + 8960)
    assert sum(bytes_of.values()) < 0.55 * 4 * 1419e6


def test_the_outline_of_weights_in_a_folder_has_their_sizes() -> None:
    recipe = replace(PAPER, model=ModelSettings("wan", weights=str(GOLDEN)), adaptation=LORA)
    drawn, built = outline(recipe), build(recipe)
    adapt(built.network, LORA, inject, base_dtype(recipe))  # type: ignore[arg-type]
    for one, other in ((drawn.network, built.network), (drawn.vae, built.vae)):
        described = [{n: (v.shape, v.dtype) for n, v in network.named_parameters()} for network in (one, other)]
        assert described[0] == described[1]
    assert all(value.is_meta for value in drawn.network.parameters())


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """The paper's form on the golden weights and a folder of seven frames."""
    return golden_recipe(tmp_path, {"steps": 3}, 1, 2, precision="bf16")


@pytest.mark.slow
def test_the_dtype_of_the_frozen_base_changes_no_result(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    train(recipe, tmp_path / "rounded")
    monkeypatch.setattr("dvd.train.networks.base_dtype", lambda recipe: torch.float32)
    train(recipe, tmp_path / "whole")
    AcceleratorState._reset_state(reset_partial_state=True)
    rounded, whole = (read_history(tmp_path / name / "history.jsonl") for name in ("rounded", "whole"))
    assert [row["video_loss"] for row in rounded] == [row["video_loss"] for row in whole]
    for file in ("model.safetensors", "merged/model.safetensors"):
        one, other = (load_file(tmp_path / name / "model" / file) for name in ("rounded", "whole"))
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert value.dtype == torch.float32
            assert torch.equal(value, other[name]), name


@pytest.mark.slow
def test_the_embedded_model_is_trained_further() -> None:
    """The network and the decoder are those of the package, as they were trained; the VAE's encoder is a new one."""
    networks, packaged = build(MINI_FINETUNE), registry.load("dvd-mini")
    assert isinstance(packaged, MiniBackbone)
    rgb = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    networks.network.eval()
    with torch.no_grad():
        latent = packaged.forward(packaged.encode(rgb), 500)
        torch.testing.assert_close(networks.network(rgb, 500), latent, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(networks.vae.decode(latent), packaged.decode(latent))
        assert networks.vae.encode(rgb[:, :1]).shape == latent.shape
    assert all(value.requires_grad for value in networks.network.encoder.parameters())
    drawn = outline(MINI_FINETUNE)
    for one, other in ((drawn.network, networks.network), (drawn.vae, networks.vae)):
        assert {n: v.shape for n, v in one.named_parameters()} == {n: v.shape for n, v in other.named_parameters()}


def test_unknown_weights_of_the_embedded_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"unknown model 'dvd-mimi'; did you mean dvd-mini.*folder of a trained"):
        training_config(ModelSettings("mini", weights="dvd-mimi"))
    with pytest.raises(ModelError, match="not the configuration of a mini model"):
        training_config(ModelSettings("mini", weights=str(tmp_path)))


def test_weights_with_another_time_or_anchor_are_refused() -> None:
    with pytest.raises(ModelError, match=r"dvd-mini was trained with time sinusoidal, not none; set model.time"):
        training_config(ModelSettings("mini", weights="dvd-mini", time="none"))
    phases = (replace(MINI_FINETUNE.phases[0], tau=0.8), *MINI_FINETUNE.phases[1:])
    with pytest.raises(ModelError, match=r"dvd-mini predicts at τ = 0.5; set encoder.tau"):
        refuse_unfit_weights(replace(MINI_FINETUNE, phases=phases))  # type: ignore[arg-type]

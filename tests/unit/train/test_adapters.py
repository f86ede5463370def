"""LoRA in its places: what learns, what stays, what it equals."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dvd.backbones.blueprint import blueprint
from dvd.backbones.settings import Adaptation
from dvd.backbones.wan.checkpoints import save_release
from dvd.backbones.wan.fold import fold
from dvd.backbones.wan.lora import adapt, adapters_of, base_state, merged, merged_state, release_adapters
from dvd.backbones.wan.transformer import TimeMode, TransformerConfig, WanTransformer
from dvd.backbones.wan.weights import open_weights
from dvd.errors import ModelError, OptionError
from dvd.train.adapters import inject, load_adapted

pytestmark = pytest.mark.slow  # PEFT takes seconds to import

CONFIG = TransformerConfig(dim=48, ffn_dim=64, text_dim=20, freq_dim=16, num_heads=2, num_layers=3)
SIZES = {"num_heads": 2}
LORA = Adaptation(rank=4, alpha=4)


def make(time: TimeMode = "sinusoidal") -> WanTransformer:
    """Every parameter random, so that nothing hides behind a zero."""
    torch.manual_seed(0)
    model = WanTransformer(replace(CONFIG, time=time))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def adapted(adaptation: Adaptation = LORA, spread: float = 0.1) -> WanTransformer:
    """With LoRA that has learned something."""
    model = make()
    adapt(model, adaptation, inject)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=spread)
    return model


def latent() -> Tensor:
    return torch.randn(2, 16, 3, 4, 6, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def predict(model: WanTransformer, context: Tensor | None = None) -> Tensor:
    prediction: Tensor = model(latent(), 500.0, context)
    return prediction


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


def learning(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def reached(model: WanTransformer) -> set[str]:
    """What a gradient really arrives at."""
    model.zero_grad()
    model(torch.randn(1, 16, 2, 4, 4), 500.0).square().mean().backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_fresh_lora_equals_the_base() -> None:
    model = make()
    adapt(model, LORA, inject)
    assert len(adapters_of(model)) == CONFIG.num_layers * 8
    assert torch.equal(predict(model), predict(make()))


@pytest.mark.parametrize("time", ["sinusoidal", "none", "learned"])
@pytest.mark.parametrize(
    "adaptation",
    [LORA, replace(LORA, release_layout=True), Adaptation("full"), Adaptation("full", layers=(1,))],
    ids=["lora", "release", "full", "one block"],
)
def test_exactly_the_parameters_that_a_gradient_reaches_learn(adaptation: Adaptation, time: TimeMode) -> None:
    """So that DistributedDataParallel never waits."""
    model = make(time)
    adapt(model, adaptation, inject)
    assert learning(model) == reached(model)
    assert ("time_basis" in learning(model)) == (time == "learned")


def test_lora_alone_learns() -> None:
    model = adapted()
    assert all(".lora_" in name for name in learning(model))
    assert len(learning(model)) == 2 * 8 * CONFIG.num_layers
    before = base_state(model)
    before = {name: value.clone() for name, value in before.items()}
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], 1e-2)
    reached(model)
    optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in base_state(model).items())
    assert before.keys() == make().state_dict().keys()


def test_the_releases_layout_has_every_place_and_freezes_what_cannot_learn() -> None:
    model = make()
    adapt(model, replace(LORA, release_layout=True), inject)
    assert len(adapters_of(model)) == CONFIG.num_layers * 10
    frozen = {name for name, _ in model.named_parameters() if ".lora_" in name} - learning(model)
    assert len(frozen) == CONFIG.num_layers * 4
    assert all(re.search(r"cross_attn\.[qk]\.lora_", name) for name in frozen)


def test_targets_and_layers_are_chosen() -> None:
    model = make()
    adapt(model, replace(LORA, targets=("q", "ffn.2"), layers=(2, 0)), inject)
    wanted = {f"blocks.{index}.{module}" for index in (0, 2) for module in ("self_attn.q", "ffn.2")}
    assert set(adapters_of(model)) == wanted


def test_full_training_of_some_blocks_leaves_the_others() -> None:
    model = make()
    adapt(model, Adaptation("full", layers=(0, 2)), inject)
    assert {name.split(".")[1] for name in learning(model)} == {"0", "2"}
    model = make()
    adapt(model, Adaptation("full"), inject)
    assert {name.split(".")[0] for name in learning(model)} >= {"patch_embedding", "head", "text_embedding"}


@pytest.mark.parametrize("alpha", [4, 9])
def test_merged_equals_unmerged(alpha: int) -> None:
    model = adapted(Adaptation(rank=4, alpha=alpha))
    plain = merged(model)
    wanted = predict(model)
    assert relative(predict(plain), wanted) < 1e-6
    assert relative(predict(plain), predict(make())) > 1e-2, "LoRA must matter for this test to mean anything"
    assert relative(fold(plain, 500.0)(latent()), wanted) < 1e-5
    assert not learning(plain)
    assert plain.state_dict().keys() == make().state_dict().keys()
    assert learning(model), "the source goes on learning"


def test_merged_without_adapters_is_the_network_itself() -> None:
    assert torch.equal(predict(merged(make())), predict(make()))


def test_adapters_outside_a_network_carry_their_scale() -> None:
    model = adapted(Adaptation(rank=4, alpha=9))
    base, whole = base_state(model), merged_state(model)
    for module, (down, up) in adapters_of(model).items():
        name = f"{module}.weight"
        torch.testing.assert_close(whole[name] - base[name], up @ down, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_transformer_without_memory_can_be_counted() -> None:
    with blueprint():
        model = WanTransformer(TransformerConfig())
        adapt(model, Adaptation(), inject)
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    block = 512 * (6 * 2 * 1536 + 2 * (1536 + 8960))
    assert trained == 30 * block


# From a file


def written(tmp_path: Path, model: WanTransformer, lora: Any = None) -> Path:
    path = tmp_path / "x.safetensors"
    save_release(base_state(model), path, release_adapters(model) if lora is None else lora)
    return path


def test_lora_in_a_file_is_trained_further(tmp_path: Path) -> None:
    model = adapted()
    again = load_adapted(open_weights(written(tmp_path, model)), SIZES)
    assert again.training
    assert learning(again) == learning(model)
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    same_layout = load_adapted(open_weights(tmp_path / "x.safetensors"), SIZES, release_layout=True)
    assert len(adapters_of(same_layout)) == CONFIG.num_layers * 10
    assert learning(same_layout) == learning(model)
    assert torch.equal(predict(same_layout), predict(model))


def test_the_alpha_in_a_files_configuration_is_used(tmp_path: Path) -> None:
    model = adapted(Adaptation(rank=4, alpha=8))
    lora = {module: (down, up / 2) for module, (down, up) in adapters_of(model).items()}
    again = load_adapted(open_weights(written(tmp_path, model, lora)), SIZES, {"alpha": 8, "rank": 4})
    assert torch.equal(predict(again), predict(model))


def test_unreached_lora_that_is_not_zero_is_merged_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = adapted(replace(LORA, release_layout=True))
    path = written(tmp_path, model)
    with caplog.at_level(logging.WARNING):
        again = load_adapted(open_weights(path), SIZES)
    assert "6 of them were not zero and are merged" in caplog.text
    assert len(adapters_of(again)) == CONFIG.num_layers * 8
    text = torch.randn(2, 5, CONFIG.text_dim)
    assert relative(predict(again, text), predict(model, text)) < 1e-5, "under a text, too"
    assert relative(predict(again), predict(model)) < 1e-6


def test_a_file_without_one_rank_is_refused(tmp_path: Path) -> None:
    model = adapted()
    lora = dict(adapters_of(model))
    with pytest.raises(ModelError, match=r"x\.safetensors: has no LoRA in it that can learn"):
        load_adapted(open_weights(written(tmp_path, model, {})), SIZES)
    down, up = lora["blocks.0.ffn.0"]
    lora["blocks.0.ffn.0"] = down[:2], up[:, :2]
    with pytest.raises(ModelError, match="LoRA of ranks 2, 4; one rank is needed"):
        load_adapted(open_weights(written(tmp_path, model, lora)), SIZES)
    del lora["blocks.0.ffn.0"]
    lora["blocks.9.ffn.0"] = down, up
    with pytest.raises(ModelError, match=r"unknown keys: .*blocks\.9\.ffn\.0"):
        load_adapted(open_weights(written(tmp_path, model, lora)), SIZES)


# Refusals

REFUSALS: dict[str, dict[str, Any]] = {
    "unknown kind of adaptation 'lore'; did you mean lora": {"kind": "lore"},
    "rank and alpha are at least 1, not 0 and 512": {"rank": 0},
    "rank and alpha are at least 1, not 512 and -1": {"alpha": -1},
    "unknown LoRA target 'ffn.1'; did you mean ffn.": {"targets": ("q", "ffn.1")},
    "LoRA needs at least one target": {"targets": ()},
    "layers are different indices of blocks, counted from 0, not (-1,)": {"layers": (-1,)},
    "layers are different indices of blocks, counted from 0, not (1, 1)": {"layers": (1, 1)},
    "layers are different indices of blocks, counted from 0, not ()": {"layers": ()},
    "in every block, not only in (0,)": {"layers": (0,), "release_layout": True},
    "not only on q, v; leave targets or release_layout out": {"targets": ("q", "v"), "release_layout": True},
    "full adaptation has none": {"kind": "full", "release_layout": True},
}


@pytest.mark.parametrize(("words", "fields"), REFUSALS.items())
def test_contradictions_are_refused_at_construction(words: str, fields: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=re.escape(words)):
        Adaptation(**fields)


def test_missing_layers_and_second_adapters_are_refused() -> None:
    model = make()
    with pytest.raises(OptionError, match=r"layers \(1, 3\): the transformer has 3 blocks, 0 to 2"):
        adapt(model, replace(LORA, layers=(1, 3)), inject)
    adapt(model, LORA, inject)
    with pytest.raises(OptionError, match="has adapters already"):
        adapt(model, LORA, inject)

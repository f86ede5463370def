"""Folded equals unfolded."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dvd.backbones.wan.fold import fold
from dvd.backbones.wan.transformer import TimeMode, TransformerConfig, WanTransformer
from dvd.errors import ModelError

TINY = TransformerConfig(dim=48, in_dim=6, ffn_dim=64, out_dim=4, text_dim=20, num_heads=2, num_layers=3)
EMBEDDED = TransformerConfig(dim=256, in_dim=256, ffn_dim=1024, text_dim=64, num_heads=4, num_layers=9)


def make(config: TransformerConfig) -> WanTransformer:
    """Xavier products as in trained networks, everything else random: a zero would hide errors."""
    torch.manual_seed(0)
    model = WanTransformer(config)
    nn.init.xavier_uniform_(model.head.head.weight)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=float("norm" in name and name.endswith("weight")), std=0.2)
    return model


def latent(config: TransformerConfig, batch: int = 2) -> Tensor:
    return torch.randn(batch, config.in_dim, 3, 4, 6, generator=torch.Generator().manual_seed(1))


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.mark.slow
@pytest.mark.parametrize("config", [TINY, EMBEDDED])
@pytest.mark.parametrize("timestep", [0.0, 500.0, 1000.0])
def test_folded_equals_unfolded(config: TransformerConfig, timestep: float) -> None:
    model, x = make(config), latent(config)
    with torch.no_grad():
        wanted = model(x, timestep)
        assert relative(fold(model, timestep)(x), wanted) < 1e-5
        assert relative(fold(model, 250.0)(x), wanted) > 1e-4, "the timestep must matter for this test to mean anything"


@pytest.mark.parametrize("time", ["none", "learned"])
def test_folded_equals_unfolded_in_every_time_mode(time: TimeMode) -> None:
    model, x = make(replace(TINY, time=time)), latent(TINY)
    with torch.no_grad():
        wanted = model(x, 500.0)
        assert relative(fold(model, 500.0)(x), wanted) < 1e-5
        assert relative(fold(make(TINY), 500.0)(x), wanted) > 1e-4, (
            "the mode must matter for this test to mean anything"
        )


@pytest.mark.parametrize("time", ["sinusoidal", "none", "learned"])
def test_folding_removes_text_and_time(time: TimeMode) -> None:
    model = make(replace(TINY, time=time))
    folded = fold(model, 500.0)
    names = {name for name, _ in folded.named_parameters()}
    assert not any(part in name for name in names for part in ("text", "time", "modulation", "cross"))
    assert not any(value.requires_grad for value in folded.parameters())
    dim, layers = TINY.dim, TINY.num_layers
    block = 4 * dim * dim + 4 * dim + 2 * dim + 2 * dim * TINY.ffn_dim + TINY.ffn_dim + dim
    outside = dim * 4 * (TINY.in_dim + TINY.out_dim) + dim + 4 * TINY.out_dim
    assert sum(value.numel() for value in folded.parameters()) == layers * block + outside


def test_folding_leaves_the_source_as_it_was() -> None:
    model = make(TINY)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold(model, 500.0)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(value.requires_grad for value in model.parameters())


def test_a_folded_network_can_be_converted() -> None:
    model, x = make(TINY), latent(TINY)
    with torch.no_grad():
        wanted = model(x, 500.0)
        half = fold(model, 500.0).to(torch.bfloat16)(x)
        folded_half = fold(model.to(torch.bfloat16), 500.0)(x)
    assert half.dtype == folded_half.dtype == torch.bfloat16
    assert relative(half, wanted) < 2e-2
    assert relative(folded_half, wanted) < 4e-2


def test_unmerged_adapters_are_refused() -> None:
    class Adapted(nn.Linear):
        """Imitates a PEFT layer, whose `weight` is the base's alone."""

    model = make(TINY)
    model.blocks[1].self_attn.k = Adapted(TINY.dim, TINY.dim)
    with pytest.raises(ModelError, match="Adapted cannot be folded; merge the adapters"):
        fold(model, 500.0)

"""The generative baseline behind the protocol: ten passes written out by hand, through the regressor's door."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dvd.backbones.base import Backbone, ModelCard
from dvd.backbones.wan.generative import GenerativeWanBackbone
from dvd.backbones.wan.sampler import seeded_noise
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.errors import ModelError, OptionError
from dvd.regressor import Regressor

TRANSFORMER = TransformerConfig(dim=96, in_dim=32, ffn_dim=256, text_dim=64, num_heads=2, num_layers=2)
CARD = ModelCard("tiny", "none")


def make(config: TransformerConfig = TRANSFORMER, **how: int) -> GenerativeWanBackbone:
    """The golden sizes with random weights; nothing hides behind the silent head that a new network has."""
    torch.manual_seed(0)
    transformer, vae = WanTransformer(config), WanVAE(VAEConfig(dim=8))
    nn.init.normal_(transformer.head.head.weight, std=0.1)
    return GenerativeWanBackbone(transformer, vae, CARD, **how)


def frames(count: int = 5) -> Tensor:
    return torch.rand(1, 3, count, 32, 48, generator=torch.Generator().manual_seed(1))


def test_a_window_is_encoded_sampled_and_decoded() -> None:
    backbone = make(seed=3)
    network: Backbone = backbone
    rgb = frames()
    disparity = Regressor(network)(rgb, tau=0.5)
    with torch.no_grad():
        condition = backbone.vae.encode(rgb * 2 - 1)
        z = seeded_noise(condition.shape, 3)
        for step in range(10):
            velocity = backbone.transformer(torch.cat([z, condition], dim=1), 1000 - 100 * step)
            z = z - 0.1 * velocity
        wanted = (backbone.vae.decode(z).clamp(-1, 1) + 1) / 2
    assert disparity.shape == (1, 3, 5, 32, 48)
    torch.testing.assert_close(disparity, wanted, atol=1e-4, rtol=1e-4)
    assert float(wanted.std()) > 0.01, "the test would see nothing in a flat picture"


def test_windows_of_any_length_and_images() -> None:
    run = Regressor(make(steps=1))
    for count in (1, 4):
        assert run(frames(count), 0.5).shape == (1, 3, count, 32, 48)


def test_the_anchor_has_no_say_but_seed_and_steps_have() -> None:
    condition = torch.randn(1, 16, 2, 4, 6)
    first = make().forward(condition, 500.0)
    assert torch.equal(first, make().forward(condition, 0.0))
    assert not torch.allclose(first, make(seed=1).forward(condition, 500.0), atol=1e-2)
    assert not torch.allclose(first, make(steps=1).forward(condition, 500.0), atol=1e-3)


def test_resampling_keeps_the_weights_and_states_its_steps_and_noise() -> None:
    backbone = make(steps=3)
    assert backbone.samples
    again = backbone.resampled(steps=2, seed=7)
    assert again.transformer is backbone.transformer
    assert again.conditioning(tau=0.5) == {"steps": 2, "seed": 7, "noise": "the same for every window"}
    assert backbone.resampled(seed=7).steps == 3
    with pytest.raises(OptionError, match="seed -1 is out of range"):
        backbone.resampled(seed=-1)


def test_it_moves_and_converts_as_a_whole() -> None:
    backbone = make(steps=2)
    rgb = frames(1)
    full = Regressor(backbone)(rgb, 0.5)
    assert backbone.to(dtype=torch.bfloat16).dtype == torch.bfloat16
    half = Regressor(backbone)(rgb, 0.5)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0.05, rtol=0)


def test_parts_that_do_not_fit_are_refused() -> None:
    deterministic = TransformerConfig(dim=96, ffn_dim=256, text_dim=64, num_heads=2, num_layers=2)
    with pytest.raises(ModelError, match=r"takes 32 channels and gives 16 .* this one takes 16 and gives 16"):
        make(deterministic)
    with pytest.raises(OptionError, match="a sampler of 0 steps"):
        make(steps=0)

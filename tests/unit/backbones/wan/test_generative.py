"""The generative baseline as a backbone, and its sampler on flows whose solution is known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dvd.backbones.base import Backbone, ModelCard
from dvd.backbones.wan.generative import GenerativeWanBackbone, integrate, sample, sample_freely, seeded_noise
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.errors import ModelError, OptionError
from dvd.regressor import Regressor

TRANSFORMER = TransformerConfig(dim=96, in_dim=32, ffn_dim=256, text_dim=64, num_heads=2, num_layers=2)
CARD = ModelCard("tiny", "none")
SHAPE = (2, 3, 2, 4, 5)
MEAN, STD = -0.7, 0.5


def make(config: TransformerConfig = TRANSFORMER, **options: int) -> GenerativeWanBackbone:
    """Random weights in the golden sizes, the head too: a new network has a silent one, which would hide everything."""
    torch.manual_seed(0)
    transformer, vae = WanTransformer(config), WanVAE(VAEConfig(dim=8))
    nn.init.normal_(transformer.head.head.weight, std=0.1)
    return GenerativeWanBackbone(transformer, vae, CARD, **options)


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
        expected = (backbone.vae.decode(z).clamp(-1, 1) + 1) / 2
    assert disparity.shape == (1, 3, 5, 32, 48)
    torch.testing.assert_close(disparity, expected, atol=1e-4, rtol=1e-4)
    assert float(expected.std()) > 0.01, "the test would see nothing in a flat picture"


def test_windows_of_any_length_and_images() -> None:
    run = Regressor(make(steps=1))
    for count in (1, 4):
        assert run(frames(count), 0.5).shape == (1, 3, count, 32, 48)


def test_seed_and_steps_decide_and_the_anchor_does_not() -> None:
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


def test_the_whole_backbone_is_converted() -> None:
    backbone = make(steps=2)
    rgb = frames(1)
    full = Regressor(backbone)(rgb, 0.5)
    assert backbone.to(dtype=torch.bfloat16).dtype == torch.bfloat16
    half = Regressor(backbone)(rgb, 0.5)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0.05, rtol=0)


def test_networks_that_do_not_fit_are_refused() -> None:
    deterministic = TransformerConfig(dim=96, ffn_dim=256, text_dim=64, num_heads=2, num_layers=2)
    with pytest.raises(ModelError, match=r"takes 32 channels and gives 16 .* this one takes 16 and gives 16"):
        make(deterministic)
    with pytest.raises(OptionError, match="a sampler of 0 steps"):
        make(steps=0)


def gaussian_velocity(z: Tensor, timestep: float) -> Tensor:
    """E[z_1 − z_0 | z_t] for data N(MEAN, STD²): z_t has mean (1 − t) MEAN and variance (1 − t)² STD² + t²."""
    t = timestep / 1000
    variance = (1 - t) ** 2 * STD**2 + t**2
    return (t - (1 - t) * STD**2) / variance * (z - (1 - t) * MEAN) - MEAN


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_a_point_mass_is_reached_in_any_number_of_steps(steps: int) -> None:
    """All lines end in one point, so v = (z − x) / t, and Euler's method is exact."""
    point = torch.randn(SHAPE, generator=torch.Generator().manual_seed(9))
    sampled = sample_freely(lambda z, timestep: (z - point) / (timestep / 1000), SHAPE, steps)
    torch.testing.assert_close(sampled, point, atol=1e-5, rtol=1e-5)


def test_a_conditional_flow_follows_the_rgb_latent() -> None:
    rgb = torch.randn(SHAPE, generator=torch.Generator().manual_seed(9))

    def network(latent: Tensor, timestep: float) -> Tensor:
        z, seen = latent.chunk(2, dim=1)
        return (z - (2 * seen + 1)) / (timestep / 1000)

    torch.testing.assert_close(sample(network, rgb), 2 * rgb + 1, atol=1e-5, rtol=1e-5)


def test_one_step_of_a_gaussian_gives_its_mean() -> None:
    """The velocity at t = 1 is z_1 − E[z_0]: one step from noise is regression to the mean."""
    sampled = sample_freely(gaussian_velocity, SHAPE, steps=1)
    torch.testing.assert_close(sampled, torch.full(SHAPE, MEAN), atol=1e-6, rtol=0)


def test_ten_steps_match_eulers_method() -> None:
    sampled = sample_freely(gaussian_velocity, SHAPE, seed=4).numpy()
    for index, start in np.ndenumerate(seeded_noise(SHAPE, 4).numpy()):
        z = float(start)
        for t in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1):
            gain = (t - (1 - t) * 0.25) / ((1 - t) ** 2 * 0.25 + t * t)
            z -= 0.1 * (gain * (z + 0.7 * (1 - t)) + 0.7)
        assert float(sampled[index]) == pytest.approx(z, abs=1e-5)


def test_more_steps_converge_at_first_order() -> None:
    """The exact solution keeps every quantile: z_0 = MEAN + STD z_1."""
    noise = seeded_noise(SHAPE, 0).double()
    errors = [
        float((integrate(gaussian_velocity, noise, steps) - (MEAN + STD * noise)).abs().max())
        for steps in (50, 100, 200)
    ]
    assert errors[2] < 0.02
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(1, abs=0.15)


def test_the_network_takes_noise_then_rgb_and_a_thousand_t() -> None:
    rgb = torch.randn(SHAPE)
    seen: list[tuple[Tensor, float]] = []

    def network(latent: Tensor, timestep: float) -> Tensor:
        seen.append((latent, timestep))
        return torch.ones(SHAPE)

    sampled = sample(network, rgb, steps=4, seed=2)
    noise = seeded_noise(SHAPE, 2)
    assert [timestep for _, timestep in seen] == [1000, 750, 500, 250]
    for step, (latent, _) in enumerate(seen):
        torch.testing.assert_close(latent, torch.cat([noise - step / 4, rgb], dim=1))
    torch.testing.assert_close(sampled, noise - 1)


def test_a_sample_depends_on_its_seed_alone() -> None:
    def draw(batch: int, seed: int) -> Tensor:
        return sample_freely(gaussian_velocity, (batch, *SHAPE[1:]), seed=seed)

    state = torch.get_rng_state()
    three = draw(3, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    assert torch.equal(three, torch.cat([draw(1, seed) for seed in (5, 6, 7)]))
    assert not torch.equal(three[0], three[1])


def test_steps_are_summed_in_float32_for_a_bfloat16_network() -> None:
    """bfloat16 cannot hold a tenth: steps in that dtype would miss by 1e-3."""
    rgb = torch.randn(SHAPE).bfloat16()
    sampled = sample(lambda latent, timestep: torch.ones(SHAPE, dtype=torch.bfloat16), rgb)
    assert sampled.dtype == torch.float32
    torch.testing.assert_close(sampled, seeded_noise(SHAPE, 0) - 1, atol=1e-6, rtol=0)


@pytest.mark.parametrize("steps", [0, -3])
def test_a_sampler_without_steps_is_refused(steps: int) -> None:
    with pytest.raises(OptionError, match=f"a sampler of {steps} steps does not move"):
        sample_freely(gaussian_velocity, SHAPE, steps)

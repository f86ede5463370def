"""Flows whose solution is known: the sampler reaches it, step for step as written out by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from dvd.backbones.wan.sampler import integrate, sample, sample_freely, seeded_noise
from dvd.errors import OptionError

SHAPE = (2, 3, 2, 4, 5)
MEAN, STD = -0.7, 0.5


def gaussian_velocity(z: Tensor, timestep: float) -> Tensor:
    """E[z_1 − z_0 | z_t] for data N(MEAN, STD²): z_t has mean (1 − t) MEAN and variance (1 − t)² STD² + t²."""
    t = timestep / 1000
    variance = (1 - t) ** 2 * STD**2 + t**2
    return (t - (1 - t) * STD**2) / variance * (z - (1 - t) * MEAN) - MEAN


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_a_point_mass_is_reached_in_any_number_of_steps(steps: int) -> None:
    """All lines end in one point, so v = (z − x) / t, and Euler's method is exact."""
    point = torch.randn(SHAPE, generator=torch.Generator().manual_seed(9))
    found = sample_freely(lambda z, timestep: (z - point) / (timestep / 1000), SHAPE, steps)
    torch.testing.assert_close(found, point, atol=1e-5, rtol=1e-5)


def test_the_rgb_latent_decides_where_a_conditional_flow_ends() -> None:
    rgb = torch.randn(SHAPE, generator=torch.Generator().manual_seed(9))

    def network(latent: Tensor, timestep: float) -> Tensor:
        z, seen = latent.chunk(2, dim=1)
        return (z - (2 * seen + 1)) / (timestep / 1000)

    torch.testing.assert_close(sample(network, rgb), 2 * rgb + 1, atol=1e-5, rtol=1e-5)


def test_one_step_of_a_gaussian_gives_its_mean() -> None:
    """The velocity at t = 1 is z_1 − E[z_0]: one step from noise is regression to the mean."""
    found = sample_freely(gaussian_velocity, SHAPE, steps=1)
    torch.testing.assert_close(found, torch.full(SHAPE, MEAN), atol=1e-6, rtol=0)


def test_ten_steps_are_those_of_eulers_method() -> None:
    found = sample_freely(gaussian_velocity, SHAPE, seed=4).numpy()
    for index, start in np.ndenumerate(seeded_noise(SHAPE, 4).numpy()):
        z = float(start)
        for t in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1):
            gain = (t - (1 - t) * 0.25) / ((1 - t) ** 2 * 0.25 + t * t)
            z -= 0.1 * (gain * (z + 0.7 * (1 - t)) + 0.7)
        assert float(found[index]) == pytest.approx(z, abs=1e-5)


def test_more_steps_come_nearer_at_first_order() -> None:
    """The exact solution keeps its place in the distribution: z_0 = MEAN + STD z_1."""
    noise = seeded_noise(SHAPE, 0).double()
    errors = [
        float((integrate(gaussian_velocity, noise, steps) - (MEAN + STD * noise)).abs().max())
        for steps in (50, 100, 200)
    ]
    assert errors[2] < 0.02
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(1, abs=0.15)


def test_the_network_sees_noise_above_rgb_and_a_thousand_t() -> None:
    rgb = torch.randn(SHAPE)
    seen: list[tuple[Tensor, float]] = []

    def network(latent: Tensor, timestep: float) -> Tensor:
        seen.append((latent, timestep))
        return torch.ones(SHAPE)

    found = sample(network, rgb, steps=4, seed=2)
    noise = seeded_noise(SHAPE, 2)
    assert [timestep for _, timestep in seen] == [1000, 750, 500, 250]
    for step, (latent, _) in enumerate(seen):
        torch.testing.assert_close(latent, torch.cat([noise - step / 4, rgb], dim=1))
    torch.testing.assert_close(found, noise - 1)


def test_a_seed_is_a_sample_whatever_the_batch_and_the_random_state() -> None:
    def draw(batch: int, seed: int) -> Tensor:
        return sample_freely(gaussian_velocity, (batch, *SHAPE[1:]), seed=seed)

    state = torch.get_rng_state()
    three = draw(3, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    assert torch.equal(three, torch.cat([draw(1, seed) for seed in (5, 6, 7)]))
    assert not torch.equal(three[0], three[1])


def test_steps_add_up_in_float32_for_a_network_in_bfloat16() -> None:
    """A tenth is no bfloat16: steps made in that dtype would miss by 1e-3."""
    rgb = torch.randn(SHAPE).bfloat16()
    found = sample(lambda latent, timestep: torch.ones(SHAPE, dtype=torch.bfloat16), rgb)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, seeded_noise(SHAPE, 0) - 1, atol=1e-6, rtol=0)


@pytest.mark.parametrize("steps", [0, -3])
def test_a_sampler_needs_a_step(steps: int) -> None:
    with pytest.raises(OptionError, match=f"a sampler of {steps} steps does not move"):
        sample_freely(gaussian_velocity, SHAPE, steps)

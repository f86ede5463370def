"""Rectified flow: Eq. 2 written out, noise that does not know who asks for it, and a network that learns to look."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dvd.backbones.wan.generative import sample, sample_freely
from dvd.backbones.wan.training import widen
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.train.tasks import interpolate, noise_and_time, velocity_loss

CONFIG = TransformerConfig(dim=48, in_dim=4, ffn_dim=64, out_dim=4, text_dim=20, num_heads=2, num_layers=2)
SEEDS = (7, 2**32 - 1, 0, 123456789)


def make() -> WanTransformer:
    """Every parameter random, so that nothing hides behind a zero."""
    torch.manual_seed(0)
    model = WanTransformer(CONFIG)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def latents(batch: int = 4) -> Tensor:
    return torch.randn(batch, 4, 2, 4, 6, generator=torch.Generator().manual_seed(1))


def test_equation_two_written_out() -> None:
    data, seeds = latents(), SEEDS
    noise, time = noise_and_time(data, seeds)
    noised, predicted = interpolate(data, noise, time), torch.ones_like(data)
    total = 0.0
    for index in np.ndindex(*data.shape):
        t, z0, z1 = float(time[index[0]]), float(data[index]), float(noise[index])
        assert float(noised[index]) == pytest.approx((1 - t) * z0 + t * z1, abs=1e-6)
        total += (1 - (z1 - z0)) ** 2
    assert float(velocity_loss(predicted, data, noise)) == pytest.approx(total / data.numel(), rel=1e-5)


def test_interpolation_begins_at_the_data_and_ends_at_the_noise() -> None:
    data = latents().double()
    noise = torch.randn(data.shape, dtype=torch.float64)
    assert torch.equal(interpolate(data, noise, torch.zeros(4, dtype=torch.float64)), data)
    assert torch.equal(interpolate(data, noise, torch.ones(4, dtype=torch.float64)), noise)
    time, step = torch.rand(4, dtype=torch.float64), 1e-6
    moved = interpolate(data, noise, time + step) - interpolate(data, noise, time)
    torch.testing.assert_close(moved / step, noise - data, atol=1e-7, rtol=1e-7)


def test_noise_and_time_depend_on_the_samples_seed_alone() -> None:
    data = latents()
    torch.manual_seed(3)
    whole = noise_and_time(data, SEEDS)
    parts = [noise_and_time(data[place::2] * 9, SEEDS[place::2]) for place in (0, 1)]  # two processes take turns
    for together, even, odd in zip(whole, *parts, strict=True):
        assert torch.equal(together[0::2], even)
        assert torch.equal(together[1::2], odd)
    state = torch.get_rng_state()
    noise_and_time(data, SEEDS)
    assert torch.equal(torch.get_rng_state(), state), "the random state of the run is not touched"
    assert not torch.equal(whole[0][0], whole[0][1])
    with pytest.raises(ValueError):
        noise_and_time(data, SEEDS[:1])


def test_the_loss_is_the_mean_over_equal_shares() -> None:
    data = latents()
    noise, _ = noise_and_time(data, SEEDS)
    halves = [velocity_loss(data[part].sin(), data[part], noise[part]) for part in (slice(2), slice(2, 4))]
    assert float(velocity_loss(data.sin(), data, noise)) == pytest.approx(float(sum(halves)) / 2, rel=1e-6)


def test_noise_is_standard_normal_and_time_uniform() -> None:
    count = 4000
    noise, time = noise_and_time(torch.zeros(count, 1, 1, 2, 2), range(count))
    assert float(noise.mean()) == pytest.approx(0, abs=0.03)
    assert float(noise.std()) == pytest.approx(1, abs=0.03)
    gap = (time.sort().values - torch.linspace(0, 1, count)).abs().max()
    assert float(gap) < 1.63 / count**0.5, "Kolmogorov–Smirnov, one in a hundred"
    assert abs(float(torch.corrcoef(torch.stack([noise[:, 0, 0, 0, 0], time]))[0, 1])) < 0.05
    assert 0 <= float(time.min()) <= float(time.max()) < 1


def test_the_sampler_integrates_the_velocity_that_the_loss_teaches() -> None:
    """The best linear velocity at each t, fitted to pairs drawn as training draws them, carries noise to the data."""
    mean, std, count = -1.5, 0.4, 4000
    data = mean + std * torch.randn(count, 1, 1, 1, 1, generator=torch.Generator().manual_seed(5))
    noise, _ = noise_and_time(data, range(count))

    def fitted(z: Tensor, timestep: float) -> Tensor:
        t = torch.full((count,), timestep / 1000)
        seen, wanted = interpolate(data, noise, t).flatten(), (noise - data).flatten()
        design = torch.stack([seen, torch.ones(count)], dim=1).double()
        slope, offset = torch.linalg.lstsq(design, wanted.double()[:, None]).solution.flatten().tolist()
        return slope * z + offset

    found = sample_freely(fitted, (count, 1, 1, 1, 1), steps=100, seed=10**6)
    assert float(found.mean()) == pytest.approx(mean, abs=0.03)
    assert float(found.std()) == pytest.approx(std, rel=0.05)


def test_a_widened_network_begins_as_the_narrow_one() -> None:
    narrow = make()
    before = {name: value.clone() for name, value in narrow.state_dict().items()}
    wide = widen(narrow)
    noised, rgb, time = latents(2), latents(4)[2:], torch.tensor([250.0, 800.0])
    with torch.no_grad():
        assert torch.equal(wide(torch.cat([noised, rgb], dim=1), time), narrow(noised, time))
        assert not torch.equal(wide(torch.cat([rgb, noised], dim=1), time), narrow(noised, time))
        wide.blocks[0].ffn[0].weight.zero_()
    assert wide.patch_embedding.weight.shape == (48, 8, 1, 2, 2)
    assert (wide.config.in_dim, narrow.config.in_dim) == (8, 4)
    assert all(torch.equal(value, before[name]) for name, value in narrow.state_dict().items()), "a copy, not the same"
    WanTransformer(wide.config).load_state_dict(wide.state_dict())


def test_the_patch_embedding_of_a_widened_network_always_learns() -> None:
    wide = widen(make().requires_grad_(False))
    assert {name for name, value in wide.named_parameters() if value.requires_grad} == {
        "patch_embedding.weight",
        "patch_embedding.bias",
    }
    data, rgb = latents(2), latents(4)[2:]
    noise, time = noise_and_time(data, SEEDS[:2])
    seen = torch.cat([interpolate(data, noise, time), rgb], dim=1)
    velocity_loss(wide(seen, 1000 * time), data, noise).backward()
    assert wide.patch_embedding.weight.grad is not None
    assert float(wide.patch_embedding.weight.grad[:, 4:].abs().min()) > 0


def train(module: nn.Module, loss: Callable[[int], Tensor], steps: int, rate: float) -> None:
    optimiser = torch.optim.Adam(module.parameters(), rate)
    for step in range(steps):
        optimiser.zero_grad()
        loss(step).backward()
        optimiser.step()


@pytest.mark.slow
def test_a_trained_flow_follows_its_condition() -> None:
    """Depth is minus half the RGB latent: learned from noise, found again by ten steps on RGB never seen."""
    torch.manual_seed(0)
    flow = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))

    def network(latent: Tensor, timestep: float | Tensor) -> Tensor:
        time = torch.as_tensor(timestep, dtype=torch.float32).expand(len(latent)) / 1000
        values = torch.cat([latent.flatten(1), time[:, None]], dim=1)
        return flow(values).view(-1, 1, 1, 1, 1)

    def loss(step: int) -> Tensor:
        rgb = torch.randn(256, 1, 1, 1, 1, generator=torch.Generator().manual_seed(step))
        data = -0.5 * rgb
        noise = torch.randn(rgb.shape, generator=torch.Generator().manual_seed(step + 10**6))
        time = torch.rand(256, generator=torch.Generator().manual_seed(step + 2 * 10**6))
        predicted = network(torch.cat([interpolate(data, noise, time), rgb], dim=1), 1000 * time)
        return velocity_loss(predicted, data, noise)

    train(flow, loss, steps=600, rate=3e-3)
    rgb = torch.linspace(-1.5, 1.5, 40).view(-1, 1, 1, 1, 1)
    error = sample(network, rgb, steps=10, seed=3) + 0.5 * rgb
    assert float(error.square().mean().sqrt()) < 0.15, "the spread of depth itself is 0.44, that of noise 1"

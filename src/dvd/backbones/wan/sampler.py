"""The T-step sampler of rectified flow: dz/dt = v(z, t) by Euler's method, from noise at t = 1 to data at t = 0.

This is the generative way to depth that the paper compares its single pass with (Appendix E, T = 10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dvd.errors import OptionError

STEPS = 10

Network = Callable[[Tensor, float], Tensor]
"""Latent `B C T H W` and timestep 1000 t → velocity, z_1 − z_0 of Eq. 2."""


@torch.no_grad()
def sample(network: Network, rgb_latent: Tensor, steps: int = STEPS, seed: int = 0) -> Tensor:
    """A depth latent for every `rgb_latent`, both `B C T H W` and normalised; float32.

    The network takes the noised depth latent and, below it in the channels, the RGB latent. Sample k of the batch has
    the noise of `seed` + k, on any device. Raises OptionError where `steps` is below 1.
    """

    def conditional(z: Tensor, timestep: float) -> Tensor:
        return network(torch.cat([z, rgb_latent], dim=1), timestep)

    return integrate(conditional, seeded_noise(rgb_latent.shape, seed).to(rgb_latent.device), steps)


@torch.no_grad()
def sample_freely(
    network: Network, shape: Sequence[int], steps: int = STEPS, seed: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """Latents `B C T H W` of `shape` from the unconditional flow; otherwise as `sample`."""
    return integrate(network, seeded_noise(shape, seed).to(device), steps)


def integrate(network: Network, noise: Tensor, steps: int) -> Tensor:
    """z_0 from z_1 = `noise` in `steps` equal Euler steps, summed in the dtype of `noise`."""
    check_steps(steps)
    z = noise
    for step in range(steps):
        t = 1 - step / steps
        z = z - network(z, 1000 * t).to(z.dtype) / steps
    return z


def seeded_noise(shape: Sequence[int], seed: int) -> Tensor:
    """N(0, I) of `shape`, float32 on the CPU; entry k along the first axis is a function of `seed` + k alone."""
    return torch.stack(
        [torch.randn(*shape[1:], generator=torch.Generator().manual_seed(seed + index)) for index in range(shape[0])]
    )


def check_steps(steps: int) -> None:
    """Raises OptionError unless there is at least one step."""
    if steps < 1:
        raise OptionError(f"a sampler of {steps} steps does not move; give 1 or more")

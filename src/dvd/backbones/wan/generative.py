"""The generative baseline: depth sampled from noise in T steps, by the same network and autoencoder.

The sampler follows the rectified flow dz/dt = v(z, t) by Euler's method, from noise at t = 1 to data at t = 0. The
paper compares its single pass with it (Appendix E, T = 10).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvd.arguments import check_seed
from dvd.backbones.base import ModelCard, card_of
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.checkpoints import load_transformer, load_vae
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import WanVAE
from dvd.backbones.wan.weights import find_model
from dvd.errors import ModelError, OptionError

STEPS = 10

Network = Callable[[Tensor, float], Tensor]
"""Latent `B C T H W` and timestep 1000 t → velocity, z_1 − z_0 of Eq. 2."""


class GenerativeWanBackbone(WanBackbone):
    """An autoencoder, and a transformer that takes depth and RGB latent together (`dvd.backbones.wan.training.widen`).

    Every window starts from the noise of `seed`, so its depth depends on its frames alone. Raise ModelError where the
    two networks differ in the channels of the latent, OptionError where `steps` or `seed` is out of range.
    """

    samples = True

    def __init__(
        self, transformer: WanTransformer, vae: WanVAE, card: ModelCard, steps: int = STEPS, seed: int = 0
    ) -> None:
        channels, config = vae.config.z_dim, transformer.config
        if (config.in_dim, config.out_dim) != (2 * channels, channels):
            raise ModelError(
                f"a generative transformer takes {2 * channels} channels and gives {channels} with this autoencoder, "
                f"but this one takes {config.in_dim} and gives {config.out_dim}; use a pair that was trained together"
            )
        check_steps(steps)
        check_seed(seed)
        super().__init__(transformer, vae, card)
        self.steps, self.seed = steps, seed

    def forward(self, latent: Tensor, timestep: float = 0.0) -> Tensor:  # noqa: ARG002
        """RGB latent → sampled depth latent, both `B C t h w`; `timestep` is ignored, the sampler has its own."""
        return sample(self._velocity, latent.to(self.device, self.dtype), self.steps, self.seed)

    def conditioning(self, tau: float) -> dict[str, Any]:  # noqa: ARG002
        """Return the steps and the noise; the sampler ignores the anchor."""
        return {"steps": self.steps, "seed": self.seed, "noise": "the same for every window"}

    def resampled(self, steps: int | None = None, seed: int | None = None) -> GenerativeWanBackbone:
        """Return the same weights with other steps or another seed; raise OptionError if they are out of range."""
        steps, seed = self.steps if steps is None else steps, self.seed if seed is None else seed
        return GenerativeWanBackbone(self.transformer, self.vae, self.card, steps, seed)

    def _velocity(self, latent: Tensor, timestep: float) -> Tensor:
        velocity: Tensor = self.transformer(latent, timestep)
        return velocity


def load(path: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> GenerativeWanBackbone:
    """Open a folder that `dvd.train.export.write_model` wrote, or the transformer's file in it.

    Its config.json gives the number of steps; 10 by default. Raise ModelError with what is missing, unknown or damaged.
    """
    files = find_model(path)
    config = files.config
    transformer = load_transformer(files.transformer, config["transformer"], config["lora"], device, dtype)
    autoencoder = load_vae(files.vae, config["vae"], device, dtype)
    return GenerativeWanBackbone(transformer, autoencoder, card_of(path, config), _steps(path, config))


def _steps(path: Path, config: dict[str, Any]) -> int:
    steps = config.get("steps", STEPS)
    if type(steps) is not int or steps < 1:
        raise ModelError(f"{path}: its config.json gives steps = {steps!r}; write a whole number of 1 or more there")
    return steps


@torch.no_grad()
def sample(network: Network, rgb_latent: Tensor, steps: int = STEPS, seed: int = 0) -> Tensor:
    """Sample a depth latent for every `rgb_latent`, both `B C T H W` and normalised; float32.

    The network takes the channels of the noised depth latent, then those of the RGB latent. Sample k of the batch has
    the noise of `seed` + k, on any device. Raise OptionError where `steps` is below 1.
    """

    def conditional(z: Tensor, timestep: float) -> Tensor:
        return network(torch.cat([z, rgb_latent], dim=1), timestep)

    return integrate(conditional, seeded_noise(rgb_latent.shape, seed).to(rgb_latent.device), steps)


@torch.no_grad()
def sample_freely(
    network: Network, shape: Sequence[int], steps: int = STEPS, seed: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """Sample latents `B C T H W` of `shape` from the unconditional flow; otherwise as `sample`."""
    return integrate(network, seeded_noise(shape, seed).to(device), steps)


def integrate(network: Network, noise: Tensor, steps: int) -> Tensor:
    """Return z_0 from z_1 = `noise` after `steps` equal Euler steps, summed in the dtype of `noise`."""
    check_steps(steps)
    z = noise
    for step in range(steps):
        t = 1 - step / steps
        z = z - network(z, 1000 * t).to(z.dtype) / steps
    return z


def seeded_noise(shape: Sequence[int], seed: int) -> Tensor:
    """Draw N(0, I) of `shape`, float32 on the CPU; entry k of the first axis depends on `seed` + k alone."""
    return torch.stack(
        [torch.randn(*shape[1:], generator=torch.Generator().manual_seed(seed + index)) for index in range(shape[0])]
    )


def check_steps(steps: int) -> None:
    """Raise OptionError unless there is at least one step."""
    if steps < 1:
        raise OptionError(f"a sampler of {steps} steps does not move; give 1 or more")

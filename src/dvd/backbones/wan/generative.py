"""The generative depth baseline as a backbone: the same network and autoencoder, T steps from noise in place of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvd.backbones.base import ModelCard
from dvd.backbones.cards import card_of
from dvd.backbones.wan import WanBackbone
from dvd.backbones.wan.checkpoints import load_transformer, load_vae
from dvd.backbones.wan.folder import find
from dvd.backbones.wan.sampler import STEPS, check_steps, sample
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import WanVAE
from dvd.errors import ModelError


class GenerativeWanBackbone(WanBackbone):
    """A transformer that takes depth latent and RGB latent together (`dvd.backbones.wan.training.widen`), and its autoencoder.

    Every window starts from the noise of `seed`, so its depth is a function of its frames. ModelError where the
    transformer's channels are not those of the autoencoder's latent, OptionError where `steps` is below 1.
    """

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
        super().__init__(transformer, vae, card)
        self.steps, self.seed = steps, seed

    def forward(self, latent: Tensor, timestep: float = 0.0) -> Tensor:  # noqa: ARG002
        """RGB latent → a sampled depth latent, both `B C t h w`; `timestep` has no say, the sampler visits its own."""
        return sample(self._velocity, latent.to(self.device, self.dtype), self.steps, self.seed)

    def _velocity(self, latent: Tensor, timestep: float) -> Tensor:
        velocity: Tensor = self.transformer(latent, timestep)
        return velocity


def load(path: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> GenerativeWanBackbone:
    """Opens a folder that `dvd.train.export.write_model` wrote, or the transformer's file in it.

    The steps of the sampler are those in its config.json, 10 where it says none. ModelError names what is missing,
    unknown or damaged.
    """
    files = find(path)
    config = files.config
    transformer = load_transformer(files.transformer, config["transformer"], config["lora"], device, dtype)
    autoencoder = load_vae(files.vae, config["vae"], device, dtype)
    return GenerativeWanBackbone(transformer, autoencoder, card_of(path, config), _steps(path, config))


def _steps(path: Path, config: dict[str, Any]) -> int:
    steps = config.get("steps", STEPS)
    if type(steps) is not int or steps < 1:
        raise ModelError(f"{path}: its config.json gives steps = {steps!r}; write a whole number of 1 or more there")
    return steps

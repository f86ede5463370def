"""The generative depth baseline as a backbone: the same network and autoencoder, T steps from noise in place of one."""

from __future__ import annotations

from torch import Tensor

from dvd.backbones.base import ModelCard
from dvd.backbones.wan import WanBackbone
from dvd.backbones.wan.sampler import STEPS, check_steps, sample
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import WanVAE
from dvd.errors import ModelError


class GenerativeWanBackbone(WanBackbone):
    """A transformer that takes depth latent and RGB latent together (`dvd.train.flow.widen`), and its autoencoder.

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

"""How a backbone is trained: the interface that `dvd.train` calls.

A module in the registry may have a function `trainable()` beside its `load`; it returns a `Trainable`. A new backbone
implements both in its own file, inside or outside the package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn

from dvd.backbones.base import ModelCard
from dvd.errors import OptionError

if TYPE_CHECKING:
    from dvd.backbones.settings import Adaptation, ModelSettings
    from dvd.memory import TransformerSizes, VAESizes

Inject = Callable[[nn.Module, Sequence[str], int, int], None]
"""Put LoRA of a rank and an alpha beside the modules at some paths of a network, in place."""


class Codec(Protocol):
    """The frozen half of a backbone: what the network sees, the latent that it is to predict, and back to pixels."""

    @property
    def device(self) -> torch.device: ...

    def inputs(self, rgb: Tensor) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1] → the network's input: an RGB latent `B c t h w`, or pixels."""
        ...

    def target(self, disparity: Tensor) -> Tensor:
        """Disparity `B 1 T H W` in [0, 1] → the normalised depth latent `B c t h w`."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Depth latent → disparity `B 1 T H W`, nominally in [0, 1]."""
        ...


@dataclass(frozen=True)
class Measures:
    """The sizes from which the memory of training is estimated; parts that a backbone does not have count nothing."""

    transformer: TransformerSizes | None = None
    vae: VAESizes | None = None
    encoder_bytes: int = 0
    """Bytes per pixel that an image encoder in front of the transformer keeps for the backward pass."""


class Trainable(ABC):
    """The interface between a backbone and training; the defaults suit a small network that is trained whole."""

    name: str
    """As error messages call it."""
    sees: Literal["latents", "pixels"] = "pixels"
    """The network's input. Only RGB latents can be cached, be the data of a flow, or be a target of the loss."""
    fits: tuple[str, ...] = ("full",)
    """The kinds of `Adaptation` that it allows."""
    time_factor: int = 4
    side_multiple: int = 16
    """As the backbone's own: clips have `time_factor · n + 1` frames, of sides that are multiples of this."""
    encoder_prefix: str | None = None
    """Prefix of the parameters of an inherited image encoder, which may learn at a rate of its own; None: none."""

    def check_model(self, model: ModelSettings) -> None:  # noqa: B027
        """Raise OptionError if the settings contradict each other."""

    def check_adaptation(self, adaptation: Adaptation) -> None:
        """Raise OptionError if the network cannot be adapted in this way."""
        if adaptation.kind not in self.fits:
            raise OptionError(f"{self.name} is trained whole; adaptation.kind is full for it")

    def lacks_encoder(self, model: ModelSettings) -> bool:  # noqa: ARG002
        """Return whether the VAE starts without its encoder, so that an encoder phase has to come first."""
        return False

    def starting_card(self, model: ModelSettings) -> ModelCard | None:  # noqa: ARG002
        """Return the card of the depth model that training goes on from, None if it starts from none.

        Raise ModelError if that model is unknown or does not fit the settings. Reads no weights.
        """
        return None

    @abstractmethod
    def build(self, model: ModelSettings, download: bool = True) -> tuple[nn.Module, Any]:
        """Return the network that is trained, and the autoencoder of its depth latent, with their starting values.

        Random values are drawn from torch's global generator, which training has seeded. Raise ModelError if weights
        are unknown, missing or damaged.
        """

    @abstractmethod
    def outline(self, model: ModelSettings) -> tuple[nn.Module, Any]:
        """Return what `build` returns on the meta device: names and shapes alone, without reading weights."""

    @abstractmethod
    def codec(self, vae: Any) -> Codec:
        """Return the frozen autoencoder as this backbone uses it."""

    def adapt(
        self,
        network: nn.Module,
        adaptation: Adaptation,  # noqa: ARG002
        inject: Inject,  # noqa: ARG002
        base_dtype: torch.dtype,  # noqa: ARG002
    ) -> None:
        """Make `network` ready to learn depth, in place: inject LoRA, freeze what shall not or cannot learn.

        Frozen weights beside LoRA are kept in `base_dtype`. By default the whole network learns.
        """
        network.requires_grad_(True)

    def as_flow(self, network: nn.Module, conditioned: bool) -> nn.Module:  # noqa: ARG002
        """Return the network as a rectified flow of RGB latents or, `conditioned`, of depth latents beside RGB.

        Raise OptionError if the backbone cannot be trained as a flow, which is the default.
        """
        raise OptionError(f"{self.name} cannot be trained as a flow; leave the flow phase out, or use a wan model")

    @abstractmethod
    def save(self, folder: Path, network: nn.Module, vae: Any, card: ModelCard, sampler_steps: int | None) -> None:
        """Write the trained model into the empty `folder`; `registry.load` opens it.

        `sampler_steps` is None for a deterministic model, and how many steps a generative one is sampled in.
        """

    def measures(self, network: nn.Module, vae: Any) -> Measures:  # noqa: ARG002
        """Return the sizes from which memory is estimated."""
        return Measures()

"""The one protocol behind which every backbone stands, and the card that describes a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dvd.memory import ModelMemory


@dataclass(frozen=True)
class ModelCard:
    """What a user should know of a model, and the settings it was made for."""

    name: str
    licence: str
    size: tuple[int, int] = (480, 640)
    """Smallest height and width that a source is resized to by default (spec, "Demo resize")."""
    window: int = 45
    overlap: int = 9
    tau: float = 0.5
    bfloat16: bool = True
    """Whether half-width arithmetic is known to be good enough for this model."""
    summary: str = ""


class Backbone(Protocol):
    """RGB frames → latent → depth latent → disparity frames, in three steps that share one device and dtype.

    `time_factor` frames become one latent frame after the first, so windows hold `time_factor · n + 1` frames;
    height and width must be multiples of `side_multiple`.
    """

    card: ModelCard
    time_factor: int
    side_multiple: int

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def memory(
        self,
        size: tuple[int, int],  # noqa: ARG002
        window: int,  # noqa: ARG002
        dtype: torch.dtype,  # noqa: ARG002
        device: torch.device,  # noqa: ARG002
    ) -> ModelMemory | None:
        """Return the bytes that windows of `window` frames at `size` (height, width) need in `dtype` on `device`.

        An estimate from sizes alone (`dvd.memory`); None where nobody has measured the model.
        """
        return None

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Backbone:
        """Moves or converts the whole backbone in place."""
        ...

    def encode(self, rgb: Tensor) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1] → normalised latent `B c t h w` (Eq. 1)."""
        ...

    def forward(self, latent: Tensor, timestep: float) -> Tensor:
        """Latent → depth latent in one pass, conditioned on `timestep` = 1000 τ (Eq. 5)."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Depth latent → `B C T H W`, nominally in [-1, 1]; the mean over C is the disparity."""
        ...

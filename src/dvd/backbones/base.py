"""The protocol that every backbone follows, and the card of a model, read without torch and without its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dvd.errors import ModelError, OptionError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dvd.memory import ModelMemory


@dataclass(frozen=True)
class ModelCard:
    """A model's name and licence, and the settings it was made for."""

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
    height and width must be multiples of `side_multiple`. A class that derives from this one inherits the traits of a
    model that regresses depth in one pass; a sampler overrides `samples`, `conditioning` and `resampled`.
    """

    card: ModelCard
    time_factor: int
    side_multiple: int
    samples: bool = False
    """Whether depth is sampled from noise in several steps, instead of regressed in one pass at the anchor τ."""

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
        """Move or convert the whole backbone in place."""
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

    def conditioning(self, tau: float) -> dict[str, Any]:
        """Return what a report states of the conditioning: the anchor τ, or a sampler's steps, seed and noise."""
        return {"tau": tau}

    def resampled(self, steps: int | None = None, seed: int | None = None) -> Backbone:
        """Return the same weights with other sampling steps or another noise seed; None keeps the backbone's own.

        Raise OptionError where the backbone does not sample, or where a value is out of range.
        """
        if steps is None and seed is None:
            return self
        raise OptionError(
            f"model '{self.card.name}' predicts in one pass and reads no {'seed' if steps is None else 'steps'}; "
            "leave it out, or name a generative model"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if there is no such file, ModelError if it is damaged."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable as JSON ({error}); correct it or copy it again") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: holds no JSON object; correct it or copy it again")
    return values


def read_config(path: Path) -> dict[str, Any]:
    """Return the config.json of a model's folder, or of a weight file's folder; empty if there is none."""
    return read_json((path if path.is_dir() else path.parent) / "config.json")


def card_of(path: Path, config: dict[str, Any]) -> ModelCard:
    """Return the card in a model's configuration. Raise ModelError if it is misstated."""
    stated = config.get("card", {})
    try:
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()}
        values: dict[str, Any] = {"name": path.resolve().name, "licence": "not stated", **given}
        if "anchor_timestep" in config:
            values.setdefault("tau", config["anchor_timestep"] / 1000)
        return ModelCard(**values)
    except (AttributeError, TypeError) as error:
        raise ModelError(f"{path}: its config.json misstates card or anchor_timestep ({error}); correct it") from error

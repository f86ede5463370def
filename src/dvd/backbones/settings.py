"""The part of a recipe that describes its model: where it starts, and which of its weights learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dvd.backbones.mini import MiniConfig
from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import VAEConfig
from dvd.errors import OptionError, unknown

if TYPE_CHECKING:
    from dvd.backbones.trainable import Trainable

ATTENTION, FEED_FORWARD = ("q", "k", "v", "o"), ("ffn.0", "ffn.2")
TARGETS = (*ATTENTION, *FEED_FORWARD)
"""The release's targets of LoRA, in every block and in self- and cross-attention alike."""


@dataclass(frozen=True)
class ModelSettings:
    """The network to train, and where it starts.

    `kind` is a backbone that `dvd.backbones.registry` knows. `wan` is the transformer between the halves of its VAE;
    `mini` has an ImageNet encoder in front. `weights` names a model or a base to start from, or gives a path. Without
    weights the network starts from nothing, with the sizes in `transformer` and `vae` (wan), in `mini` (mini, from
    ImageNet), or in `sizes` (any other backbone: pairs of a name and a number). Raise OptionError for an unknown kind,
    and for settings that the backbone refuses.
    """

    kind: str = "wan"
    weights: str | None = None
    transformer: TransformerConfig | None = None
    vae: VAEConfig | None = None
    mini: MiniConfig | None = None
    time: Literal["sinusoidal", "none", "learned"] = "sinusoidal"
    """τ: as pre-trained; the network without its time conditioning; or a new embedding of the same size (Table 7)."""
    gradient_checkpointing: bool = False
    sizes: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        self.backbone.check_model(self)

    @property
    def backbone(self) -> Trainable:
        """How a model of this kind is trained."""
        from dvd.backbones.registry import trainable

        return trainable(self.kind)


@dataclass(frozen=True)
class Adaptation:
    """Which weights of the network learn.

    - `lora`: A and B of `rank` beside every one of `targets`, scaled by `alpha` / `rank`; all else is frozen. A
      starts random and B at zero, so that the network starts as the base.
    - `full`: the weights themselves; rank, alpha and targets are ignored.

    `layers` lists the indices of the blocks, None for all; full training of some blocks freezes everything outside
    them. Cross-attention's queries and keys never receive a gradient under the zero context, so they get no LoRA,
    unless `release_layout` asks for it as the release has it: it is then there, frozen. A learned time basis always
    learns. Raise OptionError for a field that is out of range or contradicts another.
    """

    kind: Literal["lora", "full"] = "lora"
    rank: int = 512
    alpha: int = 512
    targets: tuple[str, ...] = TARGETS
    layers: tuple[int, ...] | None = None
    release_layout: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("lora", "full"):
            raise OptionError(unknown("kind of adaptation", str(self.kind), ("lora", "full")))
        if self.rank < 1 or self.alpha < 1:
            raise OptionError(f"LoRA's rank and alpha are at least 1, not {self.rank} and {self.alpha}")
        for target in self.targets:
            if target not in TARGETS:
                raise OptionError(unknown("LoRA target", target, TARGETS))
        if not self.targets:
            raise OptionError(f"LoRA needs at least one target of {', '.join(TARGETS)}")
        if self.layers is not None:
            self._check_layers(self.layers)
        if self.release_layout and self.kind == "full":
            raise OptionError("release_layout is a layout of LoRA, and full adaptation has none; leave one of them out")
        if self.release_layout and set(self.targets) != set(TARGETS):
            raise OptionError(
                f"the release's layout has LoRA on {', '.join(TARGETS)}, not only on {', '.join(self.targets)}; leave "
                "targets or release_layout out"
            )

    def _check_layers(self, layers: tuple[int, ...]) -> None:
        if not layers or min(layers) < 0 or len(set(layers)) < len(layers):
            raise OptionError(
                f"layers are different indices of blocks, counted from 0, not {layers}; or leave them out"
            )
        if self.release_layout:
            raise OptionError(
                f"the release's layout has LoRA in every block, not only in {layers}; leave one of them out"
            )

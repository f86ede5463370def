"""Every training run as a frozen value, by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from dvd.data.sequences import Augmentation
from dvd.losses import RectificationWeights


@dataclass(frozen=True)
class ShardSet:
    """Procedural clips to render before training: `scenes` scenes, `views` independent clips of each."""

    scenes: int
    frames: int
    views: int = 1
    height: int = 192
    width: int = 256
    first_seed: int = 0


@dataclass(frozen=True)
class VAERecipe:
    """Reconstruction of disparity clips; the latent it leaves is what the regression learns to predict."""

    steps: int = 1200
    image_batch: int = 12
    clip_batch: int = 2
    clip_frames: int = 9
    size: tuple[int, int] = (96, 128)
    learning_rate: float = 1.5e-3
    gradient_weight: float = 1.0
    kl_weight: float = 1e-6


@dataclass(frozen=True)
class Stage:
    """A stretch of the regression: paired image and clip batches (Eq. 10); a batch of 0 leaves its half out.

    Every step draws one of `sizes`, so that no grid of tokens is the only one the transformer knows.
    """

    steps: int
    image_batch: int
    clip_batch: int
    clip_frames: int
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class MiniRecipe:
    """How dvd-mini is made, start to end."""

    images: ShardSet
    clips: ShardSet
    stages: tuple[Stage, ...]
    vae: VAERecipe = field(default_factory=VAERecipe)
    augmentation: Augmentation = field(default_factory=Augmentation)
    rectification: RectificationWeights = field(default_factory=RectificationWeights)
    image_weight: float = 1.0
    tau: float = 0.5
    encoder_rate: float = 1e-4
    pyramid_rate: float = 1e-3
    transformer_rate: float = 1e-3
    weight_decay: float = 0.01
    decoder_steps: int = 300
    decoder_rate: float = 5e-4
    warm_up: int = 300
    clip_norm: float = 1.0
    average: float = 0.995
    """Decay of the exponential moving average whose weights are exported."""
    seed: int = 0
    save_every: int = 250


SMALL = ((144, 192), (128, 208), (160, 160))
DEPLOYED = ((144, 192), (144, 256), (192, 256), (192, 160))

RECIPES: dict[str, MiniRecipe] = {
    "dvd-mini": MiniRecipe(
        images=ShardSet(scenes=4608, frames=1, views=4),
        clips=ShardSet(scenes=1024, frames=17, first_seed=1_000_000),
        stages=(
            Stage(steps=2600, image_batch=16, clip_batch=0, clip_frames=1, sizes=SMALL),
            Stage(steps=900, image_batch=8, clip_batch=1, clip_frames=17, sizes=DEPLOYED),
        ),
    ),
    "smoke": MiniRecipe(
        images=ShardSet(scenes=4, frames=1, views=2, height=48, width=64),
        clips=ShardSet(scenes=2, frames=5, height=48, width=64, first_seed=1_000_000),
        stages=(Stage(steps=2, image_batch=2, clip_batch=1, clip_frames=5, sizes=((48, 64),)),),
        vae=VAERecipe(steps=2, image_batch=2, clip_batch=1, clip_frames=5, size=(48, 64)),
        decoder_steps=2,
        warm_up=1,
        save_every=1,
    ),
}

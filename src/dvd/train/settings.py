"""The settings of a training run: small frozen values, each of which refuses contradictions at construction.

The kinds of phases are beside their tasks (`dvd.train.tasks`, `dvd.train.vae_tasks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dvd.backbones.settings import Adaptation, ModelSettings
from dvd.data.sequences import PLAIN, Augmentation
from dvd.errors import OptionError

if TYPE_CHECKING:
    from torch import nn

    from dvd.backbones.base import ModelCard
    from dvd.train.networks import Networks
    from dvd.train.tasks import Batches, Predict, Task

Size = tuple[int, int]
Kind = Literal["image", "video"]


@dataclass(frozen=True)
class ShardSet:
    """Procedural clips to render before training: `scenes` scenes, `views` independent clips of each."""

    scenes: int
    frames: int
    views: int = 1
    height: int = 192
    width: int = 256
    first_seed: int = 0

    def __post_init__(self) -> None:
        if min(self.scenes, self.frames, self.views, self.height, self.width) < 1:
            raise OptionError(f"scenes, frames, views, height and width are at least 1, not {self}")


@dataclass(frozen=True)
class SourceSettings:
    """A source of images or of video clips: a layout under the data root, procedural scenes, or finished shards.

    `weight` is its share among the sources that a micro-batch is drawn from; `size` overrides the phase's own.
    """

    name: str
    data: str
    kind: Kind
    weight: float = 1.0
    size: Size | None = None
    view: Augmentation = PLAIN
    scenes: ShardSet | None = None
    split: Literal["training", "held-out", "all"] = "training"
    """The scenes of a layout to use; Virtual KITTI 2 holds Scene01 out."""
    root: Path | None = None
    """The folder of the data; by default named after the data set, or the shards' source, under the data root."""

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise OptionError(f"source {self.name}: weight {self.weight} is negative; give 0 or more")
        if self.data == "procedural" and self.scenes is None:
            raise OptionError(f"source {self.name}: procedural data need scenes; give scenes")
        if self.data != "procedural" and self.scenes is not None:
            raise OptionError(f"source {self.name}: only procedural data have scenes; set scenes to none")
        if self.kind == "video" and self.scenes is not None and self.scenes.frames < 2:
            raise OptionError(f"source {self.name}: scenes of one frame are images; set kind to image")


@dataclass(frozen=True)
class Mixture:
    """The clips of a step. Batches are global: over all processes and accumulated micro-batches.

    `paired`: a video and an image batch per step, L = L_video + λ L_image (Eq. 10). `weighted`: every micro-batch comes
    from one source, drawn by weight, as the release does; `image_batch` and `video_batch` are then the size of a step
    that is all of that kind. `video`, `image`: one kind alone. `sequential`: images for the first
    `sequential` of the steps, then videos.
    """

    mode: Literal["paired", "weighted", "video", "image", "sequential"] = "paired"
    video_batch: int = 16
    image_batch: int = 128
    frames: int = 45
    image_weight: float = 1.0
    sequential: float = 0.5
    sizes: tuple[Size, ...] = ((480, 640),)
    """Height and width; every micro-batch draws one of them, so that the network learns several grids."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of clips that the mode draws."""
        return (self.mode,) if self.mode in ("image", "video") else ("image", "video")

    def __post_init__(self) -> None:
        used = tuple({"image": self.image_batch, "video": self.video_batch}[kind] for kind in self.kinds)
        if min(used) < 1:
            raise OptionError(f"mode {self.mode} needs batches of at least 1; they are {used}")
        if self.frames < 1:
            raise OptionError(f"a clip has at least 1 frame, not {self.frames}")
        if not self.sizes:
            raise OptionError("a mixture needs at least one size, such as 480x640")
        if not 0 < self.sequential < 1:
            raise OptionError(f"the share of images in a sequence is between 0 and 1, not {self.sequential}")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of optimisation with a schedule of its own; it trains one module, whose weights are its result."""

    name: str
    steps: int
    rate: float = 1e-4
    schedule: Literal["constant", "cosine", "trapezoid"] = "constant"
    warm_up: int = 0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = 1.0
    accumulate: int = 1
    """Micro-batches that share one step of the optimiser."""
    average: float = 0.0
    """Decay of the exponential moving average, whose weights are then the result; 0 leaves it out."""
    mixture: Mixture = field(default_factory=Mixture)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.accumulate < 1:
            raise OptionError(
                f"phase {self.name}: steps and accumulate are at least 1, not {self.steps} and {self.accumulate}"
            )
        if not 0 <= self.average < 1:
            raise OptionError(f"phase {self.name}: the average's decay is in [0, 1), not {self.average}")
        if not (0 < self.rate < math.inf and self.clip_norm > 0):
            raise OptionError(f"phase {self.name}: rate and clip_norm are positive, not {self.rate}, {self.clip_norm}")
        if self.weight_decay < 0 or not all(0 <= beta < 1 for beta in self.betas):
            raise OptionError(
                f"phase {self.name}: weight_decay is at least 0 and betas lie in [0, 1), not {self.weight_decay} and "
                f"{self.betas}"
            )
        if not 0 <= self.warm_up <= self.steps:
            raise OptionError(f"phase {self.name}: warm_up {self.warm_up} is outside its {self.steps} steps")

    trains_vae: ClassVar[bool] = False
    """Whether it changes the latents of the VAE, so that none can be cached before."""
    fits_encoder: ClassVar[bool] = False
    """Whether it gives an encoder to a VAE that has none."""
    fits_decoder: ClassVar[bool] = False
    """Whether it fits the VAE's decoder to the network's predictions, so that the network must not change after."""

    @property
    def learns_depth(self) -> bool:
        """Whether a model can be exported after it."""
        return False

    @property
    def sampling(self) -> int | None:
        """The number of steps in which its depth model is sampled; None for one that predicts in a single pass."""
        return None

    @property
    def anchor(self) -> float | None:
        """τ at which its network predicts depth; None where it has no such anchor."""
        return None

    @property
    def optimizer_count(self) -> int:
        """How many optimisers share its parameters."""
        return 1

    def check(self, recipe: Recipe) -> None:
        """Raise OptionError if the phase contradicts the rest of the recipe."""
        backbone, mixture = recipe.model.backbone, self.mixture
        factor, side = backbone.time_factor, backbone.side_multiple
        if (mixture.frames - 1) % factor:
            raise OptionError(
                f"phase {self.name}: a video clip has {factor} n + 1 frames; {mixture.frames} does not: try "
                f"{mixture.frames // factor * factor + 1}"
            )
        sizes = (*mixture.sizes, *(source.size for source in recipe.sources if source.size))
        if odd := [size for size in sizes if any(length % side for length in size)]:
            raise OptionError(
                f"phase {self.name}: sides are multiples of {side}, not {odd[0][0]}x{odd[0][1]}; change sizes"
            )
        given = {source.kind for source in recipe.sources if source.weight > 0}
        wanted = set() if mixture.mode == "weighted" else set(mixture.kinds)
        if missing := sorted(wanted - given):
            raise OptionError(
                f"phase {self.name} is {mixture.mode} but no source gives {' or '.join(missing)} clips; add one or "
                "change mode"
            )

    def check_start(self, recipe: Recipe, card: ModelCard) -> None:
        """Raise ModelError if the phase does not fit the trained model of `card` that the recipe starts from."""

    def task(self, networks: Networks, batches: Batches) -> Task:
        """Return the task that trains the networks, made ready for it, on `batches`."""
        raise NotImplementedError

    def trained(self, networks: Networks) -> Iterable[nn.Parameter]:
        """Return the parameters that the phase changes, of networks that are ready to learn depth."""
        raise NotImplementedError

    def vae_blocks(self, blocks: int) -> int:  # noqa: ARG002
        """Return how many residual blocks at the VAE's own size keep their values for the backward pass.

        `blocks` is how many each half has per level; 0 where the VAE is frozen.
        """
        return 0

    def prediction(self, networks: Networks) -> Predict | None:  # noqa: ARG002
        """Return how the trained module predicts depth in validation; None where it does not."""
        return None

    def finish(self, networks: Networks, batches: Batches) -> dict[str, Any]:  # noqa: ARG002
        """Complete the networks after the last step; return what `restore` needs beside the trained weights.

        `batches` draws whole batches, the same in every process.
        """
        return {}

    def restore(self, networks: Networks, about: dict[str, Any]) -> None:
        """Complete the networks of a phase that was finished earlier, from what `finish` returned."""


@dataclass(frozen=True)
class Validation:
    """Held-out clips to measure on every `every` steps of an adaptation, and at its end."""

    source: SourceSettings
    every: int = 1000
    clips: int = 8
    frames: int = 45
    size: Size = (480, 640)
    samples: int = 2
    """How many of the clips are written as videos of RGB, truth and prediction."""

    def __post_init__(self) -> None:
        if min(self.every, self.clips, self.frames) < 1 or self.samples < 0:
            raise OptionError("validation's every, clips and frames are at least 1")


@dataclass(frozen=True)
class Recipe:
    """A whole training run: model, data and phases."""

    name: str
    summary: str
    model: ModelSettings
    sources: tuple[SourceSettings, ...]
    phases: tuple[Phase, ...]
    validation: Validation | None = None
    adaptation: Adaptation = field(default_factory=lambda: Adaptation(kind="full"))
    data: Path = Path("data")
    """The folder that holds the data sets, one folder each."""
    latents: Path | None = None
    """A folder that `dvd data cache` wrote: training reads its latents and never runs the VAE."""
    textures: Path | None = None
    """Photographs and materials for procedural scenes; without them all textures are noise."""
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    threads: int | None = None
    """Processor threads of `dvd train`, None for all; tiny networks are slower with several than with one."""
    save_every: int = 500
    keep: int = 2
    """How many of the latest checkpoints are kept."""
    log_every: int = 10
    trackers: tuple[str, ...] = ("tensorboard",)
    skipped_share: float = 0.05
    """The share of unreadable samples above which a run ends with an error."""

    def __post_init__(self) -> None:
        for kind, names in (("phase", self.phases), ("source", self.sources)):
            if len({item.name for item in names}) < len(names):
                raise OptionError(f"every {kind} needs a name of its own; they are {[item.name for item in names]}")
        backbone = self.model.backbone
        backbone.check_adaptation(self.adaptation)
        if self.latents is not None and backbone.sees == "pixels":
            raise OptionError(f"{backbone.name} sees pixels, not RGB latents; leave latents out")
        if self.latents is not None and any(phase.trains_vae for phase in self.phases):
            raise OptionError("a VAE cannot be trained from its own latents; leave latents out, or start from weights")
        if self.save_every < 1 or self.keep < 1 or self.log_every < 1:
            raise OptionError("save_every, keep and log_every are at least 1")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads are at least 1, or none for all, not {self.threads}")
        if self.validation is not None:
            (height, width), frames = self.validation.size, self.validation.frames
            factor, side = backbone.time_factor, backbone.side_multiple
            if (frames - 1) % factor or height % side or width % side:
                raise OptionError(
                    f"validation sees {factor} n + 1 frames of sides that are multiples of {side}, not {frames} of "
                    f"{height}x{width}"
                )
        if self.seed < 0:
            raise OptionError(f"a seed is at least 0, not {self.seed}")
        if self.sources and not any(source.weight for source in self.sources):
            raise OptionError("every source has weight 0; give one of them more")
        for phase in self.phases:
            phase.check(self)
        if backbone.lacks_encoder(self.model) and not (self.phases and self.phases[0].fits_encoder):
            raise OptionError(f"a trained {backbone.name} comes without its VAE's encoder; begin with an encoder phase")

    def phases_before(self, phase: Phase) -> tuple[Phase, ...]:
        """Return the phases that come before one of the recipe's own."""
        return self.phases[: [other.name for other in self.phases].index(phase.name)]

"""What a training run can be told: small frozen values, each refused at construction where it contradicts itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dvd.backbones.mini import MiniConfig
from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import VAEConfig
from dvd.data.sequences import PLAIN, Augmentation
from dvd.errors import OptionError
from dvd.losses import Objective
from dvd.train.adapters import Adaptation

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
    """One source of images or of video clips: a layout under the data root, procedural scenes, or finished shards.

    `weight` is its share among the sources that a micro-batch may be drawn from; `size` overrides the phase's own.
    """

    name: str
    data: str
    kind: Kind
    weight: float = 1.0
    size: Size | None = None
    view: Augmentation = PLAIN
    scenes: ShardSet | None = None
    split: Literal["training", "held-out", "all"] = "training"
    """Which scenes of a layout; Virtual KITTI 2 holds Scene01 out."""
    root: Path | None = None
    """Where the data lie; by default a folder of the data set's name, or of the shards' source, under the data root."""

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise OptionError(f"source {self.name}: weight {self.weight} is negative; give 0 or more")
        if self.data == "procedural" and self.scenes is None:
            raise OptionError(f"source {self.name}: procedural data need to be told which scenes; give scenes")
        if self.data != "procedural" and self.scenes is not None:
            raise OptionError(f"source {self.name}: only procedural data have scenes; set scenes to none")
        if self.kind == "video" and self.scenes is not None and self.scenes.frames < 2:
            raise OptionError(f"source {self.name}: scenes of one frame are images; set kind to image")


@dataclass(frozen=True)
class Mixture:
    """Which clips make a step. Batches are global: over all processes and accumulated micro-batches.

    `paired`: a video and an image batch per step, L = L_video + λ L_image (Eq. 10). `weighted`: every micro-batch comes
    from one source, drawn by weight, as the release does; `image_batch` and `video_batch` are then what one step would
    hold if all of it were of that kind. `video`, `image`: one kind alone. `sequential`: images for the first
    `sequential` of the steps, then videos.
    """

    mode: Literal["paired", "weighted", "video", "image", "sequential"] = "paired"
    video_batch: int = 16
    image_batch: int = 128
    frames: int = 45
    image_weight: float = 1.0
    sequential: float = 0.5
    sizes: tuple[Size, ...] = ((480, 640),)
    """Height and width; where there are several, every micro-batch draws one, so that no grid is the only one known."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the mode draws at all."""
        return (self.mode,) if self.mode in ("image", "video") else ("image", "video")

    def __post_init__(self) -> None:
        used = tuple({"image": self.image_batch, "video": self.video_batch}[kind] for kind in self.kinds)
        if min(used) < 1:
            raise OptionError(f"mode {self.mode} needs batches of at least 1; they are {used}")
        if self.frames % 4 != 1:
            raise OptionError(
                f"a video clip has 4 n + 1 frames; {self.frames} does not: try {self.frames // 4 * 4 + 1}"
            )
        if not self.sizes:
            raise OptionError("a mixture needs at least one size, such as 480x640")
        if not 0 < self.sequential < 1:
            raise OptionError(f"the share of images in a sequence lies between 0 and 1, not at {self.sequential}")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of optimisation. Every phase trains one network, has its own schedule, and leaves a result behind."""

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
            raise OptionError(f"phase {self.name}: the average's decay lies in [0, 1), not at {self.average}")
        if not (0 < self.rate < math.inf and self.clip_norm > 0):
            raise OptionError(f"phase {self.name}: rate and clip_norm are positive, not {self.rate}, {self.clip_norm}")
        if self.weight_decay < 0 or not all(0 <= beta < 1 for beta in self.betas):
            raise OptionError(
                f"phase {self.name}: weight_decay is at least 0 and betas lie in [0, 1), not {self.weight_decay} and "
                f"{self.betas}"
            )
        if not 0 <= self.warm_up <= self.steps:
            raise OptionError(f"phase {self.name}: warm_up {self.warm_up} lies outside its {self.steps} steps")


@dataclass(frozen=True, kw_only=True)
class VAEPhase(Phase):
    """Reconstruction by the video autoencoder: L1 on values and first differences, and a KL term."""

    content: tuple[Literal["rgb", "disparity"], ...] = ("disparity",)
    gradient_weight: float = 1.0
    kl_weight: float = 1e-6


@dataclass(frozen=True, kw_only=True)
class FlowPhase(Phase):
    """Rectified flow (Eq. 2): of RGB latents, the prior; or of depth latents given RGB, the generative baseline."""

    content: Literal["rgb", "depth"] = "rgb"
    sampler_steps: int = 10
    """T of the depth flow's sampler, in validation and in the exported model; the prior is not sampled."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler_steps < 1:
            raise OptionError(f"phase {self.name}: a sampler takes at least 1 step, not {self.sampler_steps}")


@dataclass(frozen=True, kw_only=True)
class AdaptPhase(Phase):
    """Deterministic adaptation: RGB latent → depth latent at τ in one pass (Eq. 5–7)."""

    tau: float = 0.5
    objective: Objective = field(default_factory=Objective)
    encoder_rate: float | None = None
    """dvd-mini: the inherited ImageNet encoder's own rate; None: `rate`."""
    muon: bool = False
    """Muon in place of AdamW for the matrices of the transformer's blocks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.tau <= 1:
            raise OptionError(f"phase {self.name}: τ lies in [0, 1], not at {self.tau}")


@dataclass(frozen=True, kw_only=True)
class EncoderPhase(Phase):
    """A VAE of which only the decoder is left gets an encoder, into the latent that decoder and network know."""

    tau: float = 0.5
    gradient_weight: float = 1.0
    agreement: float = 1.0
    """What the encoder's mean squared distance to the network's prediction counts beside the reconstruction."""


@dataclass(frozen=True, kw_only=True)
class DecoderPhase(Phase):
    """The VAE's decoder learns the latents that the regression predicts, which are smoother than the encoder's."""

    tau: float = 0.5
    gradient_weight: float = 1.0


@dataclass(frozen=True)
class ModelSettings:
    """Which network is trained, and where it starts.

    `wan` is the transformer between the halves of its VAE; `mini` has an ImageNet encoder in front. `transformer` and
    `vae` are sizes to start from nothing, `mini` those to start from ImageNet; `weights` names what else to start from:
    a registered base, dvd-mini for `mini`, or a path.
    """

    kind: Literal["wan", "mini"] = "wan"
    weights: str | None = None
    transformer: TransformerConfig | None = None
    vae: VAEConfig | None = None
    mini: MiniConfig | None = None
    time: Literal["sinusoidal", "none", "learned"] = "sinusoidal"
    """τ: as pre-trained; the network without its time conditioning; or a new embedding of the same size (Table 7)."""
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.kind == "wan" and self.weights is None and (self.transformer is None or self.vae is None):
            raise OptionError(
                "a wan model starts from weights, or from the sizes of its transformer and vae; give either"
            )
        if self.mini is not None and self.weights is not None:
            raise OptionError("weights have sizes of their own; leave model.mini or model.weights out")


@dataclass(frozen=True)
class Validation:
    """Held-out clips to measure on every `every` steps of an adaptation, and at its end."""

    source: SourceSettings
    every: int = 1000
    clips: int = 8
    frames: int = 45
    size: Size = (480, 640)
    samples: int = 2
    """So many of the clips are written as videos of RGB, truth and prediction."""

    def __post_init__(self) -> None:
        if min(self.every, self.clips, self.frames) < 1 or self.samples < 0:
            raise OptionError("validation's every, clips and frames are at least 1")


@dataclass(frozen=True)
class Recipe:
    """A whole training run: what is trained on what, phase after phase."""

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
    """A folder that `dvd data cache` wrote: training reads latents there and never runs the VAE."""
    textures: Path | None = None
    """Photographs and materials for procedural scenes; without them all textures are noise."""
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    save_every: int = 500
    keep: int = 2
    """So many of the latest checkpoints stay."""
    log_every: int = 10
    trackers: tuple[str, ...] = ("tensorboard",)
    skipped_share: float = 0.05
    """More than this share of samples that cannot be read is an error."""

    def __post_init__(self) -> None:
        for kind, names in (("phase", self.phases), ("source", self.sources)):
            if len({item.name for item in names}) < len(names):
                raise OptionError(f"every {kind} needs a name of its own; they are {[item.name for item in names]}")
        if self.model.kind == "mini" and self.adaptation.kind == "lora":
            raise OptionError("dvd-mini is trained whole; adaptation.kind is full for it")
        if self.latents is not None and self.model.kind == "mini":
            raise OptionError("dvd-mini sees pixels, not RGB latents; leave latents out")
        if self.latents is not None and any(isinstance(phase, VAEPhase) for phase in self.phases):
            raise OptionError("a VAE cannot be trained from its own latents; leave latents out, or start from weights")
        if self.save_every < 1 or self.keep < 1 or self.log_every < 1:
            raise OptionError("save_every, keep and log_every are at least 1")
        if self.validation is not None:
            height, width = self.validation.size
            if self.validation.frames % 4 != 1 or height % 16 or width % 16:
                raise OptionError(
                    "validation sees 4 n + 1 frames of sides that are multiples of 16, not "
                    f"{self.validation.frames} of {height}x{width}"
                )
        if self.seed < 0:
            raise OptionError(f"a seed is at least 0, not {self.seed}")
        if self.sources and not any(source.weight for source in self.sources):
            raise OptionError("every source has weight 0; give one of them more")
        if self.model.kind == "mini" and self.adaptation.layers is not None:
            raise OptionError("dvd-mini is trained whole; leave adaptation.layers out")
        for phase in self.phases:
            self._check(phase)
        self._check_encoder()

    def _check_encoder(self) -> None:
        """A trained dvd-mini comes with half a VAE: what its network is to predict needs the other half first."""
        starts = self.model.kind == "mini" and self.model.weights is not None
        for index, phase in enumerate(self.phases):
            if isinstance(phase, EncoderPhase) and not (starts and index == 0):
                raise OptionError(
                    f"phase {phase.name} fits an encoder to a trained dvd-mini as it came; set model.weights to one, "
                    "and put the phase first"
                )
        if starts and not (self.phases and isinstance(self.phases[0], EncoderPhase)):
            raise OptionError("a trained dvd-mini comes without its VAE's encoder; begin with an encoder phase")

    def _check_rates(self, phase: AdaptPhase) -> None:
        if phase.encoder_rate is not None and self.model.kind != "mini":
            raise OptionError(f"phase {phase.name}: encoder_rate is of dvd-mini's encoder; leave it out")
        if phase.encoder_rate is not None and phase.encoder_rate < 0:
            raise OptionError(f"phase {phase.name}: encoder_rate is at least 0, not {phase.encoder_rate}")
        names = [other.name for other in self.phases]
        if any(isinstance(other, DecoderPhase) for other in self.phases[: names.index(phase.name)]):
            raise OptionError(f"phase {phase.name} comes after the decoder was fitted to its latents; put it before")

    def _check(self, phase: Phase) -> None:
        sizes = (*phase.mixture.sizes, *(source.size for source in self.sources if source.size))
        if odd := [size for size in sizes if any(side % 16 for side in size)]:
            raise OptionError(
                f"phase {phase.name}: sides are multiples of 16, not {odd[0][0]}x{odd[0][1]}; change sizes"
            )
        kinds = {source.kind for source in self.sources if source.weight > 0}
        mode = phase.mixture.mode
        wanted = set() if mode == "weighted" else set(phase.mixture.kinds)
        if missing := sorted(wanted - kinds):
            raise OptionError(
                f"phase {phase.name} is {mode} but no source gives {' or '.join(missing)} clips; add one or change mode"
            )
        if isinstance(phase, FlowPhase):
            self._check_flow(phase)
        if isinstance(phase, AdaptPhase):
            self._check_rates(phase)
        objective = getattr(phase, "objective", None)
        if objective is not None and self.model.kind == "mini" and objective.name in ("l2+rgb", "l2+smoothness"):
            raise OptionError(f"objective {objective.name} needs RGB latents, which dvd-mini has not; choose another")

    def _check_flow(self, phase: FlowPhase) -> None:
        if self.model.time != "sinusoidal":
            raise OptionError(f"phase {phase.name}: a flow must know its time; model.time is {self.model.time}")
        if self.model.kind == "mini":
            raise OptionError(f"phase {phase.name}: dvd-mini has no RGB latents to flow to; use a wan model")
        if phase.content == "rgb":
            return
        for other in self.phases:
            if isinstance(other, AdaptPhase | DecoderPhase):
                raise OptionError(
                    f"phase {phase.name} makes a generative model and phase {other.name} a deterministic one, but a "
                    "run makes one model; give each a recipe of its own"
                )
        for later in self.phases[self.phases.index(phase) :]:
            if isinstance(later, FlowPhase) and later.content == "rgb":
                raise OptionError(f"phase {later.name}: a prior comes before the depth flow {phase.name}; swap them")

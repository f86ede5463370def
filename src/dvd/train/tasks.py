"""The phases that train the network, each beside its task: deterministic adaptation, and rectified flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor, nn

from dvd.backbones.trainable import Codec
from dvd.backbones.wan.generative import sample
from dvd.errors import OptionError
from dvd.losses import Objective, objective_loss
from dvd.train.mixture import Batch
from dvd.train.optim import adamw, muon
from dvd.train.settings import Phase, Recipe

if TYPE_CHECKING:
    from dvd.train.networks import Networks

Terms = dict[str, Tensor]
Batches = Callable[[int], list[Batch]]
"""A step → this process's micro-batches of it."""
Predict = Callable[[nn.Module, Batch], Tensor]
"""A trained module and a batch → the depth latent `B c t h w`, in however many passes that takes."""

RGB_TIMESTEP = 0.0
"""The timestep at which the network predicts the RGB latent itself, if the objective wants that too (Table 8)."""


class Task(Protocol):
    """The optimisation of one phase."""

    module: nn.Module

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Return fresh optimisers, whose groups carry their full rate as `base`."""
        ...

    def batches(self, step: int) -> list[Batch]:
        """Return this process's micro-batches of a step; called in another thread."""
        ...

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """Return the mean loss over a micro-batch, through `module` (the task's, perhaps wrapped), and its terms."""
        ...


@dataclass(frozen=True, kw_only=True)
class AdaptPhase(Phase):
    """Deterministic adaptation: RGB latent → depth latent at τ in one pass (Eq. 5–7)."""

    tau: float = 0.5
    objective: Objective = field(default_factory=Objective)
    encoder_rate: float | None = None
    """The rate of an inherited image encoder, as dvd-mini has; None: `rate`."""
    muon: bool = False
    """Muon in place of AdamW for the matrices of the transformer's blocks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.tau <= 1:
            raise OptionError(f"phase {self.name}: τ lies in [0, 1], not at {self.tau}")
        if self.encoder_rate is not None and self.encoder_rate < 0:
            raise OptionError(f"phase {self.name}: encoder_rate is at least 0, not {self.encoder_rate}")

    @property
    def learns_depth(self) -> bool:
        return True

    @property
    def anchor(self) -> float:
        return self.tau

    @property
    def optimizer_count(self) -> int:
        return 2 if self.muon else 1

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        backbone = recipe.model.backbone
        if self.encoder_rate is not None and backbone.encoder_prefix is None:
            raise OptionError(
                f"phase {self.name}: encoder_rate is of an image encoder such as dvd-mini's, which {backbone.name} has "
                "not; leave it out"
            )
        if any(other.fits_decoder for other in recipe.phases_before(self)):
            raise OptionError(f"phase {self.name} comes after the decoder was fitted to its latents; put it before")
        if self.objective.name in ("l2+rgb", "l2+smoothness") and backbone.sees == "pixels":
            raise OptionError(
                f"objective {self.objective.name} needs RGB latents, which {backbone.name} has not; choose another"
            )

    def task(self, networks: Networks, batches: Batches) -> AdaptTask:
        codec = networks.codec()
        networks.adapt()
        return AdaptTask(networks.network.train(), codec, self, batches, networks.backbone.encoder_prefix)

    def trained(self, networks: Networks) -> Iterable[nn.Parameter]:
        return (value for value in networks.network.parameters() if value.requires_grad)

    def prediction(self, networks: Networks) -> Predict:
        return at_anchor(networks.codec(), self.tau)


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

    @property
    def learns_depth(self) -> bool:
        return self.content == "depth"

    @property
    def sampling(self) -> int | None:
        return self.sampler_steps if self.learns_depth else None

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if recipe.model.time != "sinusoidal":
            raise OptionError(f"phase {self.name}: a flow must know its time; model.time is {recipe.model.time}")
        backbone = recipe.model.backbone
        if backbone.sees == "pixels":
            raise OptionError(f"phase {self.name}: {backbone.name} has no RGB latents to flow to; use a wan model")
        depth = [other for other in recipe.phases if other.learns_depth]
        if not self.learns_depth:
            earlier = [other for other in recipe.phases_before(self) if other.sampling is not None]
            if earlier:
                raise OptionError(
                    f"phase {self.name}: a prior comes before the depth flow {earlier[0].name}; swap them"
                )
        elif other := next((other for other in depth if other.sampling is None), None):
            raise OptionError(
                f"phase {self.name} makes a generative model and phase {other.name} a deterministic one, but a run "
                "makes one model; give each a recipe of its own"
            )

    def task(self, networks: Networks, batches: Batches) -> FlowTask:
        codec = networks.codec()
        if self.learns_depth:
            networks.adapt(as_flow=True)
        else:
            networks.network = networks.backbone.as_flow(networks.network, conditioned=False)
        return FlowTask(networks.network, codec, self, batches)

    def trained(self, networks: Networks) -> Iterable[nn.Parameter]:
        return (value for value in networks.network.parameters() if not self.learns_depth or value.requires_grad)

    def prediction(self, networks: Networks) -> Predict | None:
        return sampled(networks.codec(), self.sampler_steps) if self.learns_depth else None


class AdaptTask:
    """LoRA or full adaptation of a network by the phase's objective."""

    def __init__(
        self, network: nn.Module, codec: Codec, phase: AdaptPhase, batches: Batches, encoder_prefix: str | None = None
    ) -> None:
        """`encoder_prefix` begins the names of the parameters that `phase.encoder_rate` is for."""
        self.module, self.codec, self.phase, self.batches = network, codec, phase, batches
        self.encoder_prefix = encoder_prefix

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Return AdamW and, if the phase says so, Muon for the blocks' matrices."""
        phase = self.phase
        encoder, matrices, others = [], [], []
        for name, value in self.module.named_parameters():
            if self.encoder_prefix is not None and name.startswith(self.encoder_prefix):
                encoder.append(value)
            elif phase.muon and "blocks." in name and value.ndim == 2:
                matrices.append(value)
            else:
                others.append(value)
        rate = phase.rate if phase.encoder_rate is None else phase.encoder_rate
        rest = any(value.requires_grad for value in (*encoder, *others))  # none where LoRA alone learns
        first = [adamw([(encoder, rate), (others, phase.rate)], phase)] if rest else []
        return [*first, muon(matrices, phase)] if matrices else first

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """Return Eq. 7, or the alternative that the phase names."""
        seen, target = input_of(self.codec, batch), target_of(self.codec, batch)
        predicted = module(seen, 1000 * self.phase.tau)
        objective = self.phase.objective
        rgb = module(seen, RGB_TIMESTEP).float() if objective.name == "l2+rgb" else None
        total, terms = objective_loss(objective, predicted.float(), target, rgb_latent=seen, predicted_rgb=rgb)
        return total, {name: value.detach() for name, value in terms.items()}


class FlowTask:
    """The velocity field of RGB latents, or of depth latents beside their RGB latent.

    `network` takes the noised latent, and for depth the RGB latent below it in the channels, at timestep 1000 t.
    """

    def __init__(self, network: nn.Module, codec: Codec, phase: FlowPhase, batches: Batches) -> None:
        self.module, self.codec, self.phase, self.batches = network, codec, phase, batches

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Return AdamW."""
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """Return ‖v(z_t, t) − (z_1 − z_0)‖² (Eq. 2), the mean over samples."""
        rgb = input_of(self.codec, batch)
        data = rgb if self.phase.content == "rgb" else target_of(self.codec, batch)
        noise, time = noise_and_time(data, batch.seeds)
        noised = interpolate(data, noise, time)
        seen = noised if self.phase.content == "rgb" else torch.cat([noised, rgb], dim=1)
        return velocity_loss(module(seen, 1000 * time).float(), data, noise), {}


@torch.no_grad()
def input_of(codec: Codec, batch: Batch) -> Tensor:
    """Return the network's input for a batch; a batch out of a latent cache holds it already."""
    return batch.rgb.to(codec.device) if batch.latent else codec.inputs(batch.rgb)


@torch.no_grad()
def target_of(codec: Codec, batch: Batch) -> Tensor:
    """Return the depth latent of a batch; a batch out of a latent cache holds it already."""
    return batch.disparity.to(codec.device) if batch.latent else codec.target(batch.disparity)


def at_anchor(codec: Codec, tau: float) -> Predict:
    """Return the prediction in one pass at `tau` (Eq. 5)."""

    def predict(module: nn.Module, batch: Batch) -> Tensor:
        latent: Tensor = module(input_of(codec, batch), 1000 * tau)
        return latent

    return predict


def sampled(codec: Codec, steps: int) -> Predict:
    """Return the prediction from noise in `steps` steps, from the same noise for all clips, as the exported model."""

    def predict(module: nn.Module, batch: Batch) -> Tensor:
        return sample(module, input_of(codec, batch), steps)

    return predict


def noise_and_time(data: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return z_1 ~ N(0, I) like `data` `B C T H W`, and t ~ U[0, 1) `B`; float32, on its device.

    Both are functions of `seeds`, one per sample (else ValueError), drawn on the CPU: the same on every device, and
    however many processes share a batch.
    """
    draws = [_draw(sample.shape, seed) for sample, seed in zip(data, seeds, strict=True)]
    noise, time = (torch.stack(parts).to(data.device) for parts in zip(*draws, strict=True))
    return noise, time


def interpolate(data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return z_t = (1 − t) z_0 + t z_1 for `data` z_0 and `noise` z_1, both `B C T H W`, and a `time` t per sample."""
    t = time.view(-1, *(1,) * (data.ndim - 1))
    return (1 - t) * data + t * noise


def velocity_loss(predicted: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    """Return ‖v − (z_1 − z_0)‖² (Eq. 2), the mean over `B C T H W`."""
    return (predicted - (noise - data)).square().mean()


def _draw(shape: torch.Size, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random), torch.rand((), generator=random)

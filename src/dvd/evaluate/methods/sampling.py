"""The generative baseline as a method: T steps from the noise of a seed, in place of one pass at an anchor."""

from __future__ import annotations

from typing import Any

from dvd.backbones.wan.generative import GenerativeWanBackbone
from dvd.errors import OptionError
from dvd.pipeline import Pipeline

MOST_SEED = 2**63 - 1


def with_sampler(pipeline: Pipeline, steps: int | None = None, seed: int | None = None) -> Pipeline:
    """The same weights with another number of steps T or another noise; None leaves the model's own.

    OptionError where the model predicts in one pass and has neither, or where one is outside its range.
    """
    if steps is None and seed is None:
        return pipeline
    backbone = pipeline.backbone
    if not isinstance(backbone, GenerativeWanBackbone):
        raise OptionError(
            f"model '{pipeline.card.name}' predicts in one pass and reads no {'seed' if steps is None else 'steps'}; "
            "leave it out, or name a generative model"
        )
    if seed is not None:
        check_seed(seed)
    sampled = GenerativeWanBackbone(
        backbone.transformer,
        backbone.vae,
        backbone.card,
        backbone.steps if steps is None else steps,
        backbone.seed if seed is None else seed,
    )
    return Pipeline(sampled, pipeline.dtype_reason)


def check_seed(seed: int) -> None:
    """OptionError unless it is a whole number of 0 or more that a generator takes."""
    if not 0 <= seed <= MOST_SEED:
        raise OptionError(f"seed {seed} is out of range; give a whole number from 0 to {MOST_SEED}")


def check_anchor(pipeline: Pipeline, tau: float | None) -> None:
    """OptionError where τ is given and the model would ignore it: a sampler visits times of its own."""
    if tau is not None and isinstance(pipeline.backbone, GenerativeWanBackbone):
        raise OptionError(f"model '{pipeline.card.name}' samples from noise and reads no tau; leave it out")


def conditioning(pipeline: Pipeline, tau: float) -> dict[str, Any]:
    """What a report must state of the way to depth: the anchor τ, or the steps and the noise."""
    backbone = pipeline.backbone
    if isinstance(backbone, GenerativeWanBackbone):
        return {"steps": backbone.steps, "seed": backbone.seed, "noise": "the same for every window"}
    return {"tau": tau}


def kind(pipeline: Pipeline) -> str:
    """What a report calls a model of ours on videos."""
    return "generative baseline" if isinstance(pipeline.backbone, GenerativeWanBackbone) else "dvd"

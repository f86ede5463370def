"""FSDP and DeepSpeed: their settings, so that a network split over processes computes what one process would.

FSDP splits every weight over the processes, DeepSpeed's second stage the gradients and the optimiser. Both would cast
the network to bfloat16 themselves; here autocast does it, as everywhere, and the residual stream stays in float32.
"""

from __future__ import annotations

from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import Tensor
from torch.distributed.tensor import DTensor

from dvd.errors import OptionError
from dvd.train.settings import Phase, Recipe

OWNERS = (DistributedType.FSDP, DistributedType.DEEPSPEED)
"""The kinds of training that keep weights and optimisers in forms of their own."""

PLAIN = "configs/multi_gpu.yaml"


def is_split(accelerator: Accelerator) -> bool:
    """Return whether FSDP or DeepSpeed drive the training."""
    return accelerator.distributed_type in OWNERS


def refuse_unsplittable(accelerator: Accelerator, recipe: Recipe) -> None:
    """Raise OptionError for a recipe that cannot be trained in pieces; the message says what to change."""
    if not is_split(accelerator):
        return
    name = accelerator.distributed_type.value
    deepspeed = accelerator.distributed_type == DistributedType.DEEPSPEED
    if len(recipe.phases) > 1:
        raise OptionError(f"{name} cannot hand a network from one phase to the next; start {recipe.name} with {PLAIN}")
    (phase,) = recipe.phases
    if phase.average:
        raise OptionError(
            f"{name} keeps no average of the weights; set {phase.name}.average to 0, or start with {PLAIN}"
        )
    if phase.optimizer_count > 1:
        raise OptionError(f"{name} takes one optimiser; set {phase.name}.muon to false, or start with {PLAIN}")
    if deepspeed and recipe.precision == "fp16":
        raise OptionError(f"{name} works with bf16 or fp32 here; set precision to either, or start with {PLAIN}")
    if deepspeed and accelerator.state.deepspeed_plugin.zero_stage > 2:
        raise OptionError(f"{name} works up to stage 2 here; set zero_stage to 2, or start with configs/fsdp.yaml")
    if not deepspeed and accelerator.state.fsdp_plugin.fsdp_version != 2:
        raise OptionError(f"{name} works in version 2 here; set fsdp_version to 2")


def configure_splitting(accelerator: Accelerator, phase: Phase, precision: str) -> None:
    """Correct the settings of FSDP and DeepSpeed that Accelerate cannot know, before they take the network.

    `precision` is Accelerate's name of it. DeepSpeed clips and accumulates by its own configuration.
    """
    if accelerator.distributed_type == DistributedType.FSDP:
        accelerator.state.fsdp_plugin.mixed_precision_policy = None
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        config: dict[str, Any] = accelerator.state.deepspeed_plugin.deepspeed_config
        config["train_micro_batch_size_per_gpu"] = 1  # it only multiplies this
        config["gradient_accumulation_steps"] = micro_batches(phase)
        config["gradient_clipping"] = phase.clip_norm
        config["bf16"] = {"enabled": False}
        config["torch_autocast"] = {
            "enabled": precision == "bf16",
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],  # gradients travel in float32
        }
    accelerator.gradient_accumulation_steps = micro_batches(phase)


def micro_batches(phase: Phase) -> int:
    """Return how many losses a process adds up in a step."""
    return phase.accumulate * (2 if phase.mixture.mode == "paired" else 1)


def whole(value: Tensor) -> Tensor:
    """Return a weight whole, put together if FSDP has split it; every process must ask at the same time."""
    return value.full_tensor() if isinstance(value, DTensor) else value

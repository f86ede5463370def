"""Networks in pieces: what FSDP and DeepSpeed must be told so that they compute what one process would.

FSDP keeps of every weight a piece per process, DeepSpeed's second stage of gradients and optimiser. Both would cast the
network to bfloat16 themselves; here autocast does it, as everywhere, and the residual stream stays in float32.
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
"""Those that keep weights and optimisers in forms of their own."""

PLAIN = "configs/multi_gpu.yaml"


def is_split(accelerator: Accelerator) -> bool:
    """Whether FSDP or DeepSpeed drive the training."""
    return accelerator.distributed_type in OWNERS


def refuse_what_is_not_split(accelerator: Accelerator, recipe: Recipe) -> None:
    """OptionError for what cannot be trained in pieces, with what to change."""
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
        raise OptionError(f"{name} is used with bf16 or fp32 here; set precision to either, or start with {PLAIN}")
    if deepspeed and accelerator.state.deepspeed_plugin.zero_stage > 2:
        raise OptionError(f"{name} is used up to stage 2 here; set zero_stage to 2, or start with configs/fsdp.yaml")
    if not deepspeed and accelerator.state.fsdp_plugin.fsdp_version != 2:
        raise OptionError(f"{name} is used in version 2 here; set fsdp_version to 2")


def instruct(accelerator: Accelerator, phase: Phase, precision: str) -> None:
    """Tells FSDP and DeepSpeed, before they take the network, what Accelerate cannot know or has guessed.

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
    """How many losses a process adds up in a step."""
    return phase.accumulate * (2 if phase.mixture.mode == "paired" else 1)


def whole(value: Tensor) -> Tensor:
    """A weight of which FSDP may keep pieces, put together; every process must ask for it at the same time."""
    return value.full_tensor() if isinstance(value, DTensor) else value

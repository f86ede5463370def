"""LoRA through PEFT: injected into any network in place, or read back from a Wan checkpoint to go on learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from dvd.backbones.wan.checkpoints import load_unmerged
from dvd.backbones.wan.lora import ADAPTER, freeze_unreached, is_reached, lora_layers, merge_unreached
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.weights import Weights, few
from dvd.errors import ModelError


def inject(network: nn.Module, modules: Sequence[str], rank: int, alpha: int) -> None:
    """Put LoRA beside the `modules` (paths) of `network`, in place, and freeze all else."""
    from peft import LoraConfig, inject_adapter_in_model

    # A pattern, for PEFT takes names in a list as ends of paths.
    pattern = "|".join(module.replace(".", r"\.") for module in modules)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=pattern)  # type: ignore[arg-type]
    inject_adapter_in_model(config, network, ADAPTER)


def load_adapted(
    weights: Weights,
    given: Mapping[str, Any] | None = None,
    lora: Mapping[str, Any] | None = None,
    release_layout: bool = False,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> WanTransformer:
    """Return the transformer in `weights` with its LoRA unmerged, injected and ready to go on learning.

    As strict as `load_transformer`, whose `given` and `lora` these are. LoRA that no gradient reaches is merged into
    its base, which is exact under every context, and reported if it was not zero; `release_layout` keeps it instead,
    frozen. Raise ModelError where the file has no LoRA or several ranks.
    """
    transformer, adapters = load_unmerged(weights, given, lora, device, dtype)
    kept = [module for module in adapters if release_layout or is_reached(module)]
    if not kept:
        raise ModelError(f"{weights.path}: has no LoRA in it that can learn; load it merged, and adapt it")
    ranks = {len(down) for down, _ in adapters.values()}
    if len(ranks) > 1:
        raise ModelError(
            f"{weights.path}: has LoRA of ranks {few(map(str, sorted(ranks)))}; one rank is needed: merge it"
        )
    rank = ranks.pop()
    alpha = (lora or {}).get("alpha", rank)
    if not release_layout:
        merge_unreached(transformer, adapters, alpha / rank, weights)
    inject(transformer, kept, rank, alpha)
    layers = lora_layers(transformer)
    with torch.no_grad():
        for module in kept:
            for part, values in zip((layers[module].lora_A, layers[module].lora_B), adapters[module], strict=True):
                part[ADAPTER].weight.copy_(values)
    freeze_unreached(transformer)
    return transformer.train()

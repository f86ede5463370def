"""LoRA beside a Wan transformer: which modules get it, and a state with it unmerged, merged or left out.

While it trains, LoRA consists of PEFT's layers, injected in place, so that parameters are called what the release
calls them: `blocks.0.self_attn.q.base_layer.weight`, `….lora_A.default.weight`, `….lora_B.default.weight`. Outside of
a network it is pairs A, B of which W + B A is the adapted weight: alpha / rank is already in B. PEFT itself is not
imported here.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

from dvd.backbones.blueprint import blueprint
from dvd.backbones.settings import ATTENTION, FEED_FORWARD, Adaptation
from dvd.backbones.trainable import Inject
from dvd.backbones.wan.checkpoints import Adapters, with_lora
from dvd.backbones.wan.transformer import UNREACHED, TransformerConfig, WanTransformer
from dvd.backbones.wan.weights import Weights
from dvd.errors import OptionError

log = logging.getLogger(__name__)

ADAPTER = "default"
"""PEFT's, and so the release's, name of the one adapter."""


def adapt(
    transformer: WanTransformer, adaptation: Adaptation, inject: Inject, base_dtype: torch.dtype = torch.float32
) -> None:
    """Make `transformer` ready to learn in place: inject LoRA, and freeze what shall not or cannot learn.

    The frozen products of the blocks are then kept in `base_dtype`. In bfloat16 they take half the memory and, under
    bfloat16 autocast, give the same numbers, for autocast rounds them at every use. The residual stream, norms,
    modulation, embeddings and LoRA stay in float32. Raise OptionError if a layer does not exist or is adapted already.
    """
    config, layers = transformer.config, adaptation.layers
    if layers is not None and max(layers) >= config.num_layers:
        raise OptionError(
            f"layers {layers}: the transformer has {config.num_layers} blocks, 0 to {config.num_layers - 1}"
        )
    if lora_layers(transformer):
        raise OptionError("the transformer has adapters already; merge them before others are added")
    if adaptation.kind == "lora":
        inject(transformer, adapted_modules(config, adaptation), adaptation.rank, adaptation.alpha)
        _convert_base(transformer, base_dtype)
    else:
        transformer.requires_grad_(layers is None)
        for index in layers or ():
            transformer.blocks[index].requires_grad_(True)
    freeze_unreached(transformer)


def freeze_unreached(transformer: WanTransformer) -> None:
    """Freeze what no gradient reaches; a learned time basis learns whatever else is frozen."""
    if transformer.config.time == "learned":
        transformer.time_basis.requires_grad_(True)
    transformer.freeze_unreached()


def adapted_modules(config: TransformerConfig, adaptation: Adaptation) -> list[str]:
    """Return the paths of the modules that get LoRA."""
    blocks = range(config.num_layers) if adaptation.layers is None else adaptation.layers
    attention = [target for target in ATTENTION if target in adaptation.targets]
    inside = [f"{kind}.{target}" for kind in ("self_attn", "cross_attn") for target in attention]
    inside += [target for target in FEED_FORWARD if target in adaptation.targets]
    modules = [f"blocks.{index}.{module}" for index in blocks for module in inside]
    return modules if adaptation.release_layout else [module for module in modules if is_reached(module)]


def is_reached(module: str) -> bool:
    """Return whether a gradient reaches the module under the zero context."""
    return not any(part in f"{module}." for part in UNREACHED)


def lora_layers(transformer: nn.Module) -> dict[str, Any]:
    """Return the layers that PEFT has injected, by module path."""
    return {name: module for name, module in transformer.named_modules() if hasattr(module, "lora_A")}


@torch.no_grad()
def adapters_of(transformer: WanTransformer) -> Adapters:
    """Return A `rank in` and B `out rank` by module path, alpha / rank in B; empty where nothing was injected."""
    return {
        module: (layer.lora_A[ADAPTER].weight.detach(), layer.lora_B[ADAPTER].weight * layer.scaling[ADAPTER])
        for module, layer in lora_layers(transformer).items()
    }


def base_state(transformer: WanTransformer) -> dict[str, Tensor]:
    """Return the state without adapters, in the names of a network that never had any."""
    return {
        name.replace(".base_layer.", "."): value
        for name, value in transformer.state_dict().items()
        if ".lora_A." not in name and ".lora_B." not in name
    }


@torch.no_grad()
def merged_state(transformer: WanTransformer) -> dict[str, Tensor]:
    """Return the state with every adapter merged in float32: W + alpha / rank · B A, in the dtype of W."""
    state = base_state(transformer)
    for module, (down, up) in adapters_of(transformer).items():
        weight = state[f"{module}.weight"]
        state[f"{module}.weight"] = with_lora(weight, down, up, 1.0).to(weight.dtype)
    return state


def merged(transformer: WanTransformer) -> WanTransformer:
    """Return a plain frozen transformer that computes the same; it shares the memory of weights without LoRA."""
    with blueprint():
        plain = WanTransformer(transformer.config)
    plain.load_state_dict(merged_state(transformer), strict=True, assign=True)
    return plain.requires_grad_(False).eval()


@torch.no_grad()
def release_adapters(transformer: WanTransformer) -> Adapters:
    """Return `adapters_of`, completed to the release's: absent ones as they would start, B zero and A random.

    A is drawn the same every time. Empty where nothing was injected.
    """
    adapters = adapters_of(transformer)
    if not adapters:
        return {}
    state = base_state(transformer)
    down, up = next(iter(adapters.values()))
    generator = torch.Generator().manual_seed(0)
    complete = {}
    for module in adapted_modules(transformer.config, Adaptation(release_layout=True)):
        wide, narrow = state[f"{module}.weight"].shape
        fresh = torch.empty(len(down), narrow).uniform_(-(narrow**-0.5), narrow**-0.5, generator=generator)
        complete[module] = adapters.get(module) or (fresh.to(down), up.new_zeros(wide, len(down)))
    return complete


@torch.no_grad()
def merge_unreached(transformer: WanTransformer, adapters: Adapters, scale: float, weights: Weights) -> None:
    """Merge the LoRA of modules that no gradient reaches into the base, unless it never learned and has B = 0."""
    silent = [module for module in adapters if not is_reached(module)]
    active = [module for module in silent if all(part.any() for part in adapters[module])]
    for module in active:
        weight = transformer.get_parameter(f"{module}.weight")
        weight.copy_(with_lora(weight, *adapters[module], scale))
    if silent:
        log.info("%s: left out the LoRA of %d modules that no gradient reaches", weights.path, len(silent))
    if active:
        log.warning(
            "%s: %d of them were not zero and are merged into their base, so that nothing changes",
            weights.path,
            len(active),
        )


def _convert_base(transformer: WanTransformer, dtype: torch.dtype) -> None:
    """Convert the linear layers of the blocks, one at a time, without the adapters beside them."""
    for name, module in transformer.blocks.named_modules():
        if isinstance(module, nn.Linear) and ".lora_" not in name:
            module.to(dtype)

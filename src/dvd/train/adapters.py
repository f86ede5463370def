"""What of the transformer is adapted: LoRA beside frozen weights, or the weights themselves.

The adapters are PEFT's, injected in place, so that parameters are called what the release calls them:
`blocks.0.self_attn.q.base_layer.weight`, `….lora_A.default.weight`, `….lora_B.default.weight`. Outside of a network
they are pairs A, B of which W + B A is the adapted weight: alpha / rank is already in B.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dvd.backbones.blueprint import blueprint
from dvd.backbones.wan.checkpoints import Adapters, load_unmerged, with_lora
from dvd.backbones.wan.transformer import UNREACHED, TransformerConfig, WanTransformer
from dvd.backbones.wan.weights import Weights, few
from dvd.errors import ModelError, OptionError, unknown

log = logging.getLogger(__name__)

ATTENTION, FEED_FORWARD = ("q", "k", "v", "o"), ("ffn.0", "ffn.2")
TARGETS = (*ATTENTION, *FEED_FORWARD)
"""The release's, in every block and in self- and cross-attention alike."""

_NAME = "default"
"""What PEFT, and so the release, calls the one adapter."""


@dataclass(frozen=True)
class Adaptation:
    """Which weights of the transformer learn.

    - `lora`: A and B of `rank` beside every one of `targets`, scaled by `alpha` / `rank`; all else is frozen. A
      starts random and B at zero, so that the network starts as the base.
    - `full`: the weights themselves; rank, alpha and targets have no say.

    `layers` names the blocks by number, all where it is None; full training of some blocks freezes what lies outside of
    them. Cross-attention's queries and keys never receive a gradient under the zero context, so they get no LoRA,
    unless `release_layout` asks for it as the release has it: it is then there, frozen. A learned time basis always
    learns. OptionError for a field that is out of range or contradicts another.
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
                f"layers are different numbers of blocks, counted from 0, not {layers}; or leave them out"
            )
        if self.release_layout:
            raise OptionError(
                f"the release's layout has LoRA in every block, not only in {layers}; leave one of them out"
            )


def adapt(transformer: WanTransformer, adaptation: Adaptation, base_dtype: torch.dtype = torch.float32) -> None:
    """Makes `transformer` ready to learn in place: injects LoRA, and freezes what shall not or cannot learn.

    The frozen products of the blocks are then kept in `base_dtype`. In bfloat16 they take half the memory and, under
    bfloat16 autocast, give the same numbers, for autocast rounds them at every use. The residual stream, norms,
    modulation, embeddings and LoRA stay in float32. OptionError where a layer does not exist or adapters are there
    already.
    """
    config, layers = transformer.config, adaptation.layers
    if layers is not None and max(layers) >= config.num_layers:
        raise OptionError(
            f"layers {layers}: the transformer has {config.num_layers} blocks, 0 to {config.num_layers - 1}"
        )
    if _layers_of(transformer):
        raise OptionError("the transformer has adapters already; merge them before others are added")
    if adaptation.kind == "lora":
        _inject(transformer, adapted_modules(config, adaptation), adaptation.rank, adaptation.alpha)
        _keep_base_in(transformer, base_dtype)
    else:
        transformer.requires_grad_(layers is None)
        for index in layers or ():
            transformer.blocks[index].requires_grad_(True)
    _settle(transformer)


def adapted_modules(config: TransformerConfig, adaptation: Adaptation) -> list[str]:
    """The paths of the modules that LoRA stands beside."""
    blocks = range(config.num_layers) if adaptation.layers is None else adaptation.layers
    attention = [target for target in ATTENTION if target in adaptation.targets]
    inside = [f"{kind}.{target}" for kind in ("self_attn", "cross_attn") for target in attention]
    inside += [target for target in FEED_FORWARD if target in adaptation.targets]
    modules = [f"blocks.{index}.{module}" for index in blocks for module in inside]
    return modules if adaptation.release_layout else [module for module in modules if is_reached(module)]


def is_reached(module: str) -> bool:
    """Whether a gradient reaches the module under the zero context."""
    return not any(part in f"{module}." for part in UNREACHED)


def load_adapted(
    weights: Weights,
    given: Mapping[str, Any] | None = None,
    lora: Mapping[str, Any] | None = None,
    release_layout: bool = False,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> WanTransformer:
    """The transformer in `weights` with its LoRA unmerged, injected and ready to go on learning.

    As strict as `load_transformer`, whose `given` and `lora` these are. LoRA that no gradient reaches is merged into
    its base, which is exact under every context, and said if it was not zero; `release_layout` keeps it instead,
    frozen. ModelError where the file has no LoRA or several ranks.
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
        _merge_unreached(transformer, adapters, alpha / rank, weights)
    _inject(transformer, kept, rank, alpha)
    layers = _layers_of(transformer)
    with torch.no_grad():
        for module in kept:
            for part, values in zip((layers[module].lora_A, layers[module].lora_B), adapters[module], strict=True):
                part[_NAME].weight.copy_(values)
    _settle(transformer)
    return transformer.train()


@torch.no_grad()
def adapters_of(transformer: WanTransformer) -> Adapters:
    """Module path → A `rank in` and B `out rank`, alpha / rank in B; empty where nothing was injected."""
    return {
        module: (layer.lora_A[_NAME].weight.detach(), layer.lora_B[_NAME].weight * layer.scaling[_NAME])
        for module, layer in _layers_of(transformer).items()
    }


def base_state(transformer: WanTransformer) -> dict[str, Tensor]:
    """The state without adapters, in the names of a network that never had any."""
    return {
        name.replace(".base_layer.", "."): value
        for name, value in transformer.state_dict().items()
        if ".lora_A." not in name and ".lora_B." not in name
    }


@torch.no_grad()
def merged_state(transformer: WanTransformer) -> dict[str, Tensor]:
    """The state with every adapter merged in float32: W + alpha / rank · B A, in the dtype of W."""
    state = base_state(transformer)
    for module, (down, up) in adapters_of(transformer).items():
        weight = state[f"{module}.weight"]
        state[f"{module}.weight"] = with_lora(weight, down, up, 1.0).to(weight.dtype)
    return state


def merged(transformer: WanTransformer) -> WanTransformer:
    """A plain transformer that computes the same, frozen; what was not adapted shares its memory with `transformer`."""
    with blueprint():
        plain = WanTransformer(transformer.config)
    plain.load_state_dict(merged_state(transformer), strict=True, assign=True)
    return plain.requires_grad_(False).eval()


@torch.no_grad()
def release_adapters(transformer: WanTransformer) -> Adapters:
    """As `adapters_of`, completed to the release's: what is absent is there as it would start, B zero and A random.

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


def _inject(transformer: WanTransformer, modules: Sequence[str], rank: int, alpha: float) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    # A pattern, for PEFT takes names in a list as ends of paths.
    pattern = "|".join(module.replace(".", r"\.") for module in modules)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=pattern)  # type: ignore[arg-type]
    inject_adapter_in_model(config, transformer, _NAME)


def _keep_base_in(transformer: WanTransformer, dtype: torch.dtype) -> None:
    """Converts the linear layers of the blocks, one at a time, without the adapters beside them."""
    for name, module in transformer.blocks.named_modules():
        if isinstance(module, nn.Linear) and ".lora_" not in name:
            module.to(dtype)


def _settle(transformer: WanTransformer) -> None:
    if transformer.config.time == "learned":
        transformer.time_basis.requires_grad_(True)
    transformer.freeze_unreached()


def _layers_of(transformer: WanTransformer) -> dict[str, Any]:
    """Module path → the layer that PEFT has put there, without importing PEFT where there is none."""
    return {name: module for name, module in transformer.named_modules() if hasattr(module, "lora_A")}


@torch.no_grad()
def _merge_unreached(transformer: WanTransformer, adapters: Adapters, scale: float, weights: Weights) -> None:
    """LoRA that never learned has B = 0 and can go; if it has not, it goes into the base."""
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

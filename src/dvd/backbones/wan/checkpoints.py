"""Checkpoints ⇄ networks: any spelling of the names, LoRA merged on loading, every key accounted for.

The network is built without memory and filled one tensor at a time, so loading takes the weights plus one tensor.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dvd.backbones.blueprint import blueprint
from dvd.backbones.wan.names import MARKS, network_of, rename, table_for
from dvd.backbones.wan.sizes import transformer_config, vae_config
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import WanVAE
from dvd.backbones.wan.weights import Shape, Weights, few, refuse
from dvd.errors import ModelError, OutputError
from dvd.files import make_aside, why_refused

log = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)
Adapters = Mapping[str, tuple[Tensor, Tensor]]
"""Module path → LoRA's A `rank in` and B `out rank`."""

RELEASE_PREFIX = "pipe.dit."
MISMATCH_ADVICE = "use a complete checkpoint that fits its config.json"
_LORA_NAME = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight")


@dataclass
class Stored:
    """The names of one parameter in a file: its own and, if LoRA is unmerged, those of A and B."""

    base: list[str] = field(default_factory=list)
    lora: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [*self.base, *self.lora.values()]


def load_transformer(
    weights: Weights,
    given: Mapping[str, Any] | None = None,
    lora: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> WanTransformer:
    """Load the transformer in `weights` and merge its LoRA in float32: W + alpha / rank · B A.

    `given` are sizes from a configuration file, in the original's terms or diffusers'; the others are inferred. `lora`
    may hold `alpha` (default: the rank) and `rank`. Raise ModelError with the keys that are missing, unknown, of
    another shape or not finite.
    """
    stored, network = _outline(weights, given or {})
    return _fill(network, stored, weights, lora or {}, torch.device(device), dtype)


def load_unmerged(
    weights: Weights,
    given: Mapping[str, Any] | None = None,
    lora: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[WanTransformer, Adapters]:
    """Load as `load_transformer`, but return LoRA apart, A and B as stored, not yet scaled by alpha."""
    stored, network = _outline(weights, given or {})
    _fill(network, stored, weights, lora or {}, torch.device(device), dtype, merge=False)
    adapters, broken = {}, []
    for name, entry in stored.items():
        if entry.lora:
            down, up = (weights.read(entry.lora[side]).to(device, dtype) for side in "AB")
            adapters[name.removesuffix(".weight")] = down, up
            broken += [] if _is_finite(down) and _is_finite(up) else [entry.lora["A"]]
    refuse(weights.path, f"as {dtype} they are of no use: get other weights", not_finite=broken)
    return network, adapters


def load_vae(
    weights: Weights,
    given: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> WanVAE:
    """Load the video autoencoder in `weights`; arguments and errors as `load_transformer`."""
    stored = locate(weights, "vae")
    config = vae_config(_base_shapes(stored, weights), given or {}, weights.path)
    with blueprint():
        network = WanVAE(config)
    return _fill(network, stored, weights, {}, torch.device(device), dtype)


def save_release(state: Mapping[str, Tensor], path: Path, lora: Adapters | None = None) -> None:
    """Write a transformer's state (our names) in the release's names, `lora` unmerged beside its base.

    Without `lora` the file holds merged weights. Raise OutputError where the disk refuses; no half file is left.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().contiguous() for name, tensor in release_state(state, lora or {}).items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = make_aside(path)
        try:
            save_file(tensors, str(aside))
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: {why_refused(error)}") from error


def release_state(state: Mapping[str, Tensor], lora: Adapters) -> dict[str, Tensor]:
    """Return a transformer's state in the release's names: under `pipe.dit.`, as PEFT calls base and adapters."""
    named = {}
    for name, tensor in state.items():
        module, _, leaf = name.rpartition(".")
        named[RELEASE_PREFIX + (f"{module}.base_layer.{leaf}" if module in lora else name)] = tensor
    for module, (down, up) in lora.items():
        named[f"{RELEASE_PREFIX}{module}.lora_A.default.weight"] = down
        named[f"{RELEASE_PREFIX}{module}.lora_B.default.weight"] = up
    return named


def locate(weights: Weights, part: str) -> dict[str, Stored]:
    """Return parameter in our names → its names in the file, whatever their prefix and spelling."""
    network, prefix = network_of(weights.shapes) or ("", "")
    if network != part:
        raise ModelError(f"{weights.path}: no {part} in it, which has {MARKS[part][0]}; give weights of Wan2.1 or DVD")
    plain = {name: name[len(prefix) :] for name in weights.shapes if name.startswith(prefix)}
    _check_siblings(weights, prefix)

    table = table_for(plain.values(), part)
    stored: dict[str, Stored] = {}
    for name, short in plain.items():
        ours = rename(short, table)
        adapter = _LORA_NAME.fullmatch(ours)
        if adapter:
            stored.setdefault(f"{adapter['module']}.weight", Stored()).lora[adapter["side"]] = name
        else:
            stored.setdefault(ours.replace(".base_layer.", "."), Stored()).base.append(name)

    doubled = [name for entry in stored.values() if len(entry.base) > 1 for name in entry.base]
    refuse(weights.path, "keep one of each", the_same_weights_twice=doubled)
    return stored


def with_lora(weight: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    """Return W + scale · B A in float32, a new tensor: A is `down`, B is `up`, scale is alpha / rank."""
    return weight.float().addmm(up.float(), down.float(), alpha=scale)


def _outline(weights: Weights, given: Mapping[str, Any]) -> tuple[dict[str, Stored], WanTransformer]:
    """Return the names in the file, and the network that they fit, without memory."""
    stored = locate(weights, "transformer")
    config = transformer_config(_base_shapes(stored, weights), given, weights.path)
    with blueprint():
        return stored, WanTransformer(config)


def _check_siblings(weights: Weights, prefix: str) -> None:
    """Raise ModelError for tensors outside the network, unless they are the rest of the release's pipeline."""
    others = [name for name in weights.shapes if not name.startswith(prefix)]
    strangers = [name for name in others if prefix != RELEASE_PREFIX or not name.startswith("pipe.")]
    refuse(weights.path, "use a checkpoint that holds one network", unknown_keys=strangers)
    if others:
        log.info("%s: ignoring %d tensors beside the transformer", weights.path, len(others))


def _base_shapes(stored: Mapping[str, Stored], weights: Weights) -> dict[str, Shape]:
    return {name: weights.shapes[entry.base[0]] for name, entry in stored.items() if entry.base}


def _fill(
    network: Network,
    stored: Mapping[str, Stored],
    weights: Weights,
    lora: Mapping[str, Any],
    device: torch.device,
    dtype: torch.dtype,
    merge: bool = True,
) -> Network:
    """Give every parameter its values, in the order of the file."""
    _check_keys(dict(network.state_dict()), stored, weights)
    _check_lora(stored, weights, lora)
    _allocate(network, device, dtype)
    if device.type == "meta":  # names and shapes suffice
        return network.eval()
    broken = []
    for name, entry in stored.items():
        parameter = network.get_parameter(name)
        base = weights.read(entry.base[0])
        parameter.copy_(_merged(base, entry, weights, lora.get("alpha"), device) if merge and entry.lora else base)
        if not _is_finite(parameter):
            broken.append(entry.base[0])
    refuse(weights.path, f"as {dtype} they are of no use: get other weights", not_finite=broken)
    return network.eval()


def _allocate(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Allocate all parameters at once: temporary tensors between lasting ones would fragment the memory."""
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            values = torch.empty(parameter.shape, device=device, dtype=dtype)
            setattr(module, name, nn.Parameter(values, requires_grad=False))


def _check_keys(parameters: Mapping[str, Tensor], stored: Mapping[str, Stored], weights: Weights) -> None:
    """Raise ModelError for keys that are missing or unknown, and for shapes that differ."""
    whole = {name for name, entry in stored.items() if entry.base and len(entry.lora) in (0, 2)}
    missing = [name for name in parameters if name not in whole]
    unknown = [name for key, entry in stored.items() if key not in parameters for name in entry.names]
    refuse(weights.path, MISMATCH_ADVICE, keys_missing=missing, unknown_keys=unknown)

    wrong = []
    for name, parameter in parameters.items():
        entry, shape = stored[name], tuple(parameter.shape)
        expected = {entry.base[0]: shape}
        if entry.lora:
            rank = _rank(entry, weights)
            expected |= {entry.lora["A"]: (rank, *shape[1:]), entry.lora["B"]: (*shape[:1], rank)}
        wrong += [
            f"{key} is {weights.shapes[key]}, not {size}"
            for key, size in expected.items()
            if weights.shapes[key] != size
        ]
    refuse(weights.path, MISMATCH_ADVICE, wrong_shapes=wrong)


def _check_lora(stored: Mapping[str, Stored], weights: Weights, lora: Mapping[str, Any]) -> None:
    for name in ("alpha", "rank"):
        if not isinstance(lora.get(name, 1), (int, float)):
            raise ModelError(
                f"{weights.path}: its config.json gives LoRA {name} = {lora[name]!r}; write a number there"
            )
    ranks = {_rank(entry, weights) for entry in stored.values() if entry.lora}
    if "rank" in lora and ranks - {lora["rank"]}:
        raise ModelError(
            f"{weights.path}: LoRA has rank {few(map(str, ranks))}, not {lora['rank']}; correct its config.json"
        )


def _rank(entry: Stored, weights: Weights) -> int:
    return next(iter(weights.shapes[entry.lora["A"]]), 0)


def _merged(base: Tensor, entry: Stored, weights: Weights, alpha: float | None, device: torch.device) -> Tensor:
    """Return one parameter with its LoRA added."""
    down, up = (weights.read(entry.lora[side]).to(device) for side in "AB")
    rank = len(down)
    return with_lora(base.to(device), down, up, (rank if alpha is None else alpha) / rank)


def _is_finite(tensor: Tensor) -> bool:
    low, high = tensor.aminmax()  # passes NaN on, and needs no memory of the tensor's size
    return math.isfinite(low.item()) and math.isfinite(high.item())

"""A model once more: in another dtype, as diffusers' classes on the very same weights, or with random ones."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from dvd.backbones.base import Backbone, ModelCard
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.names import Table, rename, transformer_table, vae_table
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE

M = TypeVar("M", bound=nn.Module)


def random_wan(device: torch.device, dtype: torch.dtype, card: ModelCard) -> WanBackbone:
    """Wan2.1 of the 1.3B model's sizes with random weights."""
    transformer = random_weights(lambda: WanTransformer(TransformerConfig()), device, dtype)
    return WanBackbone(transformer, random_weights(lambda: WanVAE(VAEConfig()), device, dtype), card)


def random_weights(build: Callable[[], M], device: torch.device, dtype: torch.dtype = torch.float32) -> M:
    """A module for timing: weights that keep activations near 1, drawn in place of its own slow initialisation."""
    with torch.device("meta"):
        module = build().to(dtype)
    module.to_empty(device=device).eval().requires_grad_(False)
    for value in module.parameters():
        bound = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
        value.uniform_(-bound, bound)
    return module


def in_dtype(backbone: Backbone, dtype: torch.dtype) -> Backbone:
    """The backbone itself where it has that dtype, else a copy, made tensor by tensor so that no wide one is made."""
    if backbone.dtype == dtype:
        return backbone
    states = [module.state_dict(keep_vars=True) for module in _modules(backbone)]
    memo = {id(value): _converted(value, dtype) for state in states for value in state.values()}
    twin = cast(Backbone, copy.deepcopy(backbone, memo))
    return twin.to(dtype=dtype)


def weight_bytes(backbone: Backbone) -> int:
    """Bytes of the weights that a backbone has at hand, the folded transformer among them once it has run."""
    kept = {
        id(value): value.nbytes for module in _modules(backbone) for value in module.state_dict(keep_vars=True).values()
    }
    return sum(kept.values())


def _modules(backbone: Backbone) -> list[nn.Module]:
    parts = list(vars(backbone).values())
    inside = [part for parts_of in parts if isinstance(parts_of, tuple) for part in parts_of]
    return [part for part in (*parts, *inside) if isinstance(part, nn.Module)]


def diffusers_transformer(ours: WanTransformer) -> nn.Module:
    """diffusers' class on the very weights of `ours`."""
    config = ours.config
    with torch.device("meta"):
        theirs = _diffusers().WanTransformer3DModel(
            patch_size=config.patch_size,
            num_attention_heads=config.num_heads,
            attention_head_dim=config.head_dim,
            in_channels=config.in_dim,
            out_channels=config.out_dim,
            text_dim=config.text_dim,
            freq_dim=config.freq_dim,
            ffn_dim=config.ffn_dim,
            num_layers=config.num_layers,
            eps=config.eps,
        )
    _share(ours, theirs, transformer_table(config.num_layers))
    # The table of angles is no weight: it has to be computed, on a device that holds numbers.
    rope = type(theirs.rope)(config.head_dim, config.patch_size, 1024)
    theirs.rope = rope.to(ours.patch_embedding.weight.device)
    return theirs.eval()


def diffusers_vae(ours: WanVAE) -> nn.Module:
    """diffusers' class on the very weights of `ours`; only its decoder has any where ours is the decoder alone.

    Its order of pixels within a patch differs, so with `patch` over 1 the work is the same and the picture is not.
    """
    config = ours.config
    channels = config.channels * config.patch**2
    with torch.device("meta"):
        theirs = _diffusers().AutoencoderKLWan(
            base_dim=config.dim,
            z_dim=config.z_dim,
            dim_mult=list(config.dim_mult),
            num_res_blocks=config.num_res_blocks,
            temperal_downsample=list(config.temporal_downsample),
            in_channels=channels,
            out_channels=channels,
            patch_size=config.patch if config.patch > 1 else None,
        )
    _share(ours, theirs, vae_table(config.num_res_blocks, len(config.dim_mult)))
    return theirs.eval()


def _share(ours: nn.Module, theirs: nn.Module, table: Table) -> None:
    state = {rename(name, table): value for name, value in ours.state_dict().items()}
    missing, unknown = theirs.load_state_dict(state, strict=False, assign=True)
    allowed = () if hasattr(ours, "encoder") else ("encoder.", "quant_conv.")
    wrong = [*unknown, *(name for name in missing if not name.startswith(allowed))]
    if wrong:
        raise ValueError(f"diffusers names its weights differently: {', '.join(wrong[:4])}")
    theirs.requires_grad_(False)


def _converted(value: Tensor, dtype: torch.dtype) -> Tensor:
    converted = value.detach().to(dtype) if value.is_floating_point() else value
    return nn.Parameter(converted, requires_grad=False) if isinstance(value, nn.Parameter) else converted


def has_diffusers() -> bool:
    """Whether that extra is installed."""
    return importlib.util.find_spec("diffusers") is not None


def _diffusers() -> Any:
    import diffusers

    return diffusers

"""One window of work done in several ways: by our model, by it unfolded, and by diffusers' classes.

All ways of a stage run on the same weights and input (and the same empty prompt), so that their outputs can be
compared. Ways of one dtype share their memory, because a copy of 1.4 billion parameters is 5.7 GB.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from dvd.backbones.base import Backbone, ModelCard
from dvd.backbones.blueprint import blueprint
from dvd.backbones.mini import MiniBackbone
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.generative import GenerativeWanBackbone
from dvd.backbones.wan.names import Table, rename, transformer_table, vae_table
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE

M = TypeVar("M", bound=nn.Module)

PROMPT_TOKENS = 512
ENCODE, TRANSFORMER, DECODE = "encode", "transformer", "decode latents"
NETWORK_STAGES = (ENCODE, TRANSFORMER, DECODE)
OURS, UNFOLDED, DIFFUSERS = "ours", "unfolded", "diffusers"


class Way(NamedTuple):
    """A stage, who does it (`OURS`, `UNFOLDED` or `DIFFUSERS`), and in which dtype."""

    stage: str
    by: str
    dtype: str


Ways = dict[Way, Callable[[], object]]
"""Several ways through several stages; those of one stage give the same up to rounding."""


@dataclass(frozen=True)
class Networks:
    """The Wan networks in a backbone, which can be run in other ways too; None where there is none.

    `transformer` makes the one pass at the anchor, and `finish` follows with the latents before and after that pass.
    `vae` decodes, and also encodes if `encodes`.
    """

    transformer: WanTransformer | None = None
    vae: WanVAE | None = None
    encodes: bool = False
    finish: Callable[[Tensor, Tensor], Tensor] = lambda _, after: after


@singledispatch
def networks_of(backbone: Backbone) -> Networks:  # noqa: ARG001
    """Return the Wan networks of a backbone; a new kind of backbone has none, or registers here."""
    return Networks()


@networks_of.register
def _(backbone: WanBackbone) -> Networks:
    return Networks(backbone.transformer, backbone.vae, encodes=True)


@networks_of.register
def _(backbone: GenerativeWanBackbone) -> Networks:
    """A sampler makes several passes, which nothing here repeats."""
    return Networks(None, backbone.vae, encodes=True)


@networks_of.register
def _(backbone: MiniBackbone) -> Networks:
    return Networks(backbone.network.transformer, backbone.vae, finish=backbone.network.refine)


@torch.no_grad()
def window_ways(backbone: Backbone, rgb: Tensor, timestep: float) -> Ways:
    """Return every way to take one window, RGB `1 3 T H W` in [0, 1], through the backbone in its own dtype.

    A way is left out where it does not exist: the ImageNet encoder of dvd-mini and the sampler of the generative
    baseline have no counterpart in diffusers, and diffusers may not be installed.
    """
    signed = rgb.to(backbone.device, backbone.dtype) * 2 - 1
    latent = backbone.encode(signed)
    depth_latent = backbone.forward(latent, timestep)
    networks, dtype = networks_of(backbone), dtype_name(backbone.dtype)
    ways: Ways = {
        Way(ENCODE, OURS, dtype): lambda: backbone.encode(signed),
        Way(TRANSFORMER, OURS, dtype): lambda: backbone.forward(latent, timestep),
        Way(DECODE, OURS, dtype): lambda: backbone.decode(depth_latent),
    }
    transformer = networks.transformer
    if transformer is not None:
        ways[Way(TRANSFORMER, UNFOLDED, dtype)] = lambda: networks.finish(latent, transformer(latent, timestep))
    if has_diffusers():
        theirs = _diffusers_works(networks, signed, latent, depth_latent, timestep)
        ways |= {Way(stage, DIFFUSERS, dtype): work for stage, work in theirs}
    return ways


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name without its module: `torch.bfloat16` → "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def _diffusers_works(
    networks: Networks, signed: Tensor, latent: Tensor, depth_latent: Tensor, timestep: float
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the stages that diffusers has a counterpart of, and their work."""
    transformer, vae = networks.transformer, networks.vae
    if transformer is not None and transformer.config.time == "sinusoidal":
        module: Any = diffusers_transformer(transformer)
        prompt = latent.new_zeros(1, PROMPT_TOKENS, transformer.config.text_dim)
        moment = torch.tensor([timestep], device=latent.device)
        yield TRANSFORMER, lambda: networks.finish(latent, module(latent, moment, prompt, return_dict=False)[0])
    if vae is None:
        return
    autoencoder: Any = diffusers_vae(vae)
    normal = (vae.config.latents_mean, vae.config.latents_std)
    mean, std = (latent.new_tensor(values).view(1, -1, 1, 1, 1) for values in normal)
    if networks.encodes:
        yield ENCODE, lambda: (autoencoder.encode(signed).latent_dist.mode() - mean) / std
    yield DECODE, lambda: autoencoder.decode(depth_latent * std + mean, return_dict=False)[0]


def wan_blueprint(card: ModelCard) -> WanBackbone:
    """Return Wan2.1 of the 1.3B model's sizes without values, on the meta device."""
    with blueprint():
        return WanBackbone(WanTransformer(TransformerConfig()), WanVAE(VAEConfig()), card)


def random_wan(device: torch.device, dtype: torch.dtype, card: ModelCard) -> WanBackbone:
    """Return Wan2.1 of the 1.3B model's sizes with random weights."""
    transformer = random_weights(lambda: WanTransformer(TransformerConfig()), device, dtype)
    return WanBackbone(transformer, random_weights(lambda: WanVAE(VAEConfig()), device, dtype), card)


def random_weights(build: Callable[[], M], device: torch.device, dtype: torch.dtype = torch.float32) -> M:
    """Build a module to time: weights that keep activations near 1, drawn instead of its own slow initialisation."""
    with torch.device("meta"):
        module = build().to(dtype)
    module.to_empty(device=device).eval().requires_grad_(False)
    for value in module.parameters():
        bound = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
        value.uniform_(-bound, bound)
    return module


def in_dtype(backbone: Backbone, dtype: torch.dtype) -> Backbone:
    """Return the backbone itself if it has that dtype, else a copy, converted tensor by tensor to save memory."""
    if backbone.dtype == dtype:
        return backbone
    states = [module.state_dict(keep_vars=True) for module in _modules(backbone)]
    memo = {id(value): _converted(value, dtype) for state in states for value in state.values()}
    twin = cast(Backbone, copy.deepcopy(backbone, memo))
    return twin.to(dtype=dtype)


def weight_bytes(backbone: Backbone) -> int:
    """Return the bytes of all weights that a backbone holds, with the folded transformer once it has run."""
    kept = {
        id(value): value.nbytes for module in _modules(backbone) for value in module.state_dict(keep_vars=True).values()
    }
    return sum(kept.values())


def _modules(backbone: Backbone) -> list[nn.Module]:
    parts = list(vars(backbone).values())
    inside = [part for parts_of in parts if isinstance(parts_of, tuple) for part in parts_of]
    return [part for part in (*parts, *inside) if isinstance(part, nn.Module)]


def _converted(value: Tensor, dtype: torch.dtype) -> Tensor:
    converted = value.detach().to(dtype) if value.is_floating_point() else value
    return nn.Parameter(converted, requires_grad=False) if isinstance(value, nn.Parameter) else converted


def has_diffusers() -> bool:
    """Return whether diffusers is installed."""
    return importlib.util.find_spec("diffusers") is not None


def diffusers_transformer(ours: WanTransformer) -> nn.Module:
    """Return diffusers' class on the very weights of `ours`."""
    import diffusers

    config = ours.config
    with torch.device("meta"):
        theirs: Any = diffusers.WanTransformer3DModel(
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
    # The table of angles is no weight: it has to be computed, on a device that holds values.
    rope = type(theirs.rope)(config.head_dim, config.patch_size, 1024)
    theirs.rope = rope.to(ours.patch_embedding.weight.device)
    return cast(nn.Module, theirs.eval())


def diffusers_vae(ours: WanVAE) -> nn.Module:
    """Return diffusers' class on the very weights of `ours`; its encoder has none if ours is the decoder alone.

    Its order of pixels within a patch differs, so with `patch` over 1 the work is the same and the picture is not.
    """
    import diffusers

    config = ours.config
    channels = config.channels * config.patch**2
    with torch.device("meta"):
        theirs: Any = diffusers.AutoencoderKLWan(
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
    return cast(nn.Module, theirs.eval())


def _share(ours: nn.Module, theirs: nn.Module, table: Table) -> None:
    """Give diffusers' module the tensors of ours; raise ValueError if their names do not match."""
    state = {rename(name, table): value for name, value in ours.state_dict().items()}
    missing, unknown = theirs.load_state_dict(state, strict=False, assign=True)
    without_encoder = () if hasattr(ours, "encoder") else ("encoder.", "quant_conv.")
    wrong = [*unknown, *(name for name in missing if not name.startswith(without_encoder))]
    if wrong:
        raise ValueError(f"diffusers names its weights differently: {', '.join(wrong[:4])}")
    theirs.requires_grad_(False)

"""One window of work, done in several ways: ours unfolded and folded, diffusers' classes; float32 and bfloat16.

All ways of a stage run on the same random weights and input (and the same empty prompt), so that their outputs can be
compared; in float32 they even share memory, because a copy of 1.4 billion parameters is 5.7 GB.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from dvd.backbones.wan.fold import fold
from dvd.backbones.wan.names import Table, rename, transformer_table, vae_table
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.errors import OptionError

if TYPE_CHECKING:
    from dvd.backbones.mini import MiniBackbone

M = TypeVar("M", bound=nn.Module)

TIMESTEP = 500.0
PROMPT_TOKENS = 512


class Way(NamedTuple):
    """Who does the work ("ours", "unfolded", "folded" or "diffusers") and in which dtype."""

    by: str
    dtype: str


Ways = dict[Way, Callable[[], Tensor]]
"""Several ways to do the same thing; all return the same up to rounding."""


@dataclass(frozen=True)
class Shape:
    """A window: frames (4 n + 1), height and width in pixels (multiples of 16)."""

    frames: int
    height: int
    width: int

    @property
    def latent(self) -> tuple[int, int, int]:
        """(t, h, w) after a time factor of 4 and a side factor of 8."""
        return (self.frames - 1) // 4 + 1, self.height // 8, self.width // 8


@torch.no_grad()
def wan_stages(
    shape: Shape,
    device: torch.device,
    transformer: TransformerConfig | None = None,
    vae: VAEConfig | None = None,
) -> Iterator[tuple[str, Ways]]:
    """Name and ways of each stage of Wan2.1 with random weights, by default of the 1.3B model's sizes.

    A stage is built when it is asked for, so peak memory is that of the transformer: about 12 bytes per parameter.
    """
    config = vae or VAEConfig()
    video = torch.rand(1, config.channels, shape.frames, shape.height, shape.width, device=device) * 2 - 1
    latent = torch.randn(1, config.z_dim, *shape.latent, device=device)
    yield "encode", _vae_ways(config, video, "encode")
    yield "transformer", _transformer_ways(transformer or TransformerConfig(), latent)
    yield "decode", _vae_ways(config, latent, "decode")


@torch.no_grad()
def mini_stages(shape: Shape, backbone: MiniBackbone) -> Iterator[tuple[str, Ways]]:
    """Name and ways of each stage of dvd-mini; its ImageNet encoder has no counterpart in diffusers."""
    network, vae, device = backbone.network, backbone.vae.config, backbone.device
    video = torch.rand(1, 3, shape.frames, shape.height, shape.width, device=device) * 2 - 1
    yield "encode", _in_both_dtypes("ours", network, lambda module, x: module.encode(x), video)
    latent = torch.randn(1, network.config.transformer.in_dim, *shape.latent, device=device)
    yield "transformer", _transformer_ways(network.config.transformer, latent)
    depth_latent = torch.randn(1, vae.z_dim, *shape.latent, device=device)
    yield "decode", _vae_ways(vae, depth_latent, "decode")


def _transformer_ways(config: TransformerConfig, latent: Tensor) -> Ways:
    ours = random_weights(lambda: WanTransformer(config), latent.device)
    ways: Ways = {Way("unfolded", "float32"): lambda: ours(latent, TIMESTEP)}
    ways |= _in_both_dtypes("folded", fold(ours, TIMESTEP), lambda module, x: module(x), latent)
    prompt = torch.zeros(1, PROMPT_TOKENS, config.text_dim, device=latent.device)
    timestep = torch.tensor([TIMESTEP], device=latent.device)

    def forward(module: Any, x: Tensor) -> Tensor:
        return module(x, timestep, prompt.to(x.dtype), return_dict=False)[0]

    return ways | _in_both_dtypes("diffusers", diffusers_transformer(ours), forward, latent)


def _vae_ways(config: VAEConfig, x: Tensor, stage: str) -> Ways:
    ours = random_weights(lambda: WanVAE(config), x.device)
    mean, std = (x.new_tensor(values).view(1, -1, 1, 1, 1) for values in (config.latents_mean, config.latents_std))

    def encode(module: Any, video: Tensor) -> Tensor:
        return (module.encode(video).latent_dist.mode() - mean.to(video)) / std.to(video)

    def decode(module: Any, latent: Tensor) -> Tensor:
        return module.decode(latent * std.to(latent) + mean.to(latent), return_dict=False)[0]

    mine = _in_both_dtypes("ours", ours, lambda module, given: getattr(module, stage)(given), x)
    return mine | _in_both_dtypes("diffusers", diffusers_vae(ours), encode if stage == "encode" else decode, x)


def _in_both_dtypes(by: str, module: nn.Module, run: Callable[[Any, Tensor], Tensor], x: Tensor) -> Ways:
    half, narrow = in_bfloat16(module), x.to(torch.bfloat16)
    return {Way(by, "float32"): lambda: run(module, x), Way(by, "bfloat16"): lambda: run(half, narrow)}


def random_weights(build: Callable[[], M], device: torch.device) -> M:
    """A module for timing: weights that keep activations near 1, drawn in place of its own slow initialisation."""
    with torch.device("meta"):
        module = build()
    module.to_empty(device=device).eval().requires_grad_(False)
    for value in module.parameters():
        bound = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
        value.uniform_(-bound, bound)
    return module


def in_bfloat16(module: M) -> M:
    """A copy whose weights are bfloat16, made tensor by tensor so that no second float32 copy is ever there."""
    wide = module.state_dict(keep_vars=True)
    narrow = {id(value): _narrow(value) for value in wide.values()}
    return copy.deepcopy(module, narrow)


def diffusers_transformer(ours: WanTransformer) -> nn.Module:
    """diffusers' class on the very weights of `ours`; OptionError without that extra."""
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
    """diffusers' class on the very weights of `ours`; OptionError without that extra.

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
    theirs.load_state_dict(state, strict=True, assign=True)
    theirs.requires_grad_(False)


def _narrow(value: Tensor) -> Tensor:
    narrow = value.detach().to(torch.bfloat16) if value.is_floating_point() else value
    return nn.Parameter(narrow, requires_grad=False) if isinstance(value, nn.Parameter) else narrow


def _diffusers() -> Any:
    try:
        import diffusers
    except ImportError as error:
        raise OptionError('comparing with diffusers needs it: pip install "dvd-depth[diffusers]"') from error
    return diffusers

"""One window of work, done in several ways: ours, ours unfolded, diffusers' classes.

All ways of a stage run on the same weights and input (and the same empty prompt), so that their outputs can be
compared; those of one dtype even share memory, because a copy of 1.4 billion parameters is 5.7 GB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dvd.backbones.base import Backbone
from dvd.backbones.mini import MiniBackbone
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.generative import GenerativeWanBackbone
from dvd.backbones.wan.transformer import WanTransformer
from dvd.evaluate.speed.twins import diffusers_transformer, diffusers_vae, has_diffusers

PROMPT_TOKENS = 512
ENCODE, TRANSFORMER, DECODE = "encode", "transformer", "decode latents"
NETWORK_STAGES = (ENCODE, TRANSFORMER, DECODE)
OURS, UNFOLDED, DIFFUSERS = "ours", "unfolded", "diffusers"


class Way(NamedTuple):
    """Which stage, who does it (`OURS`, `UNFOLDED` or `DIFFUSERS`) and in which dtype."""

    stage: str
    by: str
    dtype: str


Ways = dict[Way, Callable[[], object]]
"""Several ways to do several things; those of one stage give the same up to rounding."""


@torch.no_grad()
def window_ways(backbone: Backbone, rgb: Tensor, timestep: float) -> Ways:
    """Every way to take one window, RGB `1 3 T H W` in [0, 1], through the backbone in the dtype that it has.

    A stage has only the ways that there are: dvd-mini's ImageNet encoder and the sampler of the generative baseline
    have no counterpart in diffusers, and neither has anything where that extra is not installed.
    """
    signed = rgb.to(backbone.device, backbone.dtype) * 2 - 1
    latent = backbone.encode(signed)
    depth_latent = backbone.forward(latent, timestep)
    ways: Ways = {
        _way(ENCODE, OURS, backbone): lambda: backbone.encode(signed),
        _way(TRANSFORMER, OURS, backbone): lambda: backbone.forward(latent, timestep),
        _way(DECODE, OURS, backbone): lambda: backbone.decode(depth_latent),
    }
    transformer = _transformer(backbone)
    if transformer is not None:
        finish = _refinement(backbone)
        ways[_way(TRANSFORMER, UNFOLDED, backbone)] = lambda: finish(latent, transformer(latent, timestep))
    if has_diffusers():
        ways |= _diffusers_ways(backbone, signed, latent, depth_latent, timestep)
    return ways


def _way(stage: str, by: str, backbone: Backbone) -> Way:
    return Way(stage, by, dtype_name(backbone.dtype))


def dtype_name(dtype: torch.dtype) -> str:
    """`torch.bfloat16` → "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def _transformer(backbone: Backbone) -> WanTransformer | None:
    """The transformer that makes one pass at the anchor, as it was before it was folded."""
    if isinstance(backbone, MiniBackbone):
        return backbone.network.transformer
    if isinstance(backbone, WanBackbone) and not isinstance(backbone, GenerativeWanBackbone):
        return backbone.transformer
    return None


def _refinement(backbone: Backbone) -> Callable[[Tensor, Tensor], Tensor]:
    """What follows the transformer, of the latents before and after it; it is ours whoever ran the transformer."""
    return backbone.network.refine if isinstance(backbone, MiniBackbone) else lambda _, after: after


def _diffusers_ways(
    backbone: Backbone, signed: Tensor, latent: Tensor, depth_latent: Tensor, timestep: float
) -> Iterator[tuple[Way, Callable[[], object]]]:
    transformer = _transformer(backbone)
    if transformer is not None and transformer.config.time == "sinusoidal":
        module: Any = diffusers_transformer(transformer)
        finish = _refinement(backbone)
        prompt = latent.new_zeros(1, PROMPT_TOKENS, transformer.config.text_dim)
        moment = torch.tensor([timestep], device=latent.device)

        def forward() -> Tensor:
            return finish(latent, module(latent, moment, prompt, return_dict=False)[0])

        yield _way(TRANSFORMER, DIFFUSERS, backbone), forward
    if not isinstance(backbone, MiniBackbone | WanBackbone):
        return
    config = backbone.vae.config
    autoencoder: Any = diffusers_vae(backbone.vae)
    mean, std = (latent.new_tensor(values).view(1, -1, 1, 1, 1) for values in (config.latents_mean, config.latents_std))
    if isinstance(backbone, WanBackbone):
        yield (
            _way(ENCODE, DIFFUSERS, backbone),
            lambda: (autoencoder.encode(signed).latent_dist.mode() - mean) / std,
        )
    yield (
        _way(DECODE, DIFFUSERS, backbone),
        lambda: autoencoder.decode(depth_latent * std + mean, return_dict=False)[0],
    )

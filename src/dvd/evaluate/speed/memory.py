"""What memory a run will need, said before it: weights, one window's activations, the frames that wait.

The length of the video is not part of it. Upper estimates: the factors were fitted to peak resident memory of `dvd
predict` on a CPU in float32, from 320 × 240 to 3840 × 2160, and exceed it by up to a quarter.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch

from dvd.backbones.blueprint import blueprint
from dvd.backbones.mini import MiniBackbone, MiniConfig, MiniNetwork
from dvd.backbones.wan.backbone import CHUNK_COPIES, PAST_COPIES, WanBackbone, chunk_that_fits, vae_memory
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE

PROGRAM_BYTES = 480 * 2**20
"""Python with torch and FFmpeg, before any weight, and the holes in the heap."""
MINI_COPIES = 72
"""Elements that dvd-mini holds at its peak, per pixel of the window."""
SOURCE_BYTES = 130
"""Per pixel of the source: one frame in floats, disparity on its way back to that size, the encoder's frames."""
DECODER_BYTES = 3.5
"""Per pixel of the source and thread of the decoder, each of which works on a frame of its own."""
DECODER_THREADS = 16
"""FFmpeg takes no more by itself, and else one more than there are processors."""
FLOAT32_BYTES = 4


@dataclass(frozen=True)
class Need:
    """Bytes: of the program and its weights, of the activations at their peak, of the frames that wait their turn."""

    weights: int
    activations: int
    frames: int

    @property
    def total(self) -> int:
        return self.weights + self.activations + self.frames


def mini_need(
    size: tuple[int, int], window: int, overlap: int, dtype: torch.dtype, source: tuple[int, int] | None = None
) -> Need:
    """dvd-mini on windows of `window` frames at `size` (height, width) as the network sees them.

    `source` is the height and width of the video file that they come from; None where nothing is decoded or encoded.
    """
    activations = MINI_COPIES * window * size[0] * size[1] * dtype.itemsize
    return Need(
        PROGRAM_BYTES + _mini_parameters() * dtype.itemsize, activations, _waiting(size, window, overlap, source)
    )


def wan_need(
    size: tuple[int, int],
    window: int,
    overlap: int,
    dtype: torch.dtype,
    device: torch.device,
    transformer: TransformerConfig | None = None,
    vae: VAEConfig | None = None,
    source: tuple[int, int] | None = None,
) -> Need:
    """A Wan2.1 model, by default of the release's sizes, whose autoencoder works in chunks that fit `device`.

    `source` as in `mini_need`.
    """
    transformer, vae = transformer or TransformerConfig(), vae or VAEConfig()
    count = _wan_parameters(transformer, vae)
    latent_frames = (window - 1) // vae.time_factor + 1
    frame = vae.dim * vae.dim_mult[0] * size[0] * size[1] * dtype.itemsize * vae.time_factor
    chunk = min(chunk_that_fits(vae, 1, *size, dtype.itemsize, vae_memory(device)), latent_frames)
    side = vae.spatial_factor
    tokens = latent_frames * (size[0] // side // 2) * (size[1] // side // 2)
    per_token = (transformer.ffn_dim + 6 * transformer.dim) * dtype.itemsize + 8 * transformer.dim * FLOAT32_BYTES
    activations = max((PAST_COPIES + CHUNK_COPIES * chunk) * frame, tokens * per_token)
    return Need(PROGRAM_BYTES + count * dtype.itemsize, activations, _waiting(size, window, overlap, source))


def need_of(
    backbone: MiniBackbone | WanBackbone,
    size: tuple[int, int],
    window: int,
    overlap: int,
    dtype: torch.dtype,
    source: tuple[int, int] | None = None,
    device: torch.device | None = None,
) -> Need:
    """The need of an opened model, on another `device` than its own where one is given; `source` as in `mini_need`."""
    if isinstance(backbone, MiniBackbone):
        return mini_need(size, window, overlap, dtype, source)
    configs = backbone.transformer.config, backbone.vae.config
    return wan_need(size, window, overlap, dtype, device or backbone.device, *configs, source=source)


def at_once(needs: Sequence[Need]) -> int:
    """Bytes of several forms of a model that are held together and run in turns: the program is there once."""
    weights = sum(need.weights - PROGRAM_BYTES for need in needs)
    return PROGRAM_BYTES + weights + max(need.activations + need.frames for need in needs)


def _waiting(size: tuple[int, int], window: int, overlap: int, source: tuple[int, int] | None) -> int:
    """RGB in float32: read ahead, planned, and the window itself twice; and frames at the source's size."""
    ahead, planned = window - overlap, 2 * window - overlap
    waiting = (ahead + planned + 2 * window) * 3 * size[0] * size[1] * FLOAT32_BYTES
    if source is None:
        return waiting
    threads = min((os.cpu_count() or 1) + 1, DECODER_THREADS)
    return waiting + round((SOURCE_BYTES + DECODER_BYTES * threads) * source[0] * source[1])


@cache
def _mini_parameters() -> int:
    config = MiniConfig()
    with blueprint():
        count = _parameters(MiniNetwork(config)) + _parameters(WanVAE(config.vae, encoder=False))
    return count + _folded_parameters(config.transformer)


@cache
def _wan_parameters(transformer: TransformerConfig, vae: VAEConfig) -> int:
    with blueprint():
        count = _parameters(WanTransformer(transformer)) + _parameters(WanVAE(vae))
    return count + _folded_parameters(transformer)


def _parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _folded_parameters(config: TransformerConfig) -> int:
    """Products of the folded transformer, which stands beside the whole one: attention and feed-forward."""
    return config.num_layers * (4 * config.dim**2 + 2 * config.dim * config.ffn_dim)

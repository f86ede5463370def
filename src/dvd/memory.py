"""The memory of a run, estimated from sizes before it starts: the one home for predicting and training.

The constants are measured and rounded up. Predicting: peak resident memory of `dvd predict` on a CPU in float32, for
sources from 320 × 240 to 3840 × 2160; an estimate exceeds it by up to a quarter, and does not depend on the length of
the video. Training: peaks of whole runs on a CPU, and the bytes that autograd keeps of networks of several sizes;
kernels' own caches are extra, and splitting by FSDP or DeepSpeed is not counted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch
    from torch import nn

GIB = 2**30
FLOAT32_BYTES = 4

# Predicting
PROGRAM_BYTES = 480 * 2**20
"""Python with torch and FFmpeg, before any weight, and the holes in the heap."""
MINI_COPIES = 72
"""Values that dvd-mini holds at its peak, per pixel of the window."""
PAST_COPIES, CHUNK_COPIES = 12, 6
"""The autoencoder's activations between chunks, and per latent frame of a chunk, in multiples of the values that one
latent frame becomes at the level of the video's own size."""
SOURCE_BYTES = 130
"""Per pixel of the source: one frame in floats, disparity on its way back to that size, the encoder's frames."""
DECODER_BYTES = 3.5
"""Per pixel of the source and thread of the decoder; each thread works on a frame of its own."""
DECODER_THREADS = 16
"""FFmpeg's own limit; below it, FFmpeg takes one thread more than there are processors."""

# Training
TRAINING_PROGRAM_BYTES = 0.55 * GIB
"""Python, torch, Accelerate and PEFT; a GPU's context is about as large there."""
ENCODING_BYTES = {2: 14, 4: 20}
"""Bytes per value of all frames at the autoencoder's own size and width while it encodes, by the bytes of its dtype."""
KEPT_BY_VAE = 20
"""Values kept for the backward pass, per residual block of the autoencoder's first level, and those that the backward
pass itself needs."""
KEPT_BY_ENCODER = 1500
"""Bytes per pixel that dvd-mini's ImageNet encoder keeps."""


class TransformerSizes(Protocol):
    """The sizes of a transformer that its memory depends on."""

    @property
    def dim(self) -> int: ...
    @property
    def ffn_dim(self) -> int: ...
    @property
    def num_layers(self) -> int: ...


class VAESizes(Protocol):
    """The sizes of a video autoencoder that its memory depends on."""

    @property
    def dim(self) -> int: ...
    @property
    def dim_mult(self) -> tuple[int, ...]: ...
    @property
    def num_res_blocks(self) -> int: ...
    @property
    def patch(self) -> int: ...
    @property
    def time_factor(self) -> int: ...
    @property
    def spatial_factor(self) -> int: ...


class ModelMemory(NamedTuple):
    """Bytes of a model's weights, and of its activations at their peak while one window passes."""

    weights: int
    activations: int


def total_bytes(models: Sequence[ModelMemory], waiting: int) -> int:
    """Return the bytes of a program that holds all `models`, runs one at a time and has `waiting` bytes of frames."""
    return PROGRAM_BYTES + sum(model.weights for model in models) + max(model.activations for model in models) + waiting


def waiting_bytes(size: tuple[int, int], window: int, overlap: int, source: tuple[int, int] | None = None) -> int:
    """Return the bytes of frames that wait their turn, with a window of `window` frames at `size` (height, width).

    RGB in float32: read ahead, planned, and the window itself twice. `source` is the height and width of the video
    file that is decoded and encoded, None where there is none.
    """
    ahead, planned = window - overlap, 2 * window - overlap
    waiting = (ahead + planned + 2 * window) * 3 * size[0] * size[1] * FLOAT32_BYTES
    if source is None:
        return waiting
    threads = min((os.cpu_count() or 1) + 1, DECODER_THREADS)
    return waiting + round((SOURCE_BYTES + DECODER_BYTES * threads) * source[0] * source[1])


def mini_memory(
    transformer: TransformerSizes, parameters: int, size: tuple[int, int], window: int, dtype: torch.dtype
) -> ModelMemory:
    """Return the memory of dvd-mini, with `parameters` as loaded, for windows of `window` frames at `size`."""
    weights = (parameters + _folded_parameters(transformer)) * dtype.itemsize
    return ModelMemory(weights, MINI_COPIES * window * size[0] * size[1] * dtype.itemsize)


def wan_memory(
    transformer: TransformerSizes,
    vae: VAESizes,
    parameters: int,
    size: tuple[int, int],
    window: int,
    dtype: torch.dtype,
    device: torch.device,
) -> ModelMemory:
    """Return the memory of a Wan2.1 model, with `parameters` as loaded, for windows of `window` frames at `size`.

    Its autoencoder works in chunks that fit `device`.
    """
    latent_frames = (window - 1) // vae.time_factor + 1
    chunk = min(chunk_that_fits(vae, 1, *size, dtype.itemsize, vae_budget(device)), latent_frames)
    frame = vae.time_factor * full_size_values(vae, size[0] * size[1]) * dtype.itemsize
    side = 2 * vae.spatial_factor
    tokens = latent_frames * (size[0] // side) * (size[1] // side)
    per_token = (transformer.ffn_dim + 6 * transformer.dim) * dtype.itemsize + 8 * transformer.dim * FLOAT32_BYTES
    activations = max((PAST_COPIES + CHUNK_COPIES * chunk) * frame, tokens * per_token)
    return ModelMemory((parameters + _folded_parameters(transformer)) * dtype.itemsize, activations)


def chunk_that_fits(vae: VAESizes, batch: int, height: int, width: int, itemsize: int, budget: int) -> int:
    """Return how many latent frames can pass the autoencoder at once in `budget` bytes; at least one.

    Most of its memory is at the level of the video's own height and width, where one latent frame is `time_factor`
    frames.
    """
    frame = full_size_values(vae, height * width) * itemsize
    return max(1, (budget // (batch * vae.time_factor * frame) - PAST_COPIES) // CHUNK_COPIES)


def vae_budget(device: torch.device) -> int:
    """Return the bytes that the autoencoder's activations may take: a quarter of a GPU's memory, 2 GiB elsewhere."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_properties(device).total_memory // 4
    return 2 * GIB


def full_size_values(vae: VAESizes, pixels: int) -> int:
    """Return how many values `pixels` pixels become at the autoencoder's first level, before its sides are halved."""
    return pixels * vae.dim * vae.dim_mult[0] // vae.patch**2


def parameter_count(*modules: nn.Module) -> int:
    """Return the number of weights in all `modules`."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def _folded_parameters(config: TransformerSizes) -> int:
    """Count the products of the folded transformer, which is kept beside the whole one: attention and feed-forward."""
    return config.num_layers * (4 * config.dim**2 + 2 * config.dim * config.ffn_dim)


def training_bytes(
    weights: int, trained: int, activations: float, *, mixed: bool, averaged: bool, distributed: bool
) -> float:
    """Return the bytes of a training process: program, weights, gradients, optimiser and activations.

    `weights` are the bytes of all networks, `trained` the number of parameters that learn, `activations` the bytes of
    the largest micro-batch on its way forth and back. `mixed` arithmetic adds a rounded copy of the weights, once a
    step; `averaged` training keeps their moving average; `distributed` training keeps buckets of gradients.
    """
    bytes_trained = FLOAT32_BYTES * trained
    copies = 1 + 2 + averaged + distributed  # gradients, AdamW's two moments, average, buckets
    rounded = bytes_trained / 2 if mixed else 0
    # AdamW needs one copy more, but only once the activations are gone.
    return TRAINING_PROGRAM_BYTES + weights + bytes_trained * copies + max(rounded + activations, bytes_trained)


def encoding_bytes(vae: VAESizes, pixels: int, itemsize: int) -> int:
    """Return the bytes of a frozen autoencoder while it encodes `pixels` pixels of all frames."""
    return ENCODING_BYTES[itemsize] * full_size_values(vae, pixels)


def kept_by_vae(vae: VAESizes, pixels: int, itemsize: int, blocks: int) -> int:
    """Return the bytes that `blocks` residual blocks of the autoencoder's first level keep for the backward pass."""
    return KEPT_BY_VAE * blocks * full_size_values(vae, pixels) * itemsize


def kept_by_transformer(
    config: TransformerSizes, tokens: int, itemsize: int, lora_rank: int | None, checkpointing: bool
) -> float:
    """Return the bytes that training the transformer keeps for the backward pass; all of it learns without LoRA.

    With gradient checkpointing every block keeps its input, and one block at a time the rest.
    """
    per_token = 34 * config.dim + 2.2 * itemsize * config.ffn_dim
    per_token += itemsize * (6 * config.dim if lora_rank is None else 8 * lora_rank)
    if checkpointing:
        return tokens * (per_token + 4 * config.num_layers * config.dim)
    return tokens * per_token * config.num_layers

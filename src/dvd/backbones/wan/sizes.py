"""Infer a network's configuration from the shapes of its weights and from a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from dvd.backbones.wan.names import numbers_after, resamplings
from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import VAEConfig
from dvd.backbones.wan.weights import Shape
from dvd.errors import ModelError

Config = TypeVar("Config", TransformerConfig, VAEConfig)

RELEASE_HEAD_DIM = 128
TIME_BASIS = "time_basis"
_ALIASES = {
    "num_attention_heads": "num_heads",
    "in_channels": "in_dim",
    "out_channels": "out_dim",
    "base_dim": "dim",
    "temperal_downsample": "temporal_downsample",  # diffusers' own spelling
}


def transformer_config(shapes: Mapping[str, Shape], given: Mapping[str, Any], path: Path) -> TransformerConfig:
    """Return the configuration that fits `shapes` (our names); values in `given` take precedence.

    `given` is a configuration file's section in the original's or diffusers' terms. A contradiction between the two
    becomes a wrong shape later. No shape holds the number of heads: without a configuration it is the release's,
    dim / 128. A learned time basis has a key of its own; only a configuration can turn time conditioning off.
    """
    patch = _shape(shapes, "patch_embedding.weight", path, axes=5)
    dim, in_dim, *patch_size = patch
    head = _shape(shapes, "head.head.weight", path, axes=2)
    inferred: dict[str, Any] = {
        "dim": dim,
        "in_dim": in_dim,
        "ffn_dim": _shape(shapes, "blocks.0.ffn.0.weight", path, axes=2)[0],
        "out_dim": head[0] // (patch_size[0] * patch_size[1] * patch_size[2]),
        "text_dim": _shape(shapes, "text_embedding.0.weight", path, axes=2)[1],
        "freq_dim": _shape(shapes, "time_embedding.0.weight", path, axes=2)[1],
        "patch_size": tuple(patch_size),
        "num_layers": 1 + max(numbers_after("blocks.", shapes)),
        "time": "learned" if TIME_BASIS in shapes else "sinusoidal",
    }
    if dim % RELEASE_HEAD_DIM == 0:
        inferred["num_heads"] = dim // RELEASE_HEAD_DIM
    inferred |= _given_sizes(TransformerConfig, given, path)
    if "num_heads" not in inferred:
        raise ModelError(
            f"{path}: the number of heads does not follow from the width {dim}; put a config.json beside it that says "
            '{"transformer": {"num_heads": …}}'
        )
    _check_time(inferred["time"], TIME_BASIS in shapes, path)
    return TransformerConfig(**inferred)


def vae_config(shapes: Mapping[str, Shape], given: Mapping[str, Any], path: Path) -> VAEConfig:
    """Return the configuration that fits `shapes` (our names); only `given` has the latents' statistics."""
    layers = "encoder.downsamples."
    dim, channels = _shape(shapes, "encoder.conv1.weight", path, axes=5)[:2]
    steps = resamplings(layers, shapes)
    if not steps:
        raise ModelError(f"{path}: keys missing: {layers}*.resample.1.weight; use a complete Wan2.1 autoencoder")
    length = steps[0] + 1
    widths = [
        _shape(shapes, f"{layers}{level * length}.residual.6.weight", path, axes=5)[0]
        for level in range(len(steps) + 1)
    ]
    inferred: dict[str, Any] = {
        "dim": dim,
        "z_dim": _shape(shapes, "conv2.weight", path, axes=5)[0],
        "dim_mult": tuple(width // dim for width in widths),
        "num_res_blocks": steps[0],
        "temporal_downsample": tuple(f"{layers}{step}.time_conv.weight" in shapes for step in steps),
        "channels": channels,
    }
    return VAEConfig(**inferred | _given_sizes(VAEConfig, given, path))


def _given_sizes(config: type[Config], given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the fields of `config` in `given`; its other keys concern diffusers or the release alone."""
    values = {_ALIASES.get(name, name): value for name, value in given.items()}
    heads, width = values.get("num_heads"), values.get("attention_head_dim")
    if isinstance(heads, int) and isinstance(width, int):
        values["dim"] = heads * width
    kinds = {field.name: type(field.default) for field in fields(config)}
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in kinds
    }
    for name, value in known.items():
        kind = kinds[name]
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (kind is int and value < 1):
            expected = {int: "a positive whole number", float: "a number", str: "a word"}.get(kind, "a list")
            raise ModelError(f"{path}: its config.json gives {name} = {value!r}; write {expected} there")
    return known


def _check_time(mode: str, has_basis: bool, path: Path) -> None:
    if has_basis and mode != "learned":
        raise ModelError(
            f'{path}: its config.json gives time = {mode!r}, but it holds a learned {TIME_BASIS}; write "learned" there'
        )
    if mode == "learned" and not has_basis:
        raise ModelError(
            f"{path}: its config.json gives time = 'learned', but it holds no {TIME_BASIS}; use the weights that were "
            'trained so, or write "sinusoidal" there'
        )


def _shape(shapes: Mapping[str, Shape], name: str, path: Path, axes: int) -> Shape:
    if name not in shapes:
        raise ModelError(f"{path}: keys missing: {name}; use a complete checkpoint")
    if len(shapes[name]) != axes:
        raise ModelError(f"{path}: wrong shapes: {name} is {shapes[name]}, not of {axes} axes; use weights of Wan2.1")
    return shapes[name]

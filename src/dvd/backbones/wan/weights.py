"""Weight files and model folders, opened without reading the values: names and shapes first, tensors one at a time.

Tensors of a safetensors file are read into memory of their own, not mapped: a mapped page counts as resident until it
is unmapped, and merging LoRA would then hold the file beside the weights.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from dvd.backbones.base import read_json
from dvd.backbones.wan.names import network_of
from dvd.errors import ModelError, first_line

Shape = tuple[int, ...]

SUFFIXES = (".safetensors", ".pth")
INDEX_SUFFIX = ".safetensors.index.json"
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Weights:
    """A weight file: the shape of every tensor in it, and `read(name)` for a copy of one on the CPU."""

    path: Path
    shapes: Mapping[str, Shape]
    read: Callable[[str], Tensor]


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model; `config` has the sections transformer, vae and lora, each perhaps empty."""

    transformer: Weights
    vae: Weights
    config: dict[str, Any]


def open_weights(path: Path) -> Weights:
    """Open a safetensors file, the index of a sharded one, or a `.pth` of plain tensors; ModelError names the file."""
    if path.name.endswith(INDEX_SUFFIX):
        return _open_shards(path)
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_pickle(path)


def weight_files(folder: Path) -> list[Path]:
    """Return the files in `folder` that `open_weights` takes; the index of a sharded file stands for its shards."""
    indices = sorted(folder.glob(f"*{INDEX_SUFFIX}"))
    shards = {shard for index in indices for shard in _shards(index)}
    files = (path for path in folder.glob("*") if path.suffix in SUFFIXES and path.is_file())
    return indices + sorted(set(files) - shards)


def find_model(path: Path, vae: Path | None = None) -> ModelFiles:
    """Return the files of a model in a folder, or of a transformer's file with its autoencoder beside it or at `vae`.

    File names are free; the keys inside decide. The release keeps all files in one folder, diffusers in `transformer/`
    and `vae/` with a configuration each; the hub's `model_config.yaml` says nothing that the weights do not. Raise
    ModelError where a part is missing, there twice, or in a damaged file.
    """
    folder = path if path.is_dir() else path.parent
    folders = (folder, folder / "transformer", folder / "vae") if path.is_dir() or vae is None else ()
    candidates = [open_weights(file) for subfolder in folders for file in weight_files(subfolder)]
    transformer = _only(candidates, "transformer", folder) if path.is_dir() else open_weights(path)
    autoencoder = _only(candidates, "vae", folder) if vae is None else open_weights(vae)
    return ModelFiles(transformer, autoencoder, _sections(folder, transformer, autoencoder))


def refuse(path: Path, advice: str, **wrong: Iterable[str]) -> None:
    """Raise ModelError if any names are given: the file, the first names of each fault, and `advice` in one line."""
    faults = [f"{fault.replace('_', ' ')}: {few(names)}" for fault, names in wrong.items() if names]
    if faults:
        raise ModelError(f"{path}: {'; '.join(faults)}; {advice}")


def few(names: Iterable[str]) -> str:
    """Join the first three names, and say how many more there are."""
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _only(candidates: list[Weights], part: str, folder: Path) -> Weights:
    matches = [weights for weights in candidates if (network_of(weights.shapes) or ("",))[0] == part]
    if len(matches) > 1:
        names = few(str(weights.path.relative_to(folder)) for weights in matches)
        raise ModelError(
            f"{folder}: more than one {part} in it: {names}; name the transformer's file, or keep one each"
        )
    if not matches:
        advice = {
            "transformer": "a .safetensors or .pth file of DVD's or Wan2.1's transformer belongs there",
            "vae": "Wan2.1_VAE.pth of https://huggingface.co/Wan-AI/Wan2.1-T2V-1.3B belongs there",
        }
        raise ModelError(f"{folder}: no weights of the {part} in it; {advice[part]}")
    return matches[0]


def _sections(folder: Path, transformer: Weights, vae: Weights) -> dict[str, Any]:
    """Return the folder's configuration, completed by those that diffusers keeps beside each part's weights."""
    config = read_json(folder / "config.json")
    folders = {"transformer": transformer.path.parent, "vae": vae.path.parent}
    for part, beside in folders.items():
        if part not in config:
            # A flat configuration in the model's folder, as Wan2.1 has it, is the transformer's.
            config[part] = read_json(beside / "config.json") if beside != folder or part == "transformer" else {}
    for part in (*folders, "lora", "card"):
        if not isinstance(config.setdefault(part, {}), dict):
            raise ModelError(f"{folder / 'config.json'}: {part} is no JSON object; correct it")
    return config


def _open_safetensors(path: Path) -> Weights:
    header, start = _read_header(path)

    def read(name: str) -> Tensor:
        entry = header[name]
        if entry["dtype"] not in _DTYPES:
            raise ModelError(f"{path}: {name} is stored as {entry['dtype']}; save it as one of {', '.join(_DTYPES)}")
        tensor = torch.empty(entry["shape"], dtype=_DTYPES[entry["dtype"]])
        with path.open("rb") as file:
            file.seek(start + entry["data_offsets"][0])
            file.readinto(tensor.reshape(-1).view(torch.uint8).numpy().data)
        return tensor

    return Weights(path, {name: tuple(entry["shape"]) for name, entry in header.items()}, read)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return name → dtype, shape and offsets, and where the data begins; the library checks that the file is whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt"):
            pass
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (OSError, SafetensorError) as error:
        _unreadable(path, error)
    header.pop("__metadata__", None)
    return header, 8 + length


def _open_shards(index: Path) -> Weights:
    shards = [open_weights(shard) for shard in _shards(index)]
    home = {name: shard for shard in shards for name in shard.shapes}
    shapes = {name: shape for shard in shards for name, shape in shard.shapes.items()}
    return Weights(index, shapes, lambda name: home[name].read(name))


def _shards(index: Path) -> list[Path]:
    try:
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        shards = [index.parent / file for file in files]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _unreadable(index, error)
    refuse(index, "download them too", shards_missing=[shard.name for shard in shards if not shard.is_file()])
    return shards


def _open_pickle(path: Path) -> Weights:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        _unreadable(path, error)
    entries = state if isinstance(state, dict) else {}
    tensors = {str(name): value for name, value in entries.items() if isinstance(value, Tensor)}
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    return Weights(path, shapes, lambda name: tensors[name].clone())


def _unreadable(path: Path, error: Exception) -> NoReturn:
    reason = first_line(error)[:80]
    raise ModelError(
        f"{path}: not a whole weight file ({reason}); get it again, or take it out of the model folder"
    ) from error

"""Weight files opened without reading them: names and shapes at once, tensors one at a time.

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


def open_weights(path: Path) -> Weights:
    """Opens a safetensors file, the index of a sharded one, or a `.pth` of plain tensors; ModelError names the file."""
    if path.name.endswith(INDEX_SUFFIX):
        return _open_shards(path)
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_pickle(path)


def weight_files(folder: Path) -> list[Path]:
    """Everything in `folder` that `open_weights` takes, shards standing behind their index."""
    indices = sorted(folder.glob(f"*{INDEX_SUFFIX}"))
    shards = {shard for index in indices for shard in _shards(index)}
    files = (path for path in folder.glob("*") if path.suffix in SUFFIXES and path.is_file())
    return indices + sorted(set(files) - shards)


def refuse(path: Path, mend: str, **wrong: Iterable[str]) -> None:
    """ModelError in one line if anything is wrong: the file, what is wrong with the first few names, and the mend."""
    said = [f"{what.replace('_', ' ')}: {few(names)}" for what, names in wrong.items() if names]
    if said:
        raise ModelError(f"{path}: {'; '.join(said)}; {mend}")


def few(names: Iterable[str]) -> str:
    """The first three names, and how many more there are."""
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


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
    """Name → dtype, shape and offsets, and where the data begins; the library checks that all of it is there."""
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

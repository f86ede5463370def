"""The kinds of models, and the models with names: their weights, licences and cards."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dvd.arguments import check_path
from dvd.backbones.base import ModelCard, card_of, read_config
from dvd.backbones.hub import HubFile, cached, fetch
from dvd.errors import ModelError, OptionError, unknown
from dvd.plugins import Plugins

if TYPE_CHECKING:
    import torch

    from dvd.backbones.base import Backbone
    from dvd.backbones.trainable import Trainable

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
"""The folder of the models in the package, a folder each."""

BACKBONES: Plugins[Any] = Plugins(
    "backbone",
    {
        "wan": "dvd.backbones.wan.backbone",
        "generative": "dvd.backbones.wan.generative",
        "mini": "dvd.backbones.mini",
    },
    group="dvd.backbones",
)
"""Every kind of model, as a model folder's config.json gives it under "backbone", and its module.

The module has `load(path, device, dtype) -> Backbone` and, if the kind can be trained, `trainable() -> Trainable`.
"""

WAN_VAE = HubFile("Wan-AI/Wan2.1-T2V-1.3B", "Wan2.1_VAE.pth", "Apache-2.0")
DVD_LICENCE = "CC BY-NC 4.0 (no commercial use)"


@dataclass(frozen=True)
class Entry:
    """A model with a name: a folder in the package, or a transformer and an autoencoder on the hub."""

    name: str
    licence: str
    summary: str
    folder: Path | None = None
    files: tuple[HubFile, ...] = ()
    """The transformer's file and the autoencoder's."""


def _release(version: str, file: str, summary: str) -> Entry:
    transformer = HubFile("FayeHongfeiZhang/DVD", file, DVD_LICENCE)
    licence = f"weights {DVD_LICENCE}; autoencoder and code Apache-2.0"
    return Entry(f"dvd-{version}", licence, summary, files=(transformer, WAN_VAE))


ENTRIES = (
    Entry("dvd-mini", "Apache-2.0", "small, in the package, made for a CPU", folder=WEIGHTS / "dvd-mini"),
    _release("1.0", "model.safetensors", "the paper's model on Wan2.1 1.3B"),
    _release("1.1", "dvd_1.1.safetensors", "the same, steadier in time and on reflections"),
)


def register_backbone(kind: str, module: str) -> None:
    """Add a kind of model by the dotted name of its module. Raise OptionError if the name is taken."""
    BACKBONES.register(kind, module)


def trainable(kind: str) -> Trainable:
    """Return how a kind of model is trained. Raise OptionError if it is unknown or cannot be trained."""
    make = getattr(BACKBONES[kind], "trainable", None)
    if make is None:
        raise OptionError(f"a backbone of kind {kind} cannot be trained; choose another, such as wan or mini")
    return cast("Trainable", make())


def names() -> list[str]:
    """Return the names that `load` knows."""
    return [entry.name for entry in ENTRIES]


def find(name: str) -> Entry:
    """Return the model of that name. ModelError offers the nearest names."""
    for entry in ENTRIES:
        if entry.name == name:
            return entry
    raise ModelError(_not_known(name))


def is_here(entry: Entry) -> bool:
    """Return whether a model can be loaded without a download."""
    if entry.folder is not None:
        return (entry.folder / "config.json").is_file()
    return all(cached(file) is not None for file in entry.files)


def card(name_or_path: str | Path) -> ModelCard:
    """Return the card of a model that `load` would open, without torch, its weights or a download.

    Raise ModelError if the model is unknown, or its config.json is damaged.
    """
    entry, path = _locate(name_or_path)
    if path is None:
        return _card_of_release(entry)
    _kind_in(path)
    return card_of(path, read_config(path))


def load(
    name_or_path: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    download: bool = True,
) -> Backbone:
    """Open a model by name, by its folder's path, or by the path of a transformer's file with its autoencoder beside.

    A name is preferred to a path; missing files are downloaded if `download` is true. `dtype` is float32 by default.
    On the device "meta" a model has sizes and no values: the names and shapes in its files are checked, and little is
    read. Raise ModelError if the model is unknown, incomplete or damaged.
    """
    import torch

    dtype = dtype or torch.float32
    entry, path = _locate(name_or_path)
    if path is not None:
        return cast("Backbone", BACKBONES[_kind_in(path)].load(path, device, dtype))

    from dvd.backbones.wan import backbone

    transformer, vae = fetch(*entry.files, download=download)
    return cast("Backbone", backbone.load(transformer, device, dtype, vae=vae, card=_card_of_release(entry)))


def _locate(name_or_path: str | Path) -> tuple[Entry, Path | None]:
    """Return the entry of a model and its path on this disk, None if its files are on the hub; a name is preferred."""
    text = os.fspath(check_path("model", name_or_path, "a model folder, or a model's name", ModelError))
    if text not in names():
        path = _existing(text)
        return Entry(path.name, "", "", path), path
    entry = find(text)
    if entry.folder is not None and not is_here(entry):
        raise ModelError(f"{entry.folder}: the weights of {entry.name} are not in this installation; install again")
    return entry, entry.folder


def _card_of_release(entry: Entry) -> ModelCard:
    return ModelCard(entry.name, entry.licence, summary=entry.summary)


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists():
        return path
    if len(path.parts) > 1 or text.startswith((".", "~")) or path.suffix in (".safetensors", ".pth"):
        raise ModelError(f"{text}: no such model folder or file; correct the path, or name one of {', '.join(names())}")
    raise ModelError(_not_known(text))


def _kind_in(path: Path) -> str:
    """Return the kind that config.json gives; Wan2.1, in any of its layouts, where it gives none."""
    kind = str(read_config(path).get("backbone", "wan"))
    if kind not in BACKBONES:
        config = (path if path.is_dir() else path.parent) / "config.json"
        raise ModelError(f"{config}: {unknown('backbone', kind, BACKBONES)}")
    return kind


def _not_known(name: str) -> str:
    return f"{unknown('model', name, names())}; or give the path of a model folder"

"""A model folder: which of its files are the transformer and the autoencoder, and what its configuration says.

File names are free; the keys inside decide. The release's layout has all in one place, diffusers' has `transformer/`
and `vae/` with a configuration each. The hub's `model_config.yaml` says nothing that the weights do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvd.backbones.cards import read_json
from dvd.backbones.wan.checkpoints import part_in
from dvd.backbones.wan.weights import Weights, few, open_weights, weight_files
from dvd.errors import ModelError


@dataclass(frozen=True)
class ModelFiles:
    """What a model is made of; `config` has the sections transformer, vae and lora, each perhaps empty."""

    transformer: Weights
    vae: Weights
    config: dict[str, Any]


def find(path: Path, vae: Path | None = None) -> ModelFiles:
    """Looks into a folder, or beside a transformer's file; `vae` names the autoencoder's where it lies elsewhere.

    ModelError where a part is missing, there twice, or in a damaged file.
    """
    folder = path if path.is_dir() else path.parent
    places = (folder, folder / "transformer", folder / "vae") if path.is_dir() or vae is None else ()
    candidates = [open_weights(file) for place in places for file in weight_files(place)]
    transformer = _only(candidates, "transformer", folder) if path.is_dir() else open_weights(path)
    autoencoder = _only(candidates, "vae", folder) if vae is None else open_weights(vae)
    return ModelFiles(transformer, autoencoder, _sections(folder, transformer, autoencoder))


def _only(candidates: list[Weights], part: str, folder: Path) -> Weights:
    found = [weights for weights in candidates if (part_in(weights.shapes) or ("",))[0] == part]
    if len(found) > 1:
        names = few(str(weights.path.relative_to(folder)) for weights in found)
        raise ModelError(
            f"{folder}: more than one {part} in it: {names}; name the transformer's file, or keep one each"
        )
    if not found:
        mend = {
            "transformer": "a .safetensors or .pth file of DVD's or Wan2.1's transformer belongs there",
            "vae": "Wan2.1_VAE.pth of https://huggingface.co/Wan-AI/Wan2.1-T2V-1.3B belongs there",
        }
        raise ModelError(f"{folder}: no weights of the {part} in it; {mend[part]}")
    return found[0]


def _sections(folder: Path, transformer: Weights, vae: Weights) -> dict[str, Any]:
    """The folder's configuration, completed by those that diffusers keeps beside each part's weights."""
    config = read_json(folder / "config.json")
    beside = {"transformer": transformer.path.parent, "vae": vae.path.parent}
    for part, place in beside.items():
        if part not in config:
            # A flat configuration in the folder itself, as Wan2.1's own, speaks of the transformer.
            config[part] = read_json(place / "config.json") if place != folder or part == "transformer" else {}
    for part in (*beside, "lora", "card"):
        if not isinstance(config.setdefault(part, {}), dict):
            raise ModelError(f"{folder / 'config.json'}: {part} is no JSON object; correct it")
    return config

"""The model that a training run leaves on disk, and the conversion of a transformer's file between its layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from dvd.backbones.base import ModelCard, read_json
from dvd.backbones.trainable import Trainable
from dvd.backbones.wan.checkpoints import load_transformer
from dvd.backbones.wan.training import write_transformer
from dvd.backbones.wan.weights import open_weights
from dvd.errors import OptionError
from dvd.files import replacing_files
from dvd.names import CheckpointLayout
from dvd.train.adapters import load_adapted
from dvd.train.settings import Phase, Recipe
from dvd.train.sources import drawn


def write_model(
    folder: Path, backbone: Trainable, network: nn.Module, vae: Any, card: ModelCard, sampler_steps: int | None = None
) -> None:
    """Write the model that a run has trained to `folder`; `registry.load(folder)` opens it.

    `sampler_steps` is that of a depth flow, whose model is generative. Raise OutputError if it cannot be written; a
    model that was there before is then still whole.
    """
    with replacing_files(folder) as aside:
        backbone.save(aside, network, vae, card, sampler_steps)


def product(recipe: Recipe) -> Phase:
    """Return the last phase that learns depth, whose model a run exports. Raise OptionError where a recipe has none."""
    for phase in reversed(recipe.phases):
        if phase.learns_depth:
            return phase
    raise OptionError(
        f"recipe {recipe.name} has no phase that learns depth, so nothing to export; end with an adaptation, or with a "
        "flow whose content is depth"
    )


def card(recipe: Recipe) -> ModelCard:
    """Return the card of the exported model: the settings it was trained for are those it runs with.

    The window is what the network saw last; a decoder that is fitted to its latents afterwards may see less.
    """
    phase = product(recipe)
    learned = (other for other in reversed(recipe.phases) if other.learns_depth and not other.fits_decoder)
    mixture = next(learned, phase).mixture
    window = mixture.frames if mixture.mode != "image" else 1
    size = recipe.validation.size if recipe.validation else mixture.sizes[-1]
    overlap = min(9, max(window // 4, 1))
    tau = ModelCard.tau if phase.anchor is None else phase.anchor
    return ModelCard(recipe.name, _licence(recipe), size, window, overlap, tau, summary=recipe.summary)


def convert(
    source: Path,
    target: Path,
    layout: CheckpointLayout,
    given: dict[str, Any] | None = None,
    lora: dict[str, Any] | None = None,
) -> None:
    """Read a transformer's file in any layout and write it in another, float32, the same in function.

    LoRA that no gradient reaches is left out of `default`; if it was not zero it is merged, and reported. `given` and
    `lora` are sizes and LoRA's alpha, by default those in the config.json beside `source`. Raise ModelError if the
    source does not fit or has no LoRA to leave unmerged, OutputError as `write_transformer`.
    """
    config = read_json(source.parent / "config.json")
    given = config.get("transformer", config) if given is None else given
    lora = config.get("lora", {}) if lora is None else lora
    weights = open_weights(source)
    if layout == "merged":
        transformer = load_transformer(weights, given, lora)
    else:
        transformer = load_adapted(weights, given, lora, release_layout=layout == "release")
    write_transformer(target, transformer, layout)


def _licence(recipe: Recipe) -> str:
    own = recipe.model.weights in (None, "dvd-mini") and all(source.scenes is not None for source in drawn(recipe))
    return "Apache-2.0" if own else "Apache-2.0; trained on data with licences of their own"

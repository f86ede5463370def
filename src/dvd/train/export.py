"""A trained model on disk: the release's layout, one merged file, or the whole folder that `dvd.load` opens.

LoRA is written with alpha / rank in B, so that alpha is the rank, as the release's loader takes for granted. Files are
written aside and renamed when they are whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dvd.backbones import mini
from dvd.backbones.base import ModelCard
from dvd.backbones.cards import read_json
from dvd.backbones.wan.checkpoints import Adapters, load_transformer, save_release
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import WanVAE
from dvd.backbones.wan.weights import open_weights
from dvd.errors import OptionError, OutputError, unknown
from dvd.names import CHECKPOINT_LAYOUTS, CheckpointLayout
from dvd.train.adapters import adapters_of, base_state, load_adapted, merged_state, release_adapters
from dvd.train.feeds import drawn
from dvd.train.settings import AdaptPhase, DecoderPhase, FlowPhase, Recipe

TRANSFORMER, VAE = "model.safetensors", "Wan2.1_VAE.pth"
"""What the files are called on the hub."""
MERGED = "merged"
"""The folder beside an unmerged model that holds it merged."""


def write_model(
    folder: Path, network: nn.Module, vae: WanVAE, card: ModelCard, sampler_steps: int | None = None
) -> None:
    """Writes the model that a run has trained to `folder`; `registry.load(folder)` opens it.

    A Wan transformer comes in the hub's form. If it has LoRA, that stays unmerged there and `merged/` holds the model
    merged, which loads faster and takes less room; dvd-mini has a form of its own. With `sampler_steps` the transformer
    is a depth flow (`dvd.train.flow.widen`) and the model is the generative one. OutputError where it cannot be
    written; what was there before is then still whole.
    """
    how = {"backbone": "wan"} if sampler_steps is None else {"backbone": "generative", "steps": sampler_steps}
    with _aside(folder) as part:
        if isinstance(network, mini.MiniNetwork):
            mini.save(part, network, vae, card)
            return
        assert isinstance(network, WanTransformer)
        _write_folder(part, network, vae, card, how, "release")
        if adapters_of(network):
            _write_folder(part / MERGED, network, vae, card, how, "merged")


def product(recipe: Recipe) -> AdaptPhase | DecoderPhase | FlowPhase:
    """The last phase that learns depth, whose model a run exports; OptionError where a recipe has none."""
    for phase in reversed(recipe.phases):
        if isinstance(phase, AdaptPhase | DecoderPhase) or (isinstance(phase, FlowPhase) and phase.content == "depth"):
            return phase
    raise OptionError(
        f"recipe {recipe.name} has no phase that learns depth, so nothing to export; end with an adaptation, or with a "
        "flow whose content is depth"
    )


def card(recipe: Recipe) -> ModelCard:
    """What the exported model says of itself: the settings it was trained for are those it runs with.

    The window is what the network saw last; a decoder that is fitted to its latents afterwards may see less.
    """
    phase = product(recipe)
    mixture = next((other for other in reversed(recipe.phases) if isinstance(other, AdaptPhase)), phase).mixture
    window = mixture.frames if mixture.mode != "image" else 1
    size = recipe.validation.size if recipe.validation else mixture.sizes[-1]
    overlap = min(9, max(window // 4, 1))
    tau = ModelCard.tau if isinstance(phase, FlowPhase) else phase.tau  # a sampler visits times of its own
    return ModelCard(recipe.name, _licence(recipe), size, window, overlap, tau, summary=recipe.summary)


def write_transformer(path: Path, transformer: WanTransformer, layout: CheckpointLayout) -> None:
    """Writes the transformer alone, every name under `pipe.dit.`.

    - `release`: LoRA unmerged and in every place where the release has it; what was not adapted has B = 0. Without
      LoRA, the weights.
    - `default`: LoRA unmerged where there is any.
    - `merged`: weights with LoRA merged in float32.

    A learned time basis is one name more. OutputError where it cannot be written, OptionError where a config.json
    beside would misstate the alpha.
    """
    if layout not in CHECKPOINT_LAYOUTS:
        raise OptionError(unknown("layout", layout, CHECKPOINT_LAYOUTS))
    if layout == "merged":
        save_release(merged_state(transformer), path)
        return
    lora = release_adapters(transformer) if layout == "release" else adapters_of(transformer)
    _check_alpha(path, lora)
    save_release(base_state(transformer), path, lora)


def convert(
    source: Path,
    target: Path,
    layout: CheckpointLayout,
    given: dict[str, Any] | None = None,
    lora: dict[str, Any] | None = None,
) -> None:
    """Reads a transformer's file in any layout and writes it in another, float32, the same in function.

    LoRA that no gradient reaches is left out of `default`; if it was not zero it is merged, and said. `given` and
    `lora` are sizes and LoRA's alpha, which by default the config.json beside `source` tells. ModelError where the
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


def release_config(transformer: WanTransformer, tau: float) -> str | None:
    """The hub's `model_config.yaml`, by which the release's own code opens the weights.

    None where it could not: for networks of another size, without LoRA, or without the sinusoidal time.
    """
    lora = adapters_of(transformer)
    if transformer.config != TransformerConfig() or not lora:
        return None
    base = "Wan-AI/Wan2.1-T2V-1.3B"
    fields = {
        "model_id_with_origin_paths": f"{base}:diffusion_pytorch_model*.safetensors,{base}:{VAE}",
        "trainable_models": "dit",
        "mode": "regression",
        "denoise_step": tau,
        "training_target": "x",
        "lora_base_model": "dit",
        "lora_rank": _rank(lora),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _licence(recipe: Recipe) -> str:
    own = recipe.model.weights in (None, "dvd-mini") and all(source.scenes is not None for source in drawn(recipe))
    return "Apache-2.0" if own else "Apache-2.0; trained on data with licences of their own"


def _write_folder(
    folder: Path,
    transformer: WanTransformer,
    vae: WanVAE,
    card: ModelCard,
    how: dict[str, Any],
    layout: CheckpointLayout,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_transformer(folder / TRANSFORMER, transformer, layout)
    _save_vae(folder / VAE, vae)
    config = {
        **how,
        "card": asdict(card),
        "transformer": asdict(transformer.config),
        "vae": asdict(vae.config),
    }
    lora = adapters_of(transformer) if layout != "merged" else {}
    if lora:
        config["lora"] = {"rank": _rank(lora), "alpha": _rank(lora)}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    text = release_config(transformer, card.tau) if lora else None
    if text is not None:
        (folder / "model_config.yaml").write_text(text, encoding="utf-8")


def _save_vae(path: Path, vae: WanVAE) -> None:
    """In the layout of `Wan2.1_VAE.pth`."""
    state = {name: value.detach().cpu() for name, value in vae.state_dict().items()}
    try:
        torch.save(state, path)
    except RuntimeError as error:  # what torch makes of a full disk
        raise OutputError(f"{path}: cannot be written; make room") from error


def _rank(lora: Adapters) -> int:
    return len(next(iter(lora.values()))[0])


def _check_alpha(path: Path, lora: Adapters) -> None:
    """A config.json that is there already speaks for the new file too."""
    told = read_json(path.parent / "config.json").get("lora", {})
    if lora and isinstance(told, dict) and told.get("alpha", _rank(lora)) != _rank(lora):
        raise OptionError(
            f"{path}: LoRA is written with alpha = rank = {_rank(lora)}, but the config.json there says alpha = "
            f"{told['alpha']}; write to another folder"
        )


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder to write to, whose files are renamed into `folder` when all of them are whole."""
    part = folder / ".partial"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        for file in sorted(path for path in part.rglob("*") if path.is_file()):
            target = folder / file.relative_to(part)
            target.parent.mkdir(exist_ok=True)
            file.replace(target)
    except (OSError, OutputError) as error:
        reason = " ".join(str(error.__cause__ or error).split())[:120]
        raise OutputError(f"{folder}: cannot be written ({reason}); choose another place or make room") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)

"""The training story: find the data, build the networks, train phase after phase, measure, export.

Everything a run does lies in its folder, and a run that was interrupted anywhere goes on from there:

    recipe.json          what was asked for; another recipe does not mix with it
    scenes/              rendered procedural clips
    PHASE/step_…/        the latest checkpoints
    PHASE/result.safetensors  a finished phase
    best/                what validated best of every phase that learns depth; as a model too, if it is not the last
    samples/             RGB, truth and prediction side by side
    history.jsonl, curves.png, tensorboard
    model/               the exported model: `dvd predict --model` takes it
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from dvd.backbones.wan.vae import WanVAE
from dvd.errors import ModelError, OptionError
from dvd.train import curves, export
from dvd.train.adapt import AdaptTask, MiniCodec, WanCodec, transformer_of
from dvd.train.adapters import adapt
from dvd.train.cache import refuse_other_vae
from dvd.train.checkpoints import load_result, save_result, writing
from dvd.train.config import describe, differences
from dvd.train.engine import Engine, Task, fit, open_engine
from dvd.train.feeds import open_feeds, open_one, render
from dvd.train.flow import widen
from dvd.train.generative import FlowTask, sampled
from dvd.train.halves import DecoderTask, EncoderTask
from dvd.train.mixture import Batch, Mixer, Share, Skipped
from dvd.train.networks import Networks, base_dtype, build, refuse_unfit_weights
from dvd.train.settings import AdaptPhase, DecoderPhase, EncoderPhase, FlowPhase, Phase, Recipe, VAEPhase
from dvd.train.split import is_split
from dvd.train.vae import VAETask, with_statistics
from dvd.train.validation import Predict, Validator, at_anchor

log = logging.getLogger(__name__)

PLACES = ("data", "textures", "latents", "root", "summary")
RUNNING = ("save_every", "keep", "log_every", "trackers", "skipped_share", "gradient_checkpointing", "base_dtype")
MENDS = ("rate", "clip_norm", "precision", "accumulate", "validation")
"""Fields that a resumed run may set anew: where things lie, how it runs, and what mends a run that cannot go on."""


def train(recipe: Recipe, folder: Path, processes: int = 1) -> Path:
    """Runs `recipe` in `folder`, resuming whatever is there; returns the exported model's folder.

    `processes` render procedural scenes. Under `torchrun` or `accelerate launch` every process calls this.
    """
    export.product(recipe)
    refuse_unfit_weights(recipe)
    claim(recipe, folder)
    engine = open_engine(recipe, folder)
    with engine.accelerator.main_process_first():
        if engine.main:
            render(recipe, folder / "scenes", processes)
    networks = build(recipe)
    networks.vae.to(engine.accelerator.device)
    with writing(folder / "tensorboard"):
        engine.accelerator.init_trackers("tensorboard", config=None)
    run = Run(recipe, folder, engine, networks)
    for phase in recipe.phases:
        run.phase(phase)
    engine.accelerator.free_memory()
    if engine.main:
        run.reopened().export()
    engine.accelerator.wait_for_everyone()
    engine.accelerator.end_training()
    return folder / "model"


def claim(recipe: Recipe, folder: Path) -> None:
    """Makes the folder this recipe's; OptionError where it is another's, with the fields in which they differ."""
    path, described = folder / "recipe.json", json.loads(json.dumps(describe(recipe)))
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: cannot be read ({error}); give another output folder") from error
        found = differences(there, described)
        changed = [line for line in found if _may_change(line.partition(":")[0])]
        if found := [line for line in found if line not in changed]:
            shown = "; ".join(found[:4]) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")
            raise OptionError(f"{folder} was begun with another recipe ({shown}); use those, or another output folder")
        if not changed:
            return
        log.info("%s goes on with %s", folder, "; ".join(changed))
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}.part")  # all processes of a run come here
        aside.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        aside.replace(path)


class Run:
    """The phases of one run, each leaving its result in the networks and on disk."""

    def __init__(self, recipe: Recipe, folder: Path, engine: Engine, networks: Networks) -> None:
        self.recipe, self.folder, self.engine, self.networks = recipe, folder, engine, networks
        if recipe.latents is not None:
            refuse_other_vae(recipe, networks.vae)
        self.feeds = open_feeds(recipe, folder / "scenes")
        self.skipped = Skipped(recipe.skipped_share, folder / "skipped.txt")
        self._adapters_are_in = False
        self._base_dtype = base_dtype(recipe)

    def phase(self, phase: Phase) -> None:
        """Trains a phase, or takes its finished result."""
        seed = self.recipe.seed + 1_000_003 * [other.name for other in self.recipe.phases].index(phase.name)
        path = self.folder / phase.name / "result.safetensors"
        if path.exists():
            task = self.task(phase, _no_batches)
            load_result(task.module, path)
            log.info("%s is done: %s", phase.name, path)
            self._settle(phase, _about(path), seed)
            return
        task = self.task(phase, Mixer(phase, self.feeds, seed, self.engine.share, self.skipped).batches)
        fit(task, phase, self.engine, self._validator(phase))
        about = self._settle(phase, None, seed)
        save_result(task.module, path, about, self.engine.main)
        if self.engine.main:
            curves.draw(self.folder / "history.jsonl", self.folder / "curves.png")
        self.engine.accelerator.wait_for_everyone()

    def task(self, phase: Phase, batches: Callable[[int], list[Batch]]) -> Task:
        """What a phase trains; the network is made ready before the first phase that learns depth."""
        networks = self.networks
        if isinstance(phase, VAEPhase):
            return VAETask(networks.vae, phase, batches)
        codec = self.codec()
        if isinstance(phase, EncoderPhase):
            return EncoderTask(networks.network, networks.vae, codec, phase, batches)
        if isinstance(phase, DecoderPhase):
            return DecoderTask(networks.network, networks.vae, codec, phase, batches)
        if isinstance(phase, FlowPhase):
            if phase.content == "rgb":
                transformer_of(networks.network).freeze_unreached()
            else:
                self._put_adapters_in(as_flow=True)
            return FlowTask(networks.network, codec, phase, batches)
        assert isinstance(phase, AdaptPhase)
        self._put_adapters_in()
        return AdaptTask(networks.network.train(), codec, phase, batches)

    def codec(self) -> WanCodec:
        """The frozen VAE as the recipe's kind of model uses it."""
        kind = MiniCodec if self.recipe.model.kind == "mini" else WanCodec
        return kind(self.networks.vae)

    def reopened(self) -> Run:
        """This finished run as resuming it finds it, where its own networks are split or their base is rounded."""
        if not is_split(self.engine.accelerator) and self._base_dtype == torch.float32:
            return self
        self.networks = Networks(nn.Identity(), self.networks.vae)  # the old ones go before the new ones come
        self.networks = build(self.recipe)
        self._adapters_are_in, self._base_dtype = False, torch.float32
        for phase in self.recipe.phases:
            self.phase(phase)
        return self

    def export(self) -> None:
        """Writes the model's folder, and of LoRA its release layout and merged weights."""
        last = export.product(self.recipe)
        steps = last.sampler_steps if isinstance(last, FlowPhase) else None
        networks, card = self.networks, export.card(self.recipe)
        export.write_model(self.folder / "model", networks.network, networks.vae, card, steps)
        log.info("exported %s", self.folder / "model")
        self._export_best(last)

    def _export_best(self, last: Phase) -> None:
        """The model as it validated best, where that was not at the end."""
        best = self.folder / "best" / f"{last.name}.safetensors"
        if not best.exists() or _about(best)["step"] == last.steps:
            return
        load_result(self.networks.network, best)
        steps = last.sampler_steps if isinstance(last, FlowPhase) else None
        card, folder = export.card(self.recipe), self.folder / "best" / "model"
        export.write_model(folder, self.networks.network, self.networks.vae, card, steps)
        log.info("exported %s, which validated best, at step %d", folder, _about(best)["step"])

    def _put_adapters_in(self, as_flow: bool = False) -> None:
        """A flow of depth latents is also to see the RGB latent."""
        if not self._adapters_are_in:
            if self.recipe.model.kind == "wan":
                adapt(transformer_of(self.networks.network), self.recipe.adaptation, self._base_dtype)
            else:
                transformer_of(self.networks.network).freeze_unreached()
            if as_flow:
                self.networks.network = widen(transformer_of(self.networks.network))
            self._adapters_are_in = True

    def _settle(self, phase: Phase, about: dict[str, Any] | None, seed: int) -> dict[str, Any]:
        """After the VAE has been trained its latents are normalised; what was measured goes with the result."""
        if not isinstance(phase, VAEPhase):
            return {}
        if about is None:
            whole = Mixer(phase, self.feeds, seed, Share(), self.skipped)  # the same numbers in every process
            vae = with_statistics(self.networks.vae.eval(), phase, whole.batches)
        else:
            vae = _vae_with(self.networks.vae, about)
        self.networks.vae = vae
        return {"latents_mean": vae.config.latents_mean, "latents_std": vae.config.latents_std}

    def _validator(self, phase: Phase) -> Callable[[nn.Module, int], dict[str, float]] | None:
        settings, predict = self.recipe.validation, self._prediction(phase)
        if settings is None or predict is None:
            return None
        source = open_one(self.recipe, settings.source, self.folder / "scenes")
        validator = Validator(settings, source, self.codec(), predict, self.folder / "samples" / phase.name)
        best = Best(self.folder / "best", phase.name)

        def validate(module: nn.Module, step: int) -> dict[str, float]:
            with self.engine.autocast():
                found = validator.measure(module, step, show=self.engine.main)
            # The first process decides: the others may have measured another last digit.
            if self.engine.anyone(self.engine.main and best.is_beaten_by(found)):
                best.keep(self.engine.accelerator.unwrap_model(module), step, found, self.engine.main)
            if self.engine.main:
                shown = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
                log.info(f"{phase.name} validated at step {step}: {shown}")  # ready-made: none of them is to be hidden
                curves.draw(self.folder / "history.jsonl", self.folder / "curves.png")
            return found

        return validate

    def _prediction(self, phase: Phase) -> Predict | None:
        """How what a phase trains comes to depth; None where it does not learn depth."""
        if isinstance(phase, AdaptPhase):
            return at_anchor(self.codec(), phase.tau)
        if isinstance(phase, FlowPhase) and phase.content == "depth":
            return sampled(self.codec(), phase.sampler_steps)
        return None


class Best:
    """Keeps the trained weights that validated best in a phase, by AbsRel."""

    def __init__(self, folder: Path, phase: str) -> None:
        self.weights, self.about = folder / f"{phase}.safetensors", folder / f"{phase}.json"

    def is_beaten_by(self, found: dict[str, float]) -> bool:
        """Whether what was measured is better than what is kept."""
        return not self.weights.exists() or found["abs_rel"] < _about(self.weights)["abs_rel"]

    def keep(self, module: nn.Module, step: int, found: dict[str, float], main: bool) -> None:
        """Takes the weights over; every process calls this, and the `main` one writes."""
        save_result(module, self.weights, {"step": step, **found}, main)
        if main:
            with writing(self.about):
                self.about.write_text(json.dumps({"step": step, **found}), encoding="utf-8")


def _vae_with(vae: WanVAE, about: dict[str, Any]) -> WanVAE:
    mean, deviation = tuple(about["latents_mean"]), tuple(about["latents_std"])
    other = WanVAE(replace(vae.config, latents_mean=mean, latents_std=deviation)).to(next(vae.parameters()).device)
    other.load_state_dict(vae.state_dict())
    return other


def _no_batches(step: int) -> list[Batch]:
    """What a finished phase draws; so it may have had another number of processes."""
    raise AssertionError(f"a finished phase was asked for the batches of step {step}")


def _about(path: Path) -> dict[str, Any]:
    with safe_open(str(path), "pt") as file:
        return dict(json.loads((file.metadata() or {}).get("about", "{}")))


def _may_change(path: str) -> bool:
    """Whether the field at a dotted path is one that a resumed run may set anew."""
    return any(part in (*PLACES, *RUNNING, *MENDS) for part in path.split("."))

"""The training story: find the data, build the networks, train phase after phase, measure, export.

Everything a run writes is in its folder, and a run that was interrupted anywhere goes on from there:

    recipe.json          the settings; a run of another recipe is refused here
    scenes/              rendered procedural clips
    PHASE/step_…/        the latest checkpoints
    PHASE/result.safetensors  a finished phase
    best/                the weights that validated best in every phase that learns depth; as a model too, unless they
                         are the last
    samples/             RGB, truth and prediction side by side
    history.jsonl, curves.png, tensorboard
    model/               the exported model: `dvd predict --model` takes it
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from dvd.errors import ModelError, OptionError
from dvd.files import Claim, replacing, writing
from dvd.train import curves, export
from dvd.train.cache import refuse_other_vae
from dvd.train.checkpoints import about_result, load_result, save_result
from dvd.train.config import describe, differences
from dvd.train.engine import Engine, fit, open_engine
from dvd.train.mixture import Batch, Mixer, Share, Skipped
from dvd.train.networks import Networks, build, refuse_unfit_weights
from dvd.train.settings import Phase, Recipe
from dvd.train.sources import open_feeds, open_one, render
from dvd.train.split import is_split
from dvd.train.validation import Validator

log = logging.getLogger(__name__)

RESUMABLE_FIELDS = {
    *("data", "textures", "latents", "root", "summary"),  # where data are
    *("save_every", "keep", "log_every", "trackers", "skipped_share", "gradient_checkpointing"),  # how a run works
    "threads",
    *("rate", "clip_norm", "precision", "accumulate", "validation"),  # the remedies for a run that cannot go on
}
"""The fields that a resumed run may change."""


def train(recipe: Recipe, folder: Path, processes: int = 1) -> Path:
    """Run `recipe` in `folder`, resuming what is there; return the exported model's folder.

    `processes` render procedural scenes. Under `torchrun` or `accelerate launch` every process calls this. Raise
    OutputError if another run is at work in the folder.
    """
    export.product(recipe)
    refuse_unfit_weights(recipe)
    with claimed(folder):
        record(recipe, folder)
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


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder while the block runs; of a run's processes the first alone claims it."""
    if int(os.environ.get("RANK", "0")):  # torchrun's number of this process
        yield
        return
    claim = Claim(folder)
    try:
        yield
    finally:
        claim.release()


def record(recipe: Recipe, folder: Path) -> None:
    """Write the recipe into the folder. Raise OptionError if another is there, with the fields in which they differ."""
    path, described = folder / "recipe.json", json.loads(json.dumps(describe(recipe)))
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: cannot be read ({error}); give another output folder") from error
        if isinstance(there.get("model"), dict):
            there["model"].setdefault("sizes", [])  # a field that runs of earlier versions do not have
        lines = differences(there, described)
        changed = [line for line in lines if RESUMABLE_FIELDS.intersection(line.partition(":")[0].split("."))]
        if others := [line for line in lines if line not in changed]:
            shown = "; ".join(others[:4]) + (f"; and {len(others) - 4} more" if len(others) > 4 else "")
            raise OptionError(f"{folder} was begun with another recipe ({shown}); use those, or another output folder")
        if not changed:
            return
        log.info("%s goes on with %s", folder, "; ".join(changed))
    with replacing(path) as file:
        file.write((json.dumps(described, indent=1) + "\n").encode())


class Run:
    """The phases of one run, each of which leaves its result in the networks and on disk."""

    def __init__(self, recipe: Recipe, folder: Path, engine: Engine, networks: Networks) -> None:
        self.recipe, self.folder, self.engine, self.networks = recipe, folder, engine, networks
        if recipe.latents is not None:
            refuse_other_vae(recipe, networks.vae)
        self.feeds = open_feeds(recipe, folder / "scenes")
        self.skipped = Skipped(recipe.skipped_share, folder / "skipped.txt")

    def phase(self, phase: Phase) -> None:
        """Train a phase, or load its finished result."""
        path = self.folder / phase.name / "result.safetensors"
        if path.exists():
            load_result(phase.task(self.networks, _no_batches).module, path)
            log.info("%s is done: %s", phase.name, path)
            phase.restore(self.networks, about_result(path))
            return
        seed = self.recipe.seed + 1_000_003 * len(self.recipe.phases_before(phase))
        task = phase.task(self.networks, Mixer(phase, self.feeds, seed, self.engine.share, self.skipped).batches)
        fit(task, phase, self.engine, self._validator(phase))
        about = phase.finish(self.networks, Mixer(phase, self.feeds, seed, Share(), self.skipped).batches)
        save_result(task.module, path, about, self.engine.main)
        if self.engine.main:
            curves.draw(self.folder / "history.jsonl", self.folder / "curves.png")
        self.engine.accelerator.wait_for_everyone()

    def reopened(self) -> Run:
        """Return this finished run as resuming it finds it, if its networks are split or their base is rounded."""
        if not is_split(self.engine.accelerator) and self.networks.base_dtype == torch.float32:
            return self
        self.networks.network = nn.Identity()  # the old ones go before the new ones come
        self.networks = build(self.recipe)
        self.networks.base_dtype = torch.float32
        for phase in self.recipe.phases:
            self.phase(phase)
        return self

    def export(self) -> None:
        """Write the trained model, and the model as it validated best, if that was not at the end."""
        last, card = export.product(self.recipe), export.card(self.recipe)
        networks = self.networks
        parts = networks.backbone, networks.network, networks.vae
        export.write_model(self.folder / "model", *parts, card, last.sampling)
        log.info("exported %s", self.folder / "model")
        best = self.folder / "best" / f"{last.name}.safetensors"
        if best.exists() and (step := about_result(best)["step"]) != last.steps:
            load_result(networks.network, best)
            export.write_model(best.parent / "model", *parts, card, last.sampling)
            log.info("exported %s, which validated best, at step %d", best.parent / "model", step)

    def _validator(self, phase: Phase) -> Callable[[nn.Module, int], dict[str, float]] | None:
        settings, predict = self.recipe.validation, phase.prediction(self.networks)
        if settings is None or predict is None:
            return None
        codec = self.networks.codec()
        source = open_one(self.recipe, settings.source, self.folder / "scenes")
        validator = Validator(settings, source, codec, predict, self.folder / "samples" / phase.name)
        best = Best(self.folder / "best", phase.name)

        def validate(module: nn.Module, step: int) -> dict[str, float]:
            with self.engine.autocast():
                measured = validator.measure(module, step, show=self.engine.main)
            # The first process decides: the others may have measured another last digit.
            if self.engine.anyone(self.engine.main and best.is_beaten_by(measured)):
                best.keep(self.engine.accelerator.unwrap_model(module), step, measured, self.engine.main)
            if self.engine.main:
                shown = "  ".join(f"{name} {value:.4g}" for name, value in measured.items())
                # Formatted here: a handler that holds back messages of one form must not hold these.
                log.info(f"{phase.name} validated at step {step}: {shown}")
                curves.draw(self.folder / "history.jsonl", self.folder / "curves.png")
            return measured

        return validate


class Best:
    """Keeps the trained weights that validated best in a phase, by AbsRel."""

    def __init__(self, folder: Path, phase: str) -> None:
        self.weights, self.about = folder / f"{phase}.safetensors", folder / f"{phase}.json"

    def is_beaten_by(self, measured: dict[str, float]) -> bool:
        """Return whether `measured` is better than the kept weights."""
        return not self.weights.exists() or measured["abs_rel"] < about_result(self.weights)["abs_rel"]

    def keep(self, module: nn.Module, step: int, measured: dict[str, float], main: bool) -> None:
        """Replace the kept weights; every process calls this, and the `main` one writes."""
        about = {"step": step, **measured}
        save_result(module, self.weights, about, main)
        if main:
            with replacing(self.about) as file:
                file.write(json.dumps(about).encode())


def _no_batches(step: int) -> list[Batch]:
    """Stand in for the batches of a finished phase, which may have had another number of processes."""
    raise AssertionError(f"a finished phase was asked for the batches of step {step}")

"""One loop for every phase: draw, lose, step, average, note, save.

A `Task` says what is trained and what is lost; the engine knows nothing of depth. Accelerate drives it: one process,
many GPUs, many machines, any precision, FSDP or DeepSpeed, are its configuration and not our code.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor, nn

from dvd.errors import DVDError, OptionError
from dvd.hardware import fast_bfloat16
from dvd.train.ahead import ahead
from dvd.train.average import Average
from dvd.train.checkpoints import OWNERS, Checkpoints, writing
from dvd.train.mixture import Batch, Share
from dvd.train.schedule import factor, set_rates
from dvd.train.settings import Phase, Recipe
from dvd.train.tracking import History, Progress

log = logging.getLogger(__name__)

Terms = dict[str, Tensor]


class Task(Protocol):
    """What one phase trains."""

    module: nn.Module

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Fresh ones; every group carries its full rate as `base`."""
        ...

    def batches(self, step: int) -> list[Batch]:
        """This process's micro-batches of a step; called in another thread."""
        ...

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Terms]:
        """The mean loss over a micro-batch, through `module` (the task's own, perhaps wrapped), and its terms."""
        ...


class Stopped(DVDError):
    """SIGTERM came; everything is saved."""


@dataclass
class Engine:
    """What all phases of a run share: Accelerate, the run's folder, its history."""

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    history: History
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def share(self) -> Share:
        return Share(self.accelerator.process_index, self.accelerator.num_processes)

    @property
    def main(self) -> bool:
        return self.accelerator.is_main_process


def open_engine(recipe: Recipe, folder: Path) -> Engine:
    """Starts Accelerate as the recipe and the environment (`torchrun`, `accelerate launch`) ask for it."""
    accelerator = Accelerator(
        mixed_precision=precision(recipe),
        cpu=not torch.cuda.is_available() and not torch.backends.mps.is_available(),
        log_with=list(recipe.trackers) or None,
        project_dir=str(folder),
        step_scheduler_with_optimizer=False,
        # The others wait while the first renders scenes or writes the model.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
    )
    with writing(folder / "history.jsonl"):
        folder.mkdir(parents=True, exist_ok=True)
    return Engine(recipe, folder, accelerator, History(folder / "history.jsonl"))


def precision(recipe: Recipe) -> str:
    """Accelerate's name of the precision; `auto` is bfloat16 where the device multiplies it fast, else float32."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wanted = recipe.precision
    if wanted == "fp16" and device.type == "cpu":
        raise OptionError("fp16 needs a GPU; set precision to bf16 or fp32")
    if wanted == "auto":
        wanted = "bf16" if fast_bfloat16(device) else "fp32"
    return {"fp32": "no"}.get(wanted, wanted)


def fit(
    task: Task, phase: Phase, engine: Engine, validate: Callable[[nn.Module, int], dict[str, float]] | None = None
) -> None:
    """Trains `task.module` for the phase's steps, resuming what is there; the average, if kept, is left in it.

    `validate(module, step)` measures; it is called when `step` says so and at the end, with the average in place.
    DVDError where the loss stops being finite, memory or disk run out; Stopped after SIGTERM.
    """
    accelerator, own = engine.accelerator, task.module
    if accelerator.distributed_type in OWNERS and phase.average:
        raise OptionError("an average of the weights is not kept under FSDP or DeepSpeed; set average to 0")
    accelerator.free_memory()
    module, *optimizers = accelerator.prepare(own, *task.optimizers())
    average = Average(own, phase.average)
    checkpoints = Checkpoints(accelerator, own, average, engine.folder / phase.name, engine.recipe.keep)
    begin = checkpoints.resume()
    if engine.main:
        engine.history.rewind(phase.name, begin)
    progress = Progress(phase.steps, phase.name, begin, shown=engine.main)
    trainable = [value for value in own.parameters() if value.requires_grad]
    pace = _Pace()
    with _stops_on_sigterm(engine.stop), progress:
        for step, batches in enumerate(ahead(task.batches, begin, phase.steps), start=begin):
            rate = factor(phase, step)
            set_rates(optimizers, rate)
            with _memory_runs_out(phase, batches):
                terms = _backward(task, module, batches, engine)
            _refuse_what_is_not_finite(terms, batches, phase, step, engine)
            norm = accelerator.clip_grad_norm_(trainable, phase.clip_norm)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            average.update(step)
            pace.add(sum(len(batch.seeds) for batch in batches) * engine.share.world)
            progress.note(step, terms, pace.samples_per_s)
            done = step + 1
            if done % engine.recipe.log_every == 0 or done == phase.steps:
                _note(engine, phase, step, {**terms, "rate": phase.rate * rate, "grad_norm": float(norm)}, pace)
            if validate is not None and _is_due(engine, done, phase.steps):
                with average.in_place():
                    found = validate(module, done)
                _note(engine, phase, step, {f"val_{name}": value for name, value in found.items()}, pace)
            stop = _anyone(engine.stop.is_set(), accelerator)
            if done % engine.recipe.save_every == 0 or done == phase.steps or stop:
                checkpoints.save(done)
            if stop and done < phase.steps:
                raise Stopped(
                    f"stopped by SIGTERM after step {done} of {phase.name}; it is saved: run the same command to go on"
                )
    average.settle()


def _backward(task: Task, module: nn.Module, batches: list[Batch], engine: Engine) -> dict[str, float]:
    """Gradients of all micro-batches together; returns every term's mean over micro-batches and processes."""
    accelerator = engine.accelerator
    accelerator.gradient_accumulation_steps = len(batches)
    accelerator.step = 0
    kept: dict[str, list[Tensor]] = {}
    for batch in batches:
        with accelerator.accumulate(module):
            with accelerator.autocast():
                loss, terms = task.loss(module, batch)
            accelerator.backward(loss * (batch.weight * len(batches)))
        for name, value in {"loss": loss, **terms}.items():
            kept.setdefault(f"{batch.kind}_{name}", []).append(value.detach().float())
    names = sorted(kept)
    values = torch.stack([torch.stack(kept[name]).mean() for name in names])
    reduced = accelerator.reduce(values, "mean")
    return dict(zip(names, reduced.tolist(), strict=True))


def _note(engine: Engine, phase: Phase, step: int, numbers: dict[str, float], pace: _Pace) -> None:
    if engine.main:
        with writing(engine.folder / "history.jsonl"):
            engine.history.add(step=step, phase=phase.name, samples_per_s=pace.samples_per_s, **numbers)
    engine.accelerator.log({f"{phase.name}/{name}": value for name, value in numbers.items()}, step=step)


def _is_due(engine: Engine, done: int, total: int) -> bool:
    validation = engine.recipe.validation
    return done == total or (validation is not None and done % validation.every == 0)


def _anyone(flag: bool, accelerator: Accelerator) -> bool:
    """Whether any process has it: all stop together or none does."""
    if accelerator.num_processes == 1:
        return flag
    raised = torch.tensor(float(flag), device=accelerator.device)
    return bool(accelerator.reduce(raised, "sum") > 0)


def _refuse_what_is_not_finite(
    terms: dict[str, float], batches: list[Batch], phase: Phase, step: int, engine: Engine
) -> None:
    if all(math.isfinite(value) for value in terms.values()):
        return
    path = engine.folder / f"not_finite_{phase.name}_{step}_{engine.share.rank}.pt"
    with writing(path):
        torch.save([vars(batch) for batch in batches], path)
    shown = ", ".join(f"{name} {value}" for name, value in terms.items())
    raise DVDError(
        f"the loss of {phase.name} is not finite at step {step} ({shown}); {path} holds the batch that did it: look at "
        f"it, then lower {phase.name}.rate or {phase.name}.clip_norm, or set precision to fp32, and run again: it "
        "resumes at the last checkpoint"
    )


@contextmanager
def _memory_runs_out(phase: Phase, batches: list[Batch]) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text
        if not memory:
            raise
        sizes = ", ".join(f"{batch.kind} {tuple(batch.rgb.shape)}" for batch in batches)
        raise DVDError(
            f"memory ran out in {phase.name} on micro-batches of {sizes}; raise {phase.name}.accumulate (same step, "
            "smaller micro-batches), set model.gradient_checkpointing, lower the sizes or frames, or cache latents"
        ) from error


@contextmanager
def _stops_on_sigterm(stop: threading.Event) -> Iterator[None]:
    """SIGTERM asks for a save and an end after the current step."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Pace:
    """Samples per second over the last steps."""

    def __init__(self, memory: float = 0.9) -> None:
        self.memory, self.samples_per_s, self._last = memory, 0.0, time.monotonic()

    def add(self, samples: int) -> None:
        now = time.monotonic()
        latest = samples / max(now - self._last, 1e-9)
        self._last = now
        self.samples_per_s = (
            self.memory * self.samples_per_s + (1 - self.memory) * latest if self.samples_per_s else latest
        )

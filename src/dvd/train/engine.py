"""One loop for every phase: draw, lose, step, average, note, save.

A `Task` has the module and its loss; the engine knows nothing of depth. Accelerate drives it: one process, many GPUs,
many machines, any precision, FSDP or DeepSpeed are its configuration and not our code.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import DistributedType, InitProcessGroupKwargs
from torch import Tensor, nn

from dvd.errors import DVDError, OptionError, unknown
from dvd.files import writing
from dvd.hardware import fast_bfloat16
from dvd.train.checkpoints import Checkpoints
from dvd.train.mixture import Batch, Share
from dvd.train.optim import Average, factor, set_rates
from dvd.train.settings import Phase, Recipe
from dvd.train.split import configure_splitting, refuse_unsplittable
from dvd.train.tasks import Task
from dvd.train.tracking import VALIDATION, History, Progress

log = logging.getLogger(__name__)

T = TypeVar("T")


class Stopped(DVDError):
    """Raised after SIGTERM, when everything is saved."""


@dataclass
class Engine:
    """Shared by all phases of a run: Accelerate, the run's folder, its history."""

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

    def autocast(self) -> AbstractContextManager[None]:
        """Return autocast at the recipe's precision.

        DeepSpeed has its own inside the network, and the frozen VAE runs outside of that.
        """
        accelerator = self.accelerator
        if accelerator.distributed_type == DistributedType.DEEPSPEED:
            enabled = precision(self.recipe) == "bf16"
            return torch.autocast(accelerator.device.type, torch.bfloat16, enabled=enabled)
        return accelerator.autocast()

    def anyone(self, flag: bool) -> bool:
        """Return whether `flag` is set in any process, so that all do the same."""
        if self.accelerator.num_processes == 1:
            return flag
        raised = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(self.accelerator.reduce(raised, "sum") > 0)


def open_engine(recipe: Recipe, folder: Path) -> Engine:
    """Start Accelerate as the recipe and the environment (`torchrun`, `accelerate launch`) ask for it."""
    _refuse_unknown_trackers(recipe.trackers)
    accelerator = Accelerator(
        mixed_precision=precision(recipe),
        cpu=not torch.cuda.is_available() and not torch.backends.mps.is_available(),
        log_with=list(recipe.trackers) or None,
        project_dir=str(folder),
        step_scheduler_with_optimizer=False,
        # The others wait while the first renders scenes or writes the model.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
    )
    refuse_unsplittable(accelerator, recipe)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return Engine(recipe, folder, accelerator, History(folder / "history.jsonl"))


def _refuse_unknown_trackers(trackers: tuple[str, ...]) -> None:
    for name in trackers:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise OptionError(f"{unknown('tracker', name, LOGGER_TYPE_TO_CLASS)}; or none")
        if name not in map(str, get_available_trackers()):
            raise OptionError(f"tracker {name} is not installed; pip install {name}, or set trackers to none")


def precision(recipe: Recipe) -> str:
    """Return Accelerate's name of the precision; `auto` is bfloat16 where the device is fast at it, else float32."""
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
    """Train `task.module` for the phase's steps, resuming what is there; the average, if kept, is left in it.

    `validate(module, step)` measures, every `recipe.validation.every` steps and at the end, with the average in place.
    DVDError where the loss stops being finite, or memory or disk run out; Stopped after SIGTERM.
    """
    accelerator, own = engine.accelerator, task.module
    accelerator.free_memory()
    configure_splitting(accelerator, phase, precision(engine.recipe))
    module, *optimizers = accelerator.prepare(own, *task.optimizers())
    average = Average(own, phase.average)
    checkpoints = Checkpoints(accelerator, own, average, engine.folder / phase.name, engine.recipe.keep)
    begin = checkpoints.resume()
    if engine.main:
        with writing(engine.history.path):
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
                norm = accelerator.clip_grad_norm_(trainable, phase.clip_norm)
                # fp16's scaler leaves out a step that overflows; elsewhere it would go into the weights for good.
                checked = terms if accelerator.scaler is not None else {**terms, "grad_norm": float(norm)}
                _refuse_not_finite(checked, batches, phase, step, engine)
                _step(optimizers, accelerator.scaler)
            average.update(step)
            pace.add(sum(len(batch.seeds) for batch in batches) * engine.share.world)
            progress.note(step, terms, pace.samples_per_s)
            done = step + 1
            if done % engine.recipe.log_every == 0 or done == phase.steps:
                _note(engine, phase, step, {**terms, "rate": phase.rate * rate, "grad_norm": float(norm)}, pace)
            if validate is not None and _is_due(engine, done, phase.steps):
                with average.in_place():
                    measured = validate(module, done)
                _note(engine, phase, step, {f"{VALIDATION}{name}": value for name, value in measured.items()}, pace)
            stop = engine.anyone(engine.stop.is_set())
            if done % engine.recipe.save_every == 0 or done == phase.steps or stop:
                checkpoints.save(done)
            if stop and done < phase.steps:
                raise Stopped(
                    f"stopped by SIGTERM after step {done} of {phase.name}; it is saved: run the same command to go on"
                )
    average.settle()


def ahead(make: Callable[[int], T], start: int, stop: int, depth: int = 3) -> Iterator[T]:
    """Yield make(start), …, make(stop − 1) in order, up to `depth` of them prepared in threads beforehand.

    An exception of `make` is raised where its item would have been yielded.
    """
    workers = max(1, min(depth, (os.cpu_count() or 1) - 1))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batches")
    waiting: deque[Future[T]] = deque()
    try:
        for index in range(start, stop):
            waiting.extend(pool.submit(make, later) for later in range(index + len(waiting), min(index + depth, stop)))
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _backward(task: Task, module: nn.Module, batches: list[Batch], engine: Engine) -> dict[str, float]:
    """Add up the gradients of all micro-batches; return every term's mean over micro-batches and processes."""
    accelerator = engine.accelerator
    accelerator.gradient_accumulation_steps = len(batches)
    accelerator.step = 0
    kept: dict[str, list[Tensor]] = {}
    for batch in batches:
        with accelerator.accumulate(module):
            with engine.autocast():
                loss, terms = task.loss(module, batch)
            accelerator.backward(loss * (batch.weight * len(batches)))
        for name, value in {"loss": loss, **terms}.items():
            kept.setdefault(f"{batch.kind}_{name}", []).append(value.detach().float())
    names = sorted(kept)
    values = torch.stack([torch.stack(kept[name]).mean() for name in names])
    reduced = accelerator.reduce(values, "mean")
    return dict(zip(names, reduced.tolist(), strict=True))


def _step(optimizers: list[AcceleratedOptimizer], scaler: torch.amp.GradScaler | None) -> None:
    """Take one step of all optimisers.

    fp16's scaler is called here, for `AcceleratedOptimizer.step` takes every optimiser to be the only one: it would
    unscale the gradients of a second one twice.
    """
    for optimizer in optimizers:
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer.optimizer)
    if scaler is not None:
        scaler.update()
    for optimizer in optimizers:
        optimizer.zero_grad()


def _note(engine: Engine, phase: Phase, step: int, values: dict[str, float], pace: _Pace) -> None:
    with writing(engine.folder / "history.jsonl"):
        if engine.main:
            engine.history.add(step=step, phase=phase.name, samples_per_s=pace.samples_per_s, **values)
        engine.accelerator.log({f"{phase.name}/{name}": value for name, value in values.items()}, step=step)


def _is_due(engine: Engine, done: int, total: int) -> bool:
    validation = engine.recipe.validation
    return done == total or (validation is not None and done % validation.every == 0)


def _refuse_not_finite(terms: dict[str, float], batches: list[Batch], phase: Phase, step: int, engine: Engine) -> None:
    wrong = [name for name, value in terms.items() if not math.isfinite(value)]
    if not wrong:
        return
    path = engine.folder / f"not_finite_{phase.name}_{step}_{engine.share.rank}.pt"
    with writing(path):
        torch.save([vars(batch) for batch in batches], path)
    raise DVDError(
        f"{phase.name} is not finite at step {step} ({', '.join(wrong)}); {path} holds the batch: look at it, then "
        f" lower {phase.name}.rate or {phase.name}.clip_norm, or set precision to fp32, and run again: it "
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
            "smaller micro-batches), set model.gradient_checkpointing, lower the sizes or frames, or cache latents, in "
            "another output folder"
        ) from error


@contextmanager
def _stops_on_sigterm(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM ask for a save and an end after the current step."""
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

"""Checkpoints of a phase: written aside and renamed, the latest few kept, everything needed to resume.

A checkpoint holds the trained weights (frozen ones are where they came from), the optimisers, the average, the step
and the random state. It does not depend on how many processes wrote it, except where FSDP or DeepSpeed own the state.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException

from dvd.errors import ModelError, OutputError
from dvd.train.average import Average
from dvd.train.split import is_split, whole

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger(__name__)

WEIGHTS, AVERAGE, ABOUT = "trained.safetensors", "average.safetensors", "about.json"


class Checkpoints:
    """The checkpoints of one phase in `folder`."""

    def __init__(self, accelerator: Accelerator, module: nn.Module, average: Average, folder: Path, keep: int) -> None:
        self.accelerator, self.module, self.average, self.folder, self.keep = (
            accelerator,
            module,
            average,
            folder,
            keep,
        )
        self._sweep()

    def save(self, step: int) -> None:
        """Saves after `step` steps; a run that is killed meanwhile still finds the one before.

        OutputError where the disk is full; what was written by then is taken away, for it would be in the way.
        """
        try:
            self._save(step)
        except OutputError:
            self._sweep()
            raise

    def _save(self, step: int) -> None:
        part, whole = self.folder / f".step_{step:08d}.part", self.folder / f"step_{step:08d}"
        main = self.accelerator.is_main_process
        with writing(part):
            if main:
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir(parents=True)
            self.accelerator.wait_for_everyone()
            with self._weights_are_ours():
                self.accelerator.save_state(str(part))
            if main:
                if self.average.kept:
                    save_file({name: value.contiguous() for name, value in self.average.kept.items()}, part / AVERAGE)
                (part / ABOUT).write_text(json.dumps({"step": step}), encoding="utf-8")
            self.accelerator.wait_for_everyone()
            if main:
                shutil.rmtree(whole, ignore_errors=True)
                part.rename(whole)
                for old in self.all()[: -self.keep]:
                    shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def resume(self) -> int:
        """Fills everything from the latest checkpoint; returns the steps already done, 0 where there is none."""
        found = self.all()
        if not found:
            return 0
        latest = found[-1]
        try:
            step = int(json.loads((latest / ABOUT).read_text(encoding="utf-8"))["step"])
            with self._weights_are_ours():
                self.accelerator.load_state(str(latest))
            if self.average.kept:
                self.average.load(load_file(latest / AVERAGE))
        except ModelError:
            raise
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, EOFError, CheckpointException) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{latest}: cannot be resumed ({type(error).__name__}: {reason}); delete it to go on from the one "
                "before, or give another output folder"
            ) from error
        log.info("resuming %s at step %d", self.folder.name, step)
        return step

    def all(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("step_*") if (path / ABOUT).is_file())

    def _sweep(self) -> None:
        """Removes what is half-written."""
        if self.accelerator.is_main_process:
            for part in self.folder.glob(".step_*.part"):
                shutil.rmtree(part, ignore_errors=True)

    @contextmanager
    def _weights_are_ours(self) -> Iterator[None]:
        """Accelerate saves optimisers, scaler and random state; the weights go through `trained` and `put`."""
        if is_split(self.accelerator):
            yield
            return

        def on_save(_: list[nn.Module], weights: list[dict[str, Tensor]], output_dir: str) -> None:
            if self.accelerator.is_main_process:
                save_file(trained(self.module), str(Path(output_dir, WEIGHTS)))
            weights.clear()

        def on_load(models: list[nn.Module], input_dir: str) -> None:
            put(self.module, load_file(str(Path(input_dir, WEIGHTS))), Path(input_dir, WEIGHTS))
            models.clear()

        handles = (
            self.accelerator.register_save_state_pre_hook(on_save),
            self.accelerator.register_load_state_pre_hook(on_load),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def trained(module: nn.Module) -> dict[str, Tensor]:
    """Copies of what training changes: parameters that are not frozen, and all buffers that are saved.

    Of a network in pieces they are put together: every process must call this at the same time.
    """
    frozen = {name for name, value in module.named_parameters() if not value.requires_grad}
    return {
        name: whole(value.detach()).clone().contiguous()
        for name, value in module.state_dict().items()
        if name not in frozen
    }


def put(module: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Fills a module with what `trained` gave; ModelError where it was another module."""
    here = trained(module)
    wrong = sorted(set(here) ^ set(weights)) or sorted(n for n in here if here[n].shape != weights[n].shape)
    if wrong:
        shown = ", ".join(wrong[:3]) + (" …" if len(wrong) > 3 else "")
        raise ModelError(
            f"{path}: {len(wrong)} weights are missing, unknown or of another shape ({shown}); it was saved by another "
            "recipe: give another output folder, or the recipe and fields that it was begun with"
        )
    module.load_state_dict(weights, strict=False)


def save_result(module: nn.Module, path: Path, about: dict[str, Any] | None = None, main: bool = True) -> None:
    """Writes what a finished phase has trained; every process calls this, and the `main` one writes."""
    weights = trained(module)
    if not main:
        return
    aside = path.with_suffix(".part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(weights, str(aside), {"about": json.dumps(about or {})})
        aside.replace(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a full disk, or a place that cannot be written, into one line: OutputError."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        text = str(error)
        full = (
            getattr(error, "errno", None) == errno.ENOSPC
            or "No space left" in text
            or any(mark in text for mark in ("PytorchStreamWriter", "inline_container"))
        )
        if not (full or isinstance(error, OSError | SafetensorError)):
            raise
        where = path.parent
        while not where.exists():
            where = where.parent
        reason = getattr(error, "strerror", None) or " ".join(text.split())[:120]
        mend = (
            f"make room ({shutil.disk_usage(where).free / 2**30:.1f} GiB are free) and run the same command, perhaps "
            "with a lower keep: it resumes at the last whole checkpoint"
            if full
            else "give a folder that can be written"
        )
        raise OutputError(f"{path.parent}: cannot be written ({reason}); {mend}") from error


def load_result(module: nn.Module, path: Path) -> None:
    """Fills a module with what `save_result` wrote."""
    try:
        weights = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); delete it to train that phase again") from error
    put(module, weights, path)

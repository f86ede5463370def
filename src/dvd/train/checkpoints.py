"""The checkpoints of a phase: written aside and renamed, the latest few kept, with everything needed to resume.

A checkpoint holds the trained weights (frozen ones are where they came from), the optimisers, the average, the step
and the random state. It does not depend on how many processes wrote it, except where FSDP or DeepSpeed own the state.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException

from dvd.errors import ModelError, OutputError
from dvd.files import replacing_path, writing
from dvd.train.optim import Average
from dvd.train.split import is_split, whole

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger(__name__)

RESUMES = "; the same command then goes on from the last whole checkpoint (a lower keep takes less room)"
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
        """Save after `step` steps; a run that is killed meanwhile still finds the checkpoint before.

        OutputError where the disk is full; half-written files are then removed, for they would be in the way.
        """
        try:
            self._save(step)
        except OutputError:
            self._sweep()
            raise

    def _save(self, step: int) -> None:
        part, whole = self.folder / f".step_{step:08d}.part", self.folder / f"step_{step:08d}"
        main = self.accelerator.is_main_process
        with writing(self.folder, RESUMES):
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
        """Fill everything from the latest checkpoint; return the steps already done, 0 where there is none."""
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
        """Return the whole checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("step_*") if (path / ABOUT).is_file())

    def _sweep(self) -> None:
        """Remove half-written checkpoints."""
        if self.accelerator.is_main_process:
            for part in self.folder.glob(".step_*.part"):
                shutil.rmtree(part, ignore_errors=True)

    @contextmanager
    def _weights_are_ours(self) -> Iterator[None]:
        """Leave optimisers, scaler and random state to Accelerate, and save the weights through `trained` and `put`."""
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
    """Return copies of what training changes: parameters that are not frozen, and all buffers that are saved.

    Parameters that FSDP has split are put together: every process must call this at the same time.
    """
    frozen = {name for name, value in module.named_parameters() if not value.requires_grad}
    return {
        name: whole(value.detach()).clone().contiguous()
        for name, value in module.state_dict().items()
        if name not in frozen
    }


def put(module: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Fill a module with what `trained` returned. Raise ModelError if that was another module."""
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
    """Write the trained weights of a finished phase; every process calls this, and the `main` one writes."""
    weights = trained(module)
    if not main:
        return
    with replacing_path(path) as aside:
        save_file(weights, str(aside), {"about": json.dumps(about or {})})


def about_result(path: Path) -> dict[str, Any]:
    """Return the `about` that `save_result` wrote beside the weights."""
    with safe_open(str(path), "pt") as file:
        return dict(json.loads((file.metadata() or {}).get("about", "{}")))


def load_result(module: nn.Module, path: Path) -> None:
    """Fill a module with the weights that `save_result` wrote."""
    try:
        weights = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); delete it to train that phase again") from error
    put(module, weights, path)

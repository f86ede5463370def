"""The one loop: accumulation, saving, resuming, stopping, and what goes wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("accelerate", reason="the train extra is not installed")

from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from dvd.data.sources import RawClip
from dvd.errors import DVDError, ModelError, OptionError, OutputError
from dvd.train.engine import Engine, Stopped, _step, ahead, fit, open_engine, precision
from dvd.train.mixture import Batch, Feed, Mixer, Share, Skipped
from dvd.train.optim import adamw
from dvd.train.recipes import SMOKE
from dvd.train.settings import Mixture, Phase, SourceSettings
from dvd.train.tracking import read_history

RECIPE = replace(SMOKE, precision="fp32", trackers=(), log_every=1, save_every=4, keep=2)
PHASE = Phase(
    name="toy",
    steps=10,
    rate=1e-2,
    accumulate=2,
    average=0.9,
    mixture=Mixture(video_batch=4, image_batch=8, frames=5, sizes=((8, 8),)),
)


class Noise:
    name = "noise"

    def count(self, frames: int) -> int:
        return 50

    def clip(self, index: int, frames: int) -> RawClip:
        random = np.random.default_rng(index)
        return RawClip(random.integers(0, 256, (frames, 8, 8, 3), np.uint8), random.random((frames, 8, 8), np.float32))


class Toy:
    """A convolution from RGB to disparity."""

    def __init__(self, share: Share, phase: Phase = PHASE) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = nn.Conv3d(3, 1, 3, padding=1)
        self.phase = phase
        feeds = [Feed(SourceSettings(kind, "noise", kind), Noise()) for kind in ("image", "video")]  # type: ignore[arg-type]
        self.batches: Callable[[int], list[Batch]] = Mixer(phase, feeds, 3, share, Skipped(0.05)).batches

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [adamw([(self.module.parameters(), self.phase.rate)], self.phase)]

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        error = (module(batch.rgb) - batch.disparity).square().mean()
        return error, {"error": error.detach()}


def run(folder: Path, phase: Phase = PHASE, task: Toy | None = None, **changes: object) -> tuple[Toy, Engine]:
    engine = open_engine(replace(RECIPE, **changes), folder)  # type: ignore[arg-type]
    task = task or Toy(engine.share, phase)
    fit(task, phase, engine)
    return task, engine


def weights(task: Toy) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in task.module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_accumulated_micro_batches_are_one_large_batch(tmp_path: Path) -> None:
    task, _ = run(tmp_path, replace(PHASE, steps=1, average=0.0))
    by_hand = Toy(Share())
    (optimizer,) = by_hand.optimizers()
    losses = {"video": 0.0, "image": 0.0}
    for batch in by_hand.batches(0):
        loss, _ = by_hand.loss(by_hand.module, batch)
        (loss * batch.weight).backward()
        losses[batch.kind] += float(loss.detach()) * batch.weight
    norm = nn.utils.clip_grad_norm_(by_hand.module.parameters(), 1.0)
    optimizer.step()
    for name, value in weights(by_hand).items():
        torch.testing.assert_close(weights(task)[name], value, rtol=1e-5, atol=1e-7)
    (row,) = read_history(tmp_path / "history.jsonl")
    assert row["video_loss"] == pytest.approx(losses["video"], rel=1e-5)
    assert row["image_loss"] == pytest.approx(losses["image"], rel=1e-5)
    assert row["grad_norm"] == pytest.approx(float(norm), rel=1e-5)


@pytest.mark.slow
def test_the_average_is_the_result_of_a_phase(tmp_path: Path) -> None:
    plain, _ = run(tmp_path / "plain", replace(PHASE, average=0.0))
    averaged, _ = run(tmp_path / "averaged")
    assert not same(weights(plain), weights(averaged))


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole")
    engine = open_engine(RECIPE, tmp_path / "stopped")
    task = Toy(engine.share)
    draw = task.batches

    def stop_at_six(step: int) -> list[Batch]:
        if step == 6:
            engine.stop.set()
        return draw(step)

    task.batches = stop_at_six
    with pytest.raises(Stopped, match="saved: run the same command"):
        fit(task, PHASE, engine)
    resumed, _ = run(tmp_path / "stopped")
    assert same(weights(whole), weights(resumed))
    steps = [row["step"] for row in read_history(tmp_path / "stopped" / "history.jsonl")]
    assert steps == list(range(10))


@pytest.mark.slow
def test_only_the_latest_checkpoints_stay(tmp_path: Path) -> None:
    run(tmp_path)
    assert sorted(path.name for path in (tmp_path / "toy").iterdir()) == ["step_00000008", "step_00000010"]


@pytest.mark.slow
def test_half_written_checkpoints_are_ignored_and_removed(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole")
    run(tmp_path / "killed", replace(PHASE, steps=4))
    (tmp_path / "killed" / "toy" / ".step_00000008.part").mkdir()
    (tmp_path / "killed" / "toy" / "step_00000009").mkdir()  # without about.json, its last file
    resumed, _ = run(tmp_path / "killed")
    assert same(weights(whole), weights(resumed))
    assert not (tmp_path / "killed" / "toy" / ".step_00000008.part").exists()


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    run(tmp_path, replace(PHASE, steps=4))
    (tmp_path / "toy" / "step_00000004" / "trained.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"step_00000004: cannot be resumed .* delete it"):
        run(tmp_path)


@pytest.mark.slow
def test_another_network_s_checkpoint_is_refused(tmp_path: Path) -> None:
    run(tmp_path, replace(PHASE, steps=4))
    other = Toy(Share())
    other.module = nn.Conv3d(3, 1, 1)
    with pytest.raises(ModelError, match="saved by another recipe"):
        run(tmp_path, task=other)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_and_keeps_its_batch(tmp_path: Path) -> None:
    class Sick(Toy):
        def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            loss, terms = super().loss(module, batch)
            return (loss * float("nan"), terms) if 17 in batch.seeds or self.fails(batch) else (loss, terms)

        def fails(self, batch: Batch) -> bool:
            return batch.seeds == self.batches(5)[0].seeds

    with pytest.raises(DVDError, match=r"toy is not finite at step 5 .*not_finite_toy_5_0.pt holds the batch"):
        run(tmp_path, task=Sick(Share()))
    kept = torch.load(tmp_path / "not_finite_toy_5_0.pt", weights_only=True)
    assert [entry["kind"] for entry in kept] == ["video", "image", "video", "image"]
    assert (tmp_path / "toy" / "step_00000004").is_dir()


@pytest.mark.slow
def test_a_gradient_that_is_not_finite_never_reaches_the_weights(tmp_path: Path) -> None:
    """The loss itself is finite, so only the next one would tell, and a checkpoint would lie between."""

    class Steep(Toy):
        def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            loss, terms = super().loss(module, batch)
            if batch.seeds == self.batches(3)[0].seeds:
                loss = loss + (0 * module.weight.sum()).sqrt()  # 0, with a slope of 0 · ∞
            return loss, terms

    with pytest.raises(DVDError, match=r"toy is not finite at step 3 \(grad_norm\); .*not_finite_toy_3_0.pt"):
        run(tmp_path, replace(PHASE, steps=4), Steep(Share()))
    assert not list((tmp_path / "toy").glob("step_*"))


def test_the_scaler_of_fp16_scales_every_optimiser_s_gradients_back_once() -> None:
    Accelerator(cpu=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    values = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    optimizers = [AcceleratedOptimizer(torch.optim.SGD([value], lr=1.0), scaler=scaler) for value in values]
    scaler.scale(torch.cat(values).sum()).backward()
    for optimizer in optimizers:
        scaler.unscale_(optimizer.optimizer)
    _step(optimizers, scaler)
    assert [value.tolist() for value in values] == [[0, 0], [0, 0]]
    assert all(value.grad is None for value in values)


@pytest.mark.parametrize("tracker", ["tensorbord", "clearml"])
def test_an_unknown_or_missing_tracker_is_refused_at_the_start(tmp_path: Path, tracker: str) -> None:
    with pytest.raises(OptionError, match=r"did you mean tensorboard|tracker clearml is not installed; pip install"):
        open_engine(replace(RECIPE, trackers=(tracker,)), tmp_path)


@pytest.mark.slow
def test_memory_that_runs_out_in_the_optimiser_is_reported(tmp_path: Path) -> None:
    class Large(Toy):
        def optimizers(self) -> list[torch.optim.Optimizer]:
            (optimizer,) = super().optimizers()
            optimizer.register_step_pre_hook(self.fail)
            return [optimizer]

        def fail(self, *_: object) -> None:
            raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(DVDError, match="memory ran out in toy"):
        run(tmp_path, task=Large(Share()))


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_checkpoint_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object, path: str, *__: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dvd.train.checkpoints.save_file", refuse)
    with pytest.raises(OutputError, match=r"toy: the disk is full; free some space .*goes on from the last whole"):
        run(tmp_path)
    assert not list((tmp_path / "toy").iterdir())


def test_a_folder_that_cannot_be_made_is_not_called_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"its folder cannot be made; choose another folder$"):
        open_engine(RECIPE, tmp_path / "file")


@pytest.mark.slow
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: …")])
def test_the_message_about_memory_says_what_to_lower(tmp_path: Path, error: Exception) -> None:
    class Large(Toy):
        def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            raise error

    with pytest.raises(
        DVDError, match=r"memory ran out in toy on micro-batches of video \(2, 3, 5, 8, 8\).*accumulate"
    ):
        run(tmp_path, task=Large(Share()))


@pytest.mark.slow
def test_other_errors_are_not_taken_for_memory(tmp_path: Path) -> None:
    class Faulty(Toy):
        def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(tmp_path, task=Faulty(Share()))


@pytest.mark.slow
def test_validation_sees_the_average_and_is_logged(tmp_path: Path) -> None:
    engine = open_engine(replace(RECIPE, validation=replace(RECIPE.validation, every=5)), tmp_path)  # type: ignore[type-var,arg-type]
    task, seen = Toy(engine.share), []

    def validate(module: nn.Module, step: int) -> dict[str, float]:
        seen.append((step, weights(task)))
        return {"abs_rel": 1 / step}

    fit(task, PHASE, engine, validate)
    assert [step for step, _ in seen] == [5, 10]
    assert same(seen[-1][1], weights(task))
    rows = [row for row in read_history(tmp_path / "history.jsonl") if "val_abs_rel" in row]
    assert [row["val_abs_rel"] for row in rows] == [0.2, 0.1]


def test_automatic_precision_follows_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvd.train.engine.fast_bfloat16", lambda device: True)
    assert precision(replace(RECIPE, precision="auto")) == "bf16"
    monkeypatch.setattr("dvd.train.engine.fast_bfloat16", lambda device: False)
    assert precision(replace(RECIPE, precision="auto")) == "no"
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="fp16 needs a GPU"):
            precision(replace(RECIPE, precision="fp16"))


def test_prepared_items_keep_their_order() -> None:
    for depth in (1, 2, 5):
        assert list(ahead(lambda index: index * index, 2, 6, depth)) == [4, 9, 16, 25]


def test_no_more_than_depth_items_are_prepared() -> None:
    made: list[int] = []
    items = ahead(lambda index: made.append(index) or index, 0, 100, depth=3)
    assert next(items) == 0
    items.close()
    assert len(made) <= 4


def test_an_error_is_raised_in_place_of_its_item() -> None:
    items = ahead(lambda index: 1 // (3 - index), 0, 6)
    assert [next(items) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(items)


def script(folder: Path, body: str) -> Path:
    """A Python file in which `run`, `Toy` and the rest of this module are at hand."""
    path = folder / "script.py"
    path.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_engine import *\n" + textwrap.dedent(body)
    )
    return path


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path) -> None:
    run(tmp_path / "one")
    path = script(tmp_path, f"run(Path({str(tmp_path / 'two')!r}))")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(path)]
    subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=120)
    one, two = (read_history(tmp_path / name / "history.jsonl") for name in ("one", "two"))
    assert len(one) == len(two) == 10
    for first, second in zip(one, two, strict=True):
        for name in ("video_loss", "image_loss", "grad_norm"):
            assert second[name] == pytest.approx(first[name], rel=1e-5), (first["step"], name)


@pytest.mark.slow
def test_a_run_killed_while_it_saves_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole")
    folder = tmp_path / "killed"
    path = script(
        tmp_path,
        f"""
        import dvd.train.checkpoints as checkpoints
        write = checkpoints.save_file
        def die(tensors, path, *more):
            write(tensors, path, *more)
            if "00000008" in str(path):
                os.kill(os.getpid(), signal.SIGKILL)
        checkpoints.save_file = die
        run(Path({str(folder)!r}))
        """,
    )
    killed = subprocess.run([sys.executable, str(path)], env=ENVIRONMENT, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert [p.name for p in sorted((folder / "toy").glob("step_*"))] == ["step_00000004"]
    resumed, _ = run(folder)
    assert same(weights(whole), weights(resumed))
    about = json.loads((folder / "toy" / "step_00000010" / "about.json").read_text())
    assert about == {"step": 10}

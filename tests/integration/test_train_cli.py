"""`dvd train`: a whole small run, whatever interrupts it, on one process or two; and what a user can get wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("accelerate", reason="the train extra is not installed")
pytest.importorskip("numba", reason="the train extra is not installed")

from train_runs import losses, run, start, train_command, wait_for

from dvd.train.tracking import read_history

Run = Callable[..., Any]
STEPS = [
    *("--vae.steps", "4", "--vae.warm-up", "1", "--vae.mixture.video-batch", "2"),
    *("--pretrain.steps", "4", "--pretrain.warm-up", "1"),
    *("--adapt.steps", "8", "--adapt.warm-up", "1"),
]


COMMAND = train_command("smoke", *STEPS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("train") / "whole"
    done = run(COMMAND, folder)
    assert done.status == 0, done.errors
    return folder


def begin(whole: Path, folder: Path) -> Path:
    """An empty run beside scenes that are rendered already."""
    shutil.copytree(whole / "scenes", folder / "scenes")
    return folder


@pytest.mark.slow
def test_a_run_leaves_a_model_curves_samples_and_a_history(whole: Path, dvd: Run, tmp_path: Path) -> None:
    assert (whole / "curves.png").stat().st_size > 10_000
    assert list(whole.glob("samples/adapt/*.mp4"))
    assert list(whole.glob("tensorboard/**/events*"))
    assert json.loads((whole / "best" / "adapt.json").read_text())["abs_rel"] > 0
    assert len(losses(whole)) == 4 + 4 + 8
    clip = tmp_path / "clip"
    clip.mkdir()
    from PIL import Image

    for index in range(9):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 80, 3), np.uint8)
        Image.fromarray(pixels).save(clip / f"{index:03d}.png")
    done = dvd("predict", clip, "-o", tmp_path / "out.npz", "--model", whole / "model", "--size", "64x80")
    assert done.status == 0, done.err
    disparity = np.load(tmp_path / "out.npz")["disparity"]
    assert disparity.shape == (9, 64, 80)
    assert np.isfinite(disparity).all()
    assert disparity.std() > 0


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_with_the_same_losses(whole: Path, tmp_path: Path) -> None:
    folder = begin(whole, tmp_path / "killed")
    kills = 0
    for after in (1, 2, 9, 14):  # steps of the history: in the VAE, the flow and the adaptation
        running = start(COMMAND, folder)
        wait_for(lambda: len(losses(folder)) >= after, running)  # noqa: B023
        running.process.kill()
        kills += running.end().status == -signal.SIGKILL
    assert kills == 4
    done = run(COMMAND, folder)
    assert done.status == 0, done.errors
    one, other = losses(whole), losses(folder)
    assert one.keys() == other.keys()
    for key, row in one.items():
        for name, value in row.items():
            if name != "samples_per_s":
                assert other[key][name] == value, (key, name)
    for part in ("model.safetensors", "vae.safetensors"):
        for path in whole.glob(f"model/{part}"):
            assert path.read_bytes() == (folder / "model" / part).read_bytes()


@pytest.mark.slow
def test_sigterm_saves_first(whole: Path, tmp_path: Path) -> None:
    folder = begin(whole, tmp_path / "stopped")
    command = list(COMMAND)
    command[command.index("--save-every") + 1] = "1000"
    command[command.index("--adapt.steps") + 1] = "500"
    running = start(command, folder)
    wait_for(lambda: any(phase == "adapt" for phase, _ in losses(folder)), running)
    running.process.terminate()
    done = running.end(60)
    assert done.status == 2
    assert "stopped by SIGTERM after step" in done.errors
    (saved,) = (folder / "adapt").glob("step_*")
    assert int(saved.name.removeprefix("step_")) < 500


@pytest.mark.slow
def test_two_processes_train_as_one_does(whole: Path, tmp_path: Path) -> None:
    folder = begin(whole, tmp_path / "two")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "dvd"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, *COMMAND, "-o", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    one, two = losses(whole), losses(folder)
    assert one.keys() == two.keys()
    for key, row in one.items():
        for name in (name for name in row if name.endswith(("_loss", "grad_norm"))):
            assert two[key][name] == pytest.approx(row[name], rel=2e-3), (key, name)


@pytest.mark.slow
def test_the_smoke_recipe_learns_depth(dvd: Run, tmp_path: Path) -> None:
    """The whole recipe: pre-train, adapt, validate; two minutes alone on two cores."""
    assert dvd("train", "smoke", "-o", tmp_path, "--processes", 1).status == 0
    rows = read_history(tmp_path / "history.jsonl")
    for phase, name in (("vae", "image_error"), ("pretrain", "video_loss"), ("adapt", "video_loss")):
        curve = [row[name] for row in rows if row["phase"] == phase and name in row]
        assert np.mean(curve[-3:]) < 0.8 * np.mean(curve[:3]), (phase, curve)
    measured = [row["val_abs_rel"] for row in rows if "val_abs_rel" in row]
    assert measured[-1] < 0.9 * constant_abs_rel(tmp_path)


def constant_abs_rel(folder: Path) -> float:
    """What a prediction that is the same everywhere reaches on the held-out clips."""
    from dvd.train.recipes import SMOKE
    from dvd.train.sources import ShardSource
    from dvd.train.validation import accuracy, held_out

    assert SMOKE.validation is not None
    clips = held_out(SMOKE.validation, ShardSource("held-out", folder / "scenes" / "held-out"))
    rng = np.random.default_rng(0)
    return float(np.mean([accuracy(1 + 1e-6 * rng.random(c.truth.shape), c.truth)["abs_rel"] for c in clips]))


def test_a_dry_run_describes_the_run(dvd: Run, tmp_path: Path) -> None:
    done = dvd("train", "smoke", "--dry-run", "-o", tmp_path / "run", "--rank", 4, "--adapt.steps", 70)
    assert done.status == 0, done.err
    assert "adaptation.rank = 4" in done.out
    assert "adapt: 70 steps" in done.out
    assert "to be rendered" in done.out
    assert "trainable" in done.out
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_paper_s_recipe_counts_what_it_trains(dvd: Run, tmp_path: Path) -> None:
    done = dvd("train", "dvd-wan-1.3b", "--dry-run", "--data", tmp_path)
    assert done.status == 0, done.err
    # 30 blocks: LoRA 512 on q k v o of self- and v o of cross-attention, and on both products of the feed-forward.
    adapters = 30 * 512 * (6 * (1536 + 1536) + 2 * (1536 + 8960))
    assert f"{adapters / 1e6:.1f} M trainable" in done.out
    assert "1419.0 M frozen" in done.out
    assert "MISSING" in done.out


WRONG = {
    "unknown recipe": (["dvd-mnii"], "did you mean dvd-mini"),
    "no recipe": ([], "which recipe?"),
    "unknown field": (["smoke", "--adapt.stepz", "3"], "did you mean adapt.steps"),
    "a field without a value": (["smoke", "--adapt.steps"], "has no value"),
    "not a number": (["smoke", "--adapt.steps", "many"], "adapt.steps is 'many'; expected a valid integer"),
    "ambiguous": (["smoke", "--steps", "3"], "is the end of several fields"),
    "contradiction": (["smoke", "--adapt.mixture.frames", "8"], "a video clip has 4 n + 1 frames"),
    "another contradiction": (["dvd-mini", "--kind", "lora"], "'kind' is the end of several"),
    "lora of the embedded model": (["dvd-mini", "--adaptation.kind", "lora"], "dvd-mini is trained whole"),
    "missing textures": (["smoke", "--textures", "nowhere"], "nowhere is not a folder"),
    "missing data": (["dvd-wan-1.3b", "--data", "nowhere"], "nowhere"),
    "missing latents": (["dvd-wan-1.3b", "--latents", "nowhere"], "not a latent cache"),
    "missing config": (["smoke", "--config", "none.toml"], "none.toml: cannot be read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_one_line_and_status_two(name: str, dvd: Run, tmp_path: Path) -> None:
    arguments, wanted = WRONG[name]
    done = dvd("train", *arguments, *(["-o", tmp_path / "run"] if arguments else []))
    assert done.status == 2
    assert len(done.errors) == 1, done.err
    assert wanted in done.err
    assert not (tmp_path / "run" / "scenes").exists()


def test_a_run_of_another_recipe_is_not_resumed(dvd: Run, tmp_path: Path) -> None:
    from dvd.train.loop import record
    from dvd.train.recipes import SMOKE

    record(SMOKE, tmp_path)
    record(SMOKE, tmp_path)
    done = dvd("train", "smoke", "-o", tmp_path, "--adapt.steps", 70)
    assert done.status == 2
    assert "begun with another recipe (phases.adapt.steps: 220 there, 70 now)" in done.err


def test_a_config_file_sets_fields(dvd: Run, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("seed = 5\n[phases.adapt]\nsteps = 90\n")
    done = dvd("train", "smoke", "--dry-run", "--config", tmp_path / "own.toml", "-o", tmp_path / "run")
    assert "seed = 5" in done.out
    assert "adapt: 90 steps" in done.out

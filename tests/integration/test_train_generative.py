"""`dvd train smoke-generative`: the generative baseline from recipe to prediction, whatever interrupts it."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("accelerate", reason="the train extra is not installed")
pytest.importorskip("numba", reason="the train extra is not installed")

from train_runs import losses, run, start, train_command, wait_for

from dvd.train.recipes import GENERATIVE, PAPER, RECIPES, SMOKE, SMOKE_GENERATIVE
from dvd.train.settings import Phase, Recipe
from dvd.train.tasks import AdaptPhase, FlowPhase
from dvd.train.tracking import read_history

Run = Callable[..., Any]
STEPS = [
    *("--vae.steps", "2", "--vae.warm-up", "1", "--pretrain.steps", "2", "--pretrain.warm-up", "1"),
    *("--depth.steps", "8", "--depth.warm-up", "1", "--depth.sampler-steps", "3"),
]


COMMAND = train_command("smoke-generative", *STEPS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("generative") / "whole"
    done = run(COMMAND, folder)
    assert done.status == 0, done.errors
    return folder


@pytest.mark.slow
def test_a_run_leaves_a_generative_model_that_predicts(whole: Path, dvd: Run, tmp_path: Path) -> None:
    config = json.loads((whole / "model" / "config.json").read_text())
    assert (config["backbone"], config["steps"], config["card"]["name"]) == ("generative", 3, "smoke-generative")
    measured = [row for row in read_history(whole / "history.jsonl") if "val_abs_rel" in row]
    assert [(row["phase"], row["step"]) for row in measured] == [("depth", 3), ("depth", 7)]
    assert json.loads((whole / "best" / "depth.json").read_text())["abs_rel"] == min(
        row["val_abs_rel"] for row in measured
    )
    assert list(whole.glob("samples/depth/*.mp4"))
    (tmp_path / "clip").mkdir()
    for index in range(9):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 80, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "clip" / f"{index:03d}.png")
    found = {}
    for name, folder in {"lora": whole / "model", "merged": whole / "model" / "merged"}.items():
        arguments = ("--size", "64x80", "--dtype", "float32", "--device", "cpu")
        done = dvd("predict", tmp_path / "clip", "-o", tmp_path / f"{name}.npz", "--model", folder, *arguments)
        assert done.status == 0, done.err
        found[name] = np.load(tmp_path / f"{name}.npz")["disparity"]
    assert found["lora"].shape == (9, 64, 80)
    assert np.isfinite(found["lora"]).all()
    assert found["lora"].std() > 0
    np.testing.assert_allclose(found["merged"], found["lora"], atol=1e-4)


@pytest.mark.slow
def test_a_depth_flow_killed_anywhere_ends_the_same(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(whole / "scenes", folder / "scenes")
    kills = 0
    # Rows of the history: when the prior is done, in the flow before its first checkpoint, and after its second.
    for after in (4, 5, 11):
        running = start(COMMAND, folder)
        wait_for(lambda: len(losses(folder)) >= after, running)  # noqa: B023
        running.process.kill()
        kills += running.end().status == -signal.SIGKILL
    assert kills == 3
    done = run(COMMAND, folder)
    assert done.status == 0, done.errors
    one, other = losses(whole), losses(folder)
    assert one.keys() == other.keys()
    for key, row in one.items():
        for name in row.keys() - {"samples_per_s"}:
            assert other[key][name] == row[name], (key, name)
    for part in ("model.safetensors", "merged/model.safetensors"):
        assert (whole / "model" / part).read_bytes() == (folder / "model" / part).read_bytes()


@pytest.mark.parametrize("pair", [(PAPER, GENERATIVE), (SMOKE, SMOKE_GENERATIVE)], ids=["paper", "smoke"])
def test_both_recipes_share_all_but_the_way_to_depth(pair: tuple[Recipe, Recipe]) -> None:
    one, other = pair
    assert RECIPES[other.name] is other
    assert replace(other, name=one.name, summary=one.summary, phases=one.phases) == one
    assert other.phases[:-1] == one.phases[:-1]
    adapt, flow = one.phases[-1], other.phases[-1]
    assert (type(adapt), type(flow)) == (AdaptPhase, FlowPhase)
    shared = [field.name for field in fields(Phase) if field.name != "name"]
    assert [getattr(adapt, name) for name in shared] == [getattr(flow, name) for name in shared]


def test_a_dry_run_names_the_steps_of_the_sampler(dvd: Run, tmp_path: Path) -> None:
    done = dvd("train", "smoke-generative", "--dry-run", "-o", tmp_path / "run", "--depth.sampler-steps", 4)
    assert done.status == 0, done.err
    assert "phases.depth.sampler_steps = 4" in done.out
    assert "depth: 220 steps of 10 clips" in done.out


WRONG = {
    "two products": (["smoke", "--pretrain.content", "depth"], "pretrain makes a generative model and phase adapt"),
    "no product": (["smoke-generative", "--depth.content", "rgb"], "has no phase that learns depth"),
    "no steps": (["smoke-generative", "--depth.sampler-steps", "0"], "a sampler takes at least 1 step, not 0"),
    "no time": (["smoke-generative", "--model.time", "none"], "a flow must know its time; model.time is none"),
}


@pytest.mark.parametrize("name", WRONG)
def test_contradictions_are_one_line_and_status_two(name: str, dvd: Run, tmp_path: Path) -> None:
    arguments, wanted = WRONG[name]
    done = dvd("train", *arguments, "-o", tmp_path / "run")
    assert done.status == 2
    assert len(done.errors) == 1, done.err
    assert wanted in done.err
    assert not (tmp_path / "run").exists()

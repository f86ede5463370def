"""A backbone from outside the package needs one file and one line: it predicts, trains, is exported and evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate", reason="the train extra is not installed")

from accelerate.state import AcceleratorState
from eval_tree import write_recording
from golden_run import CLIPS, write_frames
from safetensors.torch import load_file

import dvd
from dvd.backbones import registry
from dvd.backbones.base import ModelCard
from dvd.backbones.settings import Adaptation
from dvd.errors import OptionError
from dvd.plugins import Plugins
from dvd.train.dry_run import describe_run
from dvd.train.loop import train
from dvd.train.settings import Mixture, ModelSettings, Recipe, SourceSettings, Validation
from dvd.train.tasks import AdaptPhase, FlowPhase
from dvd.train.tracking import read_history


def own_backbones() -> Plugins:
    """The table of backbones, as far as this package fills it."""
    homes = {kind: module.__name__ for kind, module in registry.BACKBONES.items()}
    return Plugins("backbone", homes, group="dvd.backbones")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line."""
    monkeypatch.setattr(registry, "BACKBONES", own_backbones())
    dvd.register_backbone("toy", "toy_backbone")


@pytest.fixture
def recipe(toy: None, tmp_path: Path) -> Recipe:
    write_frames(tmp_path / "data")
    return Recipe(
        name="toy",
        summary="a toy on seven frames of noise",
        model=ModelSettings("toy", sizes=(("width", 6),)),
        sources=(SourceSettings("stills", "rgbd", "image"), CLIPS),
        phases=(AdaptPhase(name="adapt", steps=6, rate=0.01, mixture=Mixture("paired", 1, 2, 4, sizes=((24, 40),))),),
        validation=Validation(CLIPS, every=3, clips=1, frames=4, size=(24, 40), samples=0),
        data=tmp_path / "data",
        trackers=(),
        precision="fp32",
        log_every=1,
    )


@pytest.fixture
def model(recipe: Recipe, tmp_path: Path) -> Iterator[Path]:
    """The folder of a trained toy."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield train(recipe, tmp_path / "run")
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.slow
def test_it_trains_and_its_model_predicts_and_is_evaluated(model: Path, tmp_path: Path) -> None:
    rows = read_history(tmp_path / "run" / "history.jsonl")
    losses = [row["video_loss"] for row in rows if "video_loss" in row]
    assert len(losses) == 6
    assert losses[-1] < losses[0]
    assert [row["step"] for row in rows if "val_abs_rel" in row] == [2, 5]
    assert sum(value.numel() for value in load_file(model / "toy.safetensors").values()) == 6 * 27 + 6 + 54 + 1

    pipeline = dvd.load(model)
    assert (pipeline.card.name, pipeline.card.window, pipeline.card.size) == ("toy", 4, (24, 40))
    disparity = pipeline.predict(np.random.default_rng(0).integers(0, 256, (6, 24, 40, 3), np.uint8))
    assert disparity.shape == (6, 24, 40)
    assert np.isfinite(disparity).all()
    assert disparity.std() > 0

    recording = write_recording(tmp_path / "recording", frames=5)
    options = dvd.MethodOptions(device="cpu", dtype="float32")
    result = dvd.evaluate({"rgbd": recording}, str(model), out=tmp_path / "out", options=options, metrics=("abs_rel",))
    assert result.method == "toy"
    assert np.isfinite(result.mean()["abs_rel"])
    assert (tmp_path / "out" / "results.json").exists()


def test_a_saved_folder_is_opened_by_its_kind(toy: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = registry.trainable("toy")
    network, codec = backbone.build(ModelSettings("toy"))
    backbone.save(tmp_path, network, codec, ModelCard("mine", "none", size=(16, 16), window=2, overlap=1), None)
    assert registry.card(tmp_path).name == "mine"
    assert dvd.load(tmp_path).predict(np.zeros((3, 16, 24, 3), np.uint8)).shape == (3, 16, 24)


def test_a_dry_run_counts_its_parameters(recipe: Recipe, tmp_path: Path) -> None:
    lines = list(describe_run(recipe, tmp_path / "run"))
    assert "model.kind = toy" in lines
    assert any(line.startswith("network     0.0 M parameters") for line in lines)


def test_its_traits_refuse_what_it_cannot_do(recipe: Recipe) -> None:
    with pytest.raises(OptionError, match="toy is trained whole"):
        replace(recipe, adaptation=Adaptation(rank=4, alpha=4))
    with pytest.raises(OptionError, match="toy sees pixels"):
        replace(recipe, latents=Path("latents"))
    with pytest.raises(OptionError, match="toy has no RGB latents to flow to"):
        replace(recipe, phases=(FlowPhase(name="flow", steps=1),))
    with pytest.raises(OptionError, match="multiples of 8, not 4 of 20x40"):
        replace(recipe, validation=replace(recipe.validation, size=(20, 40)))  # type: ignore[type-var]


def test_an_unknown_kind_offers_the_nearest(toy: None) -> None:
    with pytest.raises(OptionError, match="unknown backbone 'tooy'; did you mean toy"):
        ModelSettings("tooy")
    with pytest.raises(OptionError, match="a backbone of kind generative cannot be trained"):
        ModelSettings("generative")


def test_an_entry_point_of_another_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKBONES", own_backbones())
    entry = metadata.EntryPoint("toy", "toy_backbone", "dvd.backbones")
    monkeypatch.setattr("dvd.plugins.entry_points", lambda group: [entry] if group == "dvd.backbones" else [])
    assert registry.trainable("toy").name == "toy"

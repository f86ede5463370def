"""A trained dvd-mini goes on from its folder: encoder, network and decoder in turn, stopped and resumed, exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("accelerate", reason="the train extra is not installed")

from accelerate.state import AcceleratorState

from dvd.backbones import mini, registry
from dvd.backbones.base import ModelCard
from dvd.backbones.mini import MiniConfig, MiniNetwork
from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import WanVAE
from dvd.train.dry_run import memory
from dvd.train.export import card
from dvd.train.loop import train
from dvd.train.networks import outline
from dvd.train.recipes import MINI_FINETUNE
from dvd.train.settings import ModelSettings, Phase, Recipe, ShardSet, SourceSettings

TINY = MiniConfig(
    feature_channels=8,
    refine_channels=8,
    transformer=TransformerConfig(dim=32, in_dim=32, ffn_dim=32, text_dim=8, freq_dim=16, num_heads=2, num_layers=1),
    vae=replace(MiniConfig().vae, dim=8, dim_mult=(1, 1, 1)),
)


def short(phase: Phase) -> Phase:
    mixture = replace(phase.mixture, video_batch=1, image_batch=1, frames=5, sizes=((32, 32),))
    return replace(phase, steps=2, warm_up=0, mixture=mixture)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """The recipe, two steps a phase, on a random tiny model and three scenes."""
    torch.manual_seed(0)
    mini.save(tmp_path / "tiny", MiniNetwork(TINY), WanVAE(TINY.vae), ModelCard("tiny", "Apache-2.0"), torch.float32)
    scenes = {"images": ShardSet(2, 1, height=32, width=32), "clips": ShardSet(1, 5, height=32, width=32, first_seed=9)}
    return replace(
        MINI_FINETUNE,
        model=ModelSettings("mini", weights=str(tmp_path / "tiny")),
        sources=tuple(replace(source, scenes=scenes[source.name]) for source in MINI_FINETUNE.sources),
        phases=tuple(map(short, MINI_FINETUNE.phases)),
        validation=None,
        trackers=(),
        precision="fp32",
    )


def trained(recipe: Recipe, folder: Path) -> Path:
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        return train(recipe, folder)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.slow
def test_every_phase_trains_its_own_part_and_a_stopped_run_ends_the_same(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(recipe, tmp_path / "whole")
    results = {phase.name: tmp_path / "whole" / phase.name / "result.safetensors" for phase in recipe.phases}
    parts = {name: {key.split(".")[1] for key in load_file(path)} for name, path in results.items()}
    assert parts["encoder"] == {"encoder", "conv1"}
    assert parts["decoder"] == {"decoder", "conv2"}
    before, after = (load_file(folder / "network.safetensors") for folder in (tmp_path / "tiny", whole))
    assert before.keys() == after.keys()
    assert not all(torch.equal(before[name], after[name].float()) for name in before)
    assert registry.load(whole).card.window == 5

    with monkeypatch.context() as patch:
        patch.setattr("dvd.train.vae_tasks.DecoderTask", interrupt)
        with pytest.raises(KeyboardInterrupt):
            trained(recipe, tmp_path / "stopped")
    resumed = trained(recipe, tmp_path / "stopped")
    for file in ("network.safetensors", "vae.safetensors"):
        one, other = load_file(whole / file), load_file(resumed / file)
        assert all(torch.equal(one[name], other[name]) for name in one)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_the_encoder_phase_needs_more_memory_than_the_decoder_phase(recipe: Recipe) -> None:
    encoder, _, decoder = recipe.phases
    networks = outline(recipe)
    assert 0 < memory(recipe, decoder, networks, 1) < memory(recipe, encoder, networks, 1)


def test_the_licence_depends_on_the_training_data() -> None:
    assert card(MINI_FINETUNE).licence == "Apache-2.0"
    images, _ = MINI_FINETUNE.sources
    real = SourceSettings("clips", "rgbd", "video")
    assert "licences of their own" in card(replace(MINI_FINETUNE, sources=(images, real))).licence
    unused = replace(real, name="unused", weight=0)
    assert card(replace(MINI_FINETUNE, sources=(*MINI_FINETUNE.sources, unused))).licence == "Apache-2.0"

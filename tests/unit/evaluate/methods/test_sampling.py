"""The generative baseline is measured as any model is: its T steps and its noise are options, and are stated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from eval_tree import SIZE, write_recording
from torch import nn

from dvd.backbones.base import ModelCard
from dvd.backbones.wan.generative import GenerativeWanBackbone
from dvd.backbones.wan.training import WanTraining
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.errors import OptionError
from dvd.evaluate.benchmark import evaluate
from dvd.evaluate.methods.ours import Ours
from dvd.evaluate.methods.registry import MethodOptions, open_method
from dvd.evaluate.protocol import Protocol
from dvd.evaluate.sequences import open_sequences
from dvd.pipeline import Pipeline, load
from dvd.train.export import write_model

SIZES = TransformerConfig(dim=48, in_dim=32, ffn_dim=64, text_dim=20, freq_dim=16, num_heads=2, num_layers=2)
SMALL_VAE = VAEConfig(dim=8, dim_mult=(1, 2), num_res_blocks=1, temporal_downsample=(True,))
CARD = ModelCard("tiny-generative", "none", size=(16, 16), window=3, overlap=1)
CPU = {"device": "cpu", "dtype": "float32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A depth flow as `dvd train smoke-generative` exports it, three steps on its card; random, but nowhere silent."""
    torch.manual_seed(0)
    transformer, vae = WanTransformer(SIZES), WanVAE(SMALL_VAE)
    nn.init.normal_(transformer.head.head.weight, std=0.2)
    path = tmp_path_factory.mktemp("generative") / "model"
    write_model(path, WanTraining(), transformer, vae, CARD, sampler_steps=3)
    return path


def predicted(folder: Path, data: Path, **options: object) -> np.ndarray:
    method = open_method(str(folder), MethodOptions(**CPU, **options))  # type: ignore[arg-type]
    return np.concatenate(list(method.predict(open_sequences("rgbd", data)[0])))


def test_it_is_evaluated_and_says_what_it_did(folder: Path, tmp_path: Path) -> None:
    data = open_sequences("rgbd", write_recording(tmp_path / "data", frames=5))
    method = open_method(str(folder), MethodOptions(**CPU))
    assert isinstance(method, Ours)
    found = evaluate(method, data, Protocol("p", metrics=("abs_rel",)), tmp_path / "out")
    assert found.method == "tiny-generative"
    assert np.isfinite(found.sequences[0].metrics["abs_rel"])
    stated = {"kind": "generative baseline", "steps": 3, "seed": 0, "noise": "the same for every window", "window": 3}
    assert stated.items() <= found.conditions.items()
    assert "tau" not in found.conditions, "it visits times of its own"
    assert len(found.sequences[0].seams) == 1


def test_steps_and_seed_are_the_samplers(folder: Path, tmp_path: Path) -> None:
    """Whatever is asked for by options is what a backbone made with them predicts; None is the card's."""
    data = write_recording(tmp_path, frames=3)
    rgb = [frame.rgb for frame in open_sequences("rgbd", data)[0].frames()]
    given = load(folder, "cpu", "float32").backbone
    assert isinstance(given, GenerativeWanBackbone)
    for options, steps, seed in (
        ({}, 3, 0),
        ({"steps": 1}, 1, 0),
        ({"seed": 7}, 3, 7),
        ({"steps": 2, "seed": 1}, 2, 1),
    ):
        backbone = GenerativeWanBackbone(given.transformer, given.vae, CARD, steps, seed)
        values = predicted(folder, data, **options)
        assert values.shape == (3, *SIZE)
        np.testing.assert_array_equal(values, Pipeline(backbone).predict(rgb))
    assert not np.allclose(predicted(folder, data), predicted(folder, data, seed=7), atol=1e-3)
    assert not np.allclose(predicted(folder, data), predicted(folder, data, steps=1), atol=1e-3)
    said = open_method(str(folder), MethodOptions(**CPU, steps=2, seed=1)).describe()
    assert (said["steps"], said["seed"]) == (2, 1)


def test_it_also_runs_on_single_images(folder: Path, tmp_path: Path) -> None:
    sequence = open_sequences("rgbd", write_recording(tmp_path, frames=2))[0]
    method = open_method(f"single-image:{folder}", MethodOptions(**CPU, steps=1))
    assert method.describe()["steps"] == 1
    assert np.concatenate(list(method.predict(sequence))).shape == (2, *SIZE)
    with pytest.raises(OptionError, match="samples from noise and reads no tau"):
        open_method(f"single-image:{folder}", MethodOptions(**CPU, tau=0.5)).describe()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tau": 0.5}, "model 'tiny-generative' samples from noise and reads no tau"),
        ({"steps": 0}, "a sampler of 0 steps does not move"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"seed": 2**63}, "is out of range"),
        ({"ensemble": 2}, "reads no ensemble"),
    ],
)
def test_what_it_cannot_do_is_one_line(folder: Path, options: dict[str, int], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        open_method(str(folder), MethodOptions(**CPU, **options))  # type: ignore[arg-type]

"""Our models as methods: the values of the Python interface, on videos and single images, sampled or not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from eval_tree import SIZE, write_recording
from torch import nn

import dvd
from dvd.backbones.base import Backbone, ModelCard
from dvd.backbones.wan.generative import GenerativeWanBackbone
from dvd.backbones.wan.training import WanTraining
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.errors import OptionError
from dvd.evaluation.benchmark import evaluate
from dvd.evaluation.methods.base import MethodOptions
from dvd.evaluation.methods.ours import Ours, SingleImage
from dvd.evaluation.methods.registry import open_method
from dvd.evaluation.protocol import Protocol
from dvd.evaluation.sequences import open_sequences
from dvd.pipeline import DVD, load
from dvd.train.export import write_model

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
SIZES = TransformerConfig(dim=48, in_dim=32, ffn_dim=64, text_dim=20, freq_dim=16, num_heads=2, num_layers=2)
SMALL_VAE = VAEConfig(dim=8, dim_mult=(1, 2), num_res_blocks=1, temporal_downsample=(True,))
CARD = ModelCard("tiny-generative", "none", size=(16, 16), window=3, overlap=1)
CPU = {"device": "cpu", "dtype": "float32"}
SMALL = MethodOptions(dtype="float32", device="cpu", size=(16, 16), window=5, overlap=2, tau=0.25, stitch="continuous")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_our_method_equals_the_python_interface(tmp_path: Path) -> None:
    sequence = open_sequences("rgbd", write_recording(tmp_path, frames=9))[0]
    method = open_method(str(GOLDEN), SMALL)
    assert isinstance(method, Ours)
    predicted = np.concatenate(list(method.predict(sequence)))
    assert predicted.shape == (9, *SIZE)
    rgb = np.stack([frame.rgb for frame in sequence.frames()])
    whole = dvd.load(GOLDEN, "cpu", "float32").predict(
        rgb, size=(16, 16), window=5, overlap=2, tau=0.25, stitch="continuous"
    )
    np.testing.assert_array_equal(predicted, whole)
    assert [(seam.start, seam.stop) for seam in method.seams] == [(3, 5), (4, 8)]
    assert method.cuts == []
    list(method.predict(open_sequences("rgbd", write_recording(tmp_path / "b", frames=3))[0]))
    assert method.seams == []


def test_a_model_states_its_settings() -> None:
    stated = open_method(str(GOLDEN), SMALL).describe()
    wanted = {"kind": "dvd", "dtype": "float32", "size": [16, 16], "window": 5, "overlap": 2, "tau": 0.25}
    assert wanted.items() <= stated.items()
    assert stated["stitch"]["name"] == "continuous"
    assert stated["device"].startswith("cpu (")


def test_an_option_outside_its_range_is_refused_before_anything_is_read() -> None:
    with pytest.raises(OptionError, match="tau is 2"):
        open_method(str(GOLDEN), MethodOptions(device="cpu", tau=2))


class Counting(Backbone):
    """Predicts the brightness, and remembers how many frames each window had."""

    time_factor, side_multiple = 4, 8
    device, dtype = torch.device("cpu"), torch.float32
    card = ModelCard("counting", "CC0", size=SIZE, window=9, overlap=3)

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def encode(self, rgb: torch.Tensor) -> torch.Tensor:
        self.lengths.append(rgb.shape[2])
        return rgb.mean(dim=1, keepdim=True)

    def forward(self, latent: torch.Tensor, timestep: float) -> torch.Tensor:
        return latent

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return latent


def test_single_images_never_see_their_neighbours(tmp_path: Path) -> None:
    sequence = open_sequences("rgbd", write_recording(tmp_path, frames=3))[0]
    backbone = Counting()
    method = SingleImage(DVD(backbone))
    brightness = np.stack([frame.rgb for frame in sequence.frames()]).mean(axis=-1) / 255
    np.testing.assert_allclose(np.concatenate(list(method.predict(sequence))), brightness, atol=1e-5)
    assert backbone.lengths == [1, 1, 1]
    stated = method.describe()
    assert method.name == "counting, single images"
    assert (stated["window"], stated["size"], stated["tau"]) == (1, list(SIZE), 0.5)


# The generative baseline: its T steps and its noise are options, and are stated.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A depth flow as `dvd train smoke-generative` exports it, with three steps and random weights, none zero."""
    torch.manual_seed(0)
    transformer, vae = WanTransformer(SIZES), WanVAE(SMALL_VAE)
    nn.init.normal_(transformer.head.head.weight, std=0.2)
    path = tmp_path_factory.mktemp("generative") / "model"
    write_model(path, WanTraining(), transformer, vae, CARD, sampler_steps=3)
    return path


def predicted(folder: Path, data: Path, **options: object) -> np.ndarray:
    method = open_method(str(folder), MethodOptions(**CPU, **options))  # type: ignore[arg-type]
    return np.concatenate(list(method.predict(open_sequences("rgbd", data)[0])))


def test_a_sampler_is_evaluated_and_states_steps_and_noise(folder: Path, tmp_path: Path) -> None:
    data = open_sequences("rgbd", write_recording(tmp_path / "data", frames=5))
    method = open_method(str(folder), MethodOptions(**CPU))
    assert isinstance(method, Ours)
    found = evaluate(method, data, Protocol("p", metrics=("abs_rel",)), tmp_path / "out")
    assert found.method == "tiny-generative"
    assert np.isfinite(found.sequences[0].metrics["abs_rel"])
    stated = {"kind": "generative baseline", "steps": 3, "seed": 0, "noise": "the same for every window", "window": 3}
    assert stated.items() <= found.conditions.items()
    assert "tau" not in found.conditions, "a sampler has times of its own"
    assert len(found.sequences[0].seams) == 1


@pytest.mark.slow
def test_steps_and_seed_reach_the_sampler(folder: Path, tmp_path: Path) -> None:
    """Options give the prediction of a backbone made with them; without them the configuration decides."""
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
        np.testing.assert_array_equal(values, DVD(backbone).predict(rgb))
    assert not np.allclose(predicted(folder, data), predicted(folder, data, seed=7), atol=1e-3)
    assert not np.allclose(predicted(folder, data), predicted(folder, data, steps=1), atol=1e-3)
    stated = open_method(str(folder), MethodOptions(**CPU, steps=2, seed=1)).describe()
    assert (stated["steps"], stated["seed"]) == (2, 1)


def test_a_sampler_runs_on_single_images(folder: Path, tmp_path: Path) -> None:
    sequence = open_sequences("rgbd", write_recording(tmp_path, frames=2))[0]
    method = open_method(f"single-image:{folder}", MethodOptions(**CPU, steps=1))
    assert method.describe()["steps"] == 1
    assert np.concatenate(list(method.predict(sequence))).shape == (2, *SIZE)
    with pytest.raises(OptionError, match="samples from noise and reads no tau"):
        open_method(f"single-image:{folder}", MethodOptions(**CPU, tau=0.5)).describe()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "stated"),
    [
        ({"tau": 0.5}, "model 'tiny-generative' samples from noise and reads no tau"),
        ({"steps": 0}, "a sampler of 0 steps does not move"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"seed": 2**63}, "is out of range"),
        ({"ensemble": 2}, "reads no ensemble"),
    ],
)
def test_options_that_a_sampler_refuses(folder: Path, options: dict[str, int], stated: str) -> None:
    with pytest.raises(OptionError, match=stated):
        open_method(str(folder), MethodOptions(**CPU, **options))  # type: ignore[arg-type]

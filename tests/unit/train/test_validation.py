"""What validation measures, of one pass and of a sampler alike, is what the prediction deserves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.backbones.base import ModelCard
from dvd.backbones.wan.generative import GenerativeWanBackbone
from dvd.backbones.wan.training import WanCodec, widen
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.data.sources import BadSample, RawClip
from dvd.errors import InputError
from dvd.regressor import Regressor
from dvd.train.mixture import Batch
from dvd.train.settings import SourceSettings, Validation
from dvd.train.tasks import at_anchor, sampled
from dvd.train.validation import Validator, accuracy, held_out

SETTINGS = Validation(SourceSettings("steps", "none", "video"), clips=3, frames=5, size=(16, 24), samples=1)
TRANSFORMER = TransformerConfig(dim=48, ffn_dim=64, text_dim=20, freq_dim=16, num_heads=2, num_layers=2)
VAE = VAEConfig(dim=8, dim_mult=(1, 2), num_res_blocks=1, temporal_downsample=(True,))


class Steps:
    """Noisy pictures of two walls; in clip k the nearer one stands at 1 / (k + 1) metres. One clip may be broken."""

    name = "steps"

    def __init__(self, clips: int = 7, broken: int | None = None) -> None:
        self.clips, self.broken = clips, broken

    def count(self, frames: int) -> int:
        return self.clips

    def clip(self, index: int, frames: int) -> RawClip:
        if index == self.broken:
            raise BadSample(f"clip {index}", "it is broken")
        disparity = np.full((frames, 16, 24), 0.2, np.float32)
        disparity[:, 8:] = 1.0 + index
        rgb = np.random.default_rng(index).integers(0, 256, (frames, 16, 24, 3), np.uint8)
        return RawClip(rgb, disparity)


class Pixels:
    """A codec whose latents are pixels, so that a perfect prediction can be given."""

    device = torch.device("cpu")

    def inputs(self, rgb: Tensor) -> Tensor:
        return rgb

    def target(self, disparity: Tensor) -> Tensor:
        return disparity

    def decode(self, latent: Tensor) -> Tensor:
        return latent


def perfect(module: nn.Module, batch: Batch) -> Tensor:
    return 3 * batch.disparity + 2  # scale and shift are fitted


def test_a_perfect_prediction_has_no_error(tmp_path: Path) -> None:
    validator = Validator(SETTINGS, Steps(), Pixels(), perfect, tmp_path / "samples")
    found = validator.measure(nn.Identity(), 7, show=False)
    assert found["abs_rel"] == pytest.approx(0, abs=1e-5)
    assert found["delta1"] == 1
    assert found["loss"] > 1, "the latent itself is not fitted"
    assert not (tmp_path / "samples").exists()


def test_measures_are_means_over_the_clips(tmp_path: Path) -> None:
    """The middle one of the three is answered with nothing."""

    def mostly(module: nn.Module, batch: Batch) -> Tensor:
        return batch.disparity * (batch.seeds[0] != 3) + 1e-6 * torch.rand(batch.disparity.shape)

    validator = Validator(SETTINGS, Steps(), Pixels(), mostly, tmp_path)
    assert [clip.batch.seeds for clip in validator.clips] == [(0,), (3,), (6,)]
    alone = accuracy(np.random.default_rng(0).random((5, 16, 24)), validator.clips[1].truth)
    found = validator.measure(nn.Identity(), 1, show=False)
    assert alone["abs_rel"] > 0.3
    assert found["abs_rel"] == pytest.approx(alone["abs_rel"] / 3, rel=0.05)
    assert found["delta1"] == pytest.approx((2 + alone["delta1"]) / 3, rel=0.05)


def test_measuring_leaves_the_module_in_its_mode(tmp_path: Path) -> None:
    modes = []

    def note(module: nn.Module, batch: Batch) -> Tensor:
        modes.append((module.training, torch.is_grad_enabled()))
        return batch.disparity

    module = nn.Dropout().train()
    Validator(SETTINGS, Steps(), Pixels(), note, tmp_path).measure(module, 12, show=True)
    assert modes == [(False, False)] * 3
    assert module.training
    assert {path.name for path in tmp_path.iterdir()} == {"step_00000012_0.png", "step_00000012_0.mp4"}


def test_unreadable_validation_clips_are_skipped() -> None:
    assert [clip.batch.seeds for clip in held_out(SETTINGS, Steps(broken=3))] == [(0,), (6,)]
    for source in (Steps(clips=0), Steps(clips=1, broken=0)):
        with pytest.raises(InputError, match="source steps holds no clip of 5 frames to validate on"):
            held_out(SETTINGS, source)


# The two ways to a depth latent, on a real network and its VAE


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    torch.manual_seed(1)
    return WanVAE(VAE)


def network() -> WanTransformer:
    torch.manual_seed(0)
    model = WanTransformer(TRANSFORMER)
    nn.init.normal_(model.head.head.weight, std=0.1)
    return model


def test_at_anchor_is_one_pass(vae: WanVAE) -> None:
    (clip, *_), codec, model = held_out(SETTINGS, Steps()), WanCodec(vae), network()
    with torch.no_grad():
        wanted = model(vae.encode(clip.batch.rgb), 300.0)
        assert torch.equal(at_anchor(codec, 0.3)(model, clip.batch), wanted)
        assert not torch.allclose(at_anchor(codec, 0.9)(model, clip.batch), wanted, atol=1e-4)


@pytest.mark.slow
def test_validation_measures_the_predictions_of_the_exported_model(vae: WanVAE, tmp_path: Path) -> None:
    """The validator's disparity, and that of the same network behind the door of `dvd predict`."""
    model = widen(network())
    nn.init.normal_(model.patch_embedding.weight, std=0.1)
    codec = WanCodec(vae)
    decoded: list[Tensor] = []

    class Listening(WanCodec):
        def decode(self, latent: Tensor) -> Tensor:
            decoded.append(super().decode(latent))
            return decoded[-1]

    found = Validator(SETTINGS, Steps(), Listening(vae), sampled(codec, 3), tmp_path).measure(model, 1, show=False)
    assert all(map(np.isfinite, found.values()))
    predict = Regressor(GenerativeWanBackbone(model, vae, ModelCard("tiny", "none"), steps=3))
    for clip, seen in zip(held_out(SETTINGS, Steps()), decoded, strict=True):
        predicted = predict((clip.batch.rgb + 1) / 2, tau=0.5).mean(dim=1, keepdim=True)
        torch.testing.assert_close(seen, predicted, atol=1e-4, rtol=1e-4)
        assert float(predicted.std()) > 0.01
    other = sampled(codec, 4)(model, clip.batch)
    assert not torch.allclose(codec.decode(other), seen, atol=1e-3), "the number of steps has its say"

"""Estimates of memory grow with what a run holds, and bound the measured peaks."""

from __future__ import annotations

import pytest
import torch

from dvd import memory
from dvd.backbones import registry
from dvd.backbones.base import ModelCard
from dvd.backbones.blueprint import blueprint
from dvd.backbones.mini import MiniBackbone
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.memory import ModelMemory, chunk_that_fits, total_bytes, training_bytes, waiting_bytes
from dvd.resize import model_size

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mini() -> MiniBackbone:
    return registry.load("dvd-mini", "meta")


def wan(transformer: TransformerConfig) -> WanBackbone:
    with blueprint():
        return WanBackbone(WanTransformer(transformer), WanVAE(VAEConfig()), ModelCard("wan", "CC0"))


def test_dvd_mini_grows_with_pixels_and_frames_and_shrinks_with_the_dtype(mini) -> None:
    base = mini.memory((192, 256), 17, torch.float32, CPU).activations
    assert mini.memory((384, 512), 17, torch.float32, CPU).activations == 4 * base
    assert mini.memory((192, 256), 34, torch.float32, CPU).activations == 2 * base
    assert 2 * mini.memory((192, 256), 17, torch.bfloat16, CPU).activations == base


@pytest.mark.slow
def test_the_release_holds_its_transformer_whole_and_folded() -> None:
    need = wan(TransformerConfig()).memory((480, 640), 45, torch.bfloat16, CPU)
    parameters = 1_419e6 + 127e6 + 30 * (4 * 1536**2 + 2 * 1536 * 8960)
    assert need.weights == pytest.approx(2 * parameters, rel=0.01)


def test_chunks_bound_the_memory_of_the_autoencoder() -> None:
    tiny = wan(TransformerConfig(dim=96, ffn_dim=192, num_heads=4, num_layers=1))
    small, large = (tiny.memory((480, 640), window, torch.float32, CPU) for window in (45, 81))
    assert large.activations < 1.3 * small.activations
    assert waiting_bytes((480, 640), 81, 9) > waiting_bytes((480, 640), 45, 9)


def test_a_chunk_fits_its_budget_and_has_at_least_one_latent_frame() -> None:
    vae = VAEConfig()
    frame = vae.time_factor * vae.dim * 64 * 96 * 4
    assert chunk_that_fits(vae, 1, 64, 96, 4, (12 + 3 * 6) * frame) == 3
    assert chunk_that_fits(vae, 2, 64, 96, 4, (12 + 3 * 6) * frame) == 1
    assert chunk_that_fits(vae, 1, 64, 96, 4, 1) == 1


def test_models_held_together_share_the_program_and_take_turns() -> None:
    models = [ModelMemory(weights=5, activations=7), ModelMemory(weights=3, activations=2)]
    assert total_bytes(models, waiting=100) == memory.PROGRAM_BYTES + 5 + 3 + 7 + 100


def test_training_holds_gradients_moments_average_and_buckets() -> None:
    def megabytes(**options: bool) -> float:
        options = {"mixed": False, "averaged": False, "distributed": False, **options}
        return (training_bytes(50 * 10**6, 10**6, 10**9, **options) - memory.TRAINING_PROGRAM_BYTES) / 1e6

    assert megabytes() == pytest.approx(50 + 3 * 4 + 1000)
    assert megabytes(averaged=True, distributed=True) == pytest.approx(50 + 5 * 4 + 1000)
    assert megabytes(mixed=True) == pytest.approx(50 + 3 * 4 + 2 + 1000)


@pytest.mark.parametrize(
    ("source", "size", "window", "overlap", "peak_gb"),
    [
        ((240, 320), (192, 256), 33, 8, 1.02),
        ((240, 320), (96, 128), 33, 8, 0.61),
        ((240, 320), (192, 256), 17, 5, 0.79),
        ((240, 320), (192, 256), 65, 8, 1.47),
        ((240, 320), (288, 384), 33, 8, 1.70),
        ((720, 1280), (96, 128), 33, 8, 0.84),
        ((720, 1280), (192, 256), 33, 8, 1.40),
        ((1080, 1920), (192, 256), 33, 8, 1.61),
        ((1080, 1920), (288, 512), 33, 8, 2.21),
        ((2160, 3840), (96, 128), 33, 8, 1.60),
        ((2160, 3840), (192, 256), 33, 8, 2.41),
    ],
)
def test_the_estimate_bounds_the_measured_peaks_closely(
    mini: MiniBackbone,
    monkeypatch: pytest.MonkeyPatch,
    source: tuple[int, int],
    size: tuple[int, int],
    window: int,
    overlap: int,
    peak_gb: float,
) -> None:
    """Peak resident memory of `dvd predict --dtype float32` on two cores, the largest of several runs."""
    monkeypatch.setattr(memory.os, "cpu_count", lambda: 2)
    seen = model_size(*source, size)
    model, waiting = mini.memory(seen, window, torch.float32, CPU), waiting_bytes(seen, window, overlap, source)
    assert peak_gb <= total_bytes([model], waiting) / 1e9 <= 1.25 * peak_gb


def test_a_source_adds_its_own_frames_and_more_with_more_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    def frames(source: tuple[int, int] | None, processors: int | None = 2) -> int:
        monkeypatch.setattr(memory.os, "cpu_count", lambda: processors)
        return waiting_bytes((192, 352), 33, 8, source)

    assert frames((1080, 1920)) - frames(None) == pytest.approx(4 * (frames((540, 960)) - frames(None)), abs=4)
    assert frames((1080, 1920), 64) == frames((1080, 1920), 15) > frames((1080, 1920)) > frames((1080, 1920), None)

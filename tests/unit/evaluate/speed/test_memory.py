from __future__ import annotations

import pytest
import torch

from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import VAEConfig
from dvd.evaluate.speed import memory
from dvd.evaluate.speed.memory import mini_need, wan_need
from dvd.resize import model_size

CPU = torch.device("cpu")


def test_mini_grows_with_pixels_and_frames_and_shrinks_with_the_dtype() -> None:
    base = mini_need((192, 256), 17, 5, torch.float32)
    assert mini_need((384, 512), 17, 5, torch.float32).activations == 4 * base.activations
    assert mini_need((192, 256), 34, 5, torch.float32).activations == 2 * base.activations
    assert 2 * mini_need((192, 256), 17, 5, torch.bfloat16).activations == base.activations


def test_the_release_needs_its_weights_twice_but_for_what_folding_drops() -> None:
    need = wan_need((480, 640), 45, 9, torch.bfloat16, CPU)
    parameters = 1_419e6 + 127e6 + 30 * (4 * 1536**2 + 2 * 1536 * 8960)
    assert need.weights - memory.PROGRAM_BYTES == pytest.approx(2 * parameters, rel=0.01)
    assert need.total == need.weights + need.activations + need.frames


def test_the_autoencoder_is_bounded_by_its_chunks() -> None:
    tiny = TransformerConfig(dim=96, ffn_dim=192, num_heads=4, num_layers=1)
    small, large = (wan_need((480, 640), window, 9, torch.float32, CPU, tiny, VAEConfig()) for window in (45, 81))
    assert large.activations < 1.3 * small.activations
    assert large.frames > small.frames


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
    monkeypatch: pytest.MonkeyPatch,
    source: tuple[int, int],
    size: tuple[int, int],
    window: int,
    overlap: int,
    peak_gb: float,
) -> None:
    """Peak resident memory of `dvd predict --dtype float32` on two cores, the largest of several runs."""
    monkeypatch.setattr(memory.os, "cpu_count", lambda: 2)
    need = mini_need(model_size(*source, size), window, overlap, torch.float32, source)
    assert peak_gb <= need.total / 1e9 <= 1.25 * peak_gb


def test_a_source_adds_its_own_frames_and_more_with_more_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    def frames(source: tuple[int, int] | None, processors: int | None = 2) -> int:
        monkeypatch.setattr(memory.os, "cpu_count", lambda: processors)
        return mini_need((192, 352), 33, 8, torch.float32, source).frames

    assert frames((1080, 1920)) - frames(None) == pytest.approx(4 * (frames((540, 960)) - frames(None)), abs=4)
    assert frames((1080, 1920), 64) == frames((1080, 1920), 15) > frames((1080, 1920)) > frames((1080, 1920), None)

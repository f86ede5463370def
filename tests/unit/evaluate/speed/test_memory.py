from __future__ import annotations

import torch

from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import VAEConfig
from dvd.evaluate.speed.memory import mini_need, wan_need

CPU = torch.device("cpu")


def test_mini_grows_with_pixels_and_frames_and_shrinks_with_the_dtype() -> None:
    base = mini_need((192, 256), 17, 5, torch.float32)
    assert mini_need((384, 512), 17, 5, torch.float32).activations == 4 * base.activations
    assert mini_need((192, 256), 34, 5, torch.float32).activations == 2 * base.activations
    assert 2 * mini_need((192, 256), 17, 5, torch.bfloat16).activations == base.activations


def test_the_release_needs_its_weights_twice_but_for_what_folding_drops() -> None:
    need = wan_need((480, 640), 45, 9, torch.bfloat16, CPU)
    parameters = 1_419e6 + 127e6 + 30 * (4 * 1536**2 + 2 * 1536 * 8960)
    assert abs(need.weights - 2 * parameters) < 0.08 * need.weights
    assert need.total == need.weights + need.activations + need.frames


def test_the_autoencoder_is_bounded_by_its_chunks() -> None:
    tiny = TransformerConfig(dim=96, ffn_dim=192, num_heads=4, num_layers=1)
    small, large = (wan_need((480, 640), window, 9, torch.float32, CPU, tiny, VAEConfig()) for window in (45, 81))
    assert large.activations < 1.3 * small.activations
    assert large.frames > small.frames

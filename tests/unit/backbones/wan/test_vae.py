"""The causal VAE by itself: chunks, causality, shapes, gradients. Its numbers are pinned in tests/golden."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvd.backbones.wan.vae import CausalConv3d, Upsample, VAEConfig, WanVAE
from dvd.errors import ModelError, OptionError

THREE_LEVELS = VAEConfig(
    dim=8,
    z_dim=4,
    dim_mult=(1, 2, 3),
    num_res_blocks=1,
    temporal_downsample=(True, True),
    latents_mean=(0.1, -0.2, 0.3, 0.0),
    latents_std=(1.0, 2.0, 0.5, 1.5),
    patch=2,
    channels=1,
)
WAN_SHAPED = VAEConfig(dim=8, z_dim=4, latents_mean=(0.0,) * 4, latents_std=(1.0,) * 4)


def make(config: VAEConfig, encoder: bool = True) -> WanVAE:
    torch.manual_seed(0)
    vae = WanVAE(config, encoder).eval()
    for name, parameter in vae.named_parameters():
        if not name.endswith("gamma") and parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return vae


def video(config: VAEConfig, frames: int = 9, batch: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.rand(batch, config.channels, frames, 16, 24, generator=random) * 2 - 1


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got.detach().double() - wanted.detach().double()).norm() / wanted.detach().double().norm())


def test_the_defaults_are_the_real_network() -> None:
    with torch.device("meta"):
        vae = WanVAE(VAEConfig())
    shapes = {name: tuple(value.shape) for name, value in vae.state_dict().items()}
    assert sum(value.numel() for value in vae.parameters()) == 126_892_531
    assert shapes["encoder.downsamples.5.time_conv.weight"] == (192, 192, 3, 1, 1)
    assert shapes["encoder.downsamples.3.shortcut.weight"] == (192, 96, 1, 1, 1)
    assert shapes["encoder.middle.1.norm.gamma"] == (384, 1, 1)
    assert shapes["decoder.upsamples.3.resample.1.weight"] == (192, 384, 3, 3)
    assert shapes["decoder.head.2.weight"] == (3, 96, 3, 3, 3)
    assert (VAEConfig().time_factor, VAEConfig().spatial_factor) == (4, 8)


@pytest.mark.parametrize("config", [THREE_LEVELS, WAN_SHAPED])
@pytest.mark.parametrize("frames", [1, 5, 9])
def test_frames_become_a_quarter_and_return(config: VAEConfig, frames: int) -> None:
    vae = make(config)
    with torch.no_grad():
        latent = vae.encode(video(config, frames, batch=2))
        assert latent.shape == (2, 4, 1 + frames // 4, 2, 3)
        assert vae.decode(latent).shape == (2, config.channels, frames, 16, 24)


@pytest.mark.slow
@pytest.mark.parametrize("config", [THREE_LEVELS, WAN_SHAPED])
@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 9])
def test_chunks_equal_the_whole(config: VAEConfig, chunk: int) -> None:
    vae, x = make(config), video(config, frames=17, batch=2)
    with torch.no_grad():
        whole = vae.encode(x)
        assert relative(vae.encode(x, chunk), whole) < 1e-5
        assert relative(vae.decode(whole, chunk), vae.decode(whole)) < 1e-5


def test_chunks_bound_the_memory() -> None:
    vae, longest = make(THREE_LEVELS), 0

    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal longest
        longest = max(longest, len(output))

    for module in vae.modules():
        if isinstance(module, CausalConv3d):
            module.register_forward_hook(watch)
    with torch.no_grad():
        latent = vae.encode(video(THREE_LEVELS, frames=33), chunk=2)
        vae.decode(latent, chunk=2)
    assert longest == 8


def test_no_frame_depends_on_later_frames() -> None:
    vae, x = make(THREE_LEVELS), video(THREE_LEVELS, frames=13)
    with torch.no_grad():
        latent, frames = vae.encode(x), vae.decode(vae.encode(x))
        assert relative(vae.encode(x[:, :, :5]), latent[:, :, :2]) < 1e-5
        assert relative(vae.decode(latent[:, :, :2]), frames[:, :, :5]) < 1e-5
        x[:, :, 12] += 1
        changed = (vae.encode(x) - latent).abs().amax(dim=(0, 1, 3, 4))
    assert changed[:3].max() < 1e-5 < changed[3]


def test_samples_of_a_batch_do_not_mix() -> None:
    vae, x = make(WAN_SHAPED), video(WAN_SHAPED, batch=3)
    with torch.no_grad():
        latent = vae.encode(x)
        assert relative(vae.encode(x[1:2]), latent[1:2]) < 1e-5
        assert relative(vae.decode(latent[1:2]), vae.decode(latent)[1:2]) < 1e-5


def test_encode_normalises_the_posterior_mean() -> None:
    vae, x = make(THREE_LEVELS), video(THREE_LEVELS)
    with torch.no_grad():
        mean, log_variance = vae.posterior(x)
        statistics = zip(THREE_LEVELS.latents_mean, THREE_LEVELS.latents_std, strict=True)
        wanted = torch.stack([(mean[:, i] - m) / s for i, (m, s) in enumerate(statistics)], dim=1)
        assert relative(vae.encode(x), wanted) < 1e-6
    assert log_variance.shape == mean.shape


@pytest.mark.parametrize("kernel", [1, 3, (3, 1, 1)])
def test_causal_convolution_is_the_padded_3d_convolution(kernel: int | tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    conv = CausalConv3d(5, 7, kernel)
    t, h, w = conv.kernel_size
    x = torch.randn(4, 2, 6, 8, 5)  # T B H W C
    padded = F.pad(x.permute(1, 4, 0, 2, 3), (w // 2, w // 2, h // 2, h // 2, t - 1, 0))
    wanted = F.conv3d(padded, conv.weight, conv.bias).permute(2, 0, 3, 4, 1)
    assert relative(conv(x), wanted) < 1e-6
    with torch.no_grad():
        assert relative(conv(x), wanted) < 1e-6


def test_upsampling_is_nearest_neighbour_then_convolution() -> None:
    torch.manual_seed(0)
    up = Upsample(6, temporal=False)
    x = torch.randn(2, 3, 5, 7, 6)  # T B H W C
    doubled = F.interpolate(x.flatten(0, 1).permute(0, 3, 1, 2), scale_factor=2.0, mode="nearest")
    wanted = F.conv2d(doubled, *up.resample[1].parameters(), padding=1).permute(0, 2, 3, 1).unflatten(0, (2, 3))
    assert relative(up(x), wanted) < 1e-6


def test_training_equals_inference_and_reaches_every_parameter() -> None:
    vae, x = make(THREE_LEVELS), video(THREE_LEVELS)
    mean, log_variance = vae.posterior(x)
    frames = vae.decode(mean)
    with torch.no_grad():
        assert relative(frames, vae.decode(vae.posterior(x)[0])) < 1e-6
    (frames.square().mean() + log_variance.square().mean()).backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in vae.parameters())


def test_bfloat16_stays_near_both_ways() -> None:
    vae, x = make(THREE_LEVELS), video(THREE_LEVELS)
    wanted = vae.decode(vae.encode(x))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = vae.decode(vae.encode(x))
    mixed.float().mean().backward()
    assert relative(mixed, wanted) < 5e-2
    with torch.no_grad():
        half = vae.to(torch.bfloat16).decode(vae.encode(x.bfloat16()))
    assert half.dtype == torch.bfloat16
    assert relative(half, wanted) < 5e-2


def test_the_decoder_can_be_built_alone() -> None:
    whole, half = make(THREE_LEVELS), WanVAE(THREE_LEVELS, encoder=False)
    state = {name: value for name, value in whole.state_dict().items() if name.startswith(("decoder.", "conv2."))}
    half.load_state_dict(state, strict=True)
    latent = torch.randn(1, 4, 2, 2, 3)
    with torch.no_grad():
        assert torch.equal(half.decode(latent), whole.decode(latent))


def test_invalid_sizes_are_refused() -> None:
    vae = make(THREE_LEVELS)
    with pytest.raises(ModelError, match=r"\(1, 8, 16, 24\) does not fit.*4 n \+ 1 frames"):
        vae.encode(video(THREE_LEVELS, frames=8))
    with pytest.raises(ModelError, match="multiples of 8"):
        vae.encode(video(THREE_LEVELS)[..., :20])
    with pytest.raises(ModelError, match="1 channels"):
        vae.encode(video(WAN_SHAPED))
    with pytest.raises(OptionError, match="a chunk of 0"):
        vae.decode(torch.zeros(1, 4, 2, 2, 3), chunk=0)
    with pytest.raises(ModelError, match="3 levels have 2 steps"):
        VAEConfig(dim_mult=(1, 2, 4))
    with pytest.raises(ModelError, match="z_dim = 8"):
        VAEConfig(z_dim=8)

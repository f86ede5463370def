"""Reconstruction: what is lost, and latents that come out normalised."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.backbones.mini import MiniConfig
from dvd.backbones.wan.training import WanCodec
from dvd.backbones.wan.vae import WanVAE
from dvd.errors import OptionError
from dvd.train.mixture import Batch
from dvd.train.recipes import TINY_VAE
from dvd.train.settings import Mixture
from dvd.train.vae_tasks import (
    Autoencoding,
    Decoding,
    EncoderPhase,
    EncoderTask,
    VAEPhase,
    VAETask,
    reconstruction,
    statistics,
    with_statistics,
)


class Constant(nn.Module):
    """A network that predicts the same latent of anything."""

    def __init__(self, latent: torch.Tensor) -> None:
        super().__init__()
        self.latent = latent

    def forward(self, seen: torch.Tensor, timestep: float) -> torch.Tensor:
        return self.latent


PHASE = VAEPhase(name="vae", steps=1, content=("rgb", "disparity"), mixture=Mixture(frames=5, sizes=((16, 16),)))


def batches(step: int) -> list[Batch]:
    random = torch.Generator().manual_seed(step)
    rgb, disparity = (torch.rand(2, channels, 5, 16, 16, generator=random) for channels in (3, 1))
    return [Batch("video", "noise", rgb * 2 - 1, disparity, (2 * step, 2 * step + 1))]


def test_the_reconstruction_loss_is_l1_of_values_and_differences() -> None:
    one, other = torch.rand(2, 1, 3, 4, 5), torch.rand(2, 1, 3, 4, 5)
    error = (one - other).numpy()
    wanted = abs(error).mean()
    for axis in (2, 3, 4):
        head = [slice(None)] * 5
        tail = list(head)
        head[axis], tail[axis] = slice(None, -1), slice(1, None)
        wanted += 0.5 * abs(error[tuple(tail)] - error[tuple(head)]).mean()
    total, point = reconstruction(one, other, 0.5)
    assert float(total) == pytest.approx(float(wanted), rel=1e-5)
    assert float(point) == pytest.approx(float(abs(error).mean()), rel=1e-5)


def test_both_contents_are_reconstructed_with_noise_from_the_samples_seed() -> None:
    torch.manual_seed(0)
    task = VAETask(WanVAE(TINY_VAE), PHASE, batches)
    (batch,) = batches(0)
    loss, terms = task.loss(task.module, batch)
    again, _ = task.loss(task.module, batch)
    other, _ = task.loss(task.module, Batch("video", "noise", batch.rgb, batch.disparity, (8, 9)))
    assert loss.item() == again.item() != other.item()
    assert set(terms) == {"error", "kl"}
    loss.backward()
    assert all(value.grad is not None for value in task.module.parameters())


def test_an_image_leaves_no_parameter_without_gradient() -> None:
    task = VAETask(WanVAE(TINY_VAE), PHASE, batches)
    (batch,) = batches(0)
    image = Batch("image", "noise", batch.rgb[:, :, :1], batch.disparity[:, :, :1], (0, 1))
    task.loss(task.module, image)[0].backward()
    assert all(value.grad is not None for value in task.module.parameters())


def test_a_vae_of_one_channel_cannot_hold_rgb() -> None:
    with pytest.raises(OptionError, match="cannot hold RGB"):
        VAETask(WanVAE(MiniConfig().vae), PHASE, batches)


def test_training_sees_the_normalised_latents_of_a_vae_with_statistics() -> None:
    torch.manual_seed(0)
    vae = WanVAE(TINY_VAE).eval()
    vae = with_statistics(vae, *statistics(vae, PHASE, batches, rounds=1))
    (batch,) = batches(0)
    with torch.no_grad():
        quiet = vae.conv1.bias
        assert quiet is not None
        quiet[TINY_VAE.z_dim :] = -60  # log variances: the latent that is drawn is the mean
        vae.conv1.weight[TINY_VAE.z_dim :] = 0
        rebuilt, _, _ = Autoencoding(vae)(batch.rgb, batch.seeds)
        torch.testing.assert_close(rebuilt, vae.decode(vae.encode(batch.rgb)))


def test_measured_statistics_normalise_the_latents() -> None:
    torch.manual_seed(0)
    vae = WanVAE(TINY_VAE).eval()
    vae = with_statistics(vae, *statistics(vae, PHASE, batches, rounds=3))
    with torch.no_grad():
        latents = [
            vae.encode(video)
            for index in range(3)
            for batch in batches(1_000_000 + index)
            for video in (batch.rgb, (batch.disparity * 2 - 1).expand(-1, 3, -1, -1, -1))
        ]
    flat = torch.cat([latent.transpose(0, 1).flatten(1) for latent in latents], dim=1)
    torch.testing.assert_close(flat.mean(1), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(flat.std(1), torch.ones(16), atol=2e-2, rtol=0)


def test_the_decoder_phase_leaves_the_encoder_alone() -> None:
    vae = WanVAE(TINY_VAE)
    decoding = Decoding(vae)
    trained = {name for name, value in decoding.named_parameters() if value.requires_grad}
    assert trained
    assert all(name.startswith(("vae.conv2.", "vae.decoder.")) for name in trained)
    latent = torch.randn(1, 16, 2, 2, 2)
    torch.testing.assert_close(decoding(latent), vae.decode(latent))
    assert Autoencoding(vae).vae is vae


@pytest.mark.slow
def test_the_encoder_phase_changes_the_encoder_alone() -> None:
    """It alone changes, and it comes nearer to what the network predicts."""
    torch.manual_seed(0)
    vae = WanVAE(TINY_VAE)
    wanted = torch.zeros(2, TINY_VAE.z_dim, 2, 2, 2)
    network = Constant(wanted)
    phase = EncoderPhase(name="encoder", steps=1, rate=1e-2, gradient_weight=0.0, agreement=10.0)
    task = EncoderTask(network, vae, WanCodec(vae), phase, batches)
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    (optimizer,) = task.optimizers()
    apart = []
    for _ in range(5):
        optimizer.zero_grad()
        loss, terms = task.loss(task.module, batches(0)[0])
        loss.backward()
        optimizer.step()
        apart.append(float(terms["apart"]))
    changed = {name.split(".")[0] for name, value in vae.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"encoder", "conv1"}
    assert apart[-1] < apart[0]

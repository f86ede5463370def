"""Trains the small causal VAE on disparity clips; its decoder turns depth latents into disparity."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.data.sequences import normalise_disparity
from dvd.train.batches import ClipSource, ahead
from dvd.train.recipes import VAERecipe
from dvd.train.schedule import cosine
from dvd.train.state import resume_module, save_module

log = logging.getLogger(__name__)


def train_vae(
    config: VAEConfig,
    recipe: VAERecipe,
    images: ClipSource,
    clips: ClipSource,
    folder: Path,
    save_every: int,
    seed: int,
) -> WanVAE:
    """Trains or resumes; returns the VAE with the statistics of its latents in its configuration."""
    torch.manual_seed(seed)
    vae = WanVAE(config)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=recipe.learning_rate, weight_decay=1e-4, betas=(0.9, 0.95))
    path = folder / "vae.pt"
    begin = resume_module(path, vae, optimizer)

    def batch(step: int) -> list[Tensor]:
        still = images.batch(recipe.image_batch, 1, recipe.size, seed + 2 * step)[1]
        moving = clips.batch(recipe.clip_batch, recipe.clip_frames, recipe.size, seed + 2 * step + 1)[1]
        return [normalise_disparity(disparity) * 2 - 1 for disparity in (still, moving)]

    for step, parts in enumerate(ahead(batch, begin, recipe.steps), start=begin):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * cosine(step, recipe.steps, warm_up=100)
        errors = []
        for target in parts:
            with torch.autocast("cpu", torch.bfloat16):
                mean, log_variance = vae.posterior(target)
                latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
                rebuilt = vae.decode(latent)  # statistics are 0 and 1 until they are measured
            loss, error = reconstruction(rebuilt.float(), target, recipe.gradient_weight)
            kl = 0.5 * (mean.float().square() + log_variance.float().exp() - 1 - log_variance.float()).mean()
            (loss + recipe.kl_weight * kl).backward()
            errors.append(error)
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 50 == 0:
            log.info("vae %d/%d  error image %.4f clip %.4f (of a range of 2)", step + 1, recipe.steps, *errors)
        if (step + 1) % save_every == 0 or step + 1 == recipe.steps:
            save_module(path, vae, optimizer, step + 1)
    return _with_statistics(vae, batch)


def reconstruction(rebuilt: Tensor, target: Tensor, gradient_weight: float) -> tuple[Tensor, float]:
    """L1 on values and on first differences, which keeps edges; also the plain mean error for the log."""
    error = rebuilt - target
    point = error.abs().mean()
    edges = sum(error.diff(dim=dim).abs().mean() for dim in (2, 3, 4) if error.shape[dim] > 1)
    return point + gradient_weight * edges, float(point.detach())


@torch.no_grad()
def _with_statistics(vae: WanVAE, batch: Callable[[int], list[Tensor]], rounds: int = 8) -> WanVAE:
    """The same VAE, whose latents come out with zero mean and unit deviation per channel."""
    sums, squares, count = torch.zeros(vae.config.z_dim), torch.zeros(vae.config.z_dim), 0
    for index in range(rounds):
        for target in batch(1_000_000 + index):
            mean = vae.posterior(target)[0].transpose(0, 1).flatten(1)
            sums, squares, count = sums + mean.sum(1), squares + mean.square().sum(1), count + mean.shape[1]
    mean = sums / count
    deviation = (squares / count - mean.square()).clamp_min(1e-8).sqrt()
    config = replace(vae.config, latents_mean=tuple(mean.tolist()), latents_std=tuple(deviation.tolist()))
    measured = WanVAE(config)
    measured.load_state_dict(vae.state_dict())
    return measured

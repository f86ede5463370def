"""Adapts the VAE's decoder to the latents that the regression really predicts.

A regression's latents are smoother than the encoder's (Sec. 3.3, mean collapse); a decoder that has seen only the
latter draws them with faint stripes. The encoder, and so the latent itself, stays as it is.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from dvd.backbones.mini import MiniNetwork
from dvd.backbones.wan.vae import WanVAE
from dvd.data.sequences import normalise_disparity
from dvd.train.batches import ClipSource, paired_batches
from dvd.train.recipes import MiniRecipe
from dvd.train.schedule import cosine, set_rates
from dvd.train.state import resume_module, save_module
from dvd.train.vae import reconstruction

log = logging.getLogger(__name__)


def adapt_decoder(
    recipe: MiniRecipe, network: MiniNetwork, vae: WanVAE, images: ClipSource, clips: ClipSource, folder: Path
) -> WanVAE:
    """Trains the decoder half of `vae` in place, or resumes, on latents of `network`; returns it."""
    stage, total = recipe.stages[-1], recipe.decoder_steps
    network.requires_grad_(False).eval()
    vae.requires_grad_(False)
    decoder = nn.ModuleList([vae.conv2, vae.decoder]).requires_grad_(True)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=recipe.decoder_rate, weight_decay=1e-4, betas=(0.9, 0.95))
    optimizer.param_groups[0]["base"] = recipe.decoder_rate
    path = folder / "decoder.pt"
    begin = resume_module(path, decoder, optimizer)
    smooth = 0.0
    batches = paired_batches((stage,) * total, images, clips, recipe.seed + 10_000_000, begin)
    for step, pairs in enumerate(batches, start=begin):
        set_rates([optimizer], cosine(step, total, warm_up=20))
        error = 0.0
        for _, rgb, disparity in pairs:
            target = normalise_disparity(disparity) * 2 - 1
            with torch.autocast("cpu", torch.bfloat16):
                with torch.no_grad():
                    latent = network(rgb, 1000 * recipe.tau)
                decoded = vae.decode(latent)
            loss, point = reconstruction(decoded.float(), target, recipe.vae.gradient_weight)
            loss.backward()
            error += point / len(pairs)
        nn.utils.clip_grad_norm_(decoder.parameters(), recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        smooth = error if step == begin else 0.95 * smooth + 0.05 * error
        if (step + 1) % 25 == 0:
            log.info("decoder %d/%d  error %.4f (of a range of 2)", step + 1, total, smooth)
        if (step + 1) % recipe.save_every == 0 or step + 1 == total:
            save_module(path, decoder, optimizer, step + 1)
    return vae.eval()

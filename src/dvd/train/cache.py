"""`dvd data cache`: the latents of a recipe's sources, made by the VAE that the recipe trains against."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from dvd.backbones.wan.vae import WanVAE
from dvd.data.latents import LatentOrder, read_order, write_latents
from dvd.errors import OptionError
from dvd.train.engine import precision
from dvd.train.feeds import open_one, render
from dvd.train.networks import build
from dvd.train.settings import Recipe, SourceSettings, VAEPhase

log = logging.getLogger(__name__)


def cache(
    recipe: Recipe, folder: Path, scenes: Path, stride: int = 1, half: bool = False, processes: int = 1
) -> Iterator[Path]:
    """Encodes every source of `recipe` under `folder`, resuming; yields each source's folder when it is done.

    Of videos every `stride`-th starting frame becomes a clip. The arithmetic is the recipe's own precision, so that
    training reads what it would have computed; `half` stores 16 bits. OptionError where the recipe trains its VAE.
    """
    if recipe.model.kind != "wan" or any(isinstance(phase, VAEPhase) for phase in recipe.phases):
        raise OptionError(f"recipe {recipe.name} does not see latents of a finished VAE; there is nothing to cache")
    render(recipe, scenes, processes)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vae = build(recipe).vae.to(device).eval().requires_grad_(False)
    mark = fingerprint(vae)

    @torch.no_grad()
    def encode(video: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision(recipe) == "bf16"):
            return vae.encode(video.to(device))

    for settings in recipe.sources:
        order = _order(recipe, settings, scenes, stride, half, mark)
        source = open_one(recipe, settings, scenes)
        if not order.clips:
            raise OptionError(f"source {settings.name} holds no clip of {order.frames} frames to cache")
        with tqdm(total=order.clips, unit="clip", desc=settings.name, disable=None) as bar:
            for done in write_latents(folder / settings.name, source, order, encode):
                bar.update(done - bar.n)
        yield folder / settings.name


def refuse_other_vae(recipe: Recipe, vae: WanVAE) -> None:
    """OptionError where the recipe's cache was made by another VAE than this."""
    assert recipe.latents is not None
    mark = fingerprint(vae)
    for settings in recipe.sources:
        if read_order(recipe.latents / settings.name).vae != mark:
            raise OptionError(
                f"{recipe.latents / settings.name} was made by another VAE than this recipe's; cache again, or name "
                "the weights that it was made with"
            )


def fingerprint(vae: WanVAE) -> str:
    """Tells two autoencoders apart: a hash of all weights and of the latents' statistics."""
    digest = hashlib.sha256(repr(vae.config).encode())
    for name, value in sorted(vae.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _order(recipe: Recipe, settings: SourceSettings, scenes: Path, stride: int, half: bool, mark: str) -> LatentOrder:
    sizes = {settings.size} if settings.size else {size for phase in recipe.phases for size in phase.mixture.sizes}
    lengths = {phase.mixture.frames for phase in recipe.phases} if settings.kind == "video" else {1}
    if len(sizes) != 1 or len(lengths) != 1:
        raise OptionError(
            f"a cache has one size and one length of clip; source {settings.name} is used at sizes {sorted(sizes)} and "
            f"{sorted(lengths)} frames"
        )
    frames, size = lengths.pop(), sizes.pop()
    step = stride if settings.kind == "video" else 1
    count = -(-open_one(recipe, settings, scenes).count(frames) // step)
    how = settings.view
    return LatentOrder(settings.name, count, frames, size, step, how.flip > 0, "float16" if half else "float32", mark)

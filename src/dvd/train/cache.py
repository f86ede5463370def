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
from dvd.data.latents import Encode, LatentOrder, read_order, write_latents
from dvd.data.sources import Source
from dvd.errors import OptionError
from dvd.files import writing
from dvd.train.engine import precision
from dvd.train.mixture import Skipped
from dvd.train.networks import build
from dvd.train.settings import Recipe, SourceSettings
from dvd.train.sources import drawn, open_one, render, shapes

log = logging.getLogger(__name__)


def cache(
    recipe: Recipe, folder: Path, scenes: Path, stride: int = 1, half: bool = False, processes: int = 1
) -> Iterator[Path]:
    """Encode every source of `recipe` under `folder`, resuming; yield each source's folder when it is done.

    Of videos every `stride`-th starting frame becomes a clip. The arithmetic is the recipe's own precision, so that
    training reads what it would have computed; `half` stores 16 bits. Raise OptionError if the recipe trains its VAE or
    reads latents itself, InputError if too many samples cannot be read.
    """
    if recipe.latents is not None:
        raise OptionError("latents are what dvd data cache makes; leave the field out")
    if recipe.model.backbone.sees == "pixels" or any(phase.trains_vae for phase in recipe.phases):
        raise OptionError(f"recipe {recipe.name} does not see latents of a finished VAE; there is nothing to cache")
    with writing(scenes):
        render(recipe, scenes, processes)
    # All are opened before the first is encoded: what is missing shows now, not after hours.
    sources = [(settings, open_one(recipe, settings, scenes)) for settings in drawn(recipe)]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vae = build(recipe).vae.to(device).eval().requires_grad_(False)
    mark, encode = fingerprint(vae), _encoder(recipe, vae)
    orders = [_order(recipe, settings, source, stride, half, mark) for settings, source in sources]
    for (settings, source), order in zip(sources, orders, strict=True):
        skipped = Skipped(recipe.skipped_share, folder / "skipped.txt")
        skipped.drawn = order.clips
        with tqdm(total=order.clips, unit="clip", desc=settings.name, disable=None) as bar:
            for done in write_latents(folder / settings.name, source, order, encode, skipped.note):
                bar.update(done - bar.n)
        yield folder / settings.name


def refuse_other_vae(recipe: Recipe, vae: WanVAE) -> None:
    """Raise OptionError if the recipe's cache was made by another VAE than this."""
    assert recipe.latents is not None
    mark = fingerprint(vae)
    for settings in drawn(recipe):
        if read_order(recipe.latents / settings.name).vae != mark:
            raise OptionError(
                f"{recipe.latents / settings.name} was made by another VAE than this recipe's; cache again, or name "
                "the weights that it was made with"
            )


def fingerprint(vae: WanVAE) -> str:
    """Return a hash of all weights and of the latents' statistics, which tells two autoencoders apart."""
    digest = hashlib.sha256(repr(vae.config).encode())
    for name, value in sorted(vae.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _encoder(recipe: Recipe, vae: WanVAE) -> Encode:
    """Return the encoding of the frozen VAE as training runs it."""
    device = next(vae.parameters()).device
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision(recipe))

    @torch.no_grad()
    def encode(video: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            return vae.encode(video.to(device))

    return encode


def _order(recipe: Recipe, settings: SourceSettings, source: Source, stride: int, half: bool, mark: str) -> LatentOrder:
    sizes, lengths = shapes(recipe, settings)
    if len(sizes) != 1 or len(lengths) != 1:
        raise OptionError(
            f"a cache has one size and one length of clip; source {settings.name} is used at sizes {sorted(sizes)} and "
            f"{sorted(lengths)} frames"
        )
    (frames,), (size,) = lengths, sizes
    step = stride if settings.kind == "video" else 1
    count = -(-source.count(frames) // step)
    if not count:
        raise OptionError(f"source {settings.name} holds no clip of {frames} frames to cache; add data or lower frames")
    flips = settings.view.flip > 0
    return LatentOrder(settings.name, count, frames, size, step, flips, "float16" if half else "float32", mark)

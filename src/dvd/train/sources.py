"""A recipe's sources, opened: a data set, procedural scenes, finished shards, or a latent cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dvd.data.latents import LatentSource
from dvd.data.layouts import open_source
from dvd.data.sources import RawClip, Source
from dvd.errors import InputError, OptionError
from dvd.scenes import read_shard, write_shards
from dvd.train.mixture import Feed
from dvd.train.settings import Phase, Recipe, Size, SourceSettings

SHARDS = "shards"
"""The `data` of a source whose `root` holds finished shards, such as those of benchmarks/pseudo_labels.py."""


class ShardSource:
    """A `Source` of clips in shards, all of one length."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        shards = [read_shard(path) for path in sorted(folder.glob("shard_*"))]
        # Every array that is kept keeps a file open.
        self.shards = [{kind: shard[kind] for kind in ("rgb", "disparity")} for shard in shards]
        if not self.shards:
            raise InputError(
                f"{folder} holds no shard; scenes are rendered without --dry-run, and root names other shards"
            )
        lengths = {shard["rgb"].shape[1] for shard in self.shards}
        if len(lengths) > 1:
            raise InputError(f"{folder} holds shards of {sorted(lengths)} frames; keep those of one length there")
        self.ends = np.cumsum([len(shard["rgb"]) for shard in self.shards])
        self.length = int(self.shards[0]["rgb"].shape[1])

    def count(self, frames: int) -> int:
        """Return how many clips of `frames` there are: every stored clip at every start within it."""
        return int(self.ends[-1]) * max(self.length - frames + 1, 0)

    def clip(self, index: int, frames: int) -> RawClip:
        """Return a clip by its index; the start varies fastest."""
        row, start = divmod(index, self.length - frames + 1)
        which = int(np.searchsorted(self.ends, row, side="right"))
        row -= int(self.ends[which - 1]) if which else 0
        span, shard = slice(start, start + frames), self.shards[which]
        return RawClip(np.array(shard["rgb"][row, span]), shard["disparity"][row, span].astype(np.float32))


def open_feeds(recipe: Recipe, scenes: Path) -> list[Feed]:
    """Open the sources that the recipe draws from. InputError names missing data and the folder they should be in."""
    return [Feed(settings, open_one(recipe, settings, scenes)) for settings in drawn(recipe)]


def open_one(recipe: Recipe, settings: SourceSettings, scenes: Path) -> Source:
    """Open one source; procedural scenes are in a folder of its name under `scenes`."""
    if is_cached(recipe, settings):
        return _cached(recipe, settings)
    if settings.scenes is not None:
        return ShardSource(settings.name, scenes / settings.name)
    if settings.data == SHARDS:
        return ShardSource(settings.name, settings.root or recipe.data / settings.name)
    return open_source(settings.data, settings.root or recipe.data / settings.data, settings.split)


def render(recipe: Recipe, scenes: Path, processes: int) -> None:
    """Render the procedural clips that are not on disk yet, validation's included."""
    for settings in sources_of(recipe):
        if is_rendered(recipe, settings):
            what = settings.scenes
            assert what is not None
            seeds = range(what.first_seed, what.first_seed + what.scenes)
            write_shards(
                scenes / settings.name,
                seeds,
                what.frames,
                what.height,
                what.width,
                what.views,
                processes,
                recipe.textures,
            )


def sources_of(recipe: Recipe) -> list[SourceSettings]:
    """Return the sources that training draws from, and validation's."""
    return [*drawn(recipe), *([recipe.validation.source] if recipe.validation else [])]


def drawn(recipe: Recipe) -> list[SourceSettings]:
    """Return the sources that training draws from: with a weight, and of a kind that a phase has."""
    return [settings for settings in recipe.sources if settings.weight > 0 and _phases_of(recipe, settings)]


def is_rendered(recipe: Recipe, settings: SourceSettings) -> bool:
    """Return whether the recipe needs the source's scenes on disk."""
    return settings.scenes is not None and not is_cached(recipe, settings)


def is_cached(recipe: Recipe, settings: SourceSettings) -> bool:
    """Return whether the recipe reads the source's latents; validation always sees pixels."""
    return recipe.latents is not None and settings in recipe.sources


def shapes(recipe: Recipe, settings: SourceSettings) -> tuple[set[Size], set[int]]:
    """Return all sizes and frame counts at which the recipe's phases draw a source."""
    mixtures = [phase.mixture for phase in _phases_of(recipe, settings)]
    sizes = {settings.size} if settings.size else {size for mixture in mixtures for size in mixture.sizes}
    return sizes, {mixture.frames for mixture in mixtures} if settings.kind == "video" else {1}


def _cached(recipe: Recipe, settings: SourceSettings) -> LatentSource:
    assert recipe.latents is not None
    source = LatentSource(recipe.latents / settings.name, settings.view)
    stored = {source.order.size}, {source.order.frames}
    wanted = shapes(recipe, settings)
    if wanted != stored:
        raise OptionError(
            f"{recipe.latents / settings.name} holds {_shown(*stored)}, but {recipe.name} draws {_shown(*wanted)}; set "
            "sizes and frames to what is cached, or cache again"
        )
    return source


def _shown(sizes: set[Size], frames: set[int]) -> str:
    pixels = ", ".join(f"{height}x{width}" for height, width in sorted(sizes))
    return f"clips of {', '.join(map(str, sorted(frames)))} frames at {pixels}"


def _phases_of(recipe: Recipe, settings: SourceSettings) -> list[Phase]:
    return [phase for phase in recipe.phases if settings.kind in phase.mixture.kinds]

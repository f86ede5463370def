"""Opens a recipe's sources: a layout on disk, procedural scenes rendered beside it, or a latent cache."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dvd.data.latents import LatentSource
from dvd.data.layouts import open_source
from dvd.data.procedural.shards import read_shard, write_shards
from dvd.data.sources import RawClip, Source
from dvd.errors import InputError
from dvd.train.mixture import Feed
from dvd.train.settings import Recipe, SourceSettings


class ShardSource:
    """Procedural clips out of rendered shards; implements `Source`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.shards = [read_shard(path) for path in sorted(folder.glob("shard_*"))]
        if not self.shards:
            raise InputError(f"{folder} holds no shard of scenes; run the recipe without --dry-run, which renders them")
        self.ends = np.cumsum([len(shard["rgb"]) for shard in self.shards])
        self.length = int(self.shards[0]["rgb"].shape[1])

    def count(self, frames: int) -> int:
        """Every clip at every start within it."""
        return int(self.ends[-1]) * max(self.length - frames + 1, 0)

    def clip(self, index: int, frames: int) -> RawClip:
        """Clip and start, the start varying fastest."""
        row, start = divmod(index, self.length - frames + 1)
        which = int(np.searchsorted(self.ends, row, side="right"))
        row -= int(self.ends[which - 1]) if which else 0
        span, shard = slice(start, start + frames), self.shards[which]
        return RawClip(np.array(shard["rgb"][row, span]), shard["disparity"][row, span].astype(np.float32))


def open_feeds(recipe: Recipe, scenes: Path) -> list[Feed]:
    """The recipe's sources; InputError names data that are missing and where they were looked for."""
    return [Feed(settings, open_one(recipe, settings, scenes)) for settings in recipe.sources]


def open_one(recipe: Recipe, settings: SourceSettings, scenes: Path) -> Source:
    """One source; procedural scenes lie in a folder of its name under `scenes`."""
    if recipe.latents is not None and settings in recipe.sources:
        return LatentSource(recipe.latents / settings.name, settings.view)
    if settings.scenes is not None:
        return ShardSource(settings.name, scenes / settings.name)
    return open_source(settings.data, settings.root or recipe.data / settings.data)


def render(recipe: Recipe, scenes: Path, processes: int) -> None:
    """Renders the procedural clips that are not on disk yet, validation's included."""
    for settings in sources_of(recipe):
        if (what := settings.scenes) is not None:
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


def sources_of(recipe: Recipe) -> Iterable[SourceSettings]:
    """Training's and validation's."""
    return [*recipe.sources, *([recipe.validation.source] if recipe.validation else [])]

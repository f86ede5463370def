"""Encode once, train many times: a source's clips as latents on disk, plain and mirrored.

The VAE is frozen and is most of the arithmetic. What a cache holds is what training with the pixels would have
computed, so the loss is the same; random crops and colours are given up for it.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dvd.data.sequences import STILL, Augmentation, see
from dvd.data.sources import BadSample, RawClip, Source
from dvd.errors import InputError, OptionError, OutputError

log = logging.getLogger(__name__)

CLIPS_PER_SHARD = 64
Encode = Callable[[Tensor], Tensor]
"""Video `B 3 T H W` in [-1, 1] → normalised latent `B c t h w`."""


@dataclass(frozen=True)
class LatentOrder:
    """What a cache of one source holds; another order does not mix with it."""

    source: str
    clips: int
    frames: int
    size: tuple[int, int]
    stride: int
    mirrored: bool
    dtype: Literal["float32", "float16"]
    vae: str
    """The fingerprint of the autoencoder that made it."""


@dataclass(frozen=True)
class LatentClip:
    """Latents `V 2 c t h w` of one clip: V = plain (and mirrored); of RGB and of disparity."""

    latents: np.ndarray

    def see(self, how: Augmentation, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """(RGB latent, depth latent) of the view that `see` would have taken with the same random numbers."""
        torch.rand((), generator=random)  # `see` asks first whether the clip plays backwards
        mirrored = float(torch.rand((), generator=random)) < how.flip
        rgb, disparity = torch.from_numpy(self.latents[int(mirrored)].astype(np.float32))
        return rgb, disparity


class LatentSource:
    """Reads what `write_latents` wrote; implements `Source`.

    InputError for a cache that is missing, unfinished or damaged, OptionError for views that it cannot give.
    """

    def __init__(self, folder: Path, how: Augmentation) -> None:
        self.order = read_order(folder)
        self.name = self.order.source
        if how.crop or how.recolours or how.reverse:
            raise OptionError(f"source {self.name}: a latent cache has no crops, colours or reversals; use PLAIN")
        if how.flip and not self.order.mirrored:
            raise OptionError(f"{folder} holds no mirrored clips; set flip to 0, or cache again with flips")
        wanted, shards = -(-self.order.clips // CLIPS_PER_SHARD), sorted(folder.glob("shard_*.npy"))
        if len(shards) < wanted:
            raise InputError(
                f"{folder} holds {len(shards)} of {wanted} shards; run dvd data cache to its end: it goes on from there"
            )
        self.shards = [_open(shard) for shard in shards]
        self.ends = np.cumsum([len(shard) for shard in self.shards])
        if not self.ends[-1]:
            raise InputError(f"{folder} holds no clip, for none could be read; dvd data check says what is broken")

    def count(self, frames: int) -> int:
        """How many clips are cached; 0 for another number of frames than they have."""
        return int(self.ends[-1]) if frames == self.order.frames else 0

    def clip(self, index: int, frames: int) -> LatentClip:  # noqa: ARG002
        """The cached clip with that number."""
        shard = int(np.searchsorted(self.ends, index, side="right"))
        return LatentClip(self.shards[shard][index - (int(self.ends[shard - 1]) if shard else 0)])


def write_latents(
    folder: Path, source: Source, order: LatentOrder, encode: Encode, note: Callable[[BadSample], None] | None = None
) -> Iterator[int]:
    """Encodes every `stride`-th clip of `source` into shards under `folder`; yields the number of clips done.

    Resumes at the first shard that is missing. A clip that cannot be read is left out; `note` hears of it, or the log.
    OutputError where the folder holds another order or cannot be written.
    """
    _claim(folder, order)
    note = note or (lambda error: log.warning("left out %s", error))
    numbers = range(0, source.count(order.frames), order.stride)
    for first in range(0, len(numbers), CLIPS_PER_SHARD):
        path = folder / f"shard_{first:08d}.npy"
        part = numbers[first : first + CLIPS_PER_SHARD]
        if not path.exists():
            clips = []
            for index in part:
                try:
                    clips.append(_encode(source.clip(index, order.frames), order, encode))
                except BadSample as error:
                    note(error)
            _save(path, np.stack(clips) if clips else np.empty(0, order.dtype))
        yield first + len(part)


def read_order(folder: Path) -> LatentOrder:
    """What a cache holds; InputError where there is none."""
    try:
        values = json.loads((folder / "order.json").read_text(encoding="utf-8"))
        return LatentOrder(**{**values, "size": tuple(values["size"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder} is not a latent cache ({error}); make one with dvd data cache") from error


def _open(shard: Path) -> np.ndarray:
    try:
        return np.load(shard, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise InputError(f"{shard}: cannot be read ({error}); delete it and run dvd data cache again") from error


def _encode(clip: RawClip, order: LatentOrder, encode: Encode) -> np.ndarray:
    """Latents `V 2 c t h w` of one clip."""
    views = []
    for flip in (0.0, 1.0) if order.mirrored else (0.0,):
        sample = see(clip, order.size, replace(STILL, flip=flip), torch.Generator().manual_seed(0))
        three = sample.disparity.expand(3, -1, -1, -1) * 2 - 1
        views.append(torch.stack([encode(sample.rgb[None])[0], encode(three[None])[0]]))
    return torch.stack(views).float().cpu().numpy().astype(order.dtype)


def _claim(folder: Path, order: LatentOrder) -> None:
    path = folder / "order.json"
    if path.is_file():
        if read_order(folder) != order:
            raise OutputError(f"{folder} holds latents of another order ({path} says which); use an empty folder")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(order), indent=1), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error}); choose another place or make room") from error


def _save(path: Path, values: np.ndarray) -> None:
    """Written aside and renamed, so that an interrupted shard never looks finished."""
    aside = path.with_name(f".{path.name}")
    try:
        np.save(aside, values)
        aside.replace(path)
    except OSError as error:
        free = shutil.disk_usage(path.parent).free / 2**30
        raise OutputError(
            f"{path}: cannot be written ({error}; {free:.1f} GiB are free); make room and run again: it resumes"
        ) from error
    finally:
        aside.unlink(missing_ok=True)

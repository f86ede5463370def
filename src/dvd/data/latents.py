"""Encode once, train many times: a source's clips as latents on disk, plain and mirrored.

The VAE is frozen and is most of the arithmetic. A cache holds the latents that training from pixels would compute, so
the loss is the same, but random crops and colours are not possible.
"""

from __future__ import annotations

import json
import logging
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
from dvd.files import replacing

log = logging.getLogger(__name__)

CLIPS_PER_SHARD = 64
Encode = Callable[[Tensor], Tensor]
"""Video `B 3 T H W` in [-1, 1] → normalised latent `B c t h w`."""


@dataclass(frozen=True)
class LatentOrder:
    """Description of one source's cache; a folder holds latents of one order only."""

    source: str
    clips: int
    frames: int
    size: tuple[int, int]
    stride: int
    mirrored: bool
    dtype: Literal["float32", "float16"]
    vae: str
    """The fingerprint of the autoencoder."""


@dataclass(frozen=True)
class LatentClip:
    """Latents `V 2 c t h w` of one clip: V is plain (and mirrored), 2 is RGB and disparity."""

    latents: np.ndarray

    def see(self, how: Augmentation, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (RGB latent, disparity latent) of the view that `see` takes with the same random numbers."""
        torch.rand((), generator=random)  # `see` first draws whether the clip plays backwards
        mirrored = float(torch.rand((), generator=random)) < how.flip
        rgb, disparity = torch.from_numpy(self.latents[int(mirrored)].astype(np.float32))
        return rgb, disparity


class LatentSource:
    """Clips from a cache written by `write_latents`; implements `Source`.

    Raise InputError for a cache that is missing, unfinished or damaged, OptionError for views that it does not have.
    """

    def __init__(self, folder: Path, how: Augmentation) -> None:
        self.order = read_order(folder)
        self.name = self.order.source
        if how.crop or how.recolours or how.reverse:
            raise OptionError(f"source {self.name}: a latent cache has no crops, colours or reversals; use PLAIN")
        if how.flip and not self.order.mirrored:
            raise OptionError(f"{folder} holds no mirrored clips; set flip to 0, or cache again with flips")
        wanted, shards = -(-self.order.clips // CLIPS_PER_SHARD), shards_in(folder)
        if len(shards) < wanted:
            raise InputError(
                f"{folder} holds {len(shards)} of {wanted} shards; run dvd data cache again: it continues there"
            )
        self.shards = [_open(shard) for shard in shards]
        self.ends = np.cumsum([len(shard) for shard in self.shards])
        if not self.ends[-1]:
            raise InputError(f"{folder} holds no clip, because none could be read; dvd data check says what is broken")

    def count(self, frames: int) -> int:
        """Return the number of cached clips; 0 unless they have that number of frames."""
        return int(self.ends[-1]) if frames == self.order.frames else 0

    def clip(self, index: int, frames: int) -> LatentClip:  # noqa: ARG002
        """Return the cached clip of that index."""
        shard = int(np.searchsorted(self.ends, index, side="right"))
        return LatentClip(self.shards[shard][index - (int(self.ends[shard - 1]) if shard else 0)])


def write_latents(
    folder: Path, source: Source, order: LatentOrder, encode: Encode, note: Callable[[BadSample], None] | None = None
) -> Iterator[int]:
    """Encode every `stride`-th clip of `source` into shards under `folder`; yield the number of clips done.

    Continue at the first missing shard. Unreadable clips are left out and passed to `note`, or logged. Raise
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
            # Renamed once it is whole, so that an interrupted shard never looks finished.
            with replacing(path) as file:
                np.save(file, np.stack(clips) if clips else np.empty(0, order.dtype))
        yield first + len(part)


def shards_in(folder: Path) -> list[Path]:
    """Return the finished shards of a cache, in order."""
    return sorted(folder.glob(f"shard_{'[0-9]' * 8}.npy"))


def read_order(folder: Path) -> LatentOrder:
    """Read the order of a cache. Raise InputError where there is none."""
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
    """Encode one clip as latents `V 2 c t h w`."""
    views = []
    for flip in (0.0, 1.0) if order.mirrored else (0.0,):
        sample = see(clip, order.size, replace(STILL, flip=flip), torch.Generator().manual_seed(0))
        gray = sample.disparity.expand(3, -1, -1, -1) * 2 - 1
        views.append(torch.stack([encode(sample.rgb[None])[0], encode(gray[None])[0]]))
    return torch.stack(views).float().cpu().numpy().astype(order.dtype)


def _claim(folder: Path, order: LatentOrder) -> None:
    path = folder / "order.json"
    if path.is_file():
        if read_order(folder) != order:
            raise OutputError(f"{folder} holds latents of another order ({path} says which); use an empty folder")
        return
    with replacing(path) as file:
        file.write(json.dumps(asdict(order), indent=1).encode())

"""Random batches of augmented clips out of rendered shards, a few prepared ahead in a thread."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dvd.data.procedural.shards import read_shard
from dvd.data.sequences import Augmentation, random_view
from dvd.train.recipes import Stage

T = TypeVar("T")


class ClipSource:
    """Draws batches of `frames`-long clips from a folder of shards, each batch a pure function of its seed."""

    def __init__(self, folder: Path, augmentation: Augmentation) -> None:
        self.shards = [read_shard(path) for path in sorted(folder.glob("shard_*"))]
        self.augmentation = augmentation
        self.ends = np.cumsum([len(shard["rgb"]) for shard in self.shards])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def batch(self, count: int, frames: int, size: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
        """RGB `B 3 T h w` in [-1, 1] and raw disparity `B 1 T h w`; clips play in either direction."""
        choose = np.random.default_rng(seed)
        rgb, disparity = zip(
            *(self._clip(int(choose.integers(len(self))), frames, choose) for _ in range(count)), strict=True
        )
        generator = torch.Generator().manual_seed(seed)
        return random_view(
            torch.from_numpy(np.stack(rgb)), torch.from_numpy(np.stack(disparity)), size, self.augmentation, generator
        )

    def _clip(self, index: int, frames: int, choose: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        shard_index = int(np.searchsorted(self.ends, index, side="right"))
        shard = self.shards[shard_index]
        row = index - (int(self.ends[shard_index - 1]) if shard_index else 0)
        start = int(choose.integers(shard["rgb"].shape[1] - frames + 1))
        step = -1 if choose.random() < 0.5 else 1
        span = slice(start, start + frames)
        return (
            np.ascontiguousarray(shard["rgb"][row, span][::step]),
            np.ascontiguousarray(shard["disparity"][row, span][::step]).astype(np.float32),
        )


def paired_batches(
    stages: Sequence[Stage], images: ClipSource, clips: ClipSource, seed: int, begin: int
) -> Iterator[list[tuple[str, Tensor, Tensor]]]:
    """For every step from `begin` on its clip batch and its image batch (Eq. 10): name, RGB, disparity.

    `stages` holds one entry per step.
    """

    def make(step: int) -> list[tuple[str, Tensor, Tensor]]:
        stage, own = stages[step], seed + 2 * step
        size = random.Random(own).choice(stage.sizes)
        pairs = []
        if stage.clip_batch:
            pairs.append(("clip", *clips.batch(stage.clip_batch, stage.clip_frames, size, own)))
        if stage.image_batch:
            pairs.append(("image", *images.batch(stage.image_batch, 1, size, own + 1)))
        return pairs

    return ahead(make, begin, len(stages))


def ahead(make: Callable[[int], T], start: int, stop: int, depth: int = 3) -> Iterator[T]:
    """Yields make(start), …, make(stop − 1), up to `depth` of them prepared in a thread beforehand."""
    ready: queue.Queue[T | BaseException] = queue.Queue(depth)
    leave = threading.Event()

    def fill() -> None:
        for index in range(start, stop):
            try:
                item: T | BaseException = make(index)
            except BaseException as error:
                item = error
            while not leave.is_set():
                try:
                    ready.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if leave.is_set() or isinstance(item, BaseException):
                return

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        for _ in range(start, stop):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        leave.set()
        thread.join()

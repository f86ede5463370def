"""Rendered samples on disk: shards of plain .npy arrays, written by several processes, resumable, read as memmaps."""

from __future__ import annotations

import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dvd.errors import InputError, OptionError, OutputError
from dvd.files import why_refused
from dvd.processes import is_being_written, writer_tag
from dvd.scenes.render import render

logger = logging.getLogger(__name__)
SCENES_PER_SHARD = 256


@dataclass(frozen=True)
class ShardOrder:
    """The contents of a shard: scenes [first, stop) at a size, `views` single frames each or one clip of `frames`."""

    first: int
    stop: int
    frames: int
    height: int
    width: int
    views: int
    family: str | None
    textures: str | None

    @property
    def name(self) -> str:
        return f"shard_{self.first:08d}"


def write_shards(
    folder: Path | str,
    seeds: range,
    frames: int = 1,
    height: int = 144,
    width: int = 192,
    views: int = 4,
    processes: int = 2,
    textures: Path | str | None = None,
    family: str | None = None,
    scenes_per_shard: int = SCENES_PER_SHARD,
) -> list[Path]:
    """Render the seeds' scenes into shards under `folder`, skip finished ones, and return the shards' folders.

    A shard holds rgb.npy uint8 N T H W 3, disparity.npy float16 N T H W (1 / metres, 0 for sky), intrinsics.npy
    N 3 3 and meta.json. With frames = 1 each seed gives `views` samples, else one clip. `textures` and `family`
    are those of `render`. Raise OptionError for an empty or stepped range, OutputError if `folder` already holds other
    samples or the disk refuses a shard.
    """
    if not seeds or seeds.step != 1:
        raise OptionError(f"cannot write shards for {seeds}: give a non-empty range of seeds with step 1")
    folder = Path(folder)
    text = None if textures is None else str(textures)
    orders = [
        ShardOrder(first, min(first + scenes_per_shard, seeds.stop), frames, height, width, views, family, text)
        for first in range(seeds.start, seeds.stop, scenes_per_shard)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    waiting = [order for order in orders if not _is_done(folder, order)]
    if len(waiting) < len(orders):
        logger.info("%d of %d shards are already there", len(orders) - len(waiting), len(orders))
    spawn = multiprocessing.get_context("spawn")
    if not waiting:
        return [folder / order.name for order in orders]
    with tqdm(total=sum(o.stop - o.first for o in waiting), unit="scene", desc="rendering") as bar:
        if processes <= 1:
            for order in waiting:
                _write(folder, order)
                bar.update(order.stop - order.first)
        else:
            with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_end_with_parent) as pool:
                jobs = {pool.submit(_write, folder, order): order for order in waiting}
                try:
                    for job in as_completed(jobs):
                        job.result()
                        bar.update(jobs[job].stop - jobs[job].first)
                except BaseException:  # Ctrl-C or a signal to this process alone: do not wait for the queued shards
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
    return [folder / order.name for order in orders]


def read_shard(shard: Path | str) -> dict[str, np.ndarray]:
    """Return the memory-mapped arrays of a finished shard by name. Raise InputError if it is incomplete."""
    shard = Path(shard)
    names = ("rgb", "disparity", "intrinsics")
    if not all((shard / f"{name}.npy").is_file() for name in names):
        raise InputError(f"{shard} is not a finished shard: write it again with write_shards")
    return {name: np.load(shard / f"{name}.npy", mmap_mode="r") for name in names}


def _end_with_parent() -> None:
    """End this worker when its parent is killed; it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _sweep(folder: Path) -> None:
    """Remove the half-written shards of killed runs, not those of processes that are still alive."""
    for part in folder.glob(".shard_*.*"):
        if not is_being_written(part):
            shutil.rmtree(part, ignore_errors=True)


def _is_done(folder: Path, order: ShardOrder) -> bool:
    meta = folder / order.name / "meta.json"
    if not meta.is_file():
        return False
    if json.loads(meta.read_text(encoding="utf-8"))["order"] != asdict(order):
        raise OutputError(f"{meta.parent} holds other samples: choose an empty folder or delete it")
    return True


def _write(folder: Path, order: ShardOrder) -> None:
    """Render one shard into a temporary folder and rename it, so that an interrupted one never looks finished."""
    views = order.views if order.frames == 1 else 1
    settings = order.frames, order.height, order.width, views, order.family, order.textures
    clips = [clip for seed in range(order.first, order.stop) for clip in render(seed, *settings)]
    aside = folder / f".{order.name}.{writer_tag()}"
    meta = [{"family": clip.family, "move": clip.move, "moving": clip.moving} for clip in clips]
    try:
        aside.mkdir(exist_ok=True)
        np.save(aside / "rgb.npy", np.stack([clip.rgb for clip in clips]))
        np.save(aside / "disparity.npy", np.stack([(1.0 / clip.depth_m).astype(np.float16) for clip in clips]))
        np.save(aside / "intrinsics.npy", np.stack([clip.intrinsics for clip in clips]))
        (aside / "meta.json").write_text(json.dumps({"order": asdict(order), "clips": meta}), encoding="utf-8")
        shutil.rmtree(folder / order.name, ignore_errors=True)
        aside.rename(folder / order.name)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        free = shutil.disk_usage(folder).free / 2**30
        raise OutputError(
            f"{folder}: {why_refused(error)} ({free:.1f} GiB are free); then run the same command: finished shards stay"
        ) from error

"""The real `dvd-wan-1.3b` recipe at its real width on a small machine: seconds a step, memory, what a cache gains.

python benchmarks/train_1_3b.py [--folder DIR] [--rank 512] [--frames 5] [--size 64x80] [--steps 3] [--export]

Makes random weights of Wan2.1-1.3B's sizes (bfloat16, 2.8 GB), a full-width VAE and a tiny TartanAir tree in a
temporary folder, trains through `dvd.train.loop.train` in a process of its own from pixels, and again from a latent
cache, and prints both beside the estimate of `dvd train --dry-run`. Nothing but weights, data, sizes and batches
differs from the recipe. It needs about 14 GB of memory and 20 GB of disk at rank 512, with --export 25 GB more disk.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from command import at_least, pixels, run

GIB = 2**30


def make_weights(folder: Path) -> None:
    """A transformer and a VAE of the real sizes, random, in the original layout."""
    import torch
    from safetensors.torch import save_file

    from dvd.backbones.blueprint import blueprint
    from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
    from dvd.backbones.wan.vae import VAEConfig, WanVAE

    torch.manual_seed(0)
    with blueprint():
        shapes = {name: value.shape for name, value in WanTransformer(TransformerConfig()).state_dict().items()}
    state = {name: torch.empty(shape, dtype=torch.bfloat16).normal_(std=0.02) for name, shape in shapes.items()}
    save_file(state, str(folder / "diffusion_pytorch_model.safetensors"))
    torch.save(WanVAE(VAEConfig()).state_dict(), folder / "Wan2.1_VAE.pth")


def make_data(root: Path, frames: int, size: tuple[int, int]) -> None:
    """A TartanAir trajectory of noise."""
    from PIL import Image

    random = np.random.default_rng(0)
    trajectory = root / "tartanair" / "office" / "Easy" / "P000"
    for kind in ("image_left", "depth_left"):
        (trajectory / kind).mkdir(parents=True)
    for index in range(frames + 1):
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(trajectory / "image_left" / f"{index:06d}_left.png")
        depth_m = random.uniform(1, 20, size).astype(np.float32)
        np.save(trajectory / "depth_left" / f"{index:06d}_left_depth.npy", depth_m)


def small(folder: Path, args: argparse.Namespace) -> Any:
    """The recipe with its own everything but weights, data, sizes and batches."""
    from dvd.train.recipes import PAPER
    from dvd.train.settings import Mixture, SourceSettings

    mixture = Mixture("paired", video_batch=1, image_batch=1, frames=args.frames, sizes=(args.size,))
    return replace(
        PAPER,
        model=replace(PAPER.model, weights=str(folder / "base")),
        adaptation=replace(PAPER.adaptation, rank=args.rank, alpha=args.rank),
        sources=(SourceSettings("stills", "tartanair", "image"), SourceSettings("clips", "tartanair", "video")),
        phases=(replace(PAPER.phases[0], accumulate=1, mixture=mixture, steps=args.steps if args.export else 10_000),),
        validation=None,
        data=folder / "data",
        latents=folder / "latents" if args.cached else None,
        trackers=(),
        log_every=1,
    )


def train_once(folder: Path, args: argparse.Namespace) -> None:
    """One training of `args.steps` steps; prints what it took as JSON."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from dvd.train.dry_run import memory
    from dvd.train.engine import Stopped
    from dvd.train.loop import train
    from dvd.train.networks import outline

    torch.set_num_threads(args.threads)
    recipe = small(folder, args)
    started, peaks = time.perf_counter(), {"before": resident("VmRSS")}
    times: list[float] = []
    busy: list[float] = []

    def stepped(*_: Any) -> None:
        times.append(time.perf_counter())
        busy.append(time.process_time())
        if len(times) == 1:
            peaks["loading and first step"] = resident("VmHWM")
            Path("/proc/self/clear_refs").write_text("5")  # forgets the high-water mark
        if len(times) == args.steps:
            peaks["steps"] = resident("VmHWM")
            if not args.export:
                os.kill(os.getpid(), signal.SIGTERM)  # saves a checkpoint and ends

    register_optimizer_step_post_hook(stepped)
    name = "cached" if args.cached else "pixels"
    with suppress(Stopped):
        train(recipe, folder / name)
    peaks["saving and exporting" if args.export else "saving"] = resident("VmHWM")
    rows = [json.loads(line) for line in (folder / name / "history.jsonl").read_text().splitlines()]
    found = {
        "first_step_s": times[0] - started,
        "step_s": np.diff(times).tolist(),
        "step_cpu_s": np.diff(busy).tolist(),
        "peak_gib": peaks,
        "estimate_gib": memory(recipe, recipe.phases[0], outline(recipe), 1) / GIB,
        "loss": [round(row["video_loss"] + row["image_loss"], 5) for row in rows if "video_loss" in row],
    }
    print(json.dumps(found))


def cache_once(folder: Path, args: argparse.Namespace) -> None:
    """`dvd data cache` of the same recipe."""
    import torch

    from dvd.train.cache import cache

    torch.set_num_threads(args.threads)
    started = time.perf_counter()
    recipe = replace(small(folder, args), latents=None)
    clips = [path.name for path in cache(recipe, folder / "latents", folder / "scenes")]
    print(json.dumps({"cache_s": time.perf_counter() - started, "sources": clips}))


def resident(mark: str) -> float:
    """GiB of this process: VmRSS now, VmHWM at most since the mark was last forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith(mark))


def parts(args: argparse.Namespace) -> None:
    """Every part in a process of its own, so that none pays for another's memory."""
    from dvd.export import check_writable

    if args.folder is not None:
        check_writable(args.folder, overwrite=True, folder=True)
        args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="dvd-1.3b-") as name:
        folder = Path(name)
        small(folder, args)  # refuses what contradicts itself before the weights are made
        (folder / "base").mkdir()
        given = [item for item in sys.argv[1:] if not item.startswith("--part")]

        def part(which: str, *more: str) -> dict[str, Any]:
            done = subprocess.run(
                [sys.executable, __file__, *given, "--part", which, "--inside", name, *more],
                stdout=subprocess.PIPE,
                text=True,
            )
            if done.returncode == 2:
                raise SystemExit(2)  # it has said why
            done.check_returncode()
            return dict(json.loads(done.stdout.splitlines()[-1])) if done.stdout else {}

        part("weights")
        make_data(folder / "data", args.frames, args.size)
        found = {"pixels": part("train"), "cache": part("cache")}
        found["cached"] = part("train", "--cached")
    show(found, args)


def show(found: dict[str, Any], args: argparse.Namespace) -> None:
    """A table, and the ratio."""
    height, width = args.size
    print(
        f"LoRA {args.rank}, 1 video of {args.frames} frames and 1 image of {height} x {width}, {args.threads} threads"
    )
    for name in ("pixels", "cached"):
        row = found[name]
        steps, busy = (", ".join(f"{value:.2f}" for value in row[what]) for what in ("step_s", "step_cpu_s"))
        peaks = ", ".join(f"{what} {value:.2f}" for what, value in row["peak_gib"].items())
        first = f"the first, with loading, {row['first_step_s']:.1f}"
        print(f"{name:7} {steps} s/step (processor {busy}; {first}); losses {row['loss']}")
        ratio = row["estimate_gib"] / row["peak_gib"]["steps"]
        print(f"        GiB resident: {peaks}; estimate {row['estimate_gib']:.2f}, {ratio:.2f} of the steps' peak")
    ratio = np.median(found["pixels"]["step_s"]) / np.median(found["cached"]["step_s"])
    print(
        f"a step from pixels takes {ratio:.2f} times a step from latents (cached in {found['cache']['cache_s']:.1f} s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes")
    parser.add_argument("--rank", type=int, default=512)
    parser.add_argument("--frames", type=at_least(1), default=5)
    parser.add_argument("--size", type=pixels, default=(64, 80))
    parser.add_argument("--steps", type=at_least(2), default=3)
    parser.add_argument("--threads", type=at_least(1), default=1)
    parser.add_argument("--export", action="store_true", help="end the phase after the steps, and export the model")
    parser.add_argument("--cached", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=["weights", "train", "cache"], help=argparse.SUPPRESS)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    run(parser, work)


def work(args: argparse.Namespace) -> None:
    """The part that was asked for; without one, all of them."""
    if args.part == "weights":
        make_weights(args.inside / "base")
    elif args.part == "train":
        train_once(args.inside, args)
    elif args.part == "cache":
        cache_once(args.inside, args)
    else:
        parts(args)


if __name__ == "__main__":
    main()

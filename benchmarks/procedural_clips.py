"""Procedural test clips as an RGB-D recording, for `dvd eval rgbd=FOLDER`: scenes that no training run draws.

python benchmarks/procedural_clips.py FOLDER [--clips 24] [--frames 17] [--size 192x256] [--textures PHOTOS]

Depth is exact to the millimetre up to 65 m; farther, and sky, is unknown, as a sensor would have it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from command import at_least, pixels, run
from PIL import Image

from dvd.export import check_writable
from dvd.scenes import render

FIRST_SEED = 20_000_000
"""Far from the seeds of every recipe."""
FARTHEST_MM = 65_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=at_least(1), default=24)
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--size", type=pixels, default=(192, 256))
    parser.add_argument("--textures", type=Path)
    run(parser, write)


def write(args: argparse.Namespace) -> None:
    """Renders and stores every clip, and prints its folder."""
    check_writable(args.folder, overwrite=True, folder=True)
    for number in range(args.clips):
        clip = render(FIRST_SEED + number, args.frames, *args.size, textures=args.textures)[0]
        name = f"{number:03d}_{clip.family}_{clip.move}"
        for kind in ("rgb", "depth"):
            (args.folder / name / kind).mkdir(parents=True, exist_ok=True)
        for index, (rgb, depth_m) in enumerate(zip(clip.rgb, clip.depth_m, strict=True)):
            millimetres = np.round(1000 * np.where(np.isfinite(depth_m), depth_m, 0))
            stored = np.where(millimetres > FARTHEST_MM, 0, millimetres).astype(np.uint16)
            Image.fromarray(rgb).save(args.folder / name / "rgb" / f"{index:05d}.png")
            Image.fromarray(stored).save(args.folder / name / "depth" / f"{index:05d}.png")
        print(args.folder / name)


if __name__ == "__main__":
    main()

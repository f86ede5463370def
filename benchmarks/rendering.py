"""Frames per second of procedural scenes: `python benchmarks/rendering.py [--processes 2] [--size 192x256]`.

Renders into a temporary folder as training does, after a first run that compiles; prints images and clips per second.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from command import at_least, pixels, run

from dvd.scenes import write_shards


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", type=at_least(1), default=2)
    parser.add_argument("--size", type=pixels, default=(192, 256), metavar="HxW")
    parser.add_argument("--scenes", type=at_least(1), default=64, help="scenes per process")
    parser.add_argument("--textures", type=Path)
    run(parser, measure)


def measure(args: argparse.Namespace) -> None:
    """Prints one line per kind."""
    height, width = args.size
    for name, frames, views in (("images, four views a scene", 1, 4), ("clips of 17 frames", 17, 1)):
        with tempfile.TemporaryDirectory() as folder:
            count = (
                args.scenes * args.processes if frames == 1 else max(args.scenes * args.processes // 8, args.processes)
            )
            for repeat, seeds in enumerate((range(args.processes), range(1000, 1000 + count))):
                begin = time.perf_counter()
                write_shards(
                    Path(folder, str(repeat)),
                    seeds,
                    frames,
                    height,
                    width,
                    views,
                    args.processes,
                    args.textures,
                    scenes_per_shard=-(-len(seeds) // args.processes),
                )
                took = time.perf_counter() - begin
        print(f"{name}, {height} × {width}, {args.processes} processes: {count * frames * views / took:.0f} frames/s")


if __name__ == "__main__":
    main()

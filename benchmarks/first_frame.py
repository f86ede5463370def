"""Seconds from pressing Enter to the first finished frame on disk, in a process of its own, and end-to-end speed.

python benchmarks/first_frame.py CLIP [--size 192x256] [--model dvd-mini] [--repeat 3]

Runs `dvd predict CLIP --format png16` and watches the folder that it writes to for its first whole frame.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from command import at_least, check, run


def first_frame(clip: str, size: str, model: str) -> tuple[float, float, int]:
    """(seconds to the first frame, seconds in all, frames)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("dvd")), "predict", clip, "-o", folder, "--format", "png16"]
        command += ["--size", size, "--model", model]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seen = math.inf
        while process.poll() is None:
            if seen == math.inf and any(path.stat().st_size > 0 for path in Path(folder).rglob("*.png")):
                seen = time.perf_counter() - started
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        frames = len(list(Path(folder).rglob("*.png")))
        check(process)
        return min(seen, seconds), seconds, frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--size", default="192x256")
    parser.add_argument("--model", default="dvd-mini")
    parser.add_argument("--repeat", type=at_least(1), default=3)
    run(parser, measure)


def measure(args: argparse.Namespace) -> None:
    """Runs it several times and prints the medians."""
    runs = [first_frame(args.clip, args.size, args.model) for _ in range(args.repeat)]
    print(f"first frame on disk after {median(seen for seen, _, _ in runs):.2f} s")
    print(f"{median(frames / seconds for _, seconds, frames in runs):.1f} frames/s, start-up included")


if __name__ == "__main__":
    main()

"""Peak resident memory of `dvd predict` on long 1080p videos: it must not grow with length.

python benchmarks/memory.py [--frames 1500 3000] [--height 1080 --width 1920] [--model dvd-mini]

Makes a moving synthetic video of each length, runs the installed command on it in a process of its own, and prints
the peak memory of that process, the time and the frames per second.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from command import at_least, check, run

from dvd.backbones import registry
from dvd.errors import OptionError


def make_video(path: Path, frames: int, height: int, width: int) -> None:
    """A slow pan over noise and boxes; cheap to encode, and no two frames are alike."""
    if height % 2 or width % 2:
        raise OptionError(f"a video of {height} × {width} cannot be made; both sides must be even")
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (-(-height // 8), -(-width // 4), 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"preset": "ultrafast", "crf": "30"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            left = (2 * index) % (wide.shape[1] - width)
            view = np.ascontiguousarray(wide[:height, left : left + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode())


def predict(video: Path, out: Path, model: str) -> tuple[float, float]:
    """(peak resident megabytes, seconds) of one `dvd predict`."""
    command = [str(Path(sys.executable).with_name("dvd")), "predict", str(video), "-o", str(out), "--model", model]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, resident_peak(process.pid))
        time.sleep(0.1)
    seconds = time.perf_counter() - started
    check(process)
    return peak, seconds


def resident_peak(process: int) -> float:
    """Megabytes; the kernel's own high-water mark, which a child does not inherit as it does `ru_maxrss`."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=at_least(1), nargs="+", default=[1500, 3000])
    parser.add_argument("--height", type=at_least(2), default=1080)
    parser.add_argument("--width", type=at_least(2), default=1920)
    parser.add_argument("--model", default="dvd-mini")
    run(parser, measure)


def measure(args: argparse.Namespace) -> None:
    """Prints one line per length."""
    if not Path(args.model).expanduser().exists():
        registry.find(args.model)  # a mistyped name shows before the long video is made
    print(f"{'frames':>8}{'peak MB':>10}{'seconds':>10}{'frames/s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for frames in args.frames:
            video, out = Path(folder, f"{frames}.mp4"), Path(folder, f"{frames}_disparity.mp4")
            make_video(video, frames, args.height, args.width)
            peak, seconds = predict(video, out, args.model)
            print(f"{frames:8}{peak:10.0f}{seconds:10.1f}{frames / seconds:10.1f}", flush=True)


if __name__ == "__main__":
    main()

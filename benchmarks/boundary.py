"""Scale-invariant boundary scores, vectorised against a plain Python loop, side by side: value, milliseconds, ratio.

python benchmarks/boundary.py [--size 480x640] [--repeats 5] [--json]

The loop is written from the definition alone (Bochkovskii et al. 2024) over lists of Python floats, one pixel after the
other, without a library; the lists are made before its time is taken. Both get the same float64 frame: random boxes
before a slanted plane, predicted with noise and one pixel aside. One thread; the median of the repeats, the loop's
fewer than ours where it is slow.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np

from dvd import metrics

Rows = list[list[float]]
Flags = list[list[bool]]
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Down and right, from a pixel to its neighbour."""
THRESHOLDS = [1.05 + 0.2 * k / 9 for k in range(10)]


def loop_f1(depth_m: Rows, truth_m: Rows) -> float:
    """Boundary F1 of one frame, pixel by pixel."""
    height, width = len(depth_m), len(depth_m[0])
    near = [[1 / max(value, 1e-6) for value in row] for row in depth_m]
    true_near = [[1 / max(value, 1e-6) for value in row] for row in truth_m]
    precision, recall = [0.0] * 10, [0.0] * 10
    for down, right in STEPS:
        found, true, agreed = [0] * 10, [0] * 10, [0] * 10
        for y in range(max(0, -down), height - max(0, down)):
            for x in range(max(0, -right), width - max(0, right)):
                leap = near[y + down][x + right] / near[y][x]
                true_leap = true_near[y + down][x + right] / true_near[y][x]
                for k, threshold in enumerate(THRESHOLDS):
                    if leap <= threshold and true_leap <= threshold:
                        break
                    if leap > threshold:
                        found[k] += 1
                    if true_leap > threshold:
                        true[k] += 1
                    if leap > threshold and true_leap > threshold:
                        agreed[k] += 1
        for k in range(10):
            precision[k] += agreed[k] / max(found[k], 1) / 4
            recall[k] += agreed[k] / max(true[k], 1) / 4
    total = 0.0
    for k, threshold in enumerate(THRESHOLDS):
        if precision[k] + recall[k] > 0:
            total += threshold * 2 * precision[k] * recall[k] / (precision[k] + recall[k])
    return total / sum(THRESHOLDS)


def loop_recall(depth_m: Rows, foreground: Flags) -> float:
    """Boundary recall of one frame against a matte, pixel by pixel."""
    height, width = len(depth_m), len(depth_m[0])
    near = [[1 / max(value, 1e-6) for value in row] for row in depth_m]
    total = 0.0
    for down, right in STEPS:
        lines = height if right else width
        length = (width if right else height) - 1
        leaps, contours = [], []
        for line in range(lines):
            for place in range(length):
                # The pixel from which the step starts, so that step and its end lie inside.
                along = place + (1 if down + right < 0 else 0)
                y, x = (line, along) if right else (along, line)
                leaps.append(near[y + down][x + right] / near[y][x])
                contours.append(foreground[y + down][x + right] and not foreground[y][x])
        wanted = sum(contours)
        for threshold in THRESHOLDS:
            met = 0
            for line in range(lines):
                place, end = line * length, (line + 1) * length
                while place < end:
                    if leaps[place] <= threshold:
                        place += 1
                        continue
                    peak = place
                    while place < end and leaps[place] > threshold:
                        if leaps[place] > leaps[peak]:
                            peak = place
                        place += 1
                    met += contours[peak]
            total += threshold * met / max(wanted, 1) / 4
    return total / sum(THRESHOLDS)


def scene(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted and true depth, metres, and a foreground mask, `H W`."""
    rng = np.random.default_rng(seed)
    truth_m = np.linspace(9, 5, height)[:, None] + np.linspace(0, 1, width)
    tallest, widest = max(5, height // 3), max(5, width // 3)
    for box in range(40):
        top, left = rng.integers(0, height), rng.integers(0, width)
        truth_m[top : top + rng.integers(4, tallest), left : left + rng.integers(4, widest)] = 5 - box / 10
    depth_m = np.roll(truth_m, 1, axis=1) * rng.normal(1, 0.02, truth_m.shape).clip(0.9, 1.1)
    depth_m[:, : width // 2] = truth_m[:, : width // 2] * rng.normal(1, 0.01, (height, width // 2))
    return depth_m, truth_m, truth_m < 3


def timed(work: Callable[[], float], repeats: int) -> tuple[float, float]:
    """(value, median seconds)."""
    took = []
    for _ in range(repeats):
        begin = time.perf_counter()
        value = work()
        took.append(time.perf_counter() - begin)
    return value, statistics.median(took)


def main() -> None:
    """Reads the command line."""
    from command import at_least, pixels, run  # lies beside this file; the tests take the loops from elsewhere

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=pixels, default=(480, 640), metavar="HxW")
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--json", action="store_true")
    run(parser, compare)


def compare(args: argparse.Namespace) -> None:
    """Prints one line per score."""
    depth_m, truth_m, front = scene(*args.size)
    rows, true_rows, flags = depth_m.tolist(), truth_m.tolist(), front.tolist()
    pairs = {
        "si_boundary_f1": (lambda: metrics.si_boundary_f1(depth_m, truth_m), lambda: loop_f1(rows, true_rows)),
        "si_boundary_recall": (lambda: metrics.si_boundary_recall(depth_m, front), lambda: loop_recall(rows, flags)),
    }
    found = {}
    for name, (ours, loop) in pairs.items():
        ours()  # warms the caches
        value, seconds = timed(ours, args.repeats)
        looped, loop_seconds = timed(loop, min(args.repeats, 3))
        found[name] = {
            "value": value,
            "loop_value": looped,
            "milliseconds": 1000 * seconds,
            "loop_milliseconds": 1000 * loop_seconds,
            "times_faster": loop_seconds / seconds,
        }
    if args.json:
        print(json.dumps({"size": args.size, "numpy": np.__version__, "scores": found}, indent=1))
        return
    for name, row in found.items():
        print(
            f"{name:20}{row['value']:.12f} in {row['milliseconds']:6.1f} ms; loop {row['loop_value']:.12f} in "
            f"{row['loop_milliseconds']:8.1f} ms; {row['times_faster']:.0f} times faster"
        )


if __name__ == "__main__":
    main()

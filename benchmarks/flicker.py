"""How much disparity flickers where nothing moves: still stretches of a real clip, and one of its frames repeated.

python benchmarks/flicker.py CLIP [--model dvd-mini] [--window N] [--overlap N] [--still 2.0] [--repeat 60]

A stretch is still where the mean absolute difference of neighbouring frames stays below --still (of 255) for at least
--least frames. Printed are, over the neighbouring frames of the stretches: the root mean square change of disparity, in
percent of the range from its 2 % to its 98 % quantile; the relative temporal difference (Eq. of the release, truth that
stands still), with that range taken as 10 m … 1 m; and the same where two windows meet, for a seam shows there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from command import at_least, run
from numpy.typing import NDArray

import dvd
from dvd import metrics

FAR_M, NEAR_M = 10.0, 1.0


def stretches(frames: Sequence[NDArray], still: float, least: int) -> Iterator[tuple[int, int]]:
    """[start, stop) of every stretch of at least `least` frames in which nothing moves."""
    start = 0
    for index in range(1, len(frames) + 1):
        if index == len(frames) or _difference(frames[index - 1], frames[index]) >= still:
            if index - start >= least:
                yield start, index
            start = index


def changes(disparity: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
    """For each pair of neighbouring frames of `T H W`: root mean square change in % of the range, and RTD."""
    low, high = np.quantile(disparity[::4], (0.02, 0.98))
    inverse = (disparity - low) / (high - low) * (1 / NEAR_M - 1 / FAR_M) + 1 / FAR_M
    depth = 1 / np.clip(inverse, 1 / (2 * FAR_M), None)
    still, everywhere = np.ones_like(depth[:2]), np.ones_like(depth[:2], bool)
    pairs = range(len(disparity) - 1)
    ranges = [100 * float(np.sqrt(np.mean(np.diff(disparity[t : t + 2], axis=0) ** 2))) / (high - low) for t in pairs]
    relative = [metrics.pair_temporal_difference(depth[t : t + 2], still, everywhere) for t in pairs]
    return np.array(ranges), np.array(relative)


def report(title: str, disparity: NDArray[np.float32], parts: Sequence[tuple[int, int]], seams: set[int]) -> None:
    inside, joints = [], []
    for start, stop in parts:
        for offset, pair in enumerate(zip(*changes(disparity[start:stop]), strict=True)):
            (joints if start + offset + 1 in seams else inside).append(pair)
    shown = f"{title}: {sum(stop - start for start, stop in parts)} frames"
    for where, values in (("within windows", inside), ("in overlaps", joints)):
        if values:
            change, relative = np.mean(values, axis=0)
            shown += f"; {where} {change:.2f} % of the range, RTD {relative:.4f} ({len(values)} pairs)"
    print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default="dvd-mini")
    parser.add_argument("--window", type=int)
    parser.add_argument("--overlap", type=int)
    parser.add_argument("--still", type=float, default=2.0)
    parser.add_argument("--least", type=at_least(1), default=20)
    parser.add_argument("--repeat", type=at_least(2), default=60)
    run(parser, measure)


def measure(args: argparse.Namespace) -> None:
    """Prints one line for the still stretches and one for the repeated frame."""
    with dvd.open_video(args.clip) as video:
        frames = [frame.rgb for frame in video]
    model = dvd.load(args.model)
    settings = {"window": args.window, "overlap": args.overlap}
    parts = list(stretches(frames, args.still, args.least))
    if parts:
        disparity, seams = _predicted(model, frames, settings)
        report(f"{args.clip.name}, {len(parts)} still stretches", disparity, parts, seams)
    else:
        print(f"{args.clip.name}: no {args.least} frames in a row differ by less than {args.still:g} of 255")
    disparity, seams = _predicted(model, [frames[0]] * args.repeat, settings)
    report(f"its first frame repeated {args.repeat} times", disparity, [(0, args.repeat)], seams)


def _predicted(model: dvd.DVD, frames: Sequence[NDArray], settings: dict) -> tuple[NDArray[np.float32], set[int]]:
    """Disparity at a quarter of the source's size or so, and the frames in which two windows are blended."""
    stream = model.stream(frames, values_at="network", **settings)
    disparity = np.concatenate([chunk.disparity for chunk in stream])
    return disparity, {frame for seam in stream.seams for frame in range(seam.start, seam.stop + 1)}


def _difference(one: NDArray, other: NDArray) -> float:
    return float(np.mean(np.abs(one[::4, ::4].astype(np.int16) - other[::4, ::4])))


if __name__ == "__main__":
    main()

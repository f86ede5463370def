"""AbsRel and δ1 of a model and of two trivial priors on labelled real clips, one scale and shift per clip.

python benchmarks/labelled.py FOLDER [--model dvd-mini] [--size 192x256] [--sheet out.png] [--json]

FOLDER holds one folder per clip: rgb|color/*.jpg|png with depth/*.png (uint16 millimetres, 0 invalid), or TartanAir's
own layout. Valid truth: 0.1 … 10 m. Alignment: least squares in disparity over all valid pixels of all frames.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image

import dvd
from dvd import metrics

RANGE_M = (0.1, 10.0)


def clips(folder: Path) -> list[tuple[str, list[Path], list[Path]]]:
    """(name, RGB files, depth files) of every clip below `folder`."""
    found = []
    for clip in sorted(path for path in folder.iterdir() if path.is_dir()):
        depth = sorted(clip.glob("depth/*.png")) or sorted(clip.rglob("depth_left/*.npy"))
        rgb = sorted([*clip.glob("rgb/*"), *clip.glob("color/*")]) or sorted(clip.rglob("image_left/*.png"))
        if depth and len(rgb) == len(depth):
            found.append((clip.name, rgb, depth))
    return found


def read_depth_m(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path).astype(np.float32)
    return np.asarray(Image.open(path)).astype(np.float32) / 1000


def scores(disparity: np.ndarray, truth_m: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    depth_m = metrics.align(disparity, truth_m, mask, RANGE_M)
    return {"abs_rel": metrics.abs_rel(depth_m, truth_m, mask), "delta1": metrics.delta1(depth_m, truth_m, mask)}


def per_frame(disparity: np.ndarray, truth_m: np.ndarray, mask: np.ndarray) -> float:
    """AbsRel with one scale and shift per frame: what remains when the scale may wander."""
    return float(
        np.mean(
            [
                scores(disparity[i : i + 1], truth_m[i : i + 1], mask[i : i + 1])["abs_rel"]
                for i in range(len(disparity))
            ]
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="dvd-mini")
    parser.add_argument("--size", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--window", type=int, default=None)
    parser.add_argument("--overlap", type=int, default=None)
    parser.add_argument("--sheet", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    size = tuple(int(side) for side in args.size.split("x")) if args.size else None
    model = dvd.load(args.model, dtype=args.dtype)
    rows, shown = {}, []
    for name, rgb_files, depth_files in clips(args.folder):
        rgb = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in rgb_files])
        truth_m = np.stack([read_depth_m(path) for path in depth_files])
        mask = (truth_m > RANGE_M[0]) & (truth_m < RANGE_M[1])
        keep = mask.any(axis=(1, 2))
        started = time.perf_counter()
        disparity = model.predict(rgb, size=size, window=args.window, overlap=args.overlap)
        seconds = time.perf_counter() - started
        rows_prior = np.broadcast_to(np.arange(1, rgb.shape[1] + 1, dtype=np.float32)[:, None], truth_m.shape)
        guesses = {"model": disparity, "row": rows_prior, "constant": _constant(truth_m, mask)}
        rows[name] = {kind: scores(d[keep], truth_m[keep], mask[keep]) for kind, d in guesses.items()}
        rows[name]["model"]["abs_rel_per_frame"] = per_frame(disparity[keep], truth_m[keep], mask[keep])
        rows[name]["frames_per_second"] = len(rgb) / seconds
        shown += [(rgb[i], disparity[i], truth_m[i]) for i in (0, len(rgb) // 2)]
    if args.sheet:
        sheet(shown, args.sheet)
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'clip':18}{'model':>16}{'per frame':>11}{'row':>16}{'constant':>16}  frames/s")
    for name, row in rows.items():
        print(f"{name:18}{_pair(row['model'])}{row['model']['abs_rel_per_frame']:11.3f}", end="")
        print(f"{_pair(row['row'])}{_pair(row['constant'])}{row['frames_per_second']:10.1f}")
    mean = {
        kind: {key: float(np.mean([row[kind][key] for row in rows.values()])) for key in ("abs_rel", "delta1")}
        for kind in ("model", "row", "constant")
    }
    print(f"{'mean':18}{_pair(mean['model'])}{'':11}{_pair(mean['row'])}{_pair(mean['constant'])}")


def _constant(truth_m: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The best constant: the mean disparity of the truth, which is what a fit without variance leaves."""
    return np.full_like(truth_m, np.mean(1 / truth_m[mask]))


def _pair(values: dict[str, float]) -> str:
    return f"{values['abs_rel']:9.3f} /{values['delta1']:5.3f}"


def sheet(shown: list[tuple[np.ndarray, np.ndarray, np.ndarray]], path: Path) -> None:
    """RGB, prediction and truth side by side, one row per frame shown."""
    lines = []
    for rgb, disparity, truth_m in shown:
        near = np.where(truth_m > 0, 1 / np.maximum(truth_m, 1e-3), 0)
        tiles = [rgb, *(np.repeat(_stretch(image)[..., None], 3, 2) for image in (disparity, near))]
        lines.append(np.concatenate([np.asarray(Image.fromarray(tile).resize((256, 192))) for tile in tiles], 1))
    columns = [np.concatenate(lines[i::2], 0) for i in (0, 1)]
    Image.fromarray(np.concatenate(columns, 1)).save(path)


def _stretch(image: np.ndarray) -> np.ndarray:
    low, high = np.quantile(image[image > 0], (0.02, 0.98)) if (image > 0).any() else (0, 1)
    return (np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    main()

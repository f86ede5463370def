"""Frames of a clip with what each model makes of them, one row per model, for the eye.

python benchmarks/model_grid.py CLIP OUT.png MODEL... [--frames 6] [--start S] [--end S] [--width 240]

CLIP is what `dvd predict` takes. A row has one range of colours over the frames shown; red is near.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from command import at_least, run
from numpy.typing import NDArray
from PIL import Image

import dvd
from dvd.errors import OptionError
from dvd.export import check_writable
from dvd.export.display import colour_levels, robust_range, to_levels

GAP = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--frames", type=at_least(1), default=6)
    parser.add_argument("--start", default=None)
    parser.add_argument("--end", default=None)
    parser.add_argument("--width", type=at_least(1), default=240)
    run(parser, draw)


def draw(args: argparse.Namespace) -> None:
    """Reads, predicts with every model, writes the sheet."""
    if args.out.suffix.lower() not in Image.registered_extensions():
        raise OptionError(f"{args.out}: its ending names no kind of picture; give a name such as grid.png")
    check_writable(args.out, overwrite=True)
    with dvd.open_video(args.clip, args.start, args.end) as video:
        frames = [frame.rgb for frame in video]
    shown = np.linspace(0, len(frames) - 1, args.frames).round().astype(int)
    rows = [[frames[index] for index in shown]]
    for model in args.models:
        disparity = dvd.load(model).predict(frames)
        rows.append(coloured([disparity[index] for index in shown]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    grid(rows, args.width).save(args.out)
    print(f"{args.out}: frames {', '.join(map(str, shown))}; RGB, {', '.join(args.models)}")


def coloured(disparity: list[NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    """One range for all of the row."""
    low, high = robust_range(disparity)
    return [colour_levels(to_levels(frame, low, high), "turbo")[..., :3] for frame in disparity]


def grid(rows: list[list[NDArray[np.uint8]]], width: int) -> Image.Image:
    """Pictures in rows, on white."""
    tall, wide = rows[0][0].shape[:2]
    height = round(width * tall / wide)
    sheet = Image.new("RGB", (GAP + len(rows[0]) * (width + GAP), GAP + len(rows) * (height + GAP)), "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            small = Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), Image.Resampling.BILINEAR)
            sheet.paste(small, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    return sheet


if __name__ == "__main__":
    main()

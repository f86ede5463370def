"""`dvd predict`: video, image or folder of frames in, disparity out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvd.apps.console import hushed, progress_bar
from dvd.apps.options import STITCHES, add_model_arguments, names, one_of
from dvd.errors import DVDError, OutputError

if TYPE_CHECKING:
    from dvd.export import ExportOptions
    from dvd.pipeline import Pipeline, Result
    from dvd.types import Shot, VideoInfo

FORMATS = ("mp4", "npz", "png16", "exr")
RANGES = ("global", "fixed", "rolling")
COLORMAPS = ("turbo", "gray", "viridis", "inferno", "magma", "plasma", "spectral")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dvd predict`."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="video, image, folder of frames, or a pattern such as 'shot_%%04d.png' or '*.jpg'",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="OUT",
        help="folder, or for one input and one format a file whose ending chooses the format",
    )
    add_model_arguments(parser)
    parser.add_argument("--tau", type=float, help="anchor of the network in [0, 1]; the models were trained at 0.5")
    parser.add_argument("--start", metavar="MOMENT", help="frame number (120), seconds (12.5) or clock (0:12)")
    parser.add_argument("--end", metavar="MOMENT", help="where to stop, that frame not included")
    parser.add_argument(
        "--format", type=names, action="extend", help=f"one or several of {','.join(FORMATS)} (default: mp4)"
    )
    parser.add_argument(
        "--range", type=one_of("range", RANGES), help=f"what mp4 spreads colours over: {', '.join(RANGES)}"
    )
    parser.add_argument(
        "--fixed-range", type=float, nargs=2, metavar=("FAR", "NEAR"), help="disparities that --range fixed shows (0 1)"
    )
    parser.add_argument("--colormap", type=one_of("colormap", COLORMAPS), help=f"of mp4: {', '.join(COLORMAPS)}")
    parser.add_argument("--grayscale", action="store_true", help="white is near, in place of colours")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="JSON",
        help="write every seam: scale, shift, R², error before and after",
    )
    parser.add_argument(
        "--stitch",
        type=one_of("way of stitching", STITCHES),
        default="default",
        help="default (begins anew at scene cuts), continuous (does not), least-squares (as default, fitted by "
        "Eq. 8–9; long shots lose contrast), or the release's ways: demo, benchmark",
    )


def run(args: argparse.Namespace) -> int:
    """Predicts every input; those that cannot be are reported and the others go on. Exit status 2 if there was one."""
    from dvd.export import check_writable
    from dvd.pipeline import load

    options = export_options(args)
    if args.report is not None:
        check_writable(args.report, args.overwrite)
    inputs, failed = _checked(args, options)
    results: list[Result] = []
    if inputs:
        pipeline = load(args.model, args.device, args.dtype)
        pipeline.settings(args.size, args.window, args.overlap, args.tau, args.stitch)
    for source, info in inputs.items():
        with _reporting(source, len(args.inputs), failed):
            results.append(_predict(source, info, pipeline, options, args))
            print(_summary(results[-1]))
    if args.report is not None and results:
        _write_report(args.report, results)
    return 2 if failed else 0


def export_options(args: argparse.Namespace) -> ExportOptions:
    """What was asked for; the rest as `ExportOptions` has it."""
    from dvd.export import ExportOptions

    given = {
        "range": args.range,
        "fixed_range": tuple(args.fixed_range) if args.fixed_range else None,
        "colormap": args.colormap,
        "grayscale": args.grayscale,
        "overwrite": args.overwrite,
    }
    return ExportOptions(**{name: value for name, value in given.items() if value is not None})


def _checked(args: argparse.Namespace, options: ExportOptions) -> tuple[dict[str, VideoInfo], list[str]]:
    """The inputs that can be read and written for, before minutes go into a model, and those that cannot."""
    good: dict[str, VideoInfo] = {}
    failed: list[str] = []
    taken: dict[Path, str] = {}
    if len(args.inputs) > 1:
        _check_folder(args.output)
    for source in dict.fromkeys(args.inputs):
        with _reporting(source, len(args.inputs), failed):
            info = _glance(source, args.start, args.end)
            _check_outputs(source, info, args, options, taken)
            good[source] = info
    return good, failed


@contextmanager
def _reporting(source: str, count: int, failed: list[str]) -> Iterator[None]:
    """Among several inputs, one that fails is reported and noted; a single one ends the command."""
    try:
        yield
    except DVDError as error:
        if count == 1:
            raise
        failed.append(source)
        print(f"dvd: {error}", file=sys.stderr)


def _glance(source: str, start: str | None, end: str | None) -> VideoInfo:
    """What is known after the first frame; its warnings will come when the input is really read."""
    from dvd.video import open_video

    with hushed(), open_video(source, start, end) as video:
        return video.info


def _check_folder(out: Path) -> None:
    from dvd.export import format_of

    if not out.is_dir() and format_of(out) is not None:
        raise OutputError(f"{out}: is one file but there are several inputs; give a folder")


def _check_outputs(
    source: str, info: VideoInfo, args: argparse.Namespace, options: ExportOptions, taken: dict[Path, str]
) -> None:
    from dvd.export import check_writable
    from dvd.outputs import place, sidecar_place

    places = [*place(args.output, info, args.format).values(), sidecar_place(args.output, info)]
    for path in places:
        if path in taken:
            raise OutputError(f"{source}: {path} is where {taken[path]} goes; give each its own folder with -o")
        if not (options.overwrite and path.exists()):
            check_writable(path, options.overwrite, info.path)
    taken.update(dict.fromkeys(places, source))


def _predict(
    source: str, info: VideoInfo, pipeline: Pipeline, options: ExportOptions, args: argparse.Namespace
) -> Result:
    from dvd.pipeline import predict_file

    with progress_bar(info) as progress:
        return predict_file(
            source,
            args.output,
            pipeline,
            args.format,
            start=args.start,
            end=args.end,
            size=args.size,
            window=args.window,
            overlap=args.overlap,
            tau=args.tau,
            stitch=args.stitch,
            options=options,
            progress=progress,
        )


def _summary(result: Result) -> str:
    record = result.record
    doubtful = sum(not seam.trusted for seam in record.seams)
    seams = f", {doubtful} of {len(record.seams)} seams not trusted" if doubtful else ""
    wandering = [shot for shot in record.shots if not shot.steady]
    if wandering:
        seams += f", scale wanders ({_ranges(wandering)})"
    rate = record.frames / result.seconds
    where = ", ".join(str(path) for path in (*result.outputs, result.sidecar))
    frames = "1 frame" if record.frames == 1 else f"{record.frames} frames"
    return f"{record.source}: {frames} in {result.seconds:.1f} s ({rate:.1f} per second){seams} → {where}"


def _ranges(shots: list[Shot]) -> str:
    """The frames and scales of the shots, of many only the first three."""
    told = [f"{shot.scale[0]:.2f} … {shot.scale[1]:.2f} in frames {shot.start}–{shot.stop - 1}" for shot in shots[:3]]
    more = [f"{len(shots) - 3} more shots"] if len(shots) > 3 else []
    return "; ".join([*told, *more])


def _write_report(path: Path, results: list[Result]) -> None:
    from dataclasses import asdict

    from dvd.export import write_sidecar

    def facts(result: Result) -> dict[str, Any]:
        kept = ("source", "model", "frames", "window", "overlap", "stitch", "fit")
        joints = {name: [asdict(each) for each in getattr(result.record, name)] for name in ("shots", "seams")}
        return {name: getattr(result.record, name) for name in kept} | {"cuts": result.record.cuts} | joints

    fit = "aligned = scale · window + shift, in disparity, to the scale of the shot's first window"
    write_sidecar(path, {"fit": fit, "inputs": [facts(result) for result in results]})
    print(f"seams → {path}")

"""`dvd predict`: video, image or folder of frames in, disparity out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvd.apps.console import announce, hushed, progress_bar
from dvd.apps.options import add_model_arguments, add_tau, check_values, names, one_of
from dvd.errors import DVDError, OptionError, OutputError
from dvd.names import COLORMAPS, FORMATS, RANGES, STITCHES, VALUES_AT

if TYPE_CHECKING:
    from dvd.export import ExportOptions
    from dvd.pipeline import DVD, Result
    from dvd.stream import StreamOptions
    from dvd.types import Shot, VideoInfo
    from dvd.video import PipeCopy

RAW_VALUE_OPTIONS = ("values_at", "half", "compress")
"""Options that are refused where no format is asked for that reads them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dvd predict`."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="video, image, folder of frames, a pattern such as 'shot_%%04d.png' or '*.jpg', or - for standard input",
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
    add_tau(parser)
    parser.add_argument("--start", metavar="MOMENT", help="frame number (120), seconds (12.5) or clock (0:12)")
    parser.add_argument("--end", metavar="MOMENT", help="where to stop, that frame not included")
    parser.add_argument(
        "--format", type=names, action="extend", help=f"one or several of {','.join(FORMATS)} (default: mp4)"
    )
    parser.add_argument(
        "--range",
        type=one_of("range", RANGES),
        help="the disparities that an mp4's colours span: one range per shot, global, fixed, or rolling, which is "
        "encoded while the shot still runs but pumps (default: shot)",
    )
    parser.add_argument(
        "--fixed-range", type=float, nargs=2, metavar=("FAR", "NEAR"), help="disparities that --range fixed shows (0 1)"
    )
    parser.add_argument(
        "--colormap", type=one_of("colormap", COLORMAPS), help=f"of mp4: {', '.join(COLORMAPS)} (default: turbo)"
    )
    parser.add_argument("--grayscale", action="store_true", help="white is near, in place of colours")
    parser.add_argument(
        "--values-at",
        type=one_of("size of raw values", VALUES_AT),
        help=f"the size of raw values: {', '.join(VALUES_AT)} (default: network where it has at most a quarter of the "
        "source's pixels)",
    )
    parser.add_argument("--half", action="store_true", help="raw values as float16 (npz, exr)")
    parser.add_argument(
        "--compress",
        action=argparse.BooleanOptionalAction,
        help="npz compressed by bzip2, without loss (default: where that at least halves the file)",
    )
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
    """Predict every input. One that fails is reported and the others go on; the exit status is then 2."""
    check_values(args, [args.model])
    announce(args.inputs, args.model)

    from dvd.export import check_writable

    options = export_options(args)
    _refuse_unread(args)
    args.inputs = _expanded(args.inputs)
    if args.report is not None:
        check_writable(args.report, args.overwrite)
    inputs, failed = _checked(args, options)
    results: list[Result] = []
    if inputs:
        from dvd.pipeline import load
        from dvd.stream import StreamOptions

        model = load(args.model, args.device, args.dtype)
        stream = StreamOptions(args.size, args.window, args.overlap, args.tau, args.stitch)
        settled = model.settle(stream)
        # Rounded here, so that the warning is shown once and not for every input.
        stream = stream.but(window=settled.window, overlap=settled.overlap)
    for name, (source, info) in inputs.items():
        with _reporting(name, len(args.inputs), failed):
            results.append(_predict(source, info, model, stream, options, args))
            print(_summary(results[-1]))
    if args.report is not None and results:
        _write_report(args.report, results)
    return 2 if failed else 0


def _expanded(inputs: list[str]) -> list[str]:
    """Replace a pattern that matches videos by these videos, as a shell does with an unquoted pattern."""
    from dvd.video.sources import matching_videos

    return [name for source in inputs for name in (list(map(str, matching_videos(source))) or [source])]


def export_options(args: argparse.Namespace) -> ExportOptions:
    """Return the given options as `ExportOptions`; options not given keep their defaults."""
    from dvd.export import ExportOptions

    given = {
        "range": args.range,
        "fixed_range": tuple(args.fixed_range) if args.fixed_range else None,
        "colormap": args.colormap,
        "grayscale": args.grayscale,
        "overwrite": args.overwrite,
        "values_at": args.values_at,
        "half": args.half,
        "compress": args.compress,
    }
    return ExportOptions(**{name: value for name, value in given.items() if value is not None})


def _refuse_unread(args: argparse.Namespace) -> None:
    """Raise OptionError for an option of raw values that no format asked for reads."""
    from dvd.export import format_of, formats_reading
    from dvd.outputs import DEFAULT_FORMAT

    chosen = None if args.output.is_dir() else format_of(args.output)
    formats = args.format or [chosen or DEFAULT_FORMAT]
    for name in RAW_VALUE_OPTIONS:
        readers = formats_reading(name)
        if getattr(args, name) not in (None, False) and not set(readers) & set(formats):
            raise OptionError(
                f"--{name.replace('_', '-')} is for {' and '.join(readers)}, and {', '.join(formats)} is asked for; "
                f"add --format {readers[0]}"
            )


def _checked(
    args: argparse.Namespace, options: ExportOptions
) -> tuple[dict[str, tuple[str | Path | PipeCopy, VideoInfo]], list[str]]:
    """Return the inputs that can be read and whose outputs can be written, and the names of the others.

    This takes place before the model is loaded. Inputs that can be read only once are copied, for this check and for
    the run.
    """
    from dvd.video import readable_again

    good: dict[str, tuple[str | Path | PipeCopy, VideoInfo]] = {}
    failed: list[str] = []
    taken: dict[Path, str] = {}
    if len(args.inputs) > 1:
        _check_folder(args.output)
    for source in dict.fromkeys(args.inputs):
        with _reporting(source, len(args.inputs), failed):
            again = readable_again(source)
            info = _probe(again, args.start, args.end)
            _check_outputs(source, info, args, options, taken)
            good[source] = again, info
    return good, failed


@contextmanager
def _reporting(source: str, count: int, failed: list[str]) -> Iterator[None]:
    """Report an input that fails and note it in `failed`; if it is the only input, let the error end the command."""
    try:
        yield
    except DVDError as error:
        if count == 1:
            raise
        failed.append(source)
        print(f"dvd: {error}", file=sys.stderr)


def _probe(source: str | Path | PipeCopy, start: str | None, end: str | None) -> VideoInfo:
    """Read the first frame only, without warnings: they are shown when the whole input is read."""
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
    from dvd.outputs import check_outputs

    paths = check_outputs(args.output, info, args.format, options)
    for path in paths:
        if path in taken:
            raise OutputError(f"{source}: {path} is where {taken[path]} goes; give each its own folder with -o")
    taken.update(dict.fromkeys(paths, source))


def _predict(
    source: str | Path | PipeCopy,
    info: VideoInfo,
    model: DVD,
    stream: StreamOptions,
    options: ExportOptions,
    args: argparse.Namespace,
) -> Result:
    from dvd.pipeline import predict_file

    with progress_bar(info.name, info.frame_count) as progress:
        return predict_file(
            source,
            args.output,
            model,
            args.format,
            start=args.start,
            end=args.end,
            stream=stream,
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
    """Return the scale ranges and frames of the shots, at most three of them."""
    ranges = [f"{shot.scale[0]:.2f} … {shot.scale[1]:.2f} in frames {shot.start}–{shot.stop - 1}" for shot in shots[:3]]
    more = [f"{len(shots) - 3} more shots"] if len(shots) > 3 else []
    return "; ".join([*ranges, *more])


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

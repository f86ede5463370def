"""`dvd data`: list the known data sets, check one on disk, encode a recipe's clips."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dvd.apps.console import progress_bar
from dvd.apps.options import PARSER

if TYPE_CHECKING:
    from dvd.data.check import Report
    from dvd.data.layouts import LayoutSource

T = TypeVar("T")
SHOWN = 10
"""Number of missing or broken files that are named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `dvd data`."""
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    for name, (summary, declare, act) in SUBCOMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, **PARSER)
        declare(command)
        command.set_defaults(act=act)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand."""
    return args.act(args)


def _declare_list(_: argparse.ArgumentParser) -> None:
    """Add no options: `dvd data list` has none."""


def _list(_: argparse.Namespace) -> int:
    """Print every known data set with its folders, range and licence."""
    from dvd.data.layouts import LAYOUTS

    for layout in LAYOUTS.values():
        low, high = layout.range_m
        print(f"{layout.name}: {layout.summary}")
        print(f"  images  ROOT/{layout.example[0]}")
        print(f"  depth   ROOT/{layout.example[1]}")
        print(f"  range   {low:g} … {high:g} m, depth outside it is {layout.outside}")
        if used := layout.framing.describe():
            print(f"  used    {used}")
        print(f"  licence {layout.licence}; {layout.source}\n")
    print("Is one on disk whole?  dvd data check NAME ROOT")
    return 0


def _declare_check(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Says which files of a data set are there, missing or broken. Exit status 0: usable and whole, apart from "
        "scenes that were never fetched; 2: something to repair."
    )
    parser.add_argument("name", metavar="NAME", help="a data set that `dvd data list` shows")
    parser.add_argument("root", metavar="ROOT", type=Path, help="its folder, or that of one scene or sequence")
    parser.add_argument("--all", action="store_true", help="read every frame, not only a sample")
    parser.add_argument("--list", action="store_true", help="list scenes, sequences and frames")
    parser.add_argument("--per-metre", type=float, metavar="N", help="stored depth units a metre, if not the usual")


def _check(args: argparse.Namespace) -> int:
    """Print the report, with the verdict on the last line."""
    from dvd.data.check import inspect
    from dvd.data.layouts import open_source

    source = open_source(args.name, args.root, split="all", per_metre=args.per_metre)
    print(f"{source.name} in {args.root}: {source.layout.summary}")
    if args.list:
        _print_listing(source)
    report = inspect(source, args.all, _progress)
    for line in _lines(source, report):
        print(line)
    print(_verdict(source, report))
    return 0 if report.whole else 2


def _print_listing(source: LayoutSource) -> None:
    from dvd.data.check import spans

    for sequence in source.sequences:
        lacking = sum(not pair.whole for pair in sequence.pairs)
        note = f"; {lacking} without depth" if lacking else ""
        print(f"  {sequence.scene}  {sequence.name}  {', '.join(spans(sequence.pairs))}{note}")


def _lines(source: LayoutSource, report: Report) -> Iterator[str]:
    yield f"scenes     {len(report.scenes)}: {_some(report.scenes)}"
    if report.unlisted_scenes:
        yield f"           not among those to train on: {_some(report.unlisted_scenes)}"
    if report.absent_scenes:
        names = report.absent_scenes
        count = names if isinstance(names, int) else len(names)
        listed = "" if isinstance(names, int) else f": {_some(names)}"
        yield f"           {count} published scenes are not here{listed}"
    if report.other_folders:
        yield f"           other folders: {_some(report.other_folders)}"
    lengths = sorted(len(sequence.pairs) for sequence in source.sequences)
    span = f"{lengths[0]}" if lengths[0] == lengths[-1] else f"{lengths[0]} … {lengths[-1]}"
    yield f"sequences  {report.sequences} of {span} images"
    unordered = "" if source.layout.ordered else "; single images, no clips"
    unpaired = f"; {report.unlabelled} images or depths without a partner, as published" if report.unlabelled else ""
    yield f"frames     {report.frames} with depth, {report.read} read{unordered}{unpaired}"
    if report.sizes:
        sizes = (f"{width} × {height} ({count})" for (width, height), count in report.sizes.most_common())
        yield f"size       {_some(tuple(sizes))}"
        low, high = report.depth_m
        yield f"depth      {low:.4g} … {high:.4g} m, known for {report.known:.0%} of the pixels"
    yield from _named("missing", report.missing)
    yield from _named("broken", [str(error) for error in report.broken])
    if report.gaps:
        yield from _named("gaps", report.gaps)


def _verdict(source: LayoutSource, report: Report) -> str:
    faults = []
    if report.missing:
        faults.append(f"{_counted(len(report.missing), 'file')} without a partner")
    if report.broken:
        faults.append(f"{len(report.broken)} broken of {_counted(report.read, 'frame')} read")
    extent = "" if report.read == report.frames else f" as far as {report.read} of {report.frames} frames tell (--all)"
    if not report.usable:
        return f"{source.name}: not usable{extent}: {' and '.join(faults)}"
    state = "usable and whole" if report.whole else f"usable, but {' and '.join(faults)}"
    counts = f"{_counted(report.frames, 'frame')} in {_counted(report.sequences, 'sequence')}"
    return f"{source.name}: {state}{extent}; {counts}"


def _named(title: str, items: list[str]) -> Iterator[str]:
    yield f"{title:<10} {len(items) or 'nothing'}"
    yield from (f"           {item}" for item in items[:SHOWN])
    if len(items) > SHOWN:
        yield f"           … and {len(items) - SHOWN} more"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _some(names: tuple[str, ...]) -> str:
    more = f", … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _progress(frames: list[T]) -> Iterator[T]:
    with progress_bar("reading", len(frames)) as show:
        for done, frame in enumerate(frames, start=1):
            yield frame
            show(done)


def _declare_cache(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Encodes a recipe's images and clips once, plain and mirrored; train from them with --latents. Fields of the "
        "recipe are given as to dvd train."
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a name that `dvd train --list` shows")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the latents")
    parser.add_argument("--config", type=Path, help="a .toml or .json file of fields")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="a clip at every Nth frame")
    parser.add_argument("--half", action="store_true", help="store 16 bits: half the room, 3 digits")
    parser.add_argument("--processes", type=int, default=2, help="processes that render scenes")
    parser.set_defaults(takes_fields=True)


def _cache(args: argparse.Namespace) -> int:
    """Encode the clips, and print the command that trains from them."""
    from dvd.apps.train import resolve
    from dvd.errors import OptionError

    recipe = resolve(args)
    if args.stride < 1 or args.processes < 1:
        raise OptionError("--stride and --processes are at least 1")
    from dvd.data.latents import shards_in
    from dvd.train.cache import cache

    for folder in cache(recipe, args.output, args.output / "scenes", args.stride, args.half, args.processes):
        size = sum(path.stat().st_size for path in shards_in(folder))
        print(f"{folder}: {size / 2**30:.2f} GiB" if size >= 2**28 else f"{folder}: {size / 2**20:.1f} MiB")
    config = ["--config", str(args.config)] if args.config else []
    arguments = shlex.join([args.recipe, *config, *args.fields, "--latents", str(args.output)])
    print(f"train from them with: dvd train {arguments}")
    return 0


SUBCOMMANDS = {
    "cache": ("encode a recipe's clips once, to train from their latents", _declare_cache, _cache),
    "list": ("the known data sets and their layouts", _declare_list, _list),
    "check": ("which files of a data set are there, missing or broken", _declare_check, _check),
}
"""name → (one line of help, function that adds its options, function that runs it)."""

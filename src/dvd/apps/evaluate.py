"""`dvd eval`: measure a method on data sets with measured depth, by the paper's protocol or another."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvd.apps.options import add_model_arguments, one_of

if TYPE_CHECKING:
    from dvd.evaluate.methods import Method
    from dvd.evaluate.protocol import Protocol
    from dvd.evaluate.results import Results
    from dvd.evaluate.sequences import EvalSequence

PROTOCOLS = ("paper", "release-video", "release-image", "video-depth-anything")
SPACES = ("disparity", "depth")
SCOPES = ("clip", "frame", "first-window")
FITS = ("least-squares", "scale", "median")
STITCHES = ("default", "continuous", "demo", "benchmark")
SHOWN = {
    "abs_rel": "AbsRel×100",
    "delta1": "δ1",
    "rgb_boundary_f1": "B-F1 rgb",
    "rgb_boundary_recall": "B-Rec rgb",
    "si_boundary_f1": "B-F1 s.i.",
    "relative_temporal_difference": "RTD",
    "temporal_alignment_error": "TAE×100",
    "abs_rel_per_frame": "per frame×100",
    "wander": "wander",
}
"""The columns of the table on the terminal; results.json has every metric."""
PERCENT = ("abs_rel", "abs_rel_per_frame", "temporal_alignment_error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dvd eval`."""
    parser.add_argument(
        "datasets", nargs="*", metavar="NAME=ROOT", help="a data set that --list shows, and the folder where it lies"
    )
    parser.add_argument("--list", action="store_true", help="the data sets, protocols and methods, one line each")
    add_model_arguments(parser)
    parser.add_argument("--tau", type=float, help="anchor of the network in [0, 1]; the models were trained at 0.5")
    parser.add_argument("--stitch", type=one_of("way of stitching", STITCHES), default="default", help=_names(STITCHES))
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder (default: runs/eval/MODEL_PROTOCOL)")
    parser.add_argument("--keep-predictions", action="store_true", help="leave them in OUT/predictions, float32 .npy")
    data = parser.add_argument_group("data sets")
    data.add_argument("--split", help="a published split, or all, of every data set given")
    data.add_argument("--per-metre", type=float, metavar="N", help="stored depth units a metre, if not the usual")
    how = parser.add_argument_group("protocol")
    how.add_argument("--protocol", type=one_of("protocol", PROTOCOLS), default="paper", help=_names(PROTOCOLS))
    how.add_argument("--frames", type=int, metavar="N", help="only the first N frames of every sequence")
    how.add_argument("--sequences", type=int, metavar="N", help="only the first N sequences of every data set")
    how.add_argument("--range", type=float, nargs=2, metavar=("NEAR", "FAR"), help="truth that counts, metres")
    how.add_argument("--align", type=one_of("scope of the alignment", SCOPES), help=_names(SCOPES))
    how.add_argument("--align-in", type=one_of("alignment space", SPACES), help=_names(SPACES))
    how.add_argument("--fit", type=one_of("alignment", FITS), help=_names(FITS))
    saved = parser.add_argument_group("saved predictions, --model saved:PATH")
    saved.add_argument("--predicted", type=one_of("space", SPACES), help=f"what the values are: {_names(SPACES)}")
    saved.add_argument("--key", help="the array of an archive, or the channel of exr files")
    saved.add_argument("--offset", type=float, default=0.0, metavar="X", help="added to every value")
    saved.add_argument("--note", default="", help="how they were made, for the report")
    parser.description = (
        "Predicts every sequence of the data sets, aligns it, measures it frame by frame and writes results.json. "
        "--model also takes constant, row, saved:PATH and other people's methods (--list). Started again, it goes on."
    )


def run(args: argparse.Namespace) -> int:
    """Measures, and prints the table. Exit status 2 where no sequence could be measured."""
    if args.list:
        _list()
        return 0
    from dvd.evaluate.benchmark import RESULTS, chosen, evaluate
    from dvd.evaluate.registry import MethodOptions, open_method

    protocol = _protocol(args)
    sequences, roots = _sequences(args, protocol)
    method = open_method(
        args.model,
        MethodOptions(
            **{name: getattr(args, name) for name in ("device", "dtype", "size", "window", "overlap", "tau", "stitch")},
            **{"space": args.predicted, "key": args.key, "offset": args.offset, "note": args.note},
        ),
    )
    folder = args.output or Path("runs", "eval", f"{_plain(args.model)}_{_plain(protocol.name)}")
    taken = chosen(sequences, protocol)
    print(f"{method.name}, {protocol.describe()}: {len(taken)} sequences, {sum(one.count for one in taken)} frames")
    with _progress(taken) as progress:
        found = evaluate(method, sequences, protocol, folder, _conditions(roots), args.keep_predictions, progress)
    print(_stated(method))
    for line in table(found, protocol):
        print(line)
    print(f"{folder / RESULTS} holds every sequence, frame by frame")
    return 0 if any(one.skipped is None for one in found.sequences) else _nothing(found)


def table(results: Results, protocol: Protocol) -> Iterator[str]:
    """Every data set with its sequences, the mean over them, and over the short and the long ones."""
    names = [name for name in SHOWN if any(name in one.metrics for one in results.sequences)]
    named = [one.name for one in results.sequences] + ["short, 000 to 000 frames", *results.datasets]
    width = max(map(len, named)) + 2
    timed = results.conditions.get("kind") not in ("prior", "saved predictions")
    yield f"{'':{width}}  frames  {'  '.join(SHOWN[name] for name in names)}{'  frames/s' * timed}"
    for dataset in results.datasets:
        here = [one for one in results.sequences if one.dataset == dataset]
        for one in here:
            if one.skipped is not None:
                yield f"  {one.name:{width - 2}}  skipped: {one.skipped}"
                continue
            speed = f"{one.frames / one.seconds:8.1f}" if timed and one.seconds else ""
            yield f"  {one.name:{width - 2}}  {one.frames:6}  {_cells(one.metrics, names)}  {speed}".rstrip()
        counted = [one.frames for one in here if one.skipped is None]
        for title, lengths in _parts(dataset, protocol):
            frames = [count for count in counted if lengths is None or count in lengths]
            if frames and (lengths is None or len(frames) < len(counted)):
                yield f"{title:{width}}  {sum(frames):6}  {_cells(results.mean(dataset, lengths), names)}"


def _parts(dataset: str, protocol: Protocol) -> Iterator[tuple[str, range | None]]:
    import sys

    if protocol.short is not None:
        yield (
            f"short, {protocol.short[0]} to {protocol.short[1]} frames",
            range(protocol.short[0], protocol.short[1] + 1),
        )
    if protocol.long is not None:
        yield f"long, from {protocol.long} frames", range(protocol.long, sys.maxsize)
    yield dataset, None


def _cells(metrics: dict[str, float], names: list[str]) -> str:
    return "  ".join(_cell(name, metrics.get(name)).rjust(len(SHOWN[name])) for name in names)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.1f}" if name in PERCENT else f"{value:.3f}"


def _protocol(args: argparse.Namespace) -> Protocol:
    """The named protocol; one that is changed says so in its name."""
    from dvd.evaluate.protocol import choose_protocol

    protocol = choose_protocol(args.protocol)
    given = {
        "frames": args.frames,
        "sequences": args.sequences,
        "range_m": tuple(args.range) if args.range else None,
        "scope": args.align,
        "space": args.align_in,
        "fit": args.fit,
    }
    changed = {name: v for name, v in given.items() if v is not None and v != getattr(protocol, name)}
    if not changed:
        return protocol
    return replace(protocol, name=f"{protocol.name}, {' and '.join(changed)} changed", **changed)


def _sequences(args: argparse.Namespace, protocol: Protocol) -> tuple[list[EvalSequence], dict[str, Any]]:
    """The sequences of every data set given, and where each lies."""
    from dvd.data.layouts import find_layout
    from dvd.errors import OptionError
    from dvd.evaluate.sequences import open_sequences

    if not args.datasets:
        raise OptionError("which data set? give NAME=ROOT, such as bonn=/data/bonn; dvd eval --list shows the names")
    found: list[EvalSequence] = []
    roots: dict[str, Any] = {}
    for text in args.datasets:
        name, equals, root = text.partition("=")
        if not equals or not root:
            raise OptionError(f"'{text}' is not NAME=ROOT, such as bonn=/data/bonn; dvd eval --list shows the names")
        find_layout(name)
        if name in roots:
            raise OptionError(f"{name} is given twice; put its sequences below one folder")
        found += open_sequences(name, root, args.split, args.per_metre, protocol.single_images)
        roots[name] = {"root": root, "split": args.split, "per_metre": args.per_metre}
    return found, roots


def _conditions(roots: dict[str, Any]) -> dict[str, Any]:
    """What a number depends on besides the method and the protocol."""
    import torch

    from dvd.evaluate.speed import commit
    from dvd.hardware import cpu_name

    machine = {"torch": torch.__version__, "processor": cpu_name(), "threads": torch.get_num_threads()}
    return {"commit": commit(), **machine, "datasets": roots}


def _stated(method: Method) -> str:
    """What the method says of itself, in one line."""
    values = {**method.describe()}
    values.pop("licence", None)
    if isinstance(values.get("stitch"), dict):
        values["stitch"] = values["stitch"]["name"]
    shown = (f"{name} {'x'.join(map(str, v)) if isinstance(v, list) else v}" for name, v in values.items() if v)
    return ", ".join(shown)


def _nothing(found: Results) -> int:
    from dvd.errors import InputError

    first = found.sequences[0]
    raise InputError(f"no sequence could be measured; {first.dataset} {first.name}: {first.skipped}")


@contextmanager
def _progress(sequences: list[EvalSequence]) -> Iterator[Callable[[EvalSequence, int], None]]:
    """Frames read, twice each, on a terminal."""
    from tqdm import tqdm

    with tqdm(total=2 * sum(one.count for one in sequences), unit="frame", disable=None, leave=False) as bar:
        before = {
            (one.dataset, one.name): 2 * sum(other.count for other in sequences[:i]) for i, one in enumerate(sequences)
        }

        def show(sequence: EvalSequence, done: int) -> None:
            bar.set_description(sequence.name, refresh=False)
            bar.update(before[sequence.dataset, sequence.name] + done - bar.n)

        yield show


def _list() -> None:
    from dvd.data.layouts import LAYOUTS
    from dvd.evaluate.protocol import PROTOCOLS as DESCRIBED
    from dvd.evaluate.registry import METHODS, OURS, usage

    rows: dict[str, dict[str, str]] = {
        "data sets": {name: layout.summary for name, layout in LAYOUTS.items()},
        "protocols": {name: protocol.describe().partition(": ")[2] for name, protocol in DESCRIBED.items()},
        "methods": {"dvd-mini, FOLDER …": OURS.summary, **{usage(name): e.summary for name, e in METHODS.items()}},
    }
    for title, entries in rows.items():
        width = max(map(len, entries))
        print(title)
        for name, summary in entries.items():
            print(f"  {name:{width}}  {summary}")


def _names(values: tuple[str, ...]) -> str:
    return ", ".join(values)


def _plain(text: str) -> str:
    """A name for a folder."""
    kept = "".join(c if c.isalnum() or c in ".-" else "-" for c in text.rstrip("/").rpartition("/")[2])
    return kept.strip("-.") or "model"

"""`dvd eval`: measure methods on data sets with measured depth, by the paper's protocol or another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from dvd.apps.console import progress_bar
from dvd.apps.options import add_model_arguments, add_tau, check_values, one_of
from dvd.names import FITS, PROTOCOLS, SCOPES, SPACES, STITCHES

if TYPE_CHECKING:
    from dvd.evaluation.protocol import Protocol
    from dvd.evaluation.request import Request
    from dvd.evaluation.results import Results
    from dvd.evaluation.sequences import EvalSequence

_INSTEAD = {
    "list": (),
    "compare": ("metric",),
    "report": ("output",),
    "write_inputs": ("datasets", "split", "per_metre", "protocol", "frames", "sequences"),
}
"""The options that do something else than measure, each with the options that it reads."""
_PARSERS_OWN = ("command", "run", "parser", "fields")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dvd eval`."""
    parser.add_argument("datasets", nargs="*", metavar="NAME=ROOT", help="a data set that --list shows, and its folder")
    add_model_arguments(parser, several=True)
    add_tau(parser)
    parser.add_argument(
        "--stitch", type=one_of("way of stitching", STITCHES), help=f"{_names(STITCHES)} (default: the protocol's)"
    )
    parser.add_argument("--name", default="", help="the method's name in tables (default: its own)")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder (default: runs/eval/MODEL_PROTOCOL)")
    parser.add_argument("--keep-predictions", action="store_true", help="keep them in OUT/predictions, float32 .npy")
    instead = parser.add_argument_group("instead of measuring").add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="the data sets, protocols and methods, one line each")
    instead.add_argument(
        "--compare", type=Path, nargs=2, metavar="RESULTS", help="two results.json: paired differences, second − first"
    )
    instead.add_argument(
        "--report", type=Path, nargs="+", metavar="RESULTS", help="several results.json: one table and page in OUT"
    )
    instead.add_argument(
        "--write-inputs", type=Path, metavar="DIR", help="the sequences as videos, for other people's tools"
    )
    parser.add_argument("--metric", default="abs_rel", help="the metric that --compare compares")
    data = parser.add_argument_group("data sets")
    data.add_argument("--split", help="a published split, or all, of every data set given")
    data.add_argument("--per-metre", type=float, metavar="N", help="stored depth units in a metre, if not the usual")
    how = parser.add_argument_group("protocol")
    how.add_argument("--protocol", type=one_of("protocol", PROTOCOLS), default="paper", help=_names(PROTOCOLS))
    how.add_argument("--frames", type=int, metavar="N", help="only the first N frames of every sequence")
    how.add_argument("--sequences", type=int, metavar="N", help="only the first N sequences of every data set")
    how.add_argument(
        "--range", type=float, nargs=2, metavar=("NEAR", "FAR"), help="range of the truth that counts, in metres"
    )
    how.add_argument("--align", type=one_of("scope of the alignment", SCOPES), help=_names(SCOPES))
    how.add_argument("--align-in", type=one_of("alignment space", SPACES), help=_names(SPACES))
    how.add_argument("--fit", type=one_of("alignment", FITS), help=_names(FITS))
    sampled = parser.add_argument_group("methods that sample: the generative baseline, Marigold")
    sampled.add_argument("--steps", type=int, metavar="T", help="denoising steps (default: the model's own)")
    sampled.add_argument("--seed", type=int, help="seed of the noise (default: 0)")
    sampled.add_argument("--ensemble", type=int, metavar="N", help="predictions that Marigold averages (default: 1)")
    saved = parser.add_argument_group("saved predictions, --model saved:PATH")
    saved.add_argument("--predicted", type=one_of("space", SPACES), help=f"kind of the values: {_names(SPACES)}")
    saved.add_argument("--key", help="the array of an archive, or the channel of exr files")
    saved.add_argument("--offset", type=float, default=0.0, metavar="X", help="added to every value")
    saved.add_argument("--note", default="", help="how they were made, for the report")
    parser.description = (
        "Predict every sequence of the data sets, align it, measure it frame by frame, and write results.json, "
        "tables and a page. --model also takes constant, row, saved:PATH and other people's methods (--list); several "
        "share one table. An interrupted run continues when it is started again."
    )


def run(args: argparse.Namespace) -> int:
    """Measure, or do what one of the other options says. Exit status 2 if a method or every sequence failed."""
    _refuse_ignored_options(args)
    if args.list:
        return _list()
    if args.compare:
        return _compare(args.compare, args.metric)
    if args.report:
        return _report(args.report, args.output or Path("runs", "eval", "report"))
    if args.write_inputs:
        return _write_inputs(args)
    return _measure(request_of(args))


def request_of(args: argparse.Namespace) -> Request:
    """Return the request that the command line makes; raise OptionError for contradictions and unknown names."""
    from dvd.evaluation.methods.base import MethodOptions
    from dvd.evaluation.methods.registry import OURS, find_method, options_of_each
    from dvd.evaluation.request import Request, plain_name

    protocol, datasets = _protocol_of(args), _datasets_of(args)
    named = {field.name for field in fields(MethodOptions)} - {"space"}
    options = MethodOptions(space=args.predicted, **{name: getattr(args, name) for name in named})
    methods = options_of_each(args.model, options)
    if len(methods) == 1:  # If one of several fails, the others go on.
        check_values(args, [name for name in methods if find_method(name)[0] is OURS])
    default = Path("runs", "eval", f"{'_'.join(map(plain_name, args.model))}_{plain_name(protocol.name)}")
    folder = args.output or default
    return Request(methods, datasets, protocol, args.split, args.per_metre, folder, args.keep_predictions)


def _measure(request: Request) -> int:
    """Measure every method on every sequence; a method that fails is reported, and does not stop the others."""
    from dvd.apps.report import method_line, print_reports, sequence_lines
    from dvd.errors import DVDError, InputError
    from dvd.evaluation.benchmark import RESULTS

    protocol, sequences = request.protocol, request.open_sequences()
    print(f"{protocol.describe()}: {len(sequences)} sequences, {sum(one.count for one in sequences)} frames")
    measured: list[tuple[Path, Results]] = []
    for name, folder in request.folders().items():
        try:
            method = request.open_method(name)
            with _progress(sequences) as progress:
                results = request.measure(name, method, sequences, progress)
        except DVDError as error:
            if len(request.methods) == 1:
                raise
            print(f"dvd: {name}: {error}", file=sys.stderr)
            continue
        print(f"\n{method_line(method, results.conditions)}")
        for line in sequence_lines(results):
            print(line)
        print(f"{folder / RESULTS} holds every sequence, frame by frame", flush=True)
        measured.append((folder, results))
    if not measured:
        return 2
    # The notes would repeat the lines above; the files have them.
    print_reports(measured, request.folder, notes=False)
    if all(one.skipped is not None for _, results in measured for one in results.sequences):
        first = measured[0][1].sequences[0]
        raise InputError(f"no sequence could be measured; {first.dataset} {first.name}: {first.skipped}")
    return 0 if len(measured) == len(request.methods) else 2


def _compare(paths: list[Path], metric: str) -> int:
    from dvd.evaluation.report.compare import compare_files

    a, b = paths
    print(compare_files(a, b, metric), end="")
    return 0


def _report(paths: list[Path], folder: Path) -> int:
    """Write tables and page of earlier evaluations."""
    from dvd.apps.report import print_reports
    from dvd.evaluation.results import read

    print_reports([(path.parent, read(path)) for path in paths], folder, notes=True)
    return 0


def _write_inputs(args: argparse.Namespace) -> int:
    from dvd.evaluation.inputs import write_inputs
    from dvd.evaluation.request import open_datasets

    sequences = open_datasets(_datasets_of(args), _protocol_of(args), args.split, args.per_metre)
    write_inputs(sequences, args.write_inputs, print)
    return 0


def _list() -> int:
    from dvd.data.layouts import LAYOUTS
    from dvd.evaluation.methods.registry import METHODS, OURS, usage
    from dvd.evaluation.protocol import PROTOCOLS as DESCRIBED

    rows: dict[str, dict[str, str]] = {
        "data sets": {name: layout.summary for name, layout in LAYOUTS.items()},
        "protocols": {name: protocol.describe().partition(": ")[2] for name, protocol in DESCRIBED.items()},
        "methods": {
            "dvd-mini, FOLDER …": OURS.summary,
            **{usage(name): e.summary for name, e in METHODS.loaded().items()},
        },
    }
    for title, entries in rows.items():
        width = max(map(len, entries))
        print(title)
        for name, summary in entries.items():
            print(f"  {name:{width}}  {summary}")
    return 0


def _refuse_ignored_options(args: argparse.Namespace) -> None:
    """Raise OptionError if an option is given that would change nothing."""
    from dvd.errors import OptionError

    given = [
        name
        for name, value in vars(args).items()
        if name not in _PARSERS_OWN and value != [] and value != args.parser.get_default(name)
    ]
    instead = next((name for name in _INSTEAD if name in given), None)
    ignored = [name for name in given if name not in (instead, *_INSTEAD[instead])] if instead else []
    if ignored:
        unread = "data set" if ignored[0] == "datasets" else _option(ignored[0])
        raise OptionError(f"{_option(str(instead))} reads no {unread}; leave it out")
    if not instead and "metric" in given:
        raise OptionError("--metric belongs to --compare, and every metric is measured; leave it out")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _protocol_of(args: argparse.Namespace) -> Protocol:
    """Return the named protocol, with the changes that the command line makes; its name says which."""
    from dvd.evaluation.protocol import choose_protocol

    given = {
        "frames": args.frames,
        "sequences": args.sequences,
        "range_m": tuple(args.range) if args.range else None,
        "scope": args.align,
        "space": args.align_in,
        "fit": args.fit,
    }
    return choose_protocol(args.protocol).but(**{name: value for name, value in given.items() if value is not None})


def _datasets_of(args: argparse.Namespace) -> dict[str, str]:
    """Return the folder of every data set that is given as NAME=ROOT."""
    from dvd.data.layouts import LAYOUTS
    from dvd.errors import OptionError

    for text in args.model:
        if text.partition("=")[0] in LAYOUTS and "=" in text:
            raise OptionError(f"'{text}' comes after --model, which takes methods; name the data sets before it")
    if not args.datasets:
        raise OptionError("which data set? give NAME=ROOT, such as bonn=/data/bonn; dvd eval --list shows the names")
    roots: dict[str, str] = {}
    for text in args.datasets:
        name, _, root = text.partition("=")
        if not root:
            raise OptionError(f"'{text}' is not NAME=ROOT, such as bonn=/data/bonn; dvd eval --list shows the names")
        LAYOUTS[name]  # raises OptionError for an unknown name
        if name in roots:
            raise OptionError(f"{name} is given twice; put its sequences below one folder")
        roots[name] = root
    return roots


@contextmanager
def _progress(sequences: list[EvalSequence]) -> Iterator[Callable[[EvalSequence, int], None]]:
    """Show a bar of the frames read; each is read twice, to predict and to measure."""
    *before, total = accumulate((2 * one.count for one in sequences), initial=0)
    starts = {(one.dataset, one.name): start for one, start in zip(sequences, before, strict=True)}
    with progress_bar("", total) as show:
        yield lambda sequence, done: show(starts[sequence.dataset, sequence.name] + done, sequence.name)


def _names(values: tuple[str, ...]) -> str:
    return ", ".join(values)

"""`dvd eval`: measure methods on data sets with measured depth, by the paper's protocol or another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dvd.apps.console import progress_bar
from dvd.apps.options import add_model_arguments, add_tau, check_values, one_of
from dvd.names import FITS, PROTOCOLS, SCOPES, SPACES, STITCHES

if TYPE_CHECKING:
    from dvd.evaluate.methods.base import Method
    from dvd.evaluate.results import Results
    from dvd.evaluate.sequences import EvalSequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dvd eval`."""
    parser.add_argument(
        "datasets", nargs="*", metavar="NAME=ROOT", help="a data set that --list shows, and the folder where it lies"
    )
    add_model_arguments(parser, several=True)
    add_tau(parser)
    parser.add_argument(
        "--stitch", type=one_of("way of stitching", STITCHES), help=f"{_names(STITCHES)} (default: the protocol's)"
    )
    parser.add_argument("--name", default="", help="what the method is called in tables (default: its own name)")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="folder (default: runs/eval/MODEL_PROTOCOL)")
    parser.add_argument("--keep-predictions", action="store_true", help="leave them in OUT/predictions, float32 .npy")
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
    parser.add_argument("--metric", default="abs_rel", help="what --compare compares")
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
    sampled = parser.add_argument_group("methods that sample: the generative baseline, Marigold")
    sampled.add_argument("--steps", type=int, metavar="T", help="denoising steps (default: the model's own)")
    sampled.add_argument("--seed", type=int, help="of the noise (default: 0)")
    sampled.add_argument("--ensemble", type=int, metavar="N", help="predictions that Marigold averages (default: 1)")
    saved = parser.add_argument_group("saved predictions, --model saved:PATH")
    saved.add_argument("--predicted", type=one_of("space", SPACES), help=f"what the values are: {_names(SPACES)}")
    saved.add_argument("--key", help="the array of an archive, or the channel of exr files")
    saved.add_argument("--offset", type=float, default=0.0, metavar="X", help="added to every value")
    saved.add_argument("--note", default="", help="how they were made, for the report")
    parser.description = (
        "Predicts every sequence of the data sets, aligns it, measures it frame by frame, and writes results.json, "
        "tables and a page. --model also takes constant, row, saved:PATH and other people's methods (--list); several "
        "stand in one table. Started again, it goes on."
    )


def run(args: argparse.Namespace) -> int:
    """Measures, and prints the tables. Exit status 2 where one of the methods or no sequence could be measured."""
    from dvd.apps.evaluation_request import refuse_what_is_ignored

    refuse_what_is_ignored(args)
    if args.list:
        return _list()
    if args.compare:
        return _compare(args)
    if args.report:
        return _report(args)
    if args.write_inputs:
        return _write_inputs(args)
    return _measure(args)


def _measure(args: argparse.Namespace) -> int:
    """Every method on every sequence; each has its results in a folder of its own, the tables have all of them.

    One of several that cannot be measured is reported, and does not stop the others.
    """
    from dvd.apps.evaluation_request import (
        conditions_of,
        method_options,
        protocol_of,
        sequences_of,
        stitched_as,
        with_stitch,
    )
    from dvd.apps.report import sequence_lines
    from dvd.errors import DVDError
    from dvd.evaluate.benchmark import RESULTS, chosen, evaluate
    from dvd.evaluate.methods.registry import open_method, options_of_each

    protocol = protocol_of(args)
    sequences, roots = sequences_of(args, protocol)
    options = options_of_each(args.model, method_options(args))
    if len(options) == 1:  # one of several may fail and the others go on
        check_values(args, _ours(args.model))
    taken = chosen(sequences, protocol)
    print(f"{protocol.describe()}: {len(taken)} sequences, {sum(one.count for one in taken)} frames")
    found: list[tuple[Path, Results]] = []
    for name, folder in _folders(args, protocol.name).items():
        try:
            method = open_method(name, with_stitch(name, options[name], protocol))
            conditions = conditions_of(roots) | stitched_as(name, options[name], protocol)
            with _progress(taken) as progress:
                measured = evaluate(method, sequences, protocol, folder, conditions, args.keep_predictions, progress)
        except DVDError as error:
            if len(options) == 1:
                raise
            print(f"dvd: {name}: {error}", file=sys.stderr)
            continue
        print(f"\n{_stated(method, conditions)}")
        for line in sequence_lines(measured):
            print(line)
        print(f"{folder / RESULTS} holds every sequence, frame by frame", flush=True)
        found.append((folder, measured))
    if not found:
        return 2
    # The lines above have said what the notes say; they are in the files.
    _write_reports(found, _shared_folder(args, protocol.name), notes=False)
    if all(one.skipped is not None for _, each in found for one in each.sequences):
        _nothing(found[0][1])
    return 0 if len(found) == len(options) else 2


def _ours(models: Sequence[str]) -> list[str]:
    """Those of the methods that are models of ours, by name or folder."""
    from dvd.evaluate.methods.registry import OURS, find_method

    return [name for name in models if find_method(name)[0] is OURS]


def _write_reports(found: Sequence[tuple[Path, Results]], out: Path, notes: bool) -> None:
    """Prints the tables of the paper's form, and writes them and the page, of results and the folders they lie in."""
    from dvd.apps.report import tables_text, write_reports
    from dvd.evaluate.report import snapshots
    from dvd.evaluate.results import distinct

    folders, results = [folder for folder, _ in found], distinct([each for _, each in found])
    frames = (one for folder, each in zip(folders, results, strict=True) for one in snapshots.load(folder, each))
    written = write_reports(results, out, frames)
    print(f"\n{tables_text(results, notes=notes)}\nwrote {', '.join(map(str, written))}")


def _folders(args: argparse.Namespace, protocol: str) -> dict[str, Path]:
    """The folder of each method's results: that of the run, or one below it for each of several."""
    shared = _shared_folder(args, protocol)
    if len(args.model) == 1:
        return {args.model[0]: shared}
    plain = [_plain(name) for name in args.model]
    names = [f"{name}-{i}" if plain.count(name) > 1 else name for i, name in enumerate(plain, 1)]
    return {model: shared / name for model, name in zip(args.model, names, strict=True)}


def _shared_folder(args: argparse.Namespace, protocol: str) -> Path:
    return args.output or Path("runs", "eval", f"{'_'.join(map(_plain, args.model))}_{_plain(protocol)}")


def _compare(args: argparse.Namespace) -> int:
    from dvd.apps.report import comparison_text

    first, second = args.compare
    print(comparison_text(first, second, args.metric), end="")
    return 0


def _report(args: argparse.Namespace) -> int:
    """Tables and page of evaluations that were made before."""
    from dvd.evaluate.results import read

    found = [(path.parent, read(path)) for path in args.report]
    _write_reports(found, args.output or Path("runs", "eval", "report"), notes=True)
    return 0


def _write_inputs(args: argparse.Namespace) -> int:
    from dvd.apps.evaluation_request import protocol_of, sequences_of
    from dvd.evaluate.benchmark import chosen
    from dvd.evaluate.inputs import write_inputs

    protocol = protocol_of(args)
    sequences, _ = sequences_of(args, protocol)
    write_inputs(chosen(sequences, protocol), args.write_inputs, print)
    return 0


def _stated(method: Method, conditions: dict[str, Any]) -> str:
    """One line: the method's own description, and where its way of stitching comes from."""
    values = {**method.describe(), "stitch from": conditions.get("stitch_from")}
    values.pop("licence", None)
    if isinstance(values.get("stitch"), dict):
        values["stitch"] = values["stitch"]["name"]
    return ", ".join(f"{name} {_told(value)}" for name, value in values.items() if value not in (None, "", [], {}))


def _told(value: object) -> str:
    """A size as 192x256; of several values each once."""
    if isinstance(value, list) and all(isinstance(each, int) for each in value):
        return "x".join(map(str, value))
    if isinstance(value, dict):
        return " and ".join(f"{name} {each}" for name, each in value.items())
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def _nothing(found: Results) -> NoReturn:
    from dvd.errors import InputError

    first = found.sequences[0]
    raise InputError(f"no sequence could be measured; {first.dataset} {first.name}: {first.skipped}")


@contextmanager
def _progress(sequences: list[EvalSequence]) -> Iterator[Callable[[EvalSequence, int], None]]:
    """Frames read, twice each."""
    *before, total = accumulate((2 * one.count for one in sequences), initial=0)
    starts = {(one.dataset, one.name): start for one, start in zip(sequences, before, strict=True)}
    with progress_bar("", total) as show:
        yield lambda sequence, done: show(starts[sequence.dataset, sequence.name] + done, sequence.name)


def _list() -> int:
    from dvd.data.layouts import LAYOUTS
    from dvd.evaluate.methods.registry import METHODS, OURS, usage
    from dvd.evaluate.protocol import PROTOCOLS as DESCRIBED

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


def _names(values: tuple[str, ...]) -> str:
    return ", ".join(values)


def _plain(text: str) -> str:
    """A name for a folder."""
    kept = "".join(c if c.isalnum() or c in ".-" else "-" for c in text.rstrip("/").rpartition("/")[2])
    return kept.strip("-.") or "model"

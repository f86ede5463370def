"""`dvd eval`: measure methods on data sets with measured depth, by the paper's protocol or another."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dvd.apps.options import add_model_arguments, one_of

if TYPE_CHECKING:
    from dvd.evaluate.methods import Method
    from dvd.evaluate.results import Results
    from dvd.evaluate.sequences import EvalSequence

PROTOCOLS = ("paper", "release-video", "release-image", "video-depth-anything")
SPACES = ("disparity", "depth")
SCOPES = ("clip", "frame", "first-window")
FITS = ("least-squares", "scale", "median")
STITCHES = ("default", "continuous", "demo", "benchmark")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dvd eval`."""
    parser.add_argument(
        "datasets", nargs="*", metavar="NAME=ROOT", help="a data set that --list shows, and the folder where it lies"
    )
    add_model_arguments(parser, several=True)
    parser.add_argument("--tau", type=float, help="anchor of the network in [0, 1]; the models were trained at 0.5")
    parser.add_argument("--stitch", type=one_of("way of stitching", STITCHES), default="default", help=_names(STITCHES))
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
    parser.add_argument("--metric", default="abs_rel", help="what --compare compares (default: abs_rel)")
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
    """Measures, and prints the tables. Exit status 2 where no sequence could be measured."""
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
    """Every method on every sequence; each has its results in a folder of its own, the tables have all of them."""
    from dvd.apps.evaluation_request import conditions_of, method_options, protocol_of, sequences_of
    from dvd.apps.report import sequence_lines
    from dvd.evaluate.benchmark import RESULTS, chosen, evaluate
    from dvd.evaluate.registry import open_method, options_of_each

    protocol = protocol_of(args)
    sequences, roots = sequences_of(args, protocol)
    options = options_of_each(args.model, method_options(args))
    taken = chosen(sequences, protocol)
    print(f"{protocol.describe()}: {len(taken)} sequences, {sum(one.count for one in taken)} frames")
    found, folders = [], _folders(args, protocol.name)
    for name, folder in folders.items():
        method = open_method(name, options[name])
        with _progress(taken) as progress:
            measured = evaluate(
                method, sequences, protocol, folder, conditions_of(roots), args.keep_predictions, progress
            )
        print(f"\n{_stated(method)}")
        for line in sequence_lines(measured):
            print(line)
        print(f"{folder / RESULTS} holds every sequence, frame by frame")
        found.append(measured)
    _write_reports(found, list(folders.values()), _shared_folder(args, protocol.name))
    return 0 if any(one.skipped is None for each in found for one in each.sequences) else _nothing(found[0])


def _write_reports(found: Sequence[Results], folders: Sequence[Path], out: Path) -> None:
    """Prints the tables of the paper's form, and writes them and the page."""
    from dvd.apps.report import tables_text, write_reports
    from dvd.evaluate import snapshots

    frames = (one for results, folder in zip(found, folders, strict=True) for one in snapshots.load(folder, results))
    written = write_reports(found, out, frames)
    # The lines above have said what the notes say; they are in the files.
    print(f"\n{tables_text(found, notes=False)}\nwrote {', '.join(map(str, written))}")


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

    found = [read(path) for path in args.report]
    _write_reports(found, [path.parent for path in args.report], args.output or Path("runs", "eval", "report"))
    return 0


def _write_inputs(args: argparse.Namespace) -> int:
    from dvd.apps.evaluation_request import protocol_of, sequences_of
    from dvd.evaluate.benchmark import chosen
    from dvd.evaluate.inputs import write_inputs

    protocol = protocol_of(args)
    sequences, _ = sequences_of(args, protocol)
    write_inputs(chosen(sequences, protocol), args.write_inputs, print)
    return 0


def _stated(method: Method) -> str:
    """What the method says of itself, in one line."""
    values = {**method.describe()}
    values.pop("licence", None)
    if isinstance(values.get("stitch"), dict):
        values["stitch"] = values["stitch"]["name"]
    shown = (
        f"{name} {'x'.join(map(str, v)) if isinstance(v, list) else v}"
        for name, v in values.items()
        if v not in (None, "")
    )
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


def _list() -> int:
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
    return 0


def _names(values: tuple[str, ...]) -> str:
    return ", ".join(values)


def _plain(text: str) -> str:
    """A name for a folder."""
    kept = "".join(c if c.isalnum() or c in ".-" else "-" for c in text.rstrip("/").rpartition("/")[2])
    return kept.strip("-.") or "model"

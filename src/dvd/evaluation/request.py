"""An evaluation from the names of data sets and methods to results: the entrance for Python and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dvd.data.layouts import LAYOUTS
from dvd.errors import OptionError
from dvd.evaluation import benchmark
from dvd.evaluation.benchmark import Progress
from dvd.evaluation.methods import registry
from dvd.evaluation.methods.base import Method, MethodOptions
from dvd.evaluation.protocol import Protocol, choose_protocol
from dvd.evaluation.race import commit
from dvd.evaluation.results import Results
from dvd.evaluation.sequences import EvalSequence, open_sequences
from dvd.hardware import cpu_name


def evaluate(
    datasets: Mapping[str, str | Path],
    method: str = "dvd-mini",
    protocol: str | Protocol = "paper",
    out: str | Path | None = None,
    *,
    options: MethodOptions | None = None,
    split: str | None = None,
    per_metre: float | None = None,
    keep_predictions: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> Results:
    """Measure a method on labelled recordings, as `dvd eval` does; `results.mean()` has the means of all metrics.

    `datasets`: data set → its folder, such as {"rgbd": "recordings"}; `dvd data list` shows the names. `method`: a
    model's name or folder, a prior (`row`, `constant`), `saved:PATH`, or another name of `dvd eval --list`. `out`: the
    folder of results.json, by default `runs/eval/METHOD_PROTOCOL`; an interrupted evaluation there goes on. `changes`:
    fields of the protocol, such as `range_m=(0.1, 10)` or `frames=100`. Raise OptionError for unknown names and values,
    InputError for data or predictions that cannot be used, ModelError for a model that cannot be opened.
    """
    for name in datasets:
        LAYOUTS[name]  # raises OptionError for an unknown name
    chosen = (choose_protocol(protocol) if isinstance(protocol, str) else protocol).but(**changes)
    folder = Path(out) if out is not None else Path("runs", "eval", f"{plain_name(method)}_{plain_name(chosen.name)}")
    roots = {name: str(root) for name, root in datasets.items()}
    request = Request({method: options or MethodOptions()}, roots, chosen, split, per_metre, folder, keep_predictions)
    return request.measure(method, request.open_method(method), request.open_sequences(), progress)


@dataclass(frozen=True)
class Request:
    """The methods and data sets of an evaluation, its protocol, and the folder of its results.

    `methods` maps each method to its options, `datasets` each data set to its folder. `folder` has the results of a
    single method, or one folder for each of several.
    """

    methods: Mapping[str, MethodOptions]
    datasets: Mapping[str, str]
    protocol: Protocol
    split: str | None
    per_metre: float | None
    folder: Path
    keep_predictions: bool

    def open_sequences(self) -> list[EvalSequence]:
        """Open the sequences that the protocol takes. Raise InputError if a data set has none."""
        return open_datasets(self.datasets, self.protocol, self.split, self.per_metre)

    def open_method(self, name: str) -> Method:
        """Open a method with its options, and the protocol's way of stitching if it stitches and was given no other."""
        options = self.methods[name]
        if registry.stitches(name):
            options = replace(options, stitch=options.stitch or self.protocol.stitch)
        return registry.open_method(name, options)

    def measure(
        self, name: str, method: Method, sequences: list[EvalSequence], progress: Progress | None = None
    ) -> Results:
        """Measure a method that is open on all sequences, in its folder."""
        conditions, folder = self.conditions(name), self.folders()[name]
        return benchmark.evaluate(method, sequences, self.protocol, folder, conditions, self.keep_predictions, progress)

    def folders(self) -> dict[str, Path]:
        """Return the folder of each method's results."""
        if len(self.methods) == 1:
            return dict.fromkeys(self.methods, self.folder)
        plain = [plain_name(name) for name in self.methods]
        names = [f"{name}-{i}" if plain.count(name) > 1 else name for i, name in enumerate(plain, 1)]
        return {method: self.folder / name for method, name in zip(self.methods, names, strict=True)}

    def conditions(self, method: str) -> dict[str, Any]:
        """Return what a number depends on besides the method and the protocol."""
        how = {"split": self.split, "per_metre": self.per_metre}
        conditions = {
            "commit": commit(),
            "torch": torch.__version__,
            "processor": cpu_name(),
            "threads": torch.get_num_threads(),
            "datasets": {name: {"root": root, **how} for name, root in self.datasets.items()},
        }
        if self.protocol.single_images or not registry.stitches(method):
            return conditions
        default, stitch = self.protocol.stitch, self.methods[method].stitch
        by_hand = stitch is not None and stitch != default
        return conditions | {
            "stitch_from": f"--stitch, in place of the protocol's {default}" if by_hand else "the protocol"
        }


def open_datasets(
    roots: Mapping[str, str], protocol: Protocol, split: str | None, per_metre: float | None
) -> list[EvalSequence]:
    """Open the sequences of all data sets that the protocol takes. Raise InputError if a data set has none."""
    if not roots:
        raise OptionError("which data set? give its name and folder, such as {'bonn': '/data/bonn'}")
    opened = (open_sequences(name, root, split, per_metre, protocol.single_images) for name, root in roots.items())
    return benchmark.chosen([sequence for sequences in opened for sequence in sequences], protocol)


def plain_name(text: str) -> str:
    """Return a name for a folder: the last part of `text`, with anything unusual as a hyphen."""
    kept = "".join(c if c.isalnum() or c in ".-" else "-" for c in text.rstrip("/").rpartition("/")[2])
    return kept.strip("-.") or "model"

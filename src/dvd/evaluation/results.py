"""The results of an evaluation, as in results.json: conditions, and every sequence frame by frame."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import Any

from dvd.errors import InputError
from dvd.evaluation.protocol import PROTOCOLS
from dvd.files import replacing

FORMAT = 1
EVER = sys.maxsize
"""The end of a range of lengths that has none."""


@dataclass(frozen=True)
class SequenceResult:
    """The scores of one sequence. `per_frame` holds a list for each metric, with None for frames that were skipped.

    `metrics` are their means, and values of the whole sequence: boundaries from summed counts, ratios, seams. `seams`
    are the joints of windows and `cuts` the first frames of new shots, where scale and shift begin anew. `skipped` is
    the reason why the sequence does not count, or None.
    """

    name: str
    dataset: str
    frames: int
    skipped: str | None = None
    scale: float | None = None
    shift: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    per_frame: dict[str, list[float | None]] = field(default_factory=dict)
    seams: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    cuts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """Sequences that are also reported apart: their numbers of frames, and the same in words."""

    lengths: range
    words: str


@dataclass(frozen=True)
class Results:
    """An evaluation of one method under one protocol. `conditions` and `protocol` are stated in every report."""

    method: str
    conditions: dict[str, Any]
    protocol: dict[str, Any]
    sequences: tuple[SequenceResult, ...] = ()
    format: int = FORMAT

    @property
    def datasets(self) -> list[str]:
        """The names of the data sets, in order of appearance."""
        return list(dict.fromkeys(sequence.dataset for sequence in self.sequences))

    @property
    def parts(self) -> dict[str, Part]:
        """The sequences that the protocol reports apart, "short" and "long"; the paper's if it does not say which."""
        parts, paper = {}, PROTOCOLS["paper"]
        if (ends := self.protocol.get("short", paper.short)) is not None:
            parts["short"] = Part(range(ends[0], ends[1] + 1), f"{ends[0]} to {ends[1]} frames")
        if (least := self.protocol.get("long", paper.long)) is not None:
            parts["long"] = Part(range(least, EVER), f"from {least} frames")
        return parts

    def mean(self, dataset: str | None = None, lengths: range | None = None) -> dict[str, float]:
        """Return the mean of every metric over the sequences that count, of a data set or all, of `lengths` or all."""
        rows = [
            sequence.metrics
            for sequence in self.sequences
            if dataset in (None, sequence.dataset)
            and sequence.skipped is None
            and (lengths is None or sequence.frames in lengths)
        ]
        names = list(dict.fromkeys(name for row in rows for name in row))
        return {name: sum(values) / len(values) for name in names if (values := [r[name] for r in rows if name in r])}


def distinct(results: Sequence[Results]) -> list[Results]:
    """Rename the second and later results of one method to `name (2)` and so on, so that all names differ."""
    counts: Counter[str] = Counter()
    renamed = []
    for result in results:
        counts[result.method] += 1
        count = counts[result.method]
        renamed.append(replace(result, method=f"{result.method} ({count})") if count > 1 else result)
    return renamed


def write(results: Results, path: Path) -> None:
    """Write results.json, replacing the file as a whole. Raise OutputError if the disk refuses."""
    text = json.dumps(asdict(results), indent=1) + "\n"
    with replacing(path) as file:
        file.write(text.encode())


def read(path: Path) -> Results:
    """Read a results.json. Raise InputError if the file is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, not {FORMAT}")
        sequences = tuple(SequenceResult(**sequence) for sequence in values.pop("sequences"))
        results = Results(**values, sequences=sequences)
        _check(results)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the results of dvd eval ({error}); name a results.json") from error
    return results


_NUMBER = int | float
_Kinds = dict[str, type | UnionType]
_RESULTS: _Kinds = {"method": str, "conditions": dict, "protocol": dict}
_SEQUENCE: _Kinds = {
    **{"name": str, "dataset": str, "frames": int, "skipped": str | None, "scale": _NUMBER | None},
    **{"shift": _NUMBER | None, "metrics": dict, "per_frame": dict, "seams": list, "seconds": _NUMBER},
    "cuts": list,
}


def _check(results: Results) -> None:
    """Raise TypeError if a file that somebody else wrote holds values of another type."""
    fields = [(name, getattr(results, name), kind) for name, kind in _RESULTS.items()]
    for one in results.sequences:
        fields += [(f"{name} of {one.name}", getattr(one, name), kind) for name, kind in _SEQUENCE.items()]
    for name, value, kind in fields:
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}")
    for one in results.sequences:
        if not all(type(cut) is int for cut in one.cuts):
            raise TypeError(f"cuts of {one.name} are {one.cuts!r}")
        columns = [one.metrics.values(), *one.per_frame.values(), *(seam.values() for seam in one.seams)]
        if not all(isinstance(value, _NUMBER | None) for column in columns for value in column):
            raise TypeError(f"{one.name} holds values that are no numbers")

"""What an evaluation found, as it is written to results.json: conditions, and every sequence frame by frame."""

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
from dvd.evaluate.protocol import PROTOCOLS
from dvd.files import replacing

FORMAT = 1
EVER = sys.maxsize
"""The end of a range of lengths that has none."""


@dataclass(frozen=True)
class SequenceResult:
    """One sequence. `per_frame` holds a list per metric, None for frames that were skipped.

    `metrics` are their means, and what is of the sequence as a whole: boundaries from summed counts, ratios, seams.

    `seams` are the joints of windows and `cuts` the first frames of new shots, where scale and shift begin anew.

    `skipped` says why the whole sequence does not count, or is None.
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
        """Their names, in order of appearance."""
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

    def mean(self, dataset: str | None, lengths: range | None = None) -> dict[str, float]:
        """Every metric, the mean over the sequences that count: of a data set or all (None), of all lengths or some."""
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
    """The same, the second and later ones of a name called `name (2)` and so on, so that each can be told."""
    seen: Counter[str] = Counter()
    found = []
    for result in results:
        seen[result.method] += 1
        again = seen[result.method]
        found.append(replace(result, method=f"{result.method} ({again})") if again > 1 else result)
    return found


def write(results: Results, path: Path) -> None:
    """Writes results.json whole; OutputError where that cannot be done."""
    text = json.dumps(asdict(results), indent=1) + "\n"
    with replacing(path) as file:
        file.write(text.encode())


def read(path: Path) -> Results:
    """What `write` wrote; InputError where the file is none of ours."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, not {FORMAT}")
        sequences = tuple(SequenceResult(**sequence) for sequence in values.pop("sequences"))
        found = Results(**values, sequences=sequences)
        _check(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the results of dvd eval ({error}); name a results.json") from error
    return found


_NUMBER = int | float
_Kinds = dict[str, type | UnionType]
_RESULTS: _Kinds = {"method": str, "conditions": dict, "protocol": dict}
_SEQUENCE: _Kinds = {
    **{"name": str, "dataset": str, "frames": int, "skipped": str | None, "scale": _NUMBER | None},
    **{"shift": _NUMBER | None, "metrics": dict, "per_frame": dict, "seams": list, "seconds": _NUMBER},
    "cuts": list,
}


def _check(found: Results) -> None:
    """TypeError where a file that somebody else has written holds values of another kind."""
    fields = [(name, getattr(found, name), kind) for name, kind in _RESULTS.items()]
    for one in found.sequences:
        fields += [(f"{name} of {one.name}", getattr(one, name), kind) for name, kind in _SEQUENCE.items()]
    for name, value, kind in fields:
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}")
    for one in found.sequences:
        if not all(type(cut) is int for cut in one.cuts):
            raise TypeError(f"cuts of {one.name} are {one.cuts!r}")
        columns = [one.metrics.values(), *one.per_frame.values(), *(seam.values() for seam in one.seams)]
        if not all(isinstance(value, _NUMBER | None) for column in columns for value in column):
            raise TypeError(f"{one.name} holds values that are no numbers")

"""What an evaluation found, as it is written to results.json: conditions, and every sequence frame by frame."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dvd.errors import InputError

FORMAT = 1


@dataclass(frozen=True)
class SequenceResult:
    """One sequence. `per_frame` holds a list per metric, None for frames that were skipped.

    `metrics` are their means, and what is of the sequence as a whole: boundaries from summed counts, ratios, seams.

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


def write(results: Results, path: Path) -> None:
    """Writes results.json aside and renames it."""
    aside = path.with_suffix(f".{os.getpid()}.part")
    aside.write_text(json.dumps(asdict(results), indent=1) + "\n")
    aside.replace(path)


def read(path: Path) -> Results:
    """What `write` wrote; InputError where the file is none of ours."""
    try:
        values = json.loads(path.read_text())
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, not {FORMAT}")
        sequences = tuple(SequenceResult(**sequence) for sequence in values.pop("sequences"))
        return Results(**values, sequences=sequences)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the results of dvd eval ({error}); name a results.json") from error

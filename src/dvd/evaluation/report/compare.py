"""Compare two evaluations on the sequences that both have scored: paired differences, with an interval."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import OptionError, unknown
from dvd.evaluation.report.labels import dataset_label, label
from dvd.evaluation.report.tables import flat, many, text
from dvd.evaluation.results import Results, SequenceResult, distinct, read

RESAMPLES = 10_000
LEVEL = 0.95
FEW = 10
"""A percentile interval over fewer sequences is known to be too narrow; a report says so."""
_AT_ONCE = 1 << 22
"""Draws of a bootstrap that are held in memory together."""


@dataclass(frozen=True)
class SharedSequence:
    """A sequence that both have scored: a metric in each, and the differences of the `frames` that both have scored."""

    dataset: str
    name: str
    a: float
    b: float
    frames: tuple[float, ...] = ()

    @property
    def difference(self) -> float:
        """b − a."""
        return self.b - self.a


@dataclass(frozen=True)
class Difference:
    """b − a over `count` sequences or frames: the mean, its percentile interval, and how often each side is better.

    `low` and `high` are None for a single sequence, which has no interval; `better_a` and `better_b` are None if it is
    not known which way the metric is better.
    """

    count: int
    mean: float
    low: float | None
    high: float | None
    better_a: int | None
    better_b: int | None
    equal: int


@dataclass(frozen=True)
class Comparison:
    """Paired differences of one metric. `sequences` weighs every sequence alike, `frames` every frame.

    Both intervals resample sequences, because the frames of one sequence are not independent. `left_out` counts the
    sequences that only one of the two has scored; `conditions` holds those that differ, with both values.
    """

    metric: str
    a: str
    b: str
    shared: tuple[SharedSequence, ...]
    sequences: Difference
    frames: Difference | None
    left_out: int
    conditions: dict[str, tuple[Any, Any]]
    resamples: int
    level: float


def compare(
    a: Results,
    b: Results,
    metric: str = "abs_rel",
    dataset: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Comparison:
    """Compare b with a over the sequences of all data sets or of one; differences are b − a in the metric's own unit.

    The interval is the percentile bootstrap over sequences (Efron 1979), drawn from `seed`. Raise OptionError if the
    protocols differ, naming the fields; if no sequence has the metric in both; if a sequence's frame counts differ.
    """
    if resamples < 1 or not 0 < level < 1:
        raise OptionError(f"{resamples} resamples at level {level}: at least one, and a level between 0 and 1")
    _same_protocol(a, b)
    shared = tuple(_shared_sequences(a, b, metric, dataset))
    if not shared:
        raise OptionError(_nothing_shared(a, b, metric, dataset))
    scored = _scored(a, metric, dataset).keys() | _scored(b, metric, dataset).keys()
    differences = np.array([sequence.difference for sequence in shared])
    ones = np.ones(len(shared))
    sequences = _difference(differences, differences, ones, metric, resamples, seed, level)
    named_a, named_b = distinct([a, b])
    return Comparison(
        metric,
        named_a.method,
        named_b.method,
        shared,
        sequences,
        _over_frames(shared, metric, resamples, seed, level),
        len(scored) - len(shared),
        _unlike(a.conditions, b.conditions),
        resamples,
        level,
    )


def by_dataset(a: Results, b: Results, metric: str = "abs_rel", **options: Any) -> dict[str, Comparison]:
    """Compare on every data set that the two share, and on "all" of them together if there are several."""
    together = compare(a, b, metric, **options)
    datasets = list(dict.fromkeys(sequence.dataset for sequence in together.shared))
    comparisons = {name: compare(a, b, metric, dataset=name, **options) for name in datasets}
    return comparisons if len(comparisons) == 1 else comparisons | {"all": together}


def describe(comparison: Comparison, sequences: bool = True) -> str:
    """Write a comparison as lines for a terminal, in the printed unit of the metric; end with a line break."""
    c, shown = comparison, label(comparison.metric)
    unit = "" if shown.unit == "1" else f", {shown.unit}"
    lines = [f"{shown.heading}{unit}: {c.b} − {c.a}"]
    if sequences:
        names = [f"{dataset_label(sequence.dataset)} {sequence.name}" for sequence in c.shared]
        width = max(map(len, names))
        for name, sequence in zip(names, c.shared, strict=True):
            values = f"{shown.show(sequence.a):>9} → {shown.show(sequence.b):>9}"
            lines.append(f"  {name.ljust(width)}  {values}  {_signed(sequence.difference, c.metric)}")
    lines.append(_line("sequences", c.sequences, c))
    if c.frames:
        lines.append(_line("frames", c.frames, c))
    if len(c.shared) > 1:
        lines.append(f"Interval: percentile bootstrap over {len(c.shared)} sequences, {c.resamples} resamples.")
    if 1 < len(c.shared) < FEW:
        lines.append(f"Only {len(c.shared)} sequences: too few to trust the interval.")
    if c.left_out:
        lines.append(f"{many(c.left_out, 'sequence')} scored in only one of the two, and left out.")
    if c.conditions:
        differing = (f"{name} {text(in_a)} → {text(in_b)}" for name, (in_a, in_b) in c.conditions.items())
        lines.append(f"Conditions differ: {'; '.join(differing)}.")
    return "\n".join(lines) + "\n"


def compare_files(a: Path, b: Path, metric: str = "abs_rel") -> str:
    """Describe the paired differences b − a of two results.json, for every data set that they share and for all."""
    comparisons = by_dataset(read(a), read(b), metric)
    parts = (
        f"{dataset_label(name)}\n{describe(comparison, sequences=name != 'all')}"
        for name, comparison in comparisons.items()
    )
    return "\n".join(parts)


def bootstrap_means(sums: NDArray, counts: NDArray, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return the mean of each resample of n groups, drawn with replacement; each group has a sum and a count."""
    drawn, n = np.random.default_rng(seed), len(sums)
    block = max(1, _AT_ONCE // n)
    means = []
    for first in range(0, resamples, block):
        groups = drawn.integers(n, size=(min(block, resamples - first), n))
        means.append(sums[groups].sum(axis=1) / counts[groups].sum(axis=1))
    return np.concatenate(means)


def _same_protocol(a: Results, b: Results) -> None:
    # The other metrics do not change this one, and the conditions say how windows were joined.
    ignored = ("metrics", "stitch")
    protocols = ({name: v for name, v in results.protocol.items() if name not in ignored} for results in (a, b))
    unlike = _unlike(*protocols)
    if unlike:
        fields = "; ".join(f"{name} {in_a} and {in_b}" for name, (in_a, in_b) in unlike.items())
        raise OptionError(f"the protocols of {a.method} and {b.method} differ in {fields}; evaluate both under one")


def _unlike(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ, with both values; as JSON, so that a tuple equals the list read from a file."""
    left, right = (flat(json.loads(json.dumps(values, default=str))) for values in (a, b))
    names = dict.fromkeys([*left, *right])
    return {name: (left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)}


def _scored(results: Results, metric: str, dataset: str | None) -> dict[tuple[str, str], SequenceResult]:
    """Return the sequences that have a finite value of the metric, by data set and name."""
    return {
        (s.dataset, s.name): s
        for s in results.sequences
        if s.skipped is None
        and dataset in (None, s.dataset)
        and metric in s.metrics
        and math.isfinite(s.metrics[metric])
    }


def _shared_sequences(a: Results, b: Results, metric: str, dataset: str | None) -> Iterator[SharedSequence]:
    left, right = _scored(a, metric, dataset), _scored(b, metric, dataset)
    for key, one in left.items():
        if key not in right:
            continue
        other = right[key]
        frames = [one.per_frame.get(metric, []), other.per_frame.get(metric, [])]
        lengths = {len(values) for values in frames if values}
        if one.frames != other.frames or len(lengths) > 1:
            raise OptionError(
                f"{key[0]} {key[1]} has {one.frames} frames in {a.method} and {other.frames} in {b.method}; "
                "evaluate both on the same frames"
            )
        known = [(x, y) for x, y in zip(*frames, strict=False) if x is not None and y is not None]
        differences = tuple(y - x for x, y in known if math.isfinite(x) and math.isfinite(y))
        yield SharedSequence(*key, one.metrics[metric], other.metrics[metric], differences)


def _nothing_shared(a: Results, b: Results, metric: str, dataset: str | None) -> str:
    if dataset is not None and dataset not in a.datasets:
        return unknown("data set", dataset, a.datasets)
    names = [{name for s in r.sequences for name in s.metrics} for r in (a, b)]
    if names[0] & names[1] and metric not in names[0] & names[1]:
        return unknown("metric", metric, names[0] & names[1])
    return f"{a.method} and {b.method} share no sequence that is scored; evaluate both on the same data"


def _over_frames(
    shared: tuple[SharedSequence, ...], metric: str, resamples: int, seed: int, level: float
) -> Difference | None:
    groups = [np.array(sequence.frames) for sequence in shared if sequence.frames]
    if not groups:
        return None
    sums, counts = np.array([group.sum() for group in groups]), np.array([float(len(group)) for group in groups])
    return _difference(np.concatenate(groups), sums, counts, metric, resamples, seed, level)


def _difference(
    values: NDArray, sums: NDArray, counts: NDArray, metric: str, resamples: int, seed: int, level: float
) -> Difference:
    low = high = None
    if len(sums) > 1:
        means = bootstrap_means(sums, counts, resamples, seed)
        low, high = (float(q) for q in np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))
    less, more = int((values < 0).sum()), int((values > 0).sum())
    better = label(metric).better
    wins = {"lower": (more, less), "higher": (less, more), None: (None, None)}[better]
    return Difference(len(values), float(values.mean()), low, high, *wins, len(values) - less - more)


def _line(units: str, d: Difference, c: Comparison) -> str:
    interval = "no interval for one sequence"
    if d.low is not None and d.high is not None:
        interval = f"{c.level:.0%} interval {_signed(d.low, c.metric)} to {_signed(d.high, c.metric)}"
    text = f"{units}: mean difference {_signed(d.mean, c.metric)}, {interval}"
    if d.better_a is None:
        return text
    return f"{text}; better: {c.b} {d.better_b}, {c.a} {d.better_a}, equal {d.equal} of {d.count}"


def _signed(value: float, metric: str) -> str:
    """Print a difference in the metric's unit, with one decimal more than the metric itself."""
    shown = label(metric)
    return f"{value * shown.factor:+.{shown.digits + 1}f}"

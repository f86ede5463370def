"""Two evaluations against each other on the sequences that both have scored: paired differences, with an interval."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import OptionError, unknown
from dvd.evaluate.report.labels import dataset_label, label
from dvd.evaluate.report.tables import flat, many, text
from dvd.evaluate.results import Results, SequenceResult, distinct

RESAMPLES = 10_000
LEVEL = 0.95
FEW = 10
"""Fewer sequences than this, and a percentile interval is known to be too narrow; a report says so."""
_AT_ONCE = 1 << 22
"""Draws of a bootstrap that are held in memory together."""


@dataclass(frozen=True)
class Pair:
    """One sequence in both evaluations; `frames` are the differences of the frames that both have scored."""

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

    `low` and `high` are None for a single sequence, of which no interval can be made, and `better_a` and `better_b`
    where it is not known which way is better.
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

    Both intervals resample sequences, for the frames of one are no independent witnesses. `left_out` counts what only
    one of the two has scored; `conditions` are the names of those that differ, with both values.
    """

    metric: str
    a: str
    b: str
    pairs: tuple[Pair, ...]
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
    """b against a, over the sequences of all data sets or of one; differences are b − a in the metric's own unit.

    The interval is the percentile bootstrap over sequences (Efron 1979), drawn from `seed`. OptionError where the
    protocols differ, naming the fields; where no sequence has the metric in both; where a sequence has another
    number of frames in each.
    """
    if resamples < 1 or not 0 < level < 1:
        raise OptionError(f"{resamples} resamples at level {level}: at least one, and a level between 0 and 1")
    _same_protocol(a, b)
    pairs = tuple(_pairs(a, b, metric, dataset))
    if not pairs:
        raise OptionError(_nothing_shared(a, b, metric, dataset))
    scored = _scored(a, metric, dataset).keys() | _scored(b, metric, dataset).keys()
    one_frame_each = np.array([pair.difference for pair in pairs])
    ones = np.ones(len(pairs))
    sequences = _difference(one_frame_each, one_frame_each, ones, metric, resamples, seed, level)
    one, other = distinct([a, b])
    return Comparison(
        metric,
        one.method,
        other.method,
        pairs,
        sequences,
        _over_frames(pairs, metric, resamples, seed, level),
        len(scored) - len(pairs),
        _unlike(a.conditions, b.conditions),
        resamples,
        level,
    )


def by_dataset(a: Results, b: Results, metric: str = "abs_rel", **options: Any) -> dict[str, Comparison]:
    """A comparison for every data set that the two share, and "all" for them together where there are several."""
    together = compare(a, b, metric, **options)
    datasets = list(dict.fromkeys(pair.dataset for pair in together.pairs))
    found = {name: compare(a, b, metric, dataset=name, **options) for name in datasets}
    return found if len(found) == 1 else found | {"all": together}


def describe(comparison: Comparison, sequences: bool = True) -> str:
    """The comparison as lines for a terminal, in the printed unit of the metric; ends with a line break."""
    c, shown = comparison, label(comparison.metric)
    unit = "" if shown.unit == "1" else f", {shown.unit}"
    lines = [f"{shown.heading}{unit}: {c.b} − {c.a}"]
    if sequences:
        width = max(len(f"{dataset_label(pair.dataset)} {pair.name}") for pair in c.pairs)
        for pair in c.pairs:
            name = f"{dataset_label(pair.dataset)} {pair.name}".ljust(width)
            lines.append(
                f"  {name}  {shown.show(pair.a):>9} → {shown.show(pair.b):>9}  {_signed(pair.difference, c.metric)}"
            )
    lines.append(_line("sequences", c.sequences, c))
    if c.frames:
        lines.append(_line("frames", c.frames, c))
    if len(c.pairs) > 1:
        lines.append(f"Interval: percentile bootstrap over {len(c.pairs)} sequences, {c.resamples} resamples.")
    if 1 < len(c.pairs) < FEW:
        lines.append(f"Of {len(c.pairs)} sequences only: too few for the interval to be trusted.")
    if c.left_out:
        lines.append(f"{many(c.left_out, 'sequence')} scored in one of the two only, and left out.")
    if c.conditions:
        differing = (f"{name} {text(one)} → {text(other)}" for name, (one, other) in c.conditions.items())
        lines.append(f"Conditions differ: {'; '.join(differing)}.")
    return "\n".join(lines) + "\n"


def bootstrap_means(sums: NDArray, counts: NDArray, resamples: int, seed: int) -> NDArray[np.float64]:
    """The mean of each resample of n groups, drawn with replacement, of which each has a sum and a count."""
    drawn, n = np.random.default_rng(seed), len(sums)
    block = max(1, _AT_ONCE // n)
    means = []
    for first in range(0, resamples, block):
        groups = drawn.integers(n, size=(min(block, resamples - first), n))
        means.append(sums[groups].sum(axis=1) / counts[groups].sum(axis=1))
    return np.concatenate(means)


def _same_protocol(a: Results, b: Results) -> None:
    # Which metrics were taken besides says nothing of how this one was; how windows were joined, the conditions say.
    beside = ("metrics", "stitch")
    unlike = _unlike(*({name: v for name, v in one.protocol.items() if name not in beside} for one in (a, b)))
    if unlike:
        fields = "; ".join(f"{name} {one} and {other}" for name, (one, other) in unlike.items())
        raise OptionError(f"the protocols of {a.method} and {b.method} differ in {fields}; evaluate both under one")


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, with both values; as JSON has them, so that a tuple is the list that was read back."""
    left, right = (dict(flat(json.loads(json.dumps(values, default=str)))) for values in (one, other))
    names = dict.fromkeys([*left, *right])
    return {name: (left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)}


def _scored(results: Results, metric: str, dataset: str | None) -> dict[tuple[str, str], SequenceResult]:
    """The sequences that have a finite value of the metric, by data set and name."""
    return {
        (s.dataset, s.name): s
        for s in results.sequences
        if s.skipped is None
        and dataset in (None, s.dataset)
        and metric in s.metrics
        and math.isfinite(s.metrics[metric])
    }


def _pairs(a: Results, b: Results, metric: str, dataset: str | None) -> Iterator[Pair]:
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
        yield Pair(*key, one.metrics[metric], other.metrics[metric], differences)


def _nothing_shared(a: Results, b: Results, metric: str, dataset: str | None) -> str:
    if dataset is not None and dataset not in a.datasets:
        return unknown("data set", dataset, a.datasets)
    names = [{name for s in r.sequences for name in s.metrics} for r in (a, b)]
    if names[0] & names[1] and metric not in names[0] & names[1]:
        return unknown("metric", metric, names[0] & names[1])
    return f"{a.method} and {b.method} share no sequence that is scored; evaluate both on the same data"


def _over_frames(pairs: tuple[Pair, ...], metric: str, resamples: int, seed: int, level: float) -> Difference | None:
    groups = [np.array(pair.frames) for pair in pairs if pair.frames]
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


def _line(of: str, d: Difference, c: Comparison) -> str:
    interval = "no interval of one sequence"
    if d.low is not None and d.high is not None:
        interval = f"{c.level:.0%} interval {_signed(d.low, c.metric)} to {_signed(d.high, c.metric)}"
    text = f"{of}: mean difference {_signed(d.mean, c.metric)}, {interval}"
    if d.better_a is None:
        return text
    return f"{text}; better: {c.b} {d.better_b}, {c.a} {d.better_a}, equal {d.equal} of {d.count}"


def _signed(value: float, metric: str) -> str:
    """A difference in the printed unit, with one decimal more than the metric itself."""
    shown = label(metric)
    return f"{value * shown.factor:+.{shown.digits + 1}f}"

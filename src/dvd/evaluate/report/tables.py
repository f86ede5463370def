"""Results as tables of the paper's form: methods × data sets, measured rows beside published ones, each marked.

`table_forms` writes them for the console and as Markdown, LaTeX and CSV.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from dvd.errors import OptionError, unknown
from dvd.evaluate.protocol import PROTOCOLS
from dvd.evaluate.report import published
from dvd.evaluate.report.labels import Label, dataset_label, label
from dvd.evaluate.results import Results, distinct

MEASURED = "measured"

Value = float | None
Metrics = Mapping[str, str]
"""The metric of a column → the metric of an evaluation that fills it."""


@dataclass(frozen=True)
class Layout:
    """One table of the paper: which sequences count, by their frames, and which metrics stand under each data set.

    `part` names the partition whose lengths are the protocol's; `lengths` holds where there is none. `forms` fills the
    columns in several ways, each a row of its own whose source says which.
    """

    name: str
    title: str
    table: int
    lengths: range = range(0)
    part: Literal["short", "long"] | None = None
    metrics: tuple[str, ...] = ("abs_rel", "delta1")
    forms: Mapping[str, Metrics] = field(default_factory=dict)
    note: str = ""

    def lengths_of(self, result: Results) -> range:
        """The frames of a sequence that counts under the protocol of these results; none where it has no such part."""
        if self.part is None:
            return self.lengths
        ends = result.protocol.get(self.part, getattr(PROTOCOLS["paper"], self.part))
        if ends is None:
            return range(0)
        return range(ends, _EVER) if isinstance(ends, int) else range(ends[0], ends[1] + 1)


_EVER = sys.maxsize

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            Layout("video", "Videos of every length", 1, range(2, _EVER)),
            Layout("short", "Short videos", 1, part="short"),
            Layout("long", "Long videos", 2, part="long"),
            Layout(
                "boundary",
                "Boundaries",
                3,
                range(1, _EVER),
                metrics=("boundary_recall", "boundary_f1"),
                forms={
                    "RGB edges": {"boundary_recall": "rgb_boundary_recall", "boundary_f1": "rgb_boundary_f1"},
                    "scale-invariant": {"boundary_recall": "si_boundary_recall", "boundary_f1": "si_boundary_f1"},
                },
                note="The paper cites Depth Pro's scale-invariant score; its release computes the one with RGB edges. "
                "Which of them Table 3 holds is not stated.",
            ),
            Layout("image", "Single images", 4, range(1, 2)),
        )
    }
)


@dataclass(frozen=True)
class Column:
    """A metric of a data set."""

    dataset: str
    metric: str

    @property
    def label(self) -> Label:
        return label(self.metric)


@dataclass(frozen=True)
class Row:
    """A method's values, in the printed units of the columns. `source` is "measured" or "published", and which."""

    method: str
    source: str
    values: tuple[Value, ...]
    sequences: tuple[int, ...] = ()
    """How many sequences each value is the mean of; nothing where it was published."""
    conditions: str = ""

    @property
    def measured(self) -> bool:
        return self.source.startswith(MEASURED)


@dataclass(frozen=True)
class Table:
    """Rows over columns, and beneath them the conditions under which the numbers came about.

    `comparable` is False where the measured rows follow different protocols: none of them is the best then.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    comparable: bool = True

    def ranks(self, column: int) -> dict[int, int]:
        """Row → 1 for the best and 2 for the second best of a column, among the rows of one source.

        Equal values share a rank; where all are equal none has one, for there is nothing that they are better than.
        """
        better, places = self.columns[column].label.better, dict[int, int]()
        for source in {row.source for row in self.rows if self.comparable or not row.measured}:
            values = {
                index: value
                for index, row in enumerate(self.rows)
                if row.source == source and (value := row.values[column]) is not None
            }
            order = sorted(set(values.values()), reverse=better == "higher")[:2]
            if better and len(order) > 1:
                places |= {i: order.index(value) + 1 for i, value in values.items() if value in order}
        return places


def table(name: str, results: Sequence[Results], beside_published: bool = True) -> Table:
    """The named table of these results; of the published numbers alone, with all their columns, where there are none.

    A measured data set without published numbers has columns too, and published rows stand only over data sets that
    were measured. OptionError where the name is unknown.
    """
    if name not in LAYOUTS:
        raise OptionError(unknown("table", name, LAYOUTS))
    layout, results = LAYOUTS[name], distinct(results)
    printed = [number for number in published.load() if number.table == layout.table]
    counting = [result for result in results if any(_counted(result, d, layout) for d in result.datasets)]
    datasets = dict.fromkeys(d for result in counting for d in result.datasets if _counted(result, d, layout))
    if not results:
        # In the order of the last row, DVD's, which lacks nothing.
        datasets = dict.fromkeys(number.dataset for number in printed if number.method == printed[-1].method)
    columns = tuple(Column(dataset, metric) for dataset in datasets for metric in layout.metrics)
    rows = [row for result in counting for row in _measured(result, layout, columns)]
    if beside_published or not results:
        rows = [*_published(printed, columns), *rows]
    title = f"{layout.title}, beside Table {layout.table}" if any(not row.measured for row in rows) else layout.title
    comparable = len({_protocol(result) for result in counting}) < 2
    return Table(name, title, columns, tuple(rows), tuple(_notes(layout, counting, rows)), comparable)


def tables(results: Sequence[Results], beside_published: bool = True) -> list[Table]:
    """Every table that these results fill; all lengths together only where neither short nor long alone covers them."""
    made = {name: table(name, results, beside_published) for name in LAYOUTS}
    filled = {name: each for name, each in made.items() if any(row.measured for row in each.rows)}
    same = [name for name in ("short", "long") if name in filled and _covers(name, results)]
    return [each for name, each in filled.items() if not (name == "video" and same)]


def state(values: Mapping[str, Any]) -> str:
    """Conditions in one line: `name value, name value`, what is nested by its dotted name, what is None left out."""
    return ", ".join(f"{name} {text(value)}" for name, value in flat(values) if value is not None)


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def text(value: Any) -> str:
    """A condition as it is read: sizes as 192 × 256, floats without their noise."""
    if isinstance(value, list | tuple):
        return (" × " if all(isinstance(each, int) for each in value) else " ").join(map(text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def protocol_values(result: Results) -> dict[str, Any]:
    """The protocol as it is stated, with the lengths of short and long sequences in words.

    The conditions state how windows were really joined, so the protocol's own `stitch` is left out.
    """
    values = {name: value for name, value in result.protocol.items() if name != "stitch"}
    for part in ("short", "long"):
        ends = values.get(part)
        if ends is not None:
            values[part] = f"from {ends} frames" if isinstance(ends, int) else f"{ends[0]} to {ends[1]} frames"
    return values


def shown_conditions(result: Results) -> dict[str, Any]:
    """The conditions as a report states them: without the folders of this machine, which are in results.json."""
    values = dict(result.conditions)
    if isinstance(values.get("datasets"), Mapping):
        values["datasets"] = {
            name: {key: value for key, value in options.items() if key != "root"}
            if isinstance(options, Mapping)
            else options
            for name, options in values["datasets"].items()
        }
    return values


def coverage(result: Results, lengths: range = range(1, _EVER)) -> Iterator[str]:
    """For each data set, how many sequences and frames count and which were skipped, with the reason."""
    for dataset in result.datasets:
        here = [s for s in result.sequences if s.dataset == dataset and s.frames in lengths]
        kept = [s for s in here if s.skipped is None]
        if here:
            skipped = "; ".join(f"{s.name}: {s.skipped}" for s in here if s.skipped is not None)
            counts = many(len(kept), "sequence"), many(sum(s.frames for s in kept), "frame")
            line = f"{dataset_label(dataset)} {', '.join(counts)}"
            yield f"{line} ({len(here) - len(kept)} skipped: {skipped})" if skipped else line


def cuts_in_words(result: Results, lengths: range = range(1, _EVER)) -> str:
    """Where scale and shift began anew at scene cuts, "" where they nowhere did."""
    cut = [
        f"{one.name} at {', '.join(map(str, one.cuts))}"
        for one in result.sequences
        if one.cuts and one.frames in lengths
    ]
    return f"Scale and shift begin anew at scene cuts: {'; '.join(cut)}." if cut else ""


def many(count: int, noun: str) -> str:
    """A number of things, in the plural where they are not one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _counted(result: Results, dataset: str, layout: Layout) -> bool:
    """Whether the data set has a sequence of these lengths that counts, with one of the metrics."""
    wanted = set(layout.metrics).union(*(form.values() for form in layout.forms.values()))
    return bool(wanted & result.mean(dataset, layout.lengths_of(result)).keys())


def _measured(result: Results, layout: Layout, columns: Sequence[Column]) -> Iterator[Row]:
    means = {dataset: result.mean(dataset, layout.lengths_of(result)) for dataset in {c.dataset for c in columns}}
    for form, metrics in (layout.forms or {"": {name: name for name in layout.metrics}}).items():
        found = [means[column.dataset].get(metrics[column.metric]) for column in columns]
        values = tuple(None if v is None else v * column.label.factor for v, column in zip(found, columns, strict=True))
        counts = tuple(_count(result, column.dataset, metrics[column.metric], layout) for column in columns)
        if any(value is not None for value in values):
            source = f"{MEASURED}, {form}" if form else MEASURED
            yield Row(result.method, source, values, counts, _conditions(result))


def _count(result: Results, dataset: str, metric: str, layout: Layout) -> int:
    lengths = layout.lengths_of(result)
    return sum(
        s.dataset == dataset and s.skipped is None and s.frames in lengths and metric in s.metrics
        for s in result.sequences
    )


def _published(printed: Sequence[published.Published], columns: Sequence[Column]) -> Iterator[Row]:
    for method, source in dict.fromkeys((number.method, number.source) for number in printed):
        numbers = {Column(n.dataset, n.metric): n.value for n in printed if n.method == method}
        values = tuple(numbers.get(column) for column in columns)
        if any(value is not None for value in values):
            yield Row(method, source, values)


def _conditions(result: Results) -> str:
    return f"{state(shown_conditions(result))}; protocol: {_protocol(result)}"


def _protocol(result: Results) -> str:
    """The protocol in one line, without the list of metrics, of which the table itself shows what it has."""
    return state({name: value for name, value in protocol_values(result).items() if name != "metrics"})


def _notes(layout: Layout, results: Sequence[Results], rows: Sequence[Row]) -> Iterator[str]:
    units = [f"{label(m).text} {label(m).unit}" for m in layout.metrics if label(m).unit != "1"]
    if units:
        yield f"Units: {', '.join(units)}."
    if any(not row.measured for row in rows):
        yield f"Published rows are printed in “{published.paper()}”; they were not measured here."
    if layout.note:
        yield layout.note
    for result in results:
        covered = "; ".join(coverage(result, layout.lengths_of(result)))
        cut = cuts_in_words(result, layout.lengths_of(result))
        yield f"{result.method}, measured: {state(shown_conditions(result))}. {covered}. {cut}".rstrip()
    lines = [_protocol(result) for result in results]
    if len(set(lines)) > 1:
        yield "The measured rows follow different protocols and must not be compared with each other."
        yield from (f"Protocol of {result.method}: {line}." for result, line in zip(results, lines, strict=True))
    elif lines:
        yield f"Protocol: {lines[0]}."
    if len({tuple(_names(result, layout.lengths_of(result))) for result in results}) > 1:
        yield "The measured rows do not all cover the same sequences."


def _names(result: Results, lengths: range) -> list[tuple[str, str]]:
    return sorted((s.dataset, s.name) for s in result.sequences if s.skipped is None and s.frames in lengths)


def _covers(name: str, results: Sequence[Results]) -> bool:
    """Whether every video that counts has the lengths of the named table."""
    every = LAYOUTS["video"].lengths
    return all(_names(result, LAYOUTS[name].lengths_of(result)) == _names(result, every) for result in results)

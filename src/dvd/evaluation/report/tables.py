"""Results as tables of the paper's form: methods × data sets, measured rows beside published ones, each marked.

`table_forms` writes them for the console and as Markdown, LaTeX and CSV.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from dvd.errors import OptionError, unknown
from dvd.evaluation.report import published
from dvd.evaluation.report.labels import MISSING, Label, dataset_label, label
from dvd.evaluation.results import EVER, Results, distinct

MEASURED = "measured"

Value = float | None
Metrics = Mapping[str, str]
"""The metric of a column → the metric of an evaluation that fills it."""


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper: which sequences count, by their number of frames, and the metrics of each data set.

    `part` names the part of the protocol whose lengths count, else `lengths` are those. `forms` fills the columns in
    several ways, each a row of its own whose source says which.
    """

    name: str
    title: str
    table: int
    lengths: range = range(0)
    part: Literal["short", "long"] | None = None
    metrics: tuple[str, ...] = ("abs_rel", "delta1")
    forms: Mapping[str, Metrics] = field(default_factory=dict)
    note: str = ""

    def lengths_in(self, result: Results) -> range:
        """Return the lengths that count under the protocol of these results; none if it has no such part."""
        if self.part is None:
            return self.lengths
        part = result.parts.get(self.part)
        return part.lengths if part else range(0)


PAPER_TABLES: Mapping[str, PaperTable] = MappingProxyType(
    {
        table.name: table
        for table in (
            PaperTable("video", "Videos of every length", 1, range(2, EVER)),
            PaperTable("short", "Short videos", 1, part="short"),
            PaperTable("long", "Long videos", 2, part="long"),
            PaperTable(
                "boundary",
                "Boundaries",
                3,
                range(1, EVER),
                metrics=("boundary_recall", "boundary_f1"),
                forms={
                    "RGB edges": {"boundary_recall": "rgb_boundary_recall", "boundary_f1": "rgb_boundary_f1"},
                    "scale-invariant": {"boundary_recall": "si_boundary_recall", "boundary_f1": "si_boundary_f1"},
                },
                note="The paper cites Depth Pro's scale-invariant score; its release computes the one with RGB edges. "
                "Which of them Table 3 holds is not stated.",
            ),
            PaperTable("image", "Single images", 4, range(1, 2)),
        )
    }
)


@dataclass(frozen=True)
class Column:
    """One metric on one data set."""

    dataset: str
    metric: str

    @property
    def label(self) -> Label:
        return label(self.metric)


@dataclass(frozen=True)
class Row:
    """A method's values, in the printed units of the columns.

    `source` begins with "measured" or "published". `sequences` counts the sequences behind each value; empty for
    published rows.
    """

    method: str
    source: str
    values: tuple[Value, ...]
    sequences: tuple[int, ...] = ()
    conditions: str = ""

    @property
    def measured(self) -> bool:
        return self.source.startswith(MEASURED)


@dataclass(frozen=True)
class Table:
    """Rows over columns, with the conditions of the measurement as notes.

    `comparable` is False where the measured rows follow different protocols; then none of them is ranked.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    comparable: bool = True

    def ranks(self, column: int) -> dict[int, int]:
        """Map the index of a row to 1 for the best and 2 for the second best of a column, among rows of one source.

        Equal values share a rank; where all values are equal, no row has a rank.
        """
        better, ranks = self.columns[column].label.better, dict[int, int]()
        for source in {row.source for row in self.rows if self.comparable or not row.measured}:
            values = {
                index: value
                for index, row in enumerate(self.rows)
                if row.source == source and (value := row.values[column]) is not None
            }
            order = sorted(set(values.values()), reverse=better == "higher")[:2]
            if better and len(order) > 1:
                ranks |= {index: order.index(value) + 1 for index, value in values.items() if value in order}
        return ranks

    def cells(self, index: int) -> list[tuple[str, int]]:
        """Return the printed values of a row, each with its rank in its column (0 for none)."""
        return [
            (MISSING if value is None else f"{value:.{column.label.digits}f}", self.ranks(position).get(index, 0))
            for position, (column, value) in enumerate(zip(self.columns, self.rows[index].values, strict=True))
        ]


def table(name: str, results: Sequence[Results], beside_published: bool = True) -> Table:
    """Make the named table of these results; without results, of the published numbers alone.

    A measured data set without published numbers has columns too; published rows cover measured data sets only.
    Raise OptionError if the name is unknown.
    """
    if name not in PAPER_TABLES:
        raise OptionError(unknown("table", name, PAPER_TABLES))
    paper, results = PAPER_TABLES[name], distinct(results)
    printed = [number for number in published.load() if number.table == paper.table]
    counting = [result for result in results if any(_counts(result, d, paper) for d in result.datasets)]
    datasets = dict.fromkeys(d for result in counting for d in result.datasets if _counts(result, d, paper))
    if not results:
        # The last row is DVD's, which has a number for every data set.
        datasets = dict.fromkeys(number.dataset for number in printed if number.method == printed[-1].method)
    columns = tuple(Column(dataset, metric) for dataset in datasets for metric in paper.metrics)
    rows = [row for result in counting for row in _measured(result, paper, columns)]
    if beside_published or not results:
        rows = [*_published(printed, columns), *rows]
    title = f"{paper.title}, beside Table {paper.table}" if any(not row.measured for row in rows) else paper.title
    comparable = len({_protocol(result) for result in counting}) < 2
    return Table(name, title, columns, tuple(rows), tuple(_notes(paper, counting, rows)), comparable)


def tables(results: Sequence[Results], beside_published: bool = True) -> list[Table]:
    """Make every table that these results fill; videos of every length only if neither short nor long covers them."""
    made = {name: table(name, results, beside_published) for name in PAPER_TABLES}
    filled = {name: made_table for name, made_table in made.items() if any(row.measured for row in made_table.rows)}
    same = [name for name in ("short", "long") if name in filled and _covers(name, results)]
    return [made_table for name, made_table in filled.items() if not (name == "video" and same)]


def state(values: Mapping[str, Any]) -> str:
    """Write conditions in one line, `name value, name value`: nested ones by dotted name, None left out."""
    return ", ".join(f"{name} {text(value)}" for name, value in flat(values).items() if value is not None)


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return every nested value by its dotted name."""
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        leaves |= flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return leaves


def text(value: Any) -> str:
    """Write a condition for a reader: sizes as 192 × 256, floats with six digits."""
    if isinstance(value, list | tuple):
        return (" × " if all(isinstance(entry, int) for entry in value) else " ").join(map(text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def protocol_values(result: Results) -> dict[str, Any]:
    """Return the protocol as it is stated, with the lengths of short and long sequences in words.

    The conditions state how windows were really joined, so the protocol's own `stitch` is left out.
    """
    words = {name: part.words for name, part in result.parts.items() if name in result.protocol}
    return {name: words.get(name, value) for name, value in result.protocol.items() if name != "stitch"}


def shown_conditions(result: Results) -> dict[str, Any]:
    """Return the conditions by dotted name, without the folders of this machine, which are in results.json."""
    return {
        name: value
        for name, value in flat(result.conditions).items()
        if not (name.startswith("datasets.") and name.endswith(".root"))
    }


def coverage(result: Results, lengths: range = range(1, EVER)) -> Iterator[str]:
    """Say for each data set how many sequences and frames count, and which were skipped and why."""
    for dataset in result.datasets:
        here = [s for s in result.sequences if s.dataset == dataset and s.frames in lengths]
        kept = [s for s in here if s.skipped is None]
        if here:
            skipped = "; ".join(f"{s.name}: {s.skipped}" for s in here if s.skipped is not None)
            counts = many(len(kept), "sequence"), many(sum(s.frames for s in kept), "frame")
            line = f"{dataset_label(dataset)} {', '.join(counts)}"
            yield f"{line} ({len(here) - len(kept)} skipped: {skipped})" if skipped else line


def cuts_in_words(result: Results, lengths: range = range(1, EVER)) -> str:
    """Say where scale and shift begin anew at scene cuts; "" if there are none."""
    cut = [
        f"{one.name} at {', '.join(map(str, one.cuts))}"
        for one in result.sequences
        if one.cuts and one.frames in lengths
    ]
    return f"Scale and shift begin anew at scene cuts: {'; '.join(cut)}." if cut else ""


def many(count: int, noun: str) -> str:
    """Write a count with its noun, in the plural unless the count is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _counts(result: Results, dataset: str, paper: PaperTable) -> bool:
    """Return whether the data set has a sequence of these lengths that counts, with one of the metrics."""
    wanted = set(paper.metrics).union(*(form.values() for form in paper.forms.values()))
    return bool(wanted & result.mean(dataset, paper.lengths_in(result)).keys())


def _measured(result: Results, paper: PaperTable, columns: Sequence[Column]) -> Iterator[Row]:
    means = {dataset: result.mean(dataset, paper.lengths_in(result)) for dataset in {c.dataset for c in columns}}
    for form, metrics in (paper.forms or {"": {name: name for name in paper.metrics}}).items():
        known = [means[column.dataset].get(metrics[column.metric]) for column in columns]
        values = tuple(None if v is None else v * column.label.factor for v, column in zip(known, columns, strict=True))
        counts = tuple(_count(result, column.dataset, metrics[column.metric], paper) for column in columns)
        if any(value is not None for value in values):
            source = f"{MEASURED}, {form}" if form else MEASURED
            yield Row(result.method, source, values, counts, _conditions(result))


def _count(result: Results, dataset: str, metric: str, paper: PaperTable) -> int:
    lengths = paper.lengths_in(result)
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
    """Write the protocol in one line, without the list of metrics, which the table itself shows."""
    return state({name: value for name, value in protocol_values(result).items() if name != "metrics"})


def _notes(paper: PaperTable, results: Sequence[Results], rows: Sequence[Row]) -> Iterator[str]:
    units = [f"{label(m).text} {label(m).unit}" for m in paper.metrics if label(m).unit != "1"]
    if units:
        yield f"Units: {', '.join(units)}."
    if any(not row.measured for row in rows):
        yield f"Published rows are printed in “{published.paper()}”; they were not measured here."
    if paper.note:
        yield paper.note
    for result in results:
        covered = "; ".join(coverage(result, paper.lengths_in(result)))
        cut = cuts_in_words(result, paper.lengths_in(result))
        yield f"{result.method}, measured: {state(shown_conditions(result))}. {covered}. {cut}".rstrip()
    lines = [_protocol(result) for result in results]
    if len(set(lines)) > 1:
        yield "The measured rows follow different protocols and must not be compared with each other."
        yield from (f"Protocol of {result.method}: {line}." for result, line in zip(results, lines, strict=True))
    elif lines:
        yield f"Protocol: {lines[0]}."
    if len({tuple(_names(result, paper.lengths_in(result))) for result in results}) > 1:
        yield "The measured rows do not all cover the same sequences."


def _names(result: Results, lengths: range) -> list[tuple[str, str]]:
    return sorted((s.dataset, s.name) for s in result.sequences if s.skipped is None and s.frames in lengths)


def _covers(name: str, results: Sequence[Results]) -> bool:
    """Return whether every video that counts has the lengths of the named table."""
    every = PAPER_TABLES["video"].lengths
    return all(_names(result, PAPER_TABLES[name].lengths_in(result)) == _names(result, every) for result in results)

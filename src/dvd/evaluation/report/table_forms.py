"""A table as text: for the console, as Markdown, LaTeX and CSV. All forms show the source of every row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from types import MappingProxyType

from dvd.errors import OptionError, unknown
from dvd.evaluation.report.labels import dataset_label
from dvd.evaluation.report.tables import Column, Table, tables
from dvd.evaluation.results import Results

_HEAD = ("Method", "Source")
_LATEX = {**{c: rf"\{c}" for c in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}
_SYMBOLS = {"δ": r"$\delta$", "×": r"$\times$", "τ": r"$\tau$", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "–": "--"}


def render(table: Table, form: str = "console") -> str:
    """Write a table as text that ends with a line break. Raise OptionError if the form is unknown."""
    if form not in FORMS:
        raise OptionError(unknown("form of a table", form, FORMS))
    return FORMS[form](table)


def render_all(
    results: Sequence[Results], form: str = "console", beside_published: bool = True, notes: bool = True
) -> str:
    """Write every table that the results fill, with or without notes; as CSV one document with one head."""
    filled = tables(results, beside_published)
    parts = [render(table if notes else replace(table, notes=()), form) for table in filled]
    if form == "csv":
        return "".join(part.partition("\n")[2] if index else part for index, part in enumerate(parts))
    return "\n".join(parts)


def to_console(table: Table) -> str:
    """Write aligned columns under two lines of heads, with the notes beneath."""
    heads = [*_HEAD, *(column.label.heading for column in table.columns)]
    cells = [
        [row.method, row.source, *(number for number, _ in table.cells(index))] for index, row in enumerate(table.rows)
    ]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for dataset, indices in _spans(table.columns):
        missing = len(dataset_label(dataset)) - (sum(widths[2 + i] for i in indices) + 2 * (len(indices) - 1))
        widths[2 + indices[-1]] += max(missing, 0)
    spans = (
        dataset_label(dataset).center(sum(widths[2 + i] for i in indices) + 2 * (len(indices) - 1))
        for dataset, indices in _spans(table.columns)
    )
    above = "  ".join([" " * widths[0], " " * widths[1], *spans])
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [table.title, above, _aligned(heads, widths), rule, *(_aligned(line, widths) for line in cells), rule]
    return "\n".join(line.rstrip() for line in [*lines, *table.notes]) + "\n"


def to_markdown(table: Table) -> str:
    """Write GitHub's form of a table; the best of a column is bold, among measured and published rows apart."""
    heads = [*_HEAD, *(f"{dataset_label(c.dataset)} {c.label.heading}" for c in table.columns)]
    lines = [_piped(heads), _piped(["---", "---", *["---:"] * len(table.columns)])]
    for index, row in enumerate(table.rows):
        numbers = [f"**{number}**" if rank == 1 else number for number, rank in table.cells(index)]
        lines.append(_piped([_plain(row.method), row.source, *numbers]))
    notes = "".join(f"\n{_plain(note)}\n" for note in table.notes)
    return f"**{table.title}**\n\n" + "\n".join(lines) + "\n" + notes


def to_latex(table: Table) -> str:
    """Write a float for booktabs; the best of a column is bold, the second underlined, measured and published apart."""
    columns = "ll" + "r" * len(table.columns)
    spans = [
        rf"\multicolumn{{{len(indices)}}}{{c}}{{{latex(dataset_label(dataset))}}}"
        for dataset, indices in _spans(table.columns)
    ]
    heads = [*_HEAD, *(latex(column.label.heading) for column in table.columns)]
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex(table.title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(["", "", *spans]).strip() + r" \\",
        " & ".join(heads) + r" \\",
        r"\midrule",
    ]
    for index, row in enumerate(table.rows):
        if index and row.measured != table.rows[index - 1].measured:
            lines.append(r"\midrule")
        marks = {0: "%s", 1: r"\textbf{%s}", 2: r"\underline{%s}"}
        numbers = [marks[rank] % latex(number) for number, rank in table.cells(index)]
        lines.append(" & ".join([latex(row.method), latex(row.source), *numbers]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\footnotesize {latex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def to_csv(table: Table) -> str:
    """Write a line for every number, with its source, unit, count of sequences and conditions, in full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("table", "source", "method", "dataset", "metric", "value", "unit", "sequences", "conditions"))
    for row in table.rows:
        for index, (column, value) in enumerate(zip(table.columns, row.values, strict=True)):
            if value is not None:
                count = row.sequences[index] if row.measured else ""
                names = (table.name, row.source, row.method, column.dataset, column.metric)
                writer.writerow((*names, f"{value:.10g}", column.label.unit, count, row.conditions))
    return out.getvalue()


FORMS: Mapping[str, Callable[[Table], str]] = MappingProxyType(
    {"console": to_console, "markdown": to_markdown, "latex": to_latex, "csv": to_csv}
)
ENDINGS: Mapping[str, str] = MappingProxyType({"console": "txt", "markdown": "md", "latex": "tex", "csv": "csv"})
"""The file name's ending of each form."""


def latex(text: str) -> str:
    """Escape everything that LaTeX would take for a command."""
    symbols = {**_LATEX, **_SYMBOLS}
    plain = re.sub(r"δ(\d)|.", lambda m: rf"$\delta_{m[1]}$" if m[1] else symbols.get(m[0], m[0]), text)
    return re.sub(r"(?<!\\)\$\$", "", plain)


def _spans(columns: Sequence[Column]) -> Iterator[tuple[str, list[int]]]:
    """Yield each data set with the indices of its columns, which are neighbours."""
    for dataset, indices in groupby(range(len(columns)), key=lambda index: columns[index].dataset):
        yield dataset, list(indices)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    return "  ".join([*names, *(cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True))])


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Escape everything that Markdown would take for a mark."""
    return re.sub(r"([\\|*_`<>$~&\[\]])", r"\\\1", text)

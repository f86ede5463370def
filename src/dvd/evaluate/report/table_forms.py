"""A table in the forms in which it is read: console, Markdown, LaTeX, CSV. All show the source of every row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from dvd.errors import OptionError, unknown
from dvd.evaluate.report.labels import MISSING, dataset_label
from dvd.evaluate.report.tables import Column, Row, Table

_HEAD = ("Method", "Source")
_LATEX = {**{c: rf"\{c}" for c in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}
_SYMBOLS = {"δ": r"$\delta$", "×": r"$\times$", "τ": r"$\tau$", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "–": "--"}


def render(table: Table, form: str = "console") -> str:
    """The table as text that ends with a line break. OptionError where the form is unknown."""
    if form not in FORMS:
        raise OptionError(unknown("form of a table", form, FORMS))
    return FORMS[form](table)


def to_console(table: Table) -> str:
    """Aligned columns under two lines of heads, the notes beneath."""
    heads = [*_HEAD, *(column.label.heading for column in table.columns)]
    cells = [[row.method, row.source, *_numbers(table, row)] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for dataset, places in _spans(table.columns):
        short = len(dataset_label(dataset)) - (sum(widths[2 + p] for p in places) + 2 * (len(places) - 1))
        widths[2 + places[-1]] += max(short, 0)
    spans = (
        dataset_label(dataset).center(sum(widths[2 + p] for p in places) + 2 * (len(places) - 1))
        for dataset, places in _spans(table.columns)
    )
    above = "  ".join([" " * widths[0], " " * widths[1], *spans])
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [table.title, above, _aligned(heads, widths), rule, *(_aligned(line, widths) for line in cells), rule]
    return "\n".join(line.rstrip() for line in [*lines, *table.notes]) + "\n"


def to_markdown(table: Table) -> str:
    """A table in GitHub's form; the best of a column is bold, measured and published rows apart."""
    heads = [*_HEAD, *(f"{dataset_label(c.dataset)} {c.label.heading}" for c in table.columns)]
    lines = [_piped(heads), _piped(["---", "---", *["---:"] * len(table.columns)])]
    for index, row in enumerate(table.rows):
        numbers = [
            f"**{text}**" if place == 1 else text
            for text, place in zip(_numbers(table, row), _places(table, index), strict=True)
        ]
        lines.append(_piped([_plain(row.method), row.source, *numbers]))
    notes = "".join(f"\n{_plain(note)}\n" for note in table.notes)
    return f"**{table.title}**\n\n" + "\n".join(lines) + "\n" + notes


def to_latex(table: Table) -> str:
    """A float for booktabs; the best of a column is bold and the second underlined, measured and published apart."""
    columns = "ll" + "r" * len(table.columns)
    spans = [
        rf"\multicolumn{{{len(places)}}}{{c}}{{{latex(dataset_label(dataset))}}}"
        for dataset, places in _spans(table.columns)
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
        marks = {1: r"\textbf{%s}", 2: r"\underline{%s}"}
        numbers = [
            marks.get(place, "%s") % latex(text)
            for text, place in zip(_numbers(table, row), _places(table, index), strict=True)
        ]
        lines.append(" & ".join([latex(row.method), latex(row.source), *numbers]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\footnotesize {latex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def to_csv(table: Table) -> str:
    """One line for every number, with its source, unit, number of sequences and conditions, in full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("table", "source", "method", "dataset", "metric", "value", "unit", "sequences", "conditions"))
    for row in table.rows:
        for index, (column, value) in enumerate(zip(table.columns, row.values, strict=True)):
            if value is not None:
                count = row.sequences[index] if row.measured else ""
                where = (table.name, row.source, row.method, column.dataset, column.metric)
                writer.writerow((*where, f"{value:.10g}", column.label.unit, count, row.conditions))
    return out.getvalue()


FORMS: Mapping[str, Callable[[Table], str]] = MappingProxyType(
    {"console": to_console, "markdown": to_markdown, "latex": to_latex, "csv": to_csv}
)
ENDINGS: Mapping[str, str] = MappingProxyType({"console": "txt", "markdown": "md", "latex": "tex", "csv": "csv"})
"""How the names of files in each form end."""


def latex(text: str) -> str:
    """Text with everything escaped that LaTeX would take for a command."""
    symbols = {**_LATEX, **_SYMBOLS}
    plain = re.sub(r"δ(\d)|.", lambda m: rf"$\delta_{m[1]}$" if m[1] else symbols.get(m[0], m[0]), text)
    return re.sub(r"(?<!\\)\$\$", "", plain)


def _numbers(table: Table, row: Row) -> list[str]:
    """The values of a row, which are in printed units already."""
    return [
        MISSING if value is None else f"{value:.{column.label.digits}f}"
        for column, value in zip(table.columns, row.values, strict=True)
    ]


def _places(table: Table, row: int) -> list[int]:
    """1 where the row is the best of a column, 2 where it is the second, 0 elsewhere."""
    return [table.ranks(column).get(row, 0) for column in range(len(table.columns))]


def _spans(columns: Sequence[Column]) -> Iterator[tuple[str, list[int]]]:
    """Each data set with the places of its columns, which stand side by side."""
    for dataset, places in groupby(range(len(columns)), key=lambda place: columns[place].dataset):
        yield dataset, list(places)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    return "  ".join([*names, *(cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True))])


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text in which Markdown finds no mark of its own."""
    return re.sub(r"([\\|*_`<>$~&\[\]])", r"\\\1", text)

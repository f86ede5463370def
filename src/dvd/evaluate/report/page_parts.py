"""What a page is put together from: the paper's tables, tables of cells, and pictures of frames, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from dvd.evaluate.report.labels import MISSING, dataset_label, label
from dvd.evaluate.report.pictures import DEPTH_MAP, ERROR_MAP, WORST_ERROR, Frames, gradient, strip
from dvd.evaluate.report.tables import Column, Row, Table


def paper_table(table: Table) -> str:
    """One of the paper's tables; published rows are set apart in type, and every row carries its source."""
    spans = dict.fromkeys(column.dataset for column in table.columns)
    count = len(table.columns) // max(len(spans), 1)
    above = "".join(f'<th class="span" colspan="{count}">{escape(dataset_label(name))}</th>' for name in spans)
    below = "".join(f"<th>{escape(column.label.heading)}</th>" for column in table.columns)
    rows = "".join(_row(table, index, row) for index, row in enumerate(table.rows))
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    return (
        f'<section><h3>{escape(table.title)}</h3><div class="scroll"><table>'
        f'<thead><tr><th colspan="2"></th>{above}</tr>'
        f'<tr><th>Method</th><th class="left">Source</th>{below}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"<details><summary>How these numbers came about</summary>{notes}</details></section>"
    )


def _row(table: Table, index: int, row: Row) -> str:
    kind = "measured" if row.measured else "published"
    first = " first" if index and table.rows[index - 1].measured != row.measured else ""
    marks = {1: ' class="best"', 2: ' class="second"'}
    cells = "".join(
        f"<td><span{marks.get(table.ranks(place).get(index, 0), '')}>{_printed(column, value)}</span></td>"
        for place, (column, value) in enumerate(zip(table.columns, row.values, strict=True))
    )
    source = f'<td class="left"><span class="tag">{escape(row.source)}</span></td>'
    return f'<tr class="{kind}{first}"><td>{escape(row.method)}</td>{source}{cells}</tr>'


def _printed(column: Column, value: float | None) -> str:
    return MISSING if value is None else f"{value:.{column.label.digits}f}"


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[str] = (), wrap: bool = False) -> str:
    """A table of cells that are HTML already; a row shorter than the head ends in one wide cell."""
    body = []
    for index, row in enumerate(rows):
        *cells, last = row
        wide = f' colspan="{len(head) - len(cells)}"' if len(row) < len(head) else ""
        kind = ' class="wrap"' if wrap else ' class="left"' if wide else ""
        inner = "".join(f'<td class="wrap">{c}</td>' if wrap and i else f"<td>{c}</td>" for i, c in enumerate(cells))
        name = kinds[index] if kinds else ""
        body.append(f'<tr class="{name}">{inner}<td{wide}{kind}>{last}</td></tr>')
    top = "".join(f"<th>{cell}</th>" for cell in head)
    kind = "grid wide" if wrap else "grid"
    table = f"<table class='{kind}'><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def gallery(frames: Iterable[Frames]) -> Iterator[str]:
    shown = [_pictures(each) for each in frames]
    yield '<h2 id="frames">Frames</h2>'
    if not shown:
        yield '<p class="soft">No frames were kept.</p>'
        return
    yield (
        '<p class="soft">Predicted and measured depth share one scale, that of the measured depth; gray was not '
        f"measured. Errors of {WORST_ERROR:.0%} and more are drawn alike.</p>"
    )
    yield from shown


def _pictures(frames: Frames) -> str:
    s = strip(frames)
    near, far = f"{s.nearest_m:.2f} m", f"{s.farthest_m:.2f} m"
    figures = "".join(
        f'<figure><img src="{source}" alt="{name}" loading="lazy"><figcaption>{name}</figcaption>{scale}</figure>'
        for name, source, scale in (
            ("image", s.rgb, ""),
            ("predicted", s.predicted, _bar(DEPTH_MAP, far, near)),
            ("measured", s.truth, _bar(DEPTH_MAP, far, near)),
            ("relative error", s.error, _bar(ERROR_MAP, "0%", f"{WORST_ERROR:.0%}")),
        )
    )
    shown = label("abs_rel")
    method = f", {escape(frames.method)}" if frames.method else ""
    head = f"{escape(dataset_label(frames.dataset))} {escape(frames.sequence)}, frame {frames.frame}{method}"
    why = f", {frames.why}" if frames.why else ""
    error = f'<span class="soft">{shown.text} {shown.unit}: {shown.show(s.abs_rel)}{escape(why)}</span>'
    return f'<div class="frame"><h3>{head} {error}</h3><div class="strip">{figures}</div></div>'


def _bar(colormap: str, low: str, high: str) -> str:
    ends = f'<div class="ends soft"><span>{low}</span><span>{high}</span></div>'
    return f'<div class="bar" style="background:{gradient(colormap)}"></div>{ends}'

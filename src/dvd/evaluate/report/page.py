"""An evaluation as one HTML file that needs nothing else: tables, curves over time, seams, worst frames.

Everything is text, inline SVG and inline PNG; the page asks the network for nothing and follows light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources

from dvd.errors import OptionError
from dvd.evaluate.report import charts, seam_plots
from dvd.evaluate.report.charts import Chart, Series, draw
from dvd.evaluate.report.labels import METRICS, MISSING, dataset_label, label
from dvd.evaluate.report.page_parts import gallery, grid, paper_table
from dvd.evaluate.report.pictures import Frames
from dvd.evaluate.report.tables import coverage, flat, protocol_values, shown_conditions, tables, text
from dvd.evaluate.results import Results, SequenceResult, distinct

CURVES = ("abs_rel", "delta1")
"""Metrics whose curves are seen at once; those of the others are folded."""
_OPEN = 12
"""With no more sequences than this, their curves are unfolded from the start."""


def page(results: Sequence[Results], frames: Iterable[Frames] = (), beside_published: bool = True) -> str:
    """The document. Several results are drawn over each other, a colour for each method.

    `frames` are shown in the order given, as what was seen, predicted and measured, and the error between. OptionError
    where there are no results.
    """
    if not results:
        raise OptionError("a page needs results; name at least one results.json")
    methods = _Methods(results)
    title = f"Depth from video: {', '.join(methods.names)}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape("; ".join(methods.covered()))}</p>',
        methods.navigation(),
        '<h2 id="tables">Tables</h2>',
        f'<div class="tables">{"".join(map(paper_table, tables(results, beside_published)))}</div>',
        '<h2 id="conditions">Conditions</h2>',
        methods.conditions(),
        *(part for dataset in methods.datasets for part in _dataset(methods, dataset)),
        *gallery(frames),
    ]
    frame = [charts.WIDTH, charts.HEIGHT, charts.LEFT, charts.RIGHT, charts.TOP, charts.BOTTOM]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_resource('page.css')}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + f'\n</main>\n<div id="tip"></div>\n<script>\nconst FRAME = {frame};\n{_resource("page.js")}</script>\n'
        "</body>\n</html>\n"
    )


class _Methods:
    """The evaluations side by side, each with a name that no other has and a colour."""

    def __init__(self, results: Sequence[Results]) -> None:
        self.results = distinct(results)
        self.names = [result.method for result in self.results]
        self.datasets = list(dict.fromkeys(d for result in results for d in result.datasets))

    def sequences(self, dataset: str) -> dict[str, dict[int, SequenceResult]]:
        """Every sequence of a data set, and what each method scored there, by the method's place."""
        found: dict[str, dict[int, SequenceResult]] = {}
        for place, result in enumerate(self.results):
            for sequence in result.sequences:
                if sequence.dataset == dataset:
                    found.setdefault(sequence.name, {})[place] = sequence
        return found

    @property
    def videos(self) -> int:
        """How many sequences have a course in time."""
        return len({(s.dataset, s.name) for result in self.results for s in result.sequences if s.frames > 1})

    def covered(self) -> list[str]:
        return list(dict.fromkeys(line for result in self.results for line in coverage(result)))

    def key(self, place: int) -> str:
        return f'<span class="key c{place % charts.COLOURS}">{escape(self.names[place])}</span>'

    def navigation(self) -> str:
        places = [("tables", "Tables"), ("conditions", "Conditions")]
        places += [(f"data-{index}", dataset_label(name)) for index, name in enumerate(self.datasets)]
        links = "".join(f'<a href="#{place}">{escape(name)}</a>' for place, name in [*places, ("frames", "Frames")])
        keys = "".join(self.key(place) for place in range(len(self.names)))
        return f'<nav>{links}<span class="methods">{keys}</span></nav>'

    def conditions(self) -> str:
        """All of them, a column for every method."""
        stated = [
            dict(flat({**shown_conditions(result), "protocol": protocol_values(result)})) for result in self.results
        ]
        names = dict.fromkeys(name for values in stated for name in values)
        head = ["", *(self.key(place) for place in range(len(self.results)))]
        rows = [
            [escape(name), *(MISSING if values.get(name) is None else escape(text(values[name])) for values in stated)]
            for name in names
            if any(values.get(name) is not None for values in stated)
        ]
        return grid(head, rows, wrap=True)


def _dataset(methods: _Methods, dataset: str) -> Iterator[str]:
    """Numbers of every sequence, then the curves of those that have a course in time."""
    sequences = methods.sequences(dataset)
    yield f'<h2 id="data-{methods.datasets.index(dataset)}">{escape(dataset_label(dataset))}</h2>'
    yield _numbers(methods, dataset, sequences)
    if all(one.frames == 1 for found in sequences.values() for one in found.values()):
        yield _charts(_ranked(methods, sequences, metric) for metric in _metrics(sequences))
        return
    unfolded = " open" if methods.videos <= _OPEN else ""
    for name, found in sequences.items():
        lines = _charts(_curve(methods, found, metric) for metric in CURVES)
        others = _charts(_curve(methods, found, metric) for metric in _courses(found) if metric not in CURVES)
        seams = _charts(seam_plots.fits_and_errors(methods.names, found, _time(found)))
        told = list(seam_plots.in_words(methods.names, found))
        if told:
            legend = [seam_plots.LEGEND] if seams else []
            seams = f'<p class="note">{escape(" ".join([*legend, *told]))}</p>{seams}'
        if others:
            others = f"<details><summary>Further metrics</summary>{others}</details>"
        if not (lines or seams or others):
            continue
        frames = max(one.frames for one in found.values())
        head = f'<summary><b>{escape(name)}</b><span class="soft">{frames} frames</span></summary>'
        yield f'<details class="sequence"{unfolded}>{head}{lines}{seams}{others}</details>'


def _numbers(methods: _Methods, dataset: str, sequences: dict[str, dict[int, SequenceResult]]) -> str:
    metrics = _metrics(sequences)
    head = ["Sequence", "Method", "Frames", *map(_heading, metrics), "Scale", "Shift", "Seconds"]
    rows, kinds = [], []
    for name, found in sequences.items():
        for place, one in found.items():
            start = [escape(name), methods.key(place), str(one.frames)]
            kinds.append("skipped" if one.skipped is not None else "")
            if one.skipped is not None:
                rows.append([*start, f"skipped: {escape(one.skipped)}"])
                continue
            rows.append(
                [
                    *start,
                    *(label(metric).show(one.metrics.get(metric)) for metric in metrics),
                    *(MISSING if value is None else f"{value:.5g}" for value in (one.scale, one.shift)),
                    f"{one.seconds:.1f}",
                ]
            )
    means = [(place, mean) for place, result in enumerate(methods.results) if (mean := result.mean(dataset))]
    for index, (place, mean) in enumerate(means):
        rows.append(["mean", methods.key(place), "", *(label(m).show(mean.get(m)) for m in metrics), "", "", ""])
        kinds.append("" if index else "first")
    return grid(head, rows, kinds)


def _heading(metric: str) -> str:
    shown = label(metric)
    unit = "" if shown.unit == "1" else f'<span class="unit">{escape(shown.unit)}</span>'
    return f"{escape(shown.heading)}{unit}"


def _metrics(sequences: dict[str, dict[int, SequenceResult]]) -> list[str]:
    """What was measured, in the order in which metrics are known, then the rest."""
    found = dict.fromkeys(name for methods in sequences.values() for one in methods.values() for name in one.metrics)
    return [*(name for name in METRICS if name in found), *(name for name in found if name not in METRICS)]


def _courses(found: dict[int, SequenceResult]) -> list[str]:
    return list(dict.fromkeys(name for one in found.values() for name in one.per_frame))


def _curve(methods: _Methods, found: dict[int, SequenceResult], metric: str) -> Chart:
    series = [
        Series(methods.names[place], range(len(values)), values, place)
        for place, one in found.items()
        if (values := one.per_frame.get(metric, []))
    ]
    return _chart(metric, series, "frame", _time(found))


def _time(found: dict[int, SequenceResult]) -> tuple[float, float]:
    return 0, max(one.frames for one in found.values()) - 1


def _ranked(methods: _Methods, sequences: dict[str, dict[int, SequenceResult]], metric: str) -> Chart:
    """Single images have no course in time: each method's values, sorted from best to worst."""
    downwards = label(metric).better == "higher"
    series = []
    for place, name in enumerate(methods.names):
        scored = [found[place].metrics.get(metric) for found in sequences.values() if place in found]
        values = sorted((v for v in scored if v is not None and math.isfinite(v)), reverse=downwards)
        series.append(Series(name, range(1, len(values) + 1), values, place))
    return _chart(metric, series, "rank, best first")


def _chart(metric: str, series: Sequence[Series], axis: str, across: charts.Ends = (None, None)) -> Chart:
    """Errors are drawn from zero, shares of good pixels up to one."""
    shown = label(metric)
    ends = 0.0 if shown.better == "lower" else None, 1.0 if metric.startswith("delta") else None
    unit = "" if shown.unit == "1" else f" {shown.unit}"
    return Chart(f"{shown.text}{unit} {shown.arrow}".strip(), series, axis, False, across, ends, shown.factor)


def _charts(drawn: Iterable[Chart]) -> str:
    svgs = "".join(filter(None, map(draw, drawn)))
    return f'<div class="charts">{svgs}</div>' if svgs else ""


def _resource(name: str) -> str:
    return resources.files("dvd.evaluate.report").joinpath(name).read_text(encoding="utf-8")

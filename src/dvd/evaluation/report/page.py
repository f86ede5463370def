"""An evaluation as one HTML file that needs nothing else: tables, curves over time, seams, worst frames.

The template `page.html.j2` holds the document with inline style, script, SVG and PNG. The page asks the network for
nothing and follows light and dark. Needs matplotlib and Jinja2 (the extra `eval`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from dvd import plots
from dvd.errors import OptionError
from dvd.evaluation.report import charts
from dvd.evaluation.report.charts import Scored
from dvd.evaluation.report.labels import METRICS, MISSING, Label, dataset_label, label
from dvd.evaluation.report.snapshots import DEPTH_MAP, ERROR_MAP, WORST_ERROR, Snapshot, gradient, strip
from dvd.evaluation.report.tables import coverage, flat, protocol_values, shown_conditions, tables, text
from dvd.evaluation.results import Results, distinct
from dvd.plots import Chart, DrawnChart

CURVES = ("abs_rel", "delta1")
"""Metrics whose curves are shown at once; the others are folded."""
OPEN = 12
"""Up to this many videos, their curves are unfolded from the start."""


@dataclass(frozen=True)
class _Row:
    """A row of the numbers of a data set; `method` is an index, `skipped` a reason in place of cells."""

    sequence: str
    method: int
    frames: int | None
    cells: Sequence[str] = ()
    skipped: str | None = None
    first_mean: bool = False


@dataclass(frozen=True)
class _Video:
    """The charts of one sequence; `note` describes its seams."""

    name: str
    frames: int
    curves: Sequence[DrawnChart]
    seams: Sequence[DrawnChart]
    note: str
    others: Sequence[DrawnChart]


@dataclass(frozen=True)
class _DataSet:
    """The numbers of a data set, the charts of its videos, and rankings if all its sequences are single images."""

    name: str
    metrics: Sequence[Label]
    rows: Sequence[_Row]
    videos: Sequence[_Video]
    rankings: Sequence[DrawnChart]


def missing() -> str | None:
    """Return the libraries that a page needs and that are not installed, as a message; None if all are."""
    names = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    return f"page.html needs {' and '.join(names)}: pip install 'dvd-depth[eval]'" if names else None


def page(results: Sequence[Results], snapshots: Iterable[Snapshot] = (), beside_published: bool = True) -> str:
    """Return the document; several results are drawn over each other, with a colour for each method.

    `snapshots` are shown in the order given: image, prediction, truth and error. Raise OptionError if there are no
    results or a library is missing.
    """
    if not results:
        raise OptionError("a page needs results; name at least one results.json")
    if message := missing():
        raise OptionError(message)
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dvd.evaluation.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"dataset_label": dataset_label, "gradient": gradient}
    results = distinct(results)
    datasets = dict.fromkeys(dataset for result in results for dataset in result.datasets)
    videos = {(s.dataset, s.name) for result in results for s in result.sequences if s.frames > 1}
    drawer = plots.ChartDrawer()

    def draw(wanted: Iterable[Chart]) -> list[DrawnChart]:
        return [drawn for chart in wanted if (drawn := drawer.draw(chart)) is not None]

    return environment.get_template("page.html.j2").render(
        methods=[result.method for result in results],
        covered=list(dict.fromkeys(line for result in results for line in coverage(result))),
        tables=tables(results, beside_published),
        conditions=_conditions(results),
        datasets=[_dataset(results, dataset, draw) for dataset in datasets],
        unfolded=len(videos) <= OPEN,
        frames=[(snapshot, strip(snapshot)) for snapshot in snapshots],
        abs_rel=label("abs_rel"),
        maps={"depth": DEPTH_MAP, "error": ERROR_MAP},
        worst_error=f"{WORST_ERROR:.0%}",
        seams_legend=charts.SEAMS_LEGEND,
        colours=list(zip(plots.COLOURS, plots.DARK_COLOURS, strict=True)),
    )


Draw = Callable[[Iterable[Chart]], list[DrawnChart]]


def _conditions(results: Sequence[Results]) -> list[tuple[str, list[str]]]:
    """Return every condition and field of the protocol that is known, with its text for each method."""
    stated = [flat({**shown_conditions(result), "protocol": protocol_values(result)}) for result in results]
    return [
        (name, [MISSING if values.get(name) is None else text(values[name]) for values in stated])
        for name in dict.fromkeys(name for values in stated for name in values)
        if any(values.get(name) is not None for values in stated)
    ]


def _dataset(results: Sequence[Results], dataset: str, draw: Draw) -> _DataSet:
    names = [result.method for result in results]
    sequences: dict[str, Scored] = {}
    for index, result in enumerate(results):
        for sequence in result.sequences:
            if sequence.dataset == dataset:
                sequences[sequence.name] = {**sequences.get(sequence.name, {}), index: sequence}
    every = [one for scored in sequences.values() for one in scored.values()]
    measured = dict.fromkeys(name for one in every for name in one.metrics)
    metrics = [*(name for name in METRICS if name in measured), *(name for name in measured if name not in METRICS)]
    rows = [*_scores(sequences, metrics), *_means(results, dataset, metrics)]
    videos, rankings = [], []
    if all(one.frames == 1 for one in every):
        rankings = draw(charts.ranking(names, sequences, metric) for metric in metrics)
    else:
        drawn = (_video(names, name, scored, draw) for name, scored in sequences.items())
        videos = [video for video in drawn if video.curves or video.note or video.others]
    return _DataSet(dataset, [label(metric) for metric in metrics], rows, videos, rankings)


def _scores(sequences: Mapping[str, Scored], metrics: Sequence[str]) -> list[_Row]:
    """Return the numbers of every sequence, a row for each method."""
    rows = []
    for name, scored in sequences.items():
        for index, one in scored.items():
            fit = [MISSING if value is None else f"{value:.5g}" for value in (one.scale, one.shift)]
            cells = [*(label(metric).show(one.metrics.get(metric)) for metric in metrics), *fit, f"{one.seconds:.1f}"]
            rows.append(_Row(name, index, one.frames, cells, one.skipped))
    return rows


def _means(results: Sequence[Results], dataset: str, metrics: Sequence[str]) -> list[_Row]:
    """Return the mean over the sequences of a data set, a row for each method that has one."""
    means = [(index, mean) for index, result in enumerate(results) if (mean := result.mean(dataset))]
    return [
        _Row("mean", index, None, [*(label(m).show(mean.get(m)) for m in metrics), "", "", ""], first_mean=not position)
        for position, (index, mean) in enumerate(means)
    ]


def _video(names: Sequence[str], name: str, scored: Scored, draw: Draw) -> _Video:
    others = dict.fromkeys(metric for one in scored.values() for metric in one.per_frame if metric not in CURVES)
    return _Video(
        name,
        max(one.frames for one in scored.values()),
        draw(charts.metric_over_time(names, scored, metric) for metric in CURVES),
        draw(charts.seam_charts(names, scored)),
        " ".join(charts.seams_in_words(names, scored)),
        draw(charts.metric_over_time(names, scored, metric) for metric in others),
    )

"""The charts of an evaluation: metrics over time, rankings of single images, and the seams of a sequence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from dvd.evaluation.report.labels import label
from dvd.evaluation.results import SequenceResult
from dvd.plots import Chart, Ends, Mark, Series

ERROR_TITLE = "Seam error (MSE): ■ before, ● after alignment"
ERRORS: Mapping[str, tuple[str, Mark]] = {
    "error_before": ("before alignment", "square"),
    "error_after": ("after alignment", "dot"),
}
SEAMS_LEGEND = (
    "Seams between windows; a hollow mark is a refused fit. Scale and shift are accumulated from the shot's first "
    "window, so the error before alignment includes the changes of earlier seams."
)
FITS = {"scale": "Seam scale, accumulated", "shift": "Seam shift, accumulated", "r2": "Seam R²"}

Scored = Mapping[int, SequenceResult]
"""One sequence as each method has scored it, by the method's index, which is also its colour."""


def metric_over_time(names: Sequence[str], scored: Scored, metric: str) -> Chart:
    """Chart the values of every frame, a line for each method."""
    series = [
        Series(names[index], range(len(values)), values, index)
        for index, one in scored.items()
        if (values := one.per_frame.get(metric, []))
    ]
    return _metric_chart(metric, series, "frame", frames_of(scored))


def ranking(names: Sequence[str], sequences: Mapping[str, Scored], metric: str) -> Chart:
    """Chart the values of single images, sorted from best to worst, a line for each method."""
    downwards = label(metric).better == "higher"
    series = []
    for index, name in enumerate(names):
        values = [scored[index].metrics.get(metric) for scored in sequences.values() if index in scored]
        known = sorted((value for value in values if value is not None and math.isfinite(value)), reverse=downwards)
        series.append(Series(name, range(1, len(known) + 1), known, index))
    return _metric_chart(metric, series, "rank of the image, best first")


def seam_charts(names: Sequence[str], scored: Scored) -> list[Chart]:
    """Chart the error of every seam before and after alignment (Fig. 6), and its scale, shift and R².

    A chart has no series where no method has such numbers.
    """
    ends = frames_of(scored)
    errors = [
        _seam_series(f"{names[index]}, {when}", index, one, error, mark)
        for error, (when, mark) in ERRORS.items()
        for index, one in scored.items()
    ]
    fits = {
        title: [_seam_series(names[index], index, one, quantity) for index, one in scored.items()]
        for quantity, title in FITS.items()
    }
    return [
        Chart(ERROR_TITLE, errors, points=True, x_ends=ends, log=True),
        *(Chart(title, series, points=True, x_ends=ends) for title, series in fits.items()),
    ]


def seams_in_words(names: Sequence[str], scored: Scored) -> Iterator[str]:
    """Describe the seams and cuts of each method that has some: how many, how many refused, mean errors, frames."""
    for index, one in scored.items():
        if one.cuts:
            frames = ", ".join(map(str, one.cuts))
            yield f"{names[index]}: scale and shift begin anew at frame{'s' * (len(one.cuts) > 1)} {frames}."
        if one.seams:
            refused = sum(not seam.get("trusted", 1) for seam in one.seams)
            count = f"{len(one.seams)} seams, {refused} refused" if len(one.seams) > 1 else "1 seam"
            means = [
                f"{sum(values) / len(values):.2g} {when}"
                for error, (when, _) in ERRORS.items()
                if (values := _seam_values(one, error))
            ]
            errors = f"; mean squared difference of disparity over the overlaps {', '.join(means)}" if means else ""
            scales = [1.0, *_seam_values(one, "scale")]
            yield f"{names[index]}: {count}, accumulated scale {min(scales):.2f} … {max(scales):.2f}{errors}."


def frames_of(scored: Scored) -> tuple[int, int]:
    """Return the first and the last frame of a sequence."""
    return 0, max(one.frames for one in scored.values()) - 1


def _metric_chart(metric: str, series: Sequence[Series], x_label: str, x_ends: Ends = (None, None)) -> Chart:
    """Chart a metric in its printed unit: errors from zero, shares of good pixels up to one."""
    shown = label(metric)
    unit = "" if shown.unit == "1" else f" {shown.unit}" if shown.unit.startswith("×") else f" ({shown.unit})"
    y_ends = 0.0 if shown.better == "lower" else None, 1.0 if metric.startswith("delta") else None
    return Chart(f"{shown.text}{unit} {shown.arrow}".strip(), series, x_label, False, x_ends, y_ends, shown.factor)


def _seam_series(name: str, colour: int, one: SequenceResult, quantity: str, mark: Mark = "dot") -> Series:
    known = [(index, seam) for index, seam in enumerate(one.seams) if quantity in seam]
    frames = [seam.get("start", index) for index, seam in known]
    refused = [not seam.get("trusted", 1) for _, seam in known]
    return Series(name, frames, _seam_values(one, quantity), colour, refused, mark)


def _seam_values(one: SequenceResult, quantity: str) -> list[float]:
    return [seam[quantity] for seam in one.seams if quantity in seam]

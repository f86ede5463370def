"""Lines and points over frames as inline SVG, coloured by the page's style sheet, so that they follow light and dark.

A chart has one vertical scale, linear or logarithmic. Series are drawn in the classes `s0`, `s1`, … whose colours the
page defines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 560, 150
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 24, 20
MOST_POINTS = 600
"""A longer line is drawn by the least and the greatest value of every stretch, so that no spike is lost."""
COLOURS = 6
"""So many series have colours of their own; further ones begin anew."""

Ends = tuple[float | None, float | None]
Mark = Literal["dot", "square"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Values at positions along the horizontal axis; None and NaN leave a gap.

    Where points are drawn, `mark` is their shape and `hollow` says which of them are refused.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: int = 0
    hollow: Sequence[bool] = ()
    mark: Mark = "dot"


@dataclass(frozen=True)
class Chart:
    """`points` draws marks instead of a line.

    `across` fixes the horizontal scale, so that charts stand in one time, and `ends` the vertical one; the values
    choose an end that is None. Values are multiplied by `factor` before they are shown, the ends are not. With `log`
    the vertical scale is logarithmic, in whole decades; ends are positive, and values that are not leave a gap.
    """

    title: str
    series: Sequence[Series]
    axis: str = "frame"
    points: bool = False
    across: Ends = (None, None)
    ends: Ends = (None, None)
    factor: float = 1
    log: bool = False


def draw(chart: Chart) -> str:
    """The chart as one `<svg>` element; an empty string where no series has a finite value.

    The element states both scales, from which a script can read values off the picture.
    """
    lines = [_arrays(series, chart) for series in chart.series]
    known = [np.stack([x, y])[:, np.isfinite(y)] for x, y in lines]
    known = [line for line in known if line.size]
    if not known:
        return ""
    (left, right), (low, high) = _scales(np.concatenate(known, axis=1), chart)
    frame = _Frame(left, right, low, high, chart.log)
    marks = "".join(
        _marks(series, frame.x(x), frame.y(y)) if chart.points else _line(series, frame.x(x), frame.y(y))
        for series, (x, y) in zip(chart.series, lines, strict=True)
    )
    scales = f'data-x="{left:g} {right:g}" data-y="{low:.6g} {high:.6g}" data-axis="{escape(chart.axis)}"'
    scales += ' data-log="true"' if chart.log else ""
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}" {scales}>'
        f'<text class="title" x="{LEFT}" y="13">{escape(chart.title)}</text>{_grid(frame, chart.axis)}{marks}</svg>'
    )


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within [low, high], about so many: multiples of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(each for each in (1, 2, 5, 10) if each * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


def thin(x: Values, y: Values, most: int = MOST_POINTS) -> tuple[Values, Values]:
    """At most about `most` points of a line: the least and the greatest of every stretch, in order; gaps stay."""
    if len(x) <= most:
        return x, y
    keep: list[int] = []
    for stretch in np.array_split(np.arange(len(x)), most // 2):
        known = stretch[np.isfinite(y[stretch])]
        if known.size:
            keep += sorted({int(known[np.argmin(y[known])]), int(known[np.argmax(y[known])])})
        else:
            keep.append(int(stretch[0]))
    return x[keep], y[keep]


@dataclass(frozen=True)
class _Frame:
    """Where values stand in the picture: the frame's left, right, lower and upper ends."""

    left: float
    right: float
    low: float
    high: float
    log: bool = False

    def x(self, value: Values) -> Values:
        return LEFT + (value - self.left) / ((self.right - self.left) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: Values) -> Values:
        low, high = self.low, self.high
        if self.log:
            value, low, high = np.log10(value), math.log10(low), math.log10(high)
        return HEIGHT - BOTTOM - (value - low) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)


def _arrays(series: Series, chart: Chart) -> tuple[Values, Values]:
    y = np.array([math.nan if value is None else value for value in series.y], np.float64)
    y[~np.isfinite(y) | (chart.log & (y <= 0))] = math.nan
    return np.asarray(series.x, np.float64), y * chart.factor


def _scales(known: Values, chart: Chart) -> tuple[tuple[float, float], tuple[float, float]]:
    """The horizontal and the vertical scale, which hold every value; a vertical end that values chose has a margin."""
    left, low = known.min(axis=1).tolist()
    right, high = known.max(axis=1).tolist()
    lower, upper = _decades(low, high) if chart.log else _margins(low, high)
    bottom, top = chart.ends
    return (
        (left if chart.across[0] is None else min(chart.across[0], left)),
        (right if chart.across[1] is None else max(chart.across[1], right)),
    ), (
        (lower if bottom is None else min(bottom, low)),
        (upper if top is None else max(top, high)),
    )


def _margins(low: float, high: float) -> tuple[float, float]:
    margin = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def _decades(low: float, high: float) -> tuple[float, float]:
    """The powers of ten around; one decade at least."""
    first = math.floor(math.log10(low))
    return 10.0**first, 10.0 ** max(math.ceil(math.log10(high)), first + 1)


def _grid(frame: _Frame, axis: str) -> str:
    parts = []
    across = [value for value in ticks(frame.left, frame.right, 6) if value == round(value)] or [frame.left]
    up = np.array(_powers(frame.low, frame.high) if frame.log else _two_or_more(frame.low, frame.high))
    for value, y in zip(up.tolist(), frame.y(up).tolist(), strict=True):
        shown = _power(value) if frame.log else _short(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{shown}</text>')
    for value, x in zip(across, frame.x(np.array(across)).tolist(), strict=True):
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 5}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="13" text-anchor="end">{escape(axis)}</text>')
    return "".join(parts)


def _two_or_more(low: float, high: float) -> list[float]:
    """Ticks of which there are two at least: one alone says nothing of the scale."""
    few = ticks(low, high)
    return few if len(few) > 1 else ticks(low, high, 8)


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high], about four."""
    return [10.0**power for power in ticks(math.log10(low), math.log10(high)) if power == round(power)]


def _line(series: Series, x: Values, y: Values) -> str:
    """Runs of neighbouring values as polylines; a run of one value as a point."""
    name, colour = escape(series.name), series.colour % COLOURS
    parts = []
    for run in _runs(*thin(x, y)):
        if len(run) == 1:
            parts.append(f'<circle class="s{colour} point" cx="{run[0][0]:.1f}" cy="{run[0][1]:.2f}" r="2"/>')
        else:
            points = " ".join(f"{a:.1f},{b:.2f}" for a, b in run)
            parts.append(f'<polyline class="s{colour}" data-name="{name}" points="{points}"/>')
    return "".join(parts)


def _runs(x: Values, y: Values) -> Iterator[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(b):
            run.append((a, b))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _marks(series: Series, x: Values, y: Values) -> str:
    hollow = series.hollow or [False] * len(x)
    return "".join(
        f'<{_shape(series.mark, a, b)} class="s{series.colour % COLOURS} {"refused" if refused else "point"}" '
        f'data-name="{escape(series.name)}"/>'
        for a, b, refused in zip(x.tolist(), y.tolist(), hollow, strict=True)
        if math.isfinite(b)
    )


def _shape(mark: Mark, x: float, y: float) -> str:
    if mark == "square":
        return f'rect x="{x - 3:.1f}" y="{y - 3:.2f}" width="6" height="6"'
    return f'circle cx="{x:.1f}" cy="{y:.2f}" r="3.5"'


def _short(value: float) -> str:
    return f"{round(value, 10):.4g}"


def _power(value: float) -> str:
    """A power of ten as it is written, such as 10⁻³."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return f"10{str(round(math.log10(value))).translate(raised)}"

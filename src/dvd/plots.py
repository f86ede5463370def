"""Plots in one house style, for evaluation pages, training curves and the study of the paper's tables.

Figures are made without pyplot: no window system, no global list of open figures. An SVG names its colours as CSS
variables with the light colour as fallback, so that a page can set them for light and dark.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dvd.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#c75000", "#008a64", "#b0508a", "#b27d00", "#2f9bd6")
"""Colours of series on a light ground, after Okabe and Ito (2008), who chose them for colour-blind readers."""
DARK_COLOURS = ("#5cb3ec", "#f58f4d", "#3fc79c", "#e59cc8", "#e6b640", "#a8dcff")
"""The same colours on a dark ground."""
DASHES = ("-", "--", ":")
"""Line styles of the first six series, the next six, and the rest."""
INK, SOFT, GRID, PAPER = "#1c1e21", "#5d646d", "#dfe2e6", "#fefefe"
"""Titles; axis labels; grid lines; the filling of hollow marks."""

WIDTH, HEIGHT = 560, 190
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 30, 42
"""Size of a chart and the margins around its axes, in the units of the SVG's view box."""

TITLE_SIZE, LABEL_SIZE = 12, 10.5
"""Font sizes in points."""

Ends = tuple[float | None, float | None]
Mark = Literal["dot", "square"]
_MARKERS: dict[Mark, str] = {"dot": "o", "square": "s"}
_VARIABLES = {INK: "--ink", SOFT: "--soft", GRID: "--line", PAPER: "--card"} | {
    colour: f"--s{index}" for index, colour in enumerate(COLOURS)
}


@dataclass(frozen=True)
class Series:
    """Values at positions along the horizontal axis; None, NaN and infinity leave a gap.

    `colour` is an index into `COLOURS`; from six on they repeat with other dashes. `mark` is the shape of points,
    `hollow` says which points are drawn hollow.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: int = 0
    hollow: Sequence[bool] = ()
    mark: Mark = "dot"


@dataclass(frozen=True)
class Chart:
    """Series over one horizontal and one vertical axis; `points` draws marks instead of lines.

    Values are multiplied by `factor`. `x_ends` and `y_ends` fix the ends of the axes (after `factor`), None leaves
    them to the values; an end never cuts a value off. With `log` the vertical axis spans whole decades, and values that
    are not positive leave a gap.
    """

    title: str
    series: Sequence[Series]
    x_label: str = "frame"
    points: bool = False
    x_ends: Ends = (None, None)
    y_ends: Ends = (None, None)
    factor: float = 1
    log: bool = False


@dataclass(frozen=True)
class DrawnChart:
    """A chart as an `<svg>` element, and its values for a script: series, ends of the horizontal axis, box of the axes.

    The box is left, right, top and bottom in the units of the SVG's view box.
    """

    svg: str
    values: dict[str, Any]


class ChartDrawer:
    """Draws charts as inline SVG. All share one figure, since a new one takes as long as the drawing."""

    def __init__(self) -> None:
        self._figure, (self._axes,) = new_figure(WIDTH, HEIGHT, margins=(LEFT, RIGHT, TOP, BOTTOM))
        self._count = 0

    def draw(self, chart: Chart) -> DrawnChart | None:
        """Draw a chart, with ids that no other chart of this drawer has; None if no series has a finite value."""
        axes = self._axes
        for line in list(axes.lines):
            line.remove()
        if not plot(axes, chart):
            return None
        self._count += 1
        values = {
            "label": chart.x_label,
            "box": [LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM],
            "ends": [float(f"{end:.6g}") for end in axes.get_xlim()],
            "series": [_series_values(series, chart) for series in chart.series],
        }
        return DrawnChart(to_svg(self._figure, chart.title, f"c{self._count}"), values)


def new_figure(
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    margins: tuple[float, float, float, float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Make a figure of `width` × `height` points with rows × columns axes in house style, listed row by row.

    `margins` fixes left, right, top and bottom in points; None chooses them so that nothing overlaps.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08) if margins is None else None
    figure = Figure(figsize=(width / 72, height / 72), layout=layout)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    if margins is not None:
        left, right, top, bottom = margins
        figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    for each in axes:
        each.spines[["top", "right", "left"]].set_visible(False)
        each.spines["bottom"].set_color(SOFT)
        each.grid(axis="y", color=GRID, linewidth=0.8)
        each.set_axisbelow(True)
        each.tick_params(labelsize=LABEL_SIZE, labelcolor=SOFT, length=0)
        each.tick_params(axis="x", pad=6)
    return figure, axes


def plot(axes: Axes, chart: Chart) -> bool:
    """Plot a chart into axes made by `new_figure`; return False if no series has a finite value."""
    lines = [_arrays(series, chart) for series in chart.series]
    known = [np.stack([x, y])[:, np.isfinite(y)] for x, y in lines]
    if not any(line.size for line in known):
        return False
    for series, (x, y) in zip(chart.series, lines, strict=True):
        (_plot_points if chart.points else _plot_line)(axes, series, x, y)
    (left, low), (right, high) = (f(np.concatenate(known, axis=1), axis=1).tolist() for f in (np.min, np.max))
    _set_x_axis(axes, left, right, chart)
    if chart.log:
        _set_decades(axes, low, high)
    else:
        _set_y_axis(axes, low, high, chart)
    set_title(axes, chart.title)
    return True


def set_title(axes: Axes, title: str) -> None:
    """Set the title of axes: the quantity with its unit, above the vertical axis."""
    # A given height spares matplotlib the search for one, which takes a fifth of the time of a chart.
    axes.set_title(_literal(title), fontsize=TITLE_SIZE, fontweight="bold", color=INK, loc="left", y=1, pad=9)


def line_style(index: int) -> dict[str, Any]:
    """Return the colour and the dashes of a series as arguments of `Axes.plot`."""
    turn, colour = divmod(index, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": DASHES[min(turn, len(DASHES) - 1)]}


def add_legend(figure: Figure, names: Sequence[str], columns: int = 6) -> None:
    """Add one legend of the named series above all axes, in the order of `names`."""
    handles = {
        name: handle for axes in figure.axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    shown = [name for name in map(_literal, names) if name in handles]
    figure.legend(
        *([handles[name] for name in shown], shown),
        loc="outside upper center",
        ncols=columns,
        frameon=False,
        labelcolor=INK,
        fontsize=LABEL_SIZE,
    )


def to_svg(figure: Figure, title: str, name: str) -> str:
    """Return a figure as an inline `<svg>` whose colours are CSS variables and whose ids begin with `name`."""
    import matplotlib

    out = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify_threshold": 0.4}):
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    text = out.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    for pattern, replacement in _CLEANING:
        body = pattern.sub(replacement, body)
    referred = set(re.findall(r'href="#([^"]+)"', body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in referred else "", body)
    body = body.replace('href="#', f'href="#{name}-')
    body = re.sub(r' (?:d|x|y)="[^"]*"', _rounded, body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable}, {colour})")
    width, height = (round(72 * side) for side in figure.get_size_inches())
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {namespaces} viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{body.strip()}'


def _rounded(attribute: re.Match[str]) -> str:
    """Round the coordinates of an attribute to a hundredth of a point."""
    return re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), attribute[0])


_CLEANING = [
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        # A style sheet would act on the whole page; nothing is outside its axes, so nothing needs clipping.
        (r'<style.*?</style>|<clipPath.*?</clipPath>|<defs>\s*</defs>| clip-path="[^"]*"', ""),
        # The page chooses the font.
        (r"font-family: [^;\"]*;? ?", ""),
        (r' transform="rotate\(-0 [^"]*"', ""),
        (r"\s*\n\s*", " "),
        (r"<g/>", ""),
        (r"> <", "><"),
    )
]


def save_png(figure: Figure, path: str | Path, dpi: float = 150) -> None:
    """Write a figure as PNG, replacing the file as a whole. Raise OutputError if the disk refuses."""
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=dpi, facecolor="white")


def _arrays(series: Series, chart: Chart) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y = np.array([math.nan if value is None else value for value in series.y], np.float64)
    y[~np.isfinite(y) | (chart.log & (y <= 0))] = math.nan
    y *= chart.factor
    return np.asarray(series.x, np.float64), np.log10(y) if chart.log else y


def _series_values(series: Series, chart: Chart) -> dict[str, Any]:
    y = _arrays(series, chart)[1]
    y = 10**y if chart.log else y
    shown = [float(f"{value:.5g}") if math.isfinite(value) else None for value in y.tolist()]
    return {"name": series.name, "x": list(series.x), "y": shown}


def _plot_line(axes: Axes, series: Series, x: NDArray, y: NDArray) -> None:
    style = line_style(series.colour)
    axes.plot(x, y, **style, linewidth=1.5, solid_joinstyle="round", label=_literal(series.name))
    known = np.pad(np.isfinite(y), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if alone.any():  # A value between two gaps is no line.
        axes.plot(x[alone], y[alone], "o", color=style["color"], markersize=4)


def _plot_points(axes: Axes, series: Series, x: NDArray, y: NDArray) -> None:
    hollow = np.array(series.hollow or [False] * len(x), bool)
    colour = line_style(series.colour)["color"]
    for chosen, filling in ((~hollow, colour), (hollow, PAPER)):
        shown = chosen & np.isfinite(y)
        if shown.any():
            axes.plot(
                *(x[shown], y[shown]),
                marker=_MARKERS[series.mark],
                linestyle="none",
                markersize=6,
                markeredgewidth=1.5,
                markeredgecolor=colour,
                markerfacecolor=filling,
                label=_literal(series.name),
            )


def _set_x_axis(axes: Axes, left: float, right: float, chart: Chart) -> None:
    first, last = chart.x_ends
    left, right = left if first is None else min(first, left), right if last is None else max(last, right)
    if left == right:
        left, right = left - 0.5, right + 0.5
    ticks = _ticks(left, right, 8, integer=True)
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
    axes.set_xlim(left, right)
    axes.set_xlabel(chart.x_label, fontsize=LABEL_SIZE, color=SOFT, labelpad=2)


def _set_y_axis(axes: Axes, low: float, high: float, chart: Chart) -> None:
    """Scale the axis to the values with a margin, or to the chart's ends."""
    bottom, top = chart.y_ends
    margin = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    lower = low - margin if bottom is None else min(bottom, low)
    upper = high + margin if top is None else max(top, high)
    ticks = _ticks(lower, upper, 5)
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) if len(ticks) > 1 else 3
    form = f"z.{digits}f" if digits <= 6 else ".3g"
    axes.set_yticks(ticks, [format(value, form).replace("-", "−") for value in ticks])
    axes.set_ylim(lower, upper)


def _set_decades(axes: Axes, low: float, high: float) -> None:
    """Scale the axis, which holds logarithms, to whole decades, at least one."""
    first = math.floor(low)
    last = max(math.ceil(high), first + 1)
    powers = range(first, last + 1, max(1, round((last - first) / 5)))
    axes.set_yticks(powers, [f"10{str(power).translate(_RAISED)}" for power in powers])
    axes.set_ylim(first, last)


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _ticks(low: float, high: float, most: int, integer: bool = False) -> list[float]:
    """Return round numbers within [low, high], at most `most` + 1."""
    from matplotlib.ticker import MaxNLocator

    locator = MaxNLocator(most, integer=integer, steps=[1, 2, 5, 10], min_n_ticks=1 if integer else 3)
    return [float(value) for value in locator.tick_values(low, high) if low <= value <= high]


def _literal(text: str) -> str:
    """Escape the dollar signs that matplotlib would take for a formula."""
    return text.replace("$", r"\$")

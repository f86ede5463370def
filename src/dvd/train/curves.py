"""The history of a training run as one picture: a panel for every quantity, a colour for every phase."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dvd import plots
from dvd.train.tracking import VALIDATION, read_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes

log = logging.getLogger(__name__)

_POINTS = 1500
"""The most points of a curve that are drawn; more than there are pixels would only take time."""
_FEW = 10
"""Fewer points than this are marked, because a single one would not be seen."""
_LOWEST_RATIO = 3.0
"""A curve that spans less than this factor is drawn on a linear axis."""
_PANEL = (260, 175)
"""Width and height of a panel in points."""


def draw(history: str | Path, path: str | Path) -> None:
    """Draw the numbers of a `history.jsonl` into a PNG at `path`, replacing the file as a whole.

    Terms of the loss and the gradient norm are logarithmic if they span more than a factor of three. A failure is
    logged and not raised, so that it does not stop the training.
    """
    try:
        _draw(read_history(history), Path(path))
    except Exception as error:
        log.warning("%s could not be drawn (%s: %s); the training goes on", path, type(error).__name__, error)


def _draw(lines: Sequence[dict[str, Any]], path: Path) -> None:
    names = _quantities(lines)
    if not names:
        return
    phases = _phases(lines)
    columns = min(4, math.ceil(math.sqrt(len(names))))
    rows = math.ceil(len(names) / columns)
    figure, panels = plots.new_figure(_PANEL[0] * columns, _PANEL[1] * rows + 30, rows, columns)
    for panel, name in zip(panels, names, strict=False):
        _panel(panel, name, lines, phases)
    for panel in panels[len(names) :]:
        panel.remove()
    figure.supxlabel("training step", fontsize=plots.LABEL_SIZE, color=plots.SOFT)
    plots.add_legend(figure, list(phases))
    plots.save_png(figure, path)


def _quantities(lines: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of all numbers: held-out metrics first, then the loss, then the rest."""
    # A term that is zero throughout, such as the temporal one of images, is not shown.
    names = dict.fromkeys(name for line in lines for name, value in line.items() if value)
    names = {name: None for name in names if name not in ("step", "phase")}
    rest = ("rate", "grad_norm", "samples_per_s")

    def rank(name: str) -> int:
        if name.startswith(VALIDATION):
            return 0
        return 2 + rest.index(name) if name in rest else 1

    return sorted(names, key=lambda name: (rank(name), not name.endswith("loss")))


def _phases(lines: Sequence[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    """Return each phase's first step, on an axis on which phases follow each other, and its colour."""
    ends: dict[str, int] = {}
    for line in lines:
        ends[line["phase"]] = max(ends.get(line["phase"], 0), line["step"] + 1)
    phases, start = {}, 0
    for index, (phase, end) in enumerate(ends.items()):
        phases[phase] = (start, plots.COLOURS[index % len(plots.COLOURS)])
        start += end
    return phases


def _panel(panel: Axes, name: str, lines: Sequence[dict[str, Any]], phases: dict[str, tuple[int, str]]) -> None:
    measured = name.startswith(VALIDATION)
    seen, last = [], math.nan
    for phase, (start, colour) in phases.items():
        pairs = [(line["step"], line[name]) for line in lines if line["phase"] == phase and line.get(name) is not None]
        if not pairs:
            continue
        steps, values = np.array(pairs, dtype=np.float64).T
        steps += start
        seen.append(values)
        if measured:
            panel.plot(steps, values, "o-", color=colour, markersize=3.5, linewidth=1.2, label=phase)
            last = values[-1]
        else:
            smooth = values if name == "rate" else _smoothed(values)
            thin = slice(None, None, max(len(values) // _POINTS, 1))
            if smooth is not values:
                panel.plot(steps[thin], values[thin], color=colour, alpha=0.3, linewidth=0.7)
            mark = "." if len(values) < _FEW else ""
            panel.plot(steps[thin], smooth[thin], marker=mark, color=colour, linewidth=1.6, label=phase)
            last = smooth[-1]
    _finish(panel, name, np.concatenate(seen) if seen else np.zeros(0), last, measured or name == "samples_per_s")


def _finish(panel: Axes, name: str, values: np.ndarray, last: float, linear: bool) -> None:
    plots.set_title(panel, f"{name}   {last:.4g}" if math.isfinite(last) else name)
    positive = values[values > 0]
    if not linear and name != "rate" and positive.size and positive.max() > _LOWEST_RATIO * positive.min():
        _set_log_scale(panel, positive.max() / positive.min())


def _set_log_scale(panel: Axes, ratio: float) -> None:
    """Make the vertical axis logarithmic with plain numbers at 1, 2 and 5, over many decades at 1 alone."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 200 else (1,)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Return an exponential mean over about a fiftieth of the curve, without bias towards its start."""
    keep = 1 - 1 / max(len(values) / 50, 1)
    smooth, mean, weight = np.empty_like(values), 0.0, 0.0
    for index, value in enumerate(values):
        mean, weight = keep * mean + (1 - keep) * value, keep * weight + (1 - keep)
        smooth[index] = mean / weight
    return smooth

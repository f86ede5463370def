"""A run's history as one picture: a panel for every quantity, a colour for every phase."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dvd.train.tracking import VALIDATION, read_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes

log = logging.getLogger(__name__)

_COLOURS = ("#2563b0", "#d1641f", "#2f8f4e", "#8a4fb3", "#a8871b", "#b3365c")
_POINTS = 1500
"""So many points of a curve are drawn; more than there are pixels would only take time."""
_FEW = 10
"""Fewer points than this are marked: one alone would not be seen."""
_LOWEST_RATIO = 3.0
"""A curve that spans less than this factor reads better on a linear axis."""


def draw(history: str | Path, path: str | Path) -> None:
    """Draws the numbers of a `history.jsonl` into a PNG at `path`, replacing it whole.

    Terms of the loss and the gradient norm are logarithmic where they span more than a factor of three. A failure is
    logged and never raised: no training is to die of its picture.
    """
    try:
        _draw(read_history(history), Path(path))
    except Exception as error:
        log.warning("%s could not be drawn (%s: %s); the training goes on", path, type(error).__name__, error)


def _draw(lines: Sequence[dict[str, Any]], path: Path) -> None:
    # The object-oriented interface: pyplot would choose a window system and keep every figure alive.
    from matplotlib.figure import Figure

    names = _quantities(lines)
    if not names:
        return
    phases = _phases(lines)
    columns = min(4, max(math.ceil(math.sqrt(len(names))), 1))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.7 * rows + 0.5), dpi=100, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for panel, name in zip(grid.flat, names, strict=False):
        _panel(panel, name, lines, phases)
    for panel in list(grid.flat)[len(names) :]:
        panel.remove()
    handles = {
        label: each for panel in figure.axes for each, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    shown = [phase for phase in phases if phase in handles]
    figure.legend([handles[each] for each in shown], shown, loc="outside upper center", ncols=6, frameon=False)
    figure.supxlabel("step of the run", fontsize=9)
    part = path.with_name(f"{path.stem}.part.png")
    figure.savefig(part)
    os.replace(part, path)


def _quantities(lines: Sequence[dict[str, Any]]) -> list[str]:
    """Names of all numbers: held-out metrics first, then the loss, then the rest."""
    # A term that is nothing throughout, such as the temporal one of images, has nothing to show.
    names = dict.fromkeys(name for line in lines for name, value in line.items() if value)
    names = {name: None for name in names if name not in ("step", "phase")}
    rest = ("rate", "grad_norm", "samples_per_s")

    def place(name: str) -> int:
        if name.startswith(VALIDATION):
            return 0
        return 2 + rest.index(name) if name in rest else 1

    return sorted(names, key=lambda name: (place(name), not name.endswith("loss")))


def _phases(lines: Sequence[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    """Every phase's first step on an axis on which phases follow each other, and its colour."""
    ends: dict[str, int] = {}
    for line in lines:
        ends[line["phase"]] = max(ends.get(line["phase"], 0), line["step"] + 1)
    phases, start = {}, 0
    for index, (phase, end) in enumerate(ends.items()):
        phases[phase] = (start, _COLOURS[index % len(_COLOURS)])
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
    panel.set_title(f"{name}   {last:.4g}" if math.isfinite(last) else name, fontsize=10, loc="left")
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    positive = values[values > 0]
    if not linear and name != "rate" and positive.size and positive.max() > _LOWEST_RATIO * positive.min():
        _logarithmic(panel, positive.max() / positive.min())


def _logarithmic(panel: Axes, ratio: float) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5, over many decades at 1 alone."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 200 else (1,)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _smoothed(values: np.ndarray) -> np.ndarray:
    """An exponential mean over about a fiftieth of the curve, without the start's pull."""
    keep = 1 - 1 / max(len(values) / 50, 1)
    smooth, mean, weight = np.empty_like(values), 0.0, 0.0
    for index, value in enumerate(values):
        mean, weight = keep * mean + (1 - keep) * value, keep * weight + (1 - keep)
        smooth[index] = mean / weight
    return smooth

"""Windows of disparity → one seamless stream: fit each window to what is already stitched, blend where they overlap."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dvd.align import AffineFit, Moments
from dvd.errors import OptionError, unknown
from dvd.metrics.temporal import error_from_sums
from dvd.types import Seam, Shot, Window
from dvd.windows import Last

log = logging.getLogger(__name__)

Array = NDArray[np.float32]
Fit = Literal["symmetric", "least-squares"]


MOST_WANDER = 1.25
"""A shot's scale is steady within 1 / 1.25 … 1.25 of its first window's. This is the threshold of the metric δ1: with
one scale for the whole shot, frames beyond it fail δ1 even if every window is perfect by itself."""


@dataclass(frozen=True)
class StitchRule:
    """How windows are laid out and joined.

    `fit` is `least-squares` (Eq. 8–9), or `symmetric`, whose scales do not shrink from seam to seam. `clip_scale`
    limits the fitted scale and does not change the shift. A guarded rule refuses a fit with a flaw (no
    variance, not finite), with a scale that is not positive or that differs from the previous window's by more than
    `most_change` times, or with an R² below `least_r2`. With `cuts`, every shot begins anew.
    """

    name: str
    fit: Fit = "symmetric"
    last: Last = "full"
    clip_scale: tuple[float, float] | None = None
    guarded: bool = True
    cuts: bool = True
    least_r2: float = 0.5
    most_change: float = 10.0


RULES: Mapping[str, StitchRule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            StitchRule("default"),
            StitchRule("continuous", cuts=False),
            StitchRule("least-squares", fit="least-squares"),
            # The ways of the release's single-video and benchmark scripts (spec, "Windows and stitching").
            StitchRule("demo", fit="least-squares", clip_scale=(0.7, 1.5), guarded=False, cuts=False),
            StitchRule("benchmark", fit="least-squares", last="short", guarded=False, cuts=False),
        )
    }
)


def choose_rule(rule: str | StitchRule) -> StitchRule:
    """Return the named rule, or the rule itself; raise OptionError if the name is unknown."""
    if isinstance(rule, StitchRule):
        return rule
    if rule not in RULES:
        raise OptionError(unknown("way of stitching", rule, RULES))
    return RULES[rule]


class Stitcher:
    """Join windows one by one, keeping only the frames that the next window will overlap.

    `seams` lists every joint so far, and `shots` every shot; the last shot ends with the latest window.
    """

    def __init__(self, rule: StitchRule = RULES["default"]) -> None:
        self.rule = rule
        self.seams: list[Seam] = []
        self.shots: list[Shot] = []
        self._tail: Array | None = None
        self._transform = (1.0, 0.0)
        """Scale and shift that brought the previous window to the scale of the shot's first."""
        self._first_seam = 0
        """Index of the first seam of this shot."""

    def push(self, window: Window, disparity: Array) -> Array:
        """Join the disparity of the next window, `T …` with any trailing shape, and return the frames now settled.

        These are the frames [window.start, window.next_start), or all remaining ones if this window is the last.
        """
        if len(disparity) != window.length:
            raise ValueError(f"window {window} holds {window.length} frames, its disparity {len(disparity)}")
        if self._tail is None:
            self._transform, self._first_seam = (1.0, 0.0), len(self.seams)
            self.shots.append(Shot(window.start, window.stop))
        stitched = disparity if self._tail is None else self._join(window, disparity, self._tail)
        self.shots[-1] = shot_of(self.shots[-1].start, window.stop, self.seams[self._first_seam :])
        if window.next_start is None and not self.shots[-1].steady:
            log.warning("%s", describe_wander(self.shots[-1]))
        settled = (window.stop if window.next_start is None else window.next_start) - window.start
        # A copy, so that the whole window is not kept alive by a view of its end.
        self._tail = stitched[settled:].copy() if settled < window.length else None
        return stitched[:settled]

    def _join(self, window: Window, disparity: Array, tail: Array) -> Array:
        overlap = len(tail)
        sums = Moments()
        sums.add(disparity[:overlap], tail)
        seam = self._seam(window, window.start + overlap, sums)
        self.seams.append(seam)
        self._transform = (seam.scale, seam.shift)
        aligned = disparity * np.float32(seam.scale)
        aligned += np.float32(seam.shift)
        np.maximum(aligned, 0, out=aligned)
        weights = np.linspace(0, 1, overlap, dtype=np.float32).reshape(-1, *[1] * (disparity.ndim - 1))
        aligned[:overlap] = tail * (1 - weights) + aligned[:overlap] * weights
        return aligned

    def _seam(self, window: Window, stop: int, overlap: Moments) -> Seam:
        fit = overlap.fit_symmetric() if self.rule.fit == "symmetric" else overlap.fit()
        scale, shift, note = fit.scale, fit.shift, ""
        doubt = self._doubt(fit)
        if doubt:
            scale, shift = self._transform
            note = f"{doubt}; kept the previous window's scale {scale:.4g} and shift {shift:.4g}"
            log.warning("seam at frames %d to %d: %s", window.start, stop - 1, note)
        elif self.rule.clip_scale:
            scale = min(max(scale, self.rule.clip_scale[0]), self.rule.clip_scale[1])
        before, after = error_from_sums(overlap, scale, shift)
        # An unguarded rule may have applied a scale of 0, to which no change can be given.
        change = scale / self._transform[0] if self._transform[0] else math.nan
        return Seam(window.start, stop, scale, shift, fit.r2, fit.residual, before, after, not doubt, note, change)

    def _doubt(self, fit: AffineFit) -> str:
        """Return why the fit should not be applied, "" if it should."""
        if not np.isfinite([fit.scale, fit.shift]).all():
            return f"no fit ({fit.flaw})"
        if not self.rule.guarded:
            return ""
        if fit.flaw:
            return f"no fit ({fit.flaw})"
        if fit.scale <= 0:
            return f"fitted scale {fit.scale:.4g} is not positive"
        if fit.r2 < self.rule.least_r2:
            return f"R² of the fit is {fit.r2:.3f}, below {self.rule.least_r2:g}"
        change = fit.scale / self._transform[0]
        if not 1 / self.rule.most_change <= change <= self.rule.most_change:
            return f"fitted scale {fit.scale:.4g} is {change:.4g} times the previous window's"
        return ""


def shot_of(start: int, stop: int, seams: Sequence[Seam]) -> Shot:
    """Return the shot of frames [start, stop) with these seams."""
    if not seams:
        return Shot(start, stop)
    scales, shifts = [1.0, *(seam.scale for seam in seams)], [0.0, *(seam.shift for seam in seams)]
    farthest = max(seams, key=lambda seam: _wander(seam.scale))
    return Shot(
        start,
        stop,
        (min(scales), max(scales)),
        (min(shifts), max(shifts)),
        (farthest.start, farthest.stop),
        _wander(farthest.scale) <= MOST_WANDER,
    )


def describe_wander(shot: Shot) -> str:
    """Describe in one line how far the scale of a shot with seams went, where, and what that means."""
    assert shot.farthest is not None
    extreme = max(shot.scale, key=_wander)
    return (
        f"frames {shot.start} to {shot.stop - 1}: the scale wandered to {extreme:.2f} of the first window's, at frames "
        f"{shot.farthest[0]} to {shot.farthest[1] - 1} ({1 / MOST_WANDER:g} … {MOST_WANDER:g} is steady); do not "
        "compare disparity of frames far apart"
    )


def _wander(scale: float) -> float:
    """Return how many times a scale is larger or smaller than 1; infinite if it is not positive."""
    return max(scale, 1 / scale) if scale > 0 else math.inf

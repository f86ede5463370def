"""The affine fit of the project: scale and shift in closed form from running sums, by least squares (Eq. 8–9) or
symmetrically."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 1 << 18
"""Elements that are centred at a time, which limits the float64 copies to a few megabytes."""


@dataclass(frozen=True)
class AffineFit:
    """target ≈ scale · source + shift.

    `r2` is the squared correlation in [0, 1], for least squares the coefficient of determination; `residual` is the
    root mean square error in units of the target, `count` the number of pixels. `flaw` says why the fit means nothing,
    and is "" for a good fit. Without variance in the source the scale is 0 and the shift is the mean of the target, the
    best constant; without pixels or with values that are not finite, everything is NaN.
    """

    scale: float
    shift: float
    r2: float
    residual: float
    count: int
    flaw: str = ""

    def __call__(self, source: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return scale · source + shift, in the dtype of the source."""
        scale, shift = source.dtype.type(self.scale), source.dtype.type(self.shift)
        return source * scale + shift


class Moments:
    """Count, means, variances and covariance of pixel pairs, added in float64 in any order and in any pieces.

    Sums are kept about the running means and merged pairwise (Chan, Golub and LeVeque), so that a large common offset
    costs no precision.
    """

    def __init__(self) -> None:
        self.count = 0
        self._means = np.zeros(2)
        self._scatter = np.zeros((2, 2))

    def add(self, source: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None) -> None:
        """Add pairs of `source` and `target`, arrays of one shape, where `mask` (the same shape) is true.

        Raise ValueError if the shapes differ.
        """
        x, y = np.asarray(source), np.asarray(target)
        if x.shape != y.shape:
            raise ValueError(f"source {x.shape} and target {y.shape} must have one shape")
        if mask is not None:
            keep = np.asarray(mask, dtype=bool)
            if keep.shape != x.shape:
                raise ValueError(f"mask {keep.shape} and source {x.shape} must have one shape")
            x, y = x[keep], y[keep]
        x, y = x.reshape(-1), y.reshape(-1)
        for start in range(0, x.size, BLOCK):
            self._add_block(np.stack([x[start : start + BLOCK], y[start : start + BLOCK]]).astype(np.float64))

    def merge(self, other: Moments) -> None:
        """Add all pairs of `other`."""
        self._merge(other.count, other._means, other._scatter)

    def fit(self) -> AffineFit:
        """Return the least-squares fit of all pairs: Cov / Var and μ_target − scale · μ_source (Eq. 9)."""
        if not self.count:
            return AffineFit(math.nan, math.nan, math.nan, math.nan, 0, "no pixels")
        (mean_x, mean_y), ((var_x, cov), (_, var_y)) = self._means.tolist(), (self._scatter / self.count).tolist()
        if not all(map(math.isfinite, (mean_x, mean_y, var_x, cov, var_y))):
            return AffineFit(math.nan, math.nan, math.nan, math.nan, self.count, "values that are not finite")
        if _flat(var_x, mean_x) or not math.isfinite(cov / var_x):
            return AffineFit(0.0, mean_y, 0.0, math.sqrt(var_y), self.count, "no variance in the source")
        scale = cov / var_x
        shift = mean_y - scale * mean_x
        if _flat(var_y, mean_y):
            return AffineFit(scale, shift, 0.0, math.sqrt(var_y), self.count, "no variance in the target")
        explained = min(scale * cov, var_y)
        return AffineFit(scale, shift, explained / var_y, math.sqrt(var_y - explained), self.count)

    def fit_symmetric(self) -> AffineFit:
        """Fit both sides alike: σ_target / σ_source with the covariance's sign (reduced major axis).

        Least squares assume that the source is exact, and so shrink its scale by the correlation. In a chain, where
        every fit starts from the result of the last, the shrinkage multiplies; a symmetric scale does not depend on the
        direction. `r2` is the squared correlation, as in `fit`, `residual` this fit's own; flaws are those of `fit`.
        """
        best = self.fit()
        if best.flaw:
            return best
        (mean_x, mean_y), ((var_x, cov), (_, var_y)) = self._means.tolist(), (self._scatter / self.count).tolist()
        scale = math.copysign(math.sqrt(var_y / var_x), cov)
        shift = mean_y - scale * mean_x
        return AffineFit(scale, shift, best.r2, math.sqrt(self.error(scale, shift)), self.count)

    def error(self, scale: float = 1.0, shift: float = 0.0) -> float:
        """Return the mean squared difference between scale · source + shift and the target over all pairs.

        The sums suffice for any scale and shift; the pixels are not needed. The rounding error is about 1e-16 of the
        variances, below the resolution of float32. NaN without pixels or if they are not finite.
        """
        if not self.count:
            return math.nan
        with np.errstate(invalid="ignore", over="ignore"):
            weights = np.array([scale, -1.0])
            spread = weights @ self._scatter @ weights / self.count
            apart = weights @ self._means + shift
            # Rounding can take the square below zero; NaN stays.
            return float(np.maximum(spread, 0.0) + apart * apart)

    def _add_block(self, pairs: NDArray[np.float64]) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            means = pairs.mean(axis=1)
            pairs -= means[:, None]
            self._merge(pairs.shape[1], means, pairs @ pairs.T)

    def _merge(self, count: int, means: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        if not count:
            return
        total = self.count + count
        with np.errstate(invalid="ignore", over="ignore"):
            apart = means - self._means
            self._scatter += scatter + np.outer(apart, apart) * (self.count * count / total)
            self._means += apart * (count / total)
        self.count = total


def fit(source: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None) -> AffineFit:
    """Return the least-squares scale and shift from `source` to `target` over `mask` (Eq. 8–9)."""
    moments = Moments()
    moments.add(source, target, mask)
    return moments.fit()


def fit_robust(
    source: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None, keep: float = 0.75, rounds: int = 30
) -> AffineFit:
    """Return the least trimmed squares: the same fit over the fraction `keep` of the pixels that it explains best.

    Starts from all pixels and repeats fit and selection until the selection no longer changes (the concentration steps
    of Rousseeuw and Van Driessen), so up to about 1 - keep of the pixels may be wrong in any way. `r2`, `residual` and
    `count` are those of the pixels kept. Raise ValueError unless 0.5 ≤ keep ≤ 1.
    """
    if not 0.5 <= keep <= 1:
        raise ValueError(f"keep is {keep} but must be between 0.5 and 1")
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    valid = np.ones(x.shape, bool) if mask is None else np.asarray(mask, dtype=bool)
    x, y = x[valid], y[valid]
    best = fit(x, y)
    kept = math.ceil(keep * x.size)
    chosen: NDArray[np.bool_] | None = None
    for _ in range(rounds):
        if best.flaw or kept == x.size:
            break
        errors = np.abs(best(x) - y)
        closest = errors <= np.partition(errors, kept - 1)[kept - 1]
        if chosen is not None and np.array_equal(closest, chosen):
            break
        chosen = closest
        best = fit(x, y, closest)
    return best


def _flat(variance: float, mean: float) -> bool:
    """Return whether the deviation is within the rounding error of float64 about that mean."""
    return math.sqrt(variance) <= 4 * sys.float_info.epsilon * abs(mean)

"""Learning rates over a phase, as factors of each group's base rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from dvd.train.settings import Phase


def factor(phase: Phase, step: int) -> float:
    """The phase's schedule at `step`, after its linear warm-up."""
    if step < phase.warm_up:
        return (step + 1) / phase.warm_up
    if phase.schedule == "cosine":
        return cosine(step - phase.warm_up, phase.steps - phase.warm_up)
    if phase.schedule == "trapezoid":
        return trapezoid(step, phase.steps)
    return 1.0


def cosine(step: int, total: int) -> float:
    """A half cosine from 1 down to 2 %."""
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / max(total, 1)))


def trapezoid(step: int, total: int) -> float:
    """Flat, then a linear fall to nothing over the last two fifths."""
    return min(1.0, (total - step) / (0.4 * total))


def set_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Multiplies every group's `base` rate by `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor

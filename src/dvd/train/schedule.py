"""Learning rates over a run, as factors of each group's base rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch


def cosine(step: int, total: int, warm_up: int) -> float:
    """Linear warm-up, then a half cosine down to 2 %."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(total - warm_up, 1)))


def trapezoid(step: int, total: int, warm_up: int) -> float:
    """Linear warm-up, flat, and a linear fall to nothing over the last two fifths."""
    if step < warm_up:
        return (step + 1) / warm_up
    return min(1.0, (total - step) / (0.4 * total))


def set_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Multiplies every group's `base` rate by `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor

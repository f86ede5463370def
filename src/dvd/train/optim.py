"""Optimisers, the schedule of their rates, and the moving average of what they train.

The groups of an optimiser remember their full rate as `base`, for the schedule to scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dvd.train.settings import Phase

Groups = Sequence[tuple[Iterable[nn.Parameter], float]]


def adamw(groups: Groups, phase: Phase) -> torch.optim.Optimizer:
    """Return AdamW over (parameters, rate) groups, without frozen parameters and empty groups."""
    kept = [
        {"params": trained, "lr": rate, "base": rate}
        for parameters, rate in groups
        if (trained := [value for value in parameters if value.requires_grad])
    ]
    return torch.optim.AdamW(kept, weight_decay=phase.weight_decay, betas=phase.betas)


def muon(parameters: Iterable[nn.Parameter], phase: Phase) -> torch.optim.Optimizer:
    """Return Muon for matrices, its updates as large as AdamW's (Jordan et al., 2024; Liu et al., 2025)."""
    trained = [value for value in parameters if value.requires_grad]
    optimizer = torch.optim.Muon(
        trained, lr=phase.rate, weight_decay=phase.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    for group in optimizer.param_groups:
        group["base"] = phase.rate
    return optimizer


def factor(phase: Phase, step: int) -> float:
    """Return the phase's schedule at `step`, a factor of every base rate, with its linear warm-up."""
    if step < phase.warm_up:
        return (step + 1) / phase.warm_up
    if phase.schedule == "cosine":
        return cosine(step - phase.warm_up, phase.steps - phase.warm_up)
    if phase.schedule == "trapezoid":
        return trapezoid(step, phase.steps)
    return 1.0


def cosine(step: int, total: int) -> float:
    """Return a half cosine from 1 down to 2 %."""
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / max(total, 1)))


def trapezoid(step: int, total: int) -> float:
    """Return 1, then a linear fall to 0 over the last two fifths."""
    return min(1.0, (total - step) / (0.4 * total))


def set_rates(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Set every group's rate to `factor` times its `base`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor


class Average:
    """The moving average of every trained parameter: decay · average + (1 − decay) · weights; decay 0 keeps nothing.

    The first steps count more, min(decay, (n + 1) / (n + 10)), so that the random start is soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self.kept = {name: value.detach().clone() for name, value in self.parameters.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights as they are after `step` (counted from 0)."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, kept in self.kept.items():
            kept.lerp_(self.parameters[name], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the module while the block runs."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """Leave the average in the module for good."""
        self._swap()
        self.kept = {}

    def load(self, kept: dict[str, Tensor]) -> None:
        """Restore the average from a saved `kept`."""
        for name, value in self.kept.items():
            value.copy_(kept[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, kept in self.kept.items():
            parameter = self.parameters[name]
            now = parameter.detach().clone()
            parameter.copy_(kept)
            kept.copy_(now)

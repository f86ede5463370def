"""The exponential moving average of what is trained; its weights are smoother than the last step's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Keeps decay · average + (1 − decay) · weights of every trained parameter; decay 0 keeps nothing.

    The first steps count more, min(decay, (n + 1) / (n + 10)), so that the random start is soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
        self.kept = {name: value.detach().clone() for name, value in self.parameters.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the weights in as they are after `step` (counted from 0)."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for name, kept in self.kept.items():
            kept.lerp_(self.parameters[name], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the module holds the average."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """Leaves the average in the module for good."""
        self._swap()
        self.kept = {}

    def load(self, kept: dict[str, Tensor]) -> None:
        """Takes over what `kept` was when it was saved."""
        for name, value in self.kept.items():
            value.copy_(kept[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, kept in self.kept.items():
            parameter = self.parameters[name]
            now = parameter.detach().clone()
            parameter.copy_(kept)
            kept.copy_(now)

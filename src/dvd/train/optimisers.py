"""Optimisers whose groups remember their full rate as `base`, for the schedule to scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from dvd.train.settings import Phase

Groups = Sequence[tuple[Iterable[nn.Parameter], float]]


def adamw(groups: Groups, phase: Phase) -> torch.optim.Optimizer:
    """AdamW over (parameters, rate) groups; what is frozen or empty is left out."""
    kept = [
        {"params": trained, "lr": rate, "base": rate}
        for parameters, rate in groups
        if (trained := [value for value in parameters if value.requires_grad])
    ]
    return torch.optim.AdamW(kept, weight_decay=phase.weight_decay, betas=phase.betas)


def muon(parameters: Iterable[nn.Parameter], phase: Phase) -> torch.optim.Optimizer:
    """Muon for matrices, its updates as large as AdamW's (Jordan et al., 2024; Liu et al., 2025)."""
    trained = [value for value in parameters if value.requires_grad]
    optimizer = torch.optim.Muon(
        trained, lr=phase.rate, weight_decay=phase.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    for group in optimizer.param_groups:
        group["base"] = phase.rate
    return optimizer

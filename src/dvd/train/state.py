"""Training state on disk: written aside and renamed, so that a killed run always finds a whole file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes `state` so that `path` holds either the old state or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    torch.save(state, aside)
    os.replace(aside, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The state at `path`, or None where there is none yet."""
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None


def save_module(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Saves a module that one optimizer has trained for `step` steps."""
    save_state(path, {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "step": step})


def resume_module(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Fills both from what `save_module` wrote; returns the steps already done, 0 where there is nothing yet."""
    state = load_state(path)
    if state is None:
        return 0
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])

"""Training state on disk: written aside and renamed, so that a killed run always finds a whole file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes `state` so that `path` holds either the old state or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    torch.save(state, aside)
    os.replace(aside, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """The state at `path`, or None where there is none yet."""
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None

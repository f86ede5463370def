"""A model's configuration and card, read without torch and without its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dvd.backbones.base import ModelCard
from dvd.errors import ModelError


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if there is no such file, ModelError if it is damaged."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable as JSON ({error}); correct it or copy it again") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: holds no JSON object; correct it or copy it again")
    return values


def read_config(path: Path) -> dict[str, Any]:
    """Return the config.json of a model's folder, or of a weight file's folder; empty if there is none."""
    return read_json((path if path.is_dir() else path.parent) / "config.json")


def card_of(path: Path, config: dict[str, Any]) -> ModelCard:
    """Return the card in a model's configuration. Raise ModelError if it is misstated."""
    stated = config.get("card", {})
    try:
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()}
        values: dict[str, Any] = {"name": path.resolve().name, "licence": "not stated", **given}
        if "anchor_timestep" in config:
            values.setdefault("tau", config["anchor_timestep"] / 1000)
        return ModelCard(**values)
    except (AttributeError, TypeError) as error:
        raise ModelError(f"{path}: its config.json misstates card or anchor_timestep ({error}); correct it") from error

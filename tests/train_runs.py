"""Small training runs through the command line, and what their histories say."""

import os
import sys
from pathlib import Path

from dvd.train.tracking import read_history

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
FEW = [
    *("--images.scenes.scenes", "8", "--clips.scenes.scenes", "4", "--source.scenes.scenes", "2"),
    *("--validation.every", "4", "--validation.clips", "2"),
    *("--precision", "fp32", "--save-every", "3", "--log-every", "1", "--processes", "1"),
]
"""Few scenes, and a history and checkpoints of nearly every step."""


def train_command(recipe: str, folder: Path, *fields: str) -> list[str]:
    """The words that train `recipe` on few scenes."""
    return [sys.executable, "-m", "dvd", "train", recipe, "-o", str(folder), *FEW, *fields]


def losses(folder: Path) -> dict[tuple[str, int], dict[str, float]]:
    """Phase and step → what was logged of it; empty before the run has begun."""
    if not (folder / "history.jsonl").exists():
        return {}
    rows = read_history(folder / "history.jsonl")
    return {(row["phase"], row["step"]): row for row in rows if "grad_norm" in row}

"""The paper's form of training on the golden weights and a folder of seven frames: what several tests train."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dvd.train.recipes import PAPER
from dvd.train.settings import Adaptation, Mixture, ModelSettings, Recipe, SourceSettings
from dvd.train.tasks import AdaptPhase

GOLDEN = Path(__file__).parent / "golden"
LORA = Adaptation(rank=4, alpha=4)
CLIPS = SourceSettings("clips", "rgbd", "video")


def write_frames(folder: Path) -> None:
    """Seven frames of noise, 36 × 50, with 16-bit depth in millimetres, as layout `rgbd` keeps them."""
    random = np.random.default_rng(0)
    for kind in ("rgb", "depth"):
        (folder / "rgbd" / kind).mkdir(parents=True)
    for index in range(7):
        pixels = random.integers(0, 256, (36, 50, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "rgbd" / "rgb" / f"{index:04d}.png")
        depth = random.integers(1000, 9000, (36, 50)).astype(np.uint16)
        Image.fromarray(depth).save(folder / "rgbd" / "depth" / f"{index:04d}.png")


def golden_recipe(folder: Path, phase: dict[str, Any], video_batch: int, image_batch: int, **changes: Any) -> Recipe:
    """LoRA of rank 4 on the golden weights, from frames that this writes to `folder`.

    `phase` holds fields of the adaptation, `changes` those of the recipe.
    """
    write_frames(folder)
    mixture = Mixture("paired", video_batch=video_batch, image_batch=image_batch, frames=5, sizes=((32, 48),))
    common = {
        "model": ModelSettings("wan", weights=str(GOLDEN)),
        "adaptation": LORA,
        "sources": (SourceSettings("stills", "rgbd", "image"), CLIPS),
        "phases": (AdaptPhase(name="adapt", rate=1e-3, mixture=mixture, **phase),),
        "validation": None,
        "data": folder,
        "trackers": (),
        "log_every": 1,
    }
    return replace(PAPER, **{**common, **changes})

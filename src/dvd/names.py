"""The lists of names that users choose from, light enough to read a command line with.

Each list has its home here; the modules that give the names their meaning check against these lists.
"""

from __future__ import annotations

from typing import Literal, get_args

FORMATS = {
    "mp4": "dvd.export.video:Mp4Writer",
    "npz": "dvd.export.npz:NpzWriter",
    "png16": "dvd.export.values:Png16Writer",
    "exr": "dvd.export.values:ExrWriter",
}
"""Output formats and their writers. Other packages may add formats (`dvd.export.formats`)."""

RangeMode = Literal["shot", "global", "fixed", "rolling"]
RANGES: tuple[RangeMode, ...] = get_args(RangeMode)
"""How the colours of a video span disparity."""

ValuesAt = Literal["network", "source"]
VALUES_AT: tuple[ValuesAt, ...] = get_args(ValuesAt)
"""The size at which raw values are kept."""

COLORMAPS = ("turbo", "gray", "viridis", "inferno", "magma", "plasma", "spectral")

STITCHES = ("default", "continuous", "least-squares", "demo", "benchmark")
"""Rules of `dvd.stitch` for joining windows."""

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16")

PROTOCOLS = ("paper", "release-video", "release-image", "video-depth-anything")
"""Protocols of `dvd.evaluation`."""

Space = Literal["disparity", "depth"]
SPACES: tuple[Space, ...] = get_args(Space)
"""The quantity that a method predicts, or that predictions are aligned in."""

Scope = Literal["clip", "frame", "first-window"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""The frames that share one alignment."""

FitName = Literal["least-squares", "scale", "median"]
FITS: tuple[FitName, ...] = get_args(FitName)
"""How a prediction is aligned to the truth."""

CheckpointLayout = Literal["release", "default", "merged"]
CHECKPOINT_LAYOUTS: tuple[CheckpointLayout, ...] = get_args(CheckpointLayout)
"""How LoRA lies in a checkpoint: wherever the release has it, only where it can learn, or merged into the weights."""

"""A clip to time where nobody names one: a slow pan over rough texture, boxes moving before it. Always the same."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvd.export.encode import VideoEncoder
from dvd.types import VideoInfo

RATE = Fraction(24)
STEP = 3
"""Pixels that the view moves in a frame."""
CELLS = (4, 16, 64)
"""Sides in pixels of the texture's cells, one layer each."""
BOXES = 5
CRF = 18


def draw_clip(path: Path, frames: int, size: tuple[int, int]) -> Path:
    """Writes `frames` frames of `size` (height, width; both even) as H.264 and returns `path`."""
    height, width = size
    rng = np.random.default_rng(0)
    ground = _texture(rng, height, width + STEP * frames)
    boxes = [_texture(rng, height // 4, width // 6) for _ in range(BOXES)]
    info = VideoInfo(path.stem, path, width, height, RATE, 1 / RATE, frames)
    with ExitStack() as resources:
        encoder = VideoEncoder(path, size, info, range(frames), CRF, audio=False)
        resources.callback(encoder.release)
        for index in range(frames):
            view = ground[:, STEP * index : STEP * index + width].copy()
            for number, box in enumerate(boxes):
                _place(view, box, number, index)
            encoder.put(view, index)
        encoder.close()
    return path


def _texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """`H W 3`: noise at several scales, the coarse ones in colour."""
    picture = np.zeros((height, width, 3), np.float32)
    for cell in CELLS:
        noise = rng.integers(0, 256, (height // cell + 2, width // cell + 2, 3), dtype=np.uint8)
        picture += np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))
    return (picture / len(CELLS)).astype(np.uint8)


def _place(view: NDArray[np.uint8], box: NDArray[np.uint8], number: int, index: int) -> None:
    """Every box crosses the view at its own height and speed, and begins anew."""
    height, width = box.shape[:2]
    room = view.shape[1] - width
    left = (room * number // BOXES + (2 * number + 1) * index) % room
    top = (view.shape[0] - height) * number // max(BOXES - 1, 1)
    view[top : top + height, left : left + width] = box

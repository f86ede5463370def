"""Tiny recordings, of any RGB-D folder's form and of Sintel's, with exactly known depth, and methods that know it."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dvd.evaluation.sequences import EvalSequence

SIZE = (24, 32)

Answer = Callable[[np.ndarray, int], np.ndarray]
"""Depth in metres `H W` and the number of its frame → what is predicted for it."""


def depth_mm(frame: int, seed: int = 0) -> np.ndarray:
    """Between 0.5 and 6 m, another in each frame."""
    return np.random.default_rng(1000 * seed + frame).integers(500, 6000, SIZE).astype(np.uint16)


def write_recording(root: Path, name: str = "office", frames: int = 4, empty: tuple[int, ...] = ()) -> Path:
    """Images and depths in millimetres; none is known in the frames of `empty`. The last row is never known."""
    for frame in range(frames):
        (root / name / "rgb").mkdir(parents=True, exist_ok=True)
        (root / name / "depth").mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(frame).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / name / "rgb" / f"{frame:05d}.png")
        stored = depth_mm(frame)
        stored[-1] = 0
        if frame in empty:
            stored[:] = 0
        Image.fromarray(stored).save(root / name / "depth" / f"{frame:05d}.png")
    return root


def write_tagged(path: Path, values: np.ndarray) -> Path:
    """Sintel's .dpt of depth `H W`, or .flo of flow `H W 2`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape[:2]
    path.write_bytes(struct.pack("<fii", 202021.25, width, height) + values.astype("<f4").tobytes())
    return path


def write_sintel(root: Path, depths: Sequence[np.ndarray], flow: np.ndarray) -> Path:
    """A scene of Sintel: depth in metres of each frame, the same flow from each to the next; its training folder."""
    training, height, width = root / "training", *depths[0].shape
    (training / "final" / "alley_1").mkdir(parents=True)
    for number, depth_m in enumerate(depths, start=1):
        name = f"frame_{number:04d}"
        Image.new("RGB", (width, height)).save(training / "final" / "alley_1" / f"{name}.png")
        write_tagged(training / "depth" / "alley_1" / f"{name}.dpt", depth_m)
        if number < len(depths):
            write_tagged(training / "flow" / "alley_1" / f"{name}.flo", flow)
    return training


def write_mask(path: Path, marked: np.ndarray) -> None:
    """White where it is marked, as Sintel's masks are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(marked, 255, 0).astype(np.uint8)).save(path)


@dataclass
class Known:
    """A method that is told the truth and answers with `answer` of it."""

    answer: Answer
    name: str = "known"
    space: str = "disparity"
    chunk: int = 3
    asked: list[str] = field(default_factory=list)
    stated: dict[str, Any] = field(default_factory=lambda: {"kind": "known"})

    def describe(self) -> dict[str, Any]:
        return dict(self.stated)

    def predict(self, sequence: EvalSequence) -> Iterator[np.ndarray]:
        self.asked.append(sequence.name)
        depths = [np.nan_to_num(frame.depth_m, nan=1.0) for frame in sequence.frames()]
        for first in range(0, len(depths), self.chunk):
            part = depths[first : first + self.chunk]
            yield np.stack([self.answer(d, first + i) for i, d in enumerate(part)]).astype(np.float32)

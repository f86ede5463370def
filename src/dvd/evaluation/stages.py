"""The product's work around and across the network, on one clip: decode, stitch, write, and all of it end to end.

Every part is made of the functions that `dvd predict` runs. Scene cuts are not looked for, so that every window is a
full one and the stages add up to the whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dvd.errors import OptionError
from dvd.export import ExportOptions
from dvd.export.encode import VideoEncoder
from dvd.outputs import Outputs
from dvd.pipeline import DVD, predict_file
from dvd.regressor import Regressor
from dvd.resize import ToModelSize, model_size
from dvd.stitch import RULES, Stitcher
from dvd.stream import Settings, checked_frame
from dvd.types import DisparityChunk, VideoInfo
from dvd.video import open_video
from dvd.windows import plan

RULE = RULES["continuous"]

DRAWN_RATE = Fraction(24)
DRAWN_STEP = 3
"""Pixels that the view of the drawn clip moves in a frame."""
DRAWN_CELLS = (4, 16, 64)
"""Sides in pixels of the texture's cells, one layer each."""
DRAWN_BOXES = 5
DRAWN_CRF = 18


class ClipWork:
    """The first `frames` frames of a clip, read once and predicted once, so that every stage has its input ready.

    `rgb` is the first window, `1 3 T h w` in [0, 1] at `size`, the size that the network sees; `windows` the number of
    windows; `first_frame` the seconds from opening the clip to its first finished frames in the file, one value per
    call of `end_to_end`. Raise InputError if the clip cannot be read, OptionError if it is shorter than one window.
    """

    def __init__(self, clip: Path, frames: int, pipeline: DVD, settings: Settings, folder: Path) -> None:
        self.clip, self.frames = clip, frames
        self.first_frame: list[float] = []
        self._pipeline, self._settings, self._folder = pipeline, settings, folder
        with open_video(clip, end=frames) as video:
            self.info = video.info
        self.source_size = (self.info.height, self.info.width)
        self.size = model_size(*self.source_size, settings.least_size, pipeline.backbone.side_multiple)
        prepared, self._pts = zip(*self._read(), strict=True)
        self.frames = len(prepared)
        if self.frames < settings.window:
            raise OptionError(
                f"{clip}: has {self.frames} frames and a window is {settings.window}; "
                "name a longer clip or a smaller --window"
            )
        planned = list(plan(prepared, settings.window, settings.overlap, RULE.last))
        self.windows = len(planned)
        self.rgb = _batch(planned[0][1])
        regressor = Regressor(pipeline.backbone)
        predictions = (regressor(_batch(window), settings.tau)[0].transpose(0, 1) for _, window in planned)
        self._predicted = [
            (window, prediction.cpu().numpy()) for (window, _), prediction in zip(planned, predictions, strict=True)
        ]
        self._settled = list(self._stitched())

    def decode(self) -> None:
        """The file → frames at the model's size."""
        for _ in self._read():
            pass

    def stitch(self) -> None:
        """Windows of disparity → one sequence."""
        for _ in self._stitched():
            pass

    def write(self) -> None:
        """Disparity at the model's size → at the source's → an mp4, as `dvd predict` writes it."""
        outputs = Outputs(self._folder / "written.mp4", self.info, None, ExportOptions(overwrite=True), self.size)
        pts = iter(self._pts)
        try:
            for chunk in self._settled:
                outputs.write(chunk, [next(pts) for _ in chunk.disparity])
            outputs.close()
        except BaseException:
            outputs.abort()
            raise
        finally:
            outputs.release()

    def end_to_end(self) -> None:
        """`dvd predict` from file to file, with its stages in parallel threads."""
        settings = self._settings
        started = time.perf_counter()
        first: list[float] = []

        def note_first(done: int) -> None:
            if done and not first:
                first.append(time.perf_counter() - started)

        predict_file(
            self.clip,
            self._folder / "end_to_end.mp4",
            self._pipeline,
            end=self.frames,
            size=settings.least_size or "source",
            window=settings.window,
            overlap=settings.overlap,
            tau=settings.tau,
            stitch=RULE,
            antialias=settings.antialias,
            options=ExportOptions(overwrite=True),
            progress=note_first,
        )
        self.first_frame += first

    def _read(self) -> Iterator[tuple[Tensor, int]]:
        """Every frame `3 h w` in [0, 1], and its time stamp."""
        resize = ToModelSize(self.size, self._settings.antialias)
        with open_video(self.clip, end=self.frames) as video:
            for index, frame in enumerate(video):
                yield resize(checked_frame(frame.rgb, index)), frame.pts

    def _stitched(self) -> Iterator[DisparityChunk]:
        stitcher = Stitcher(RULE)
        for window, disparity in self._predicted:
            yield DisparityChunk(window.start, stitcher.push(window, disparity).mean(axis=1))


def _batch(frames: list[Tensor]) -> Tensor:
    return torch.stack(frames, dim=1)[None]


def draw_clip(path: Path, frames: int, size: tuple[int, int]) -> Path:
    """Write a clip to time where none is given, as H.264, and return `path`; the clip is always the same.

    A slow pan over rough texture with boxes that move before it: `frames` frames of `size` (height, width; both even).
    """
    height, width = size
    rng = np.random.default_rng(0)
    ground = _texture(rng, height, width + DRAWN_STEP * frames)
    boxes = [_texture(rng, height // 4, width // 6) for _ in range(DRAWN_BOXES)]
    info = VideoInfo(path.stem, path, width, height, DRAWN_RATE, 1 / DRAWN_RATE, frames)
    with ExitStack() as resources:
        encoder = VideoEncoder(path, size, info, range(frames), DRAWN_CRF, audio=False)
        resources.callback(encoder.release)
        for index in range(frames):
            view = ground[:, DRAWN_STEP * index : DRAWN_STEP * index + width].copy()
            for number, box in enumerate(boxes):
                _draw_box(view, box, number, index)
            encoder.put(view, index)
        encoder.close()
    return path


def _texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """`H W 3`: noise at several scales, the coarse ones in colour."""
    picture = np.zeros((height, width, 3), np.float32)
    for cell in DRAWN_CELLS:
        noise = rng.integers(0, 256, (height // cell + 2, width // cell + 2, 3), dtype=np.uint8)
        picture += np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))
    return (picture / len(DRAWN_CELLS)).astype(np.uint8)


def _draw_box(view: NDArray[np.uint8], box: NDArray[np.uint8], number: int, index: int) -> None:
    """Draw box `number` into frame `index`; every box crosses the view at its own height and speed, again and again."""
    height, width = box.shape[:2]
    room = view.shape[1] - width
    left = (room * number // DRAWN_BOXES + (2 * number + 1) * index) % room
    top = (view.shape[0] - height) * number // max(DRAWN_BOXES - 1, 1)
    view[top : top + height, left : left + width] = box

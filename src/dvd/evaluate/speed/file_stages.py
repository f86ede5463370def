"""The product's work around and across the network, on one clip: decode, stitch, write, and all of it end to end.

Every part is made of the functions that `dvd predict` runs. Scene cuts are not looked for, so that every window is a
full one and the stages add up to the whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from dvd.errors import OptionError
from dvd.export import ExportOptions
from dvd.outputs import Outputs
from dvd.pipeline import Pipeline, predict_file
from dvd.regressor import Regressor
from dvd.resize import ToModelSize, model_size
from dvd.stitch import RULES, Stitcher
from dvd.stream import Settings, checked_frame
from dvd.types import DisparityChunk
from dvd.video import open_video
from dvd.windows import plan

RULE = RULES["continuous"]


class ClipWork:
    """The first `frames` frames of a clip, read once and predicted once, so that every stage has its input at hand.

    `rgb` is the first window, `1 3 T h w` in [0, 1] at `size`, the size that the network sees; `windows` their number;
    `first_frame` the seconds from opening the clip to its first finished frames in the file, one value per call of
    `end_to_end`. Raises InputError where the clip cannot be read, OptionError where it is shorter than one window.
    """

    def __init__(self, clip: Path, frames: int, pipeline: Pipeline, settings: Settings, folder: Path) -> None:
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
        """`dvd predict` from file to file, the stages side by side in threads."""
        settings = self._settings
        started = time.perf_counter()
        reached: list[float] = []

        def note(done: int) -> None:
            if done and not reached:
                reached.append(time.perf_counter() - started)

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
            progress=note,
        )
        self.first_frame += reached

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

"""The story in order: open a model, put frames through it, and turn a video file into disparity files."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dvd.backbones import registry
from dvd.backbones.base import Backbone, ModelCard
from dvd.errors import OutputError
from dvd.export import ExportOptions
from dvd.hardware import choose_device, choose_dtype
from dvd.outputs import Outputs
from dvd.record import Record
from dvd.regressor import Regressor
from dvd.stitch import StitchRule, describe_wander
from dvd.stream import Settings, Size, Stream
from dvd.threads import Behind
from dvd.types import DepthChunk
from dvd.video import Video, open_video

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

CHUNKS_BEHIND = 2
"""Finished chunks, still at the model's size, that may wait for the writers."""


def load(name_or_folder: str | Path = "dvd-mini", device: str = "auto", dtype: str = "auto") -> Pipeline:
    """Opens a model by name or folder; "auto" takes the best device, and bfloat16 where that is fast and good enough.

    Raises ModelError where the model is unknown, incomplete or damaged, OptionError where the device or dtype is.
    """
    place = choose_device(device)
    # A model's card is known once it is open; most allow bfloat16, and the others are small enough to open twice.
    number, _ = choose_dtype(dtype, place, ModelCard("", ""))
    backbone = registry.load(name_or_folder, place, number)
    allowed, reason = choose_dtype(dtype, place, backbone.card)
    if allowed != number:
        backbone = registry.load(name_or_folder, place, allowed)
    pipeline = Pipeline(backbone, reason)
    log.info("%s on %s in %s: %s", backbone.card.name, pipeline.device, pipeline.dtype, reason)
    return pipeline


class Pipeline:
    """A model that is ready: arrays of frames in, disparity out, at once (`predict`) or as it gets done (`stream`)."""

    def __init__(self, backbone: Backbone, dtype_reason: str = "asked for") -> None:
        self.backbone = backbone
        self.dtype_reason = dtype_reason

    @property
    def card(self) -> ModelCard:
        return self.backbone.card

    @property
    def device(self) -> torch.device:
        return self.backbone.device

    @property
    def dtype(self) -> str:
        return str(self.backbone.dtype).removeprefix("torch.")

    def predict(
        self,
        frames: Iterable[NDArray[np.generic]],
        size: Size = None,
        window: int | None = None,
        overlap: int | None = None,
        tau: float | None = None,
        stitch: str | StitchRule = "default",
        antialias: bool | None = None,
    ) -> NDArray[np.float32]:
        """Disparity `T H W` float32 of all frames at their own size: affine-invariant, larger is nearer.

        `frames`: an array `T H W 3` or any iterable of `H W 3`, uint8 or floating point in [0, 1].
        `size`: least height and width that the network sees, (height, width) in pixels; None for the model's own,
        "source" for that of the frames up to a multiple of 16. `window`, `overlap`: in frames. `tau`: the anchor in
        [0, 1]. `stitch`: "default", "continuous", "least-squares", "demo" or "benchmark". `antialias`: None smooths
        frames that shrink to less than half; the release never does. Raises InputError for frames that are none,
        OptionError for a value outside its range.
        """
        stream = self.stream(frames, size, window, overlap, tau, stitch, antialias)
        return np.concatenate([chunk.disparity for chunk in stream])

    def stream(
        self,
        frames: Iterable[NDArray[np.generic]],
        size: Size = None,
        window: int | None = None,
        overlap: int | None = None,
        tau: float | None = None,
        stitch: str | StitchRule = "default",
        antialias: bool | None = None,
    ) -> Stream:
        """The same as a generator of `DepthChunk`, in memory that does not grow with the number of frames."""
        settings = self.settings(size, window, overlap, tau, stitch, antialias)
        return Stream(Regressor(self.backbone), frames, settings)

    def settings(
        self,
        size: Size = None,
        window: int | None = None,
        overlap: int | None = None,
        tau: float | None = None,
        stitch: str | StitchRule = "default",
        antialias: bool | None = None,
    ) -> Settings:
        """What `predict` would use; OptionError for a value outside its range."""
        return Settings.choose(
            self.card, self.backbone.time_factor, size, window, overlap, tau, stitch, antialias=antialias
        )


@dataclass(frozen=True)
class Result:
    """What one input has become: the files, the JSON beside them, what it says, and the seconds it took."""

    outputs: tuple[Path, ...]
    sidecar: Path
    record: Record
    seconds: float


def predict_file(
    source: str | Path,
    out: str | Path,
    model: str | Path | Pipeline = "dvd-mini",
    formats: Sequence[str] | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    start: int | float | str | None = None,
    end: int | float | str | None = None,
    size: Size = None,
    window: int | None = None,
    overlap: int | None = None,
    tau: float | None = None,
    stitch: str | StitchRule = "default",
    antialias: bool | None = None,
    options: ExportOptions | None = None,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Predicts a video, an image or a folder of frames into files, and writes a JSON beside them that says how.

    `out`: a folder, or a file whose ending chooses the format. `formats`: any of "mp4", "npz", "png16", "exr"; mp4
    where neither says otherwise. `start`, `end`: as `open_video` takes them.
    `progress` is told the number of frames done, from another thread. The other values are those of `load` and
    `Pipeline.predict`.

    Decoding, network and encoding run side by side. What goes wrong leaves either nothing or whole files of the frames
    that were done. Raises InputError, OutputError, ModelError or OptionError with one line that says how to mend it.
    """
    started = time.perf_counter()
    with open_video(source, start, end) as video:
        outputs = Outputs(out, video.info, formats, options)
        try:
            pipeline = model if isinstance(model, Pipeline) else load(model, device, dtype)
            settings = pipeline.settings(size, window, overlap, tau, stitch, antialias)
            times: deque[int] = deque()
            stream = Stream(Regressor(pipeline.backbone), _noting_times(video, times), settings)

            def save(chunk: DepthChunk) -> None:
                for piece in stream.at_source_size(chunk):
                    outputs.write(piece.disparity, [times.popleft() for _ in piece.disparity])
                    if progress is not None:
                        progress(outputs.frames)

            with Behind(save, CHUNKS_BEHIND) as behind:
                for chunk in stream.at_model_size():
                    behind.give(chunk)
            outputs.close()
        except BaseException as error:
            if outputs.abort():
                # What went wrong first says more than that its description could not be written either.
                with suppress(OutputError):
                    outputs.describe(_record(pipeline, stream, video, outputs, stopped=_why(error)).facts())
            raise
        record = _record(pipeline, stream, video, outputs)
        outputs.describe(record.facts())
    return Result(outputs.paths, outputs.sidecar, record, time.perf_counter() - started)


def _noting_times(video: Video, times: deque[int]) -> Iterator[NDArray[np.uint8]]:
    for frame in video:
        times.append(frame.pts)
        yield frame.rgb


def _why(error: BaseException) -> str:
    return "stopped by the user" if isinstance(error, KeyboardInterrupt) else str(error)


def _record(pipeline: Pipeline, stream: Stream, video: Video, outputs: Outputs, stopped: str = "") -> Record:
    assert stream.source_size is not None
    assert stream.model_size is not None
    settings = stream.settings
    return Record(
        source=str(video.info.path),
        model=pipeline.card.name,
        licence=pipeline.card.licence,
        frames=outputs.frames,
        frame_rate=video.info.frame_rate,
        source_size=stream.source_size,
        size=stream.model_size,
        window=settings.window,
        overlap=settings.overlap,
        tau=settings.tau,
        stitch=settings.rule.name,
        fit=settings.rule.fit,
        device=str(pipeline.device),
        dtype=pipeline.dtype,
        dtype_reason=pipeline.dtype_reason,
        range=outputs.range,
        seams=stream.seams,
        cuts=stream.cuts,
        shots=stream.shots,
        outputs=[writer.facts() for writer in outputs.writers],
        warnings=[*video.warnings, *(describe_wander(shot) for shot in stream.shots if not shot.steady)],
        stopped=stopped,
    )

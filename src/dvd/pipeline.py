"""The story in order: open a model, put frames through it, and turn a video file into disparity files."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvd.arguments import check_name, check_path, shown
from dvd.backbones import registry
from dvd.backbones.base import Backbone, ModelCard
from dvd.errors import InputError, OptionError, OutputError
from dvd.export import ExportOptions, writers
from dvd.hardware import choose_device, choose_dtype, device_named, dtype_named
from dvd.outputs import Outputs, check_outputs
from dvd.record import Record
from dvd.regressor import Regressor
from dvd.resize import model_size
from dvd.stitch import StitchRule, describe_wander
from dvd.stream import Settings, Size, Stream
from dvd.threads import Behind
from dvd.types import DisparityChunk
from dvd.video import PipeCopy, Video, open_video

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

CHUNKS_BEHIND = 2
"""Finished chunks, still at the model's size, that may wait for the writers."""


def load(
    name_or_folder: str | Path = "dvd-mini", device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
) -> Pipeline:
    """Opens a model by name or folder; "auto" takes the best device, and bfloat16 where that is fast and good enough.

    `device`, `dtype`: names ("cuda:1", "float16") or torch's own objects. Raises ModelError where the model is unknown,
    incomplete or damaged, OptionError where the device or dtype is.
    """
    card = registry.card(name_or_folder)
    chosen_device = choose_device(device)
    chosen_dtype, reason = choose_dtype(dtype, chosen_device, card)
    pipeline = Pipeline(registry.load(name_or_folder, chosen_device, chosen_dtype), reason)
    log.info("%s on %s in %s: %s", pipeline.card.name, pipeline.device, pipeline.dtype, reason)
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
        frames: Iterable[Any],
        size: Size = None,
        window: int | None = None,
        overlap: int | None = None,
        tau: float | None = None,
        stitch: str | StitchRule = "default",
        antialias: bool | None = None,
    ) -> NDArray[np.float32]:
        """Disparity `T H W` float32 of all frames at their own size: affine-invariant, larger is nearer.

        `frames`: an array or tensor `T H W 3`, an open video (`dvd.open_video`), or any iterable of frames `H W 3`:
        arrays, tensors on any device or PIL images in RGB; uint8, or floating point in [0, 1].
        `size`: least height and width that the network sees, (height, width) in pixels; None for the model's own,
        "source" for that of the frames up to a multiple of 16. `window`, `overlap`: in frames. `tau`: the anchor in
        [0, 1]. `stitch`: "default", "continuous", "least-squares", "demo" or "benchmark". `antialias`: None smooths
        frames that shrink to less than half; the release never does. Raises InputError for frames that are none,
        OptionError for a value of the wrong type or outside its range; what a generator raises comes through.
        """
        stream = self.stream(frames, size, window, overlap, tau, stitch, antialias)
        return np.concatenate([chunk.disparity for chunk in stream])

    def stream(
        self,
        frames: Iterable[Any],
        size: Size = None,
        window: int | None = None,
        overlap: int | None = None,
        tau: float | None = None,
        stitch: str | StitchRule = "default",
        antialias: bool | None = None,
    ) -> Stream:
        """The same as a generator of `DisparityChunk`, in memory that does not grow with the number of frames.

        One that is closed, dropped or not used up leaves no thread and reads no further.
        """
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
    source: str | Path | PipeCopy,
    out: str | Path,
    model: str | Path | Pipeline = "dvd-mini",
    formats: str | Sequence[str] | None = None,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
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

    `out`: a folder, or a file whose ending chooses the format. `formats`: one or several of "mp4", "npz", "png16",
    "exr"; mp4 where neither says otherwise. `start`, `end`: as `open_video` takes them.
    `progress` is told the number of frames done, from another thread. The other values are those of `load` and
    `Pipeline.predict`.

    Decoding, network and encoding run side by side. What goes wrong leaves either nothing or whole files of the frames
    that were done. Raises InputError, OutputError, ModelError or OptionError with one line that says how to mend it;
    what can be told without the model's weights is said before they are read.
    """
    started = time.perf_counter()
    if not isinstance(source, PipeCopy):
        check_path("source", source, "a video, an image or a folder of frames", InputError)
    check_path("out", out, "a folder or a file", OutputError)
    formats = _chosen_formats(formats)
    _check_options(options, progress)
    # The step by which windows are rounded is known with the weights; a step of 1 rounds nothing and says nothing.
    card = _card_before_weights(model, device, dtype)
    Settings.choose(card, 1, size, window, overlap, tau, stitch, antialias)
    with open_video(source, start, end) as video:
        check_outputs(out, video.info, formats, options)  # before seconds go into a model
        pipeline = model if isinstance(model, Pipeline) else load(model, device, dtype)
        settings = pipeline.settings(size, window, overlap, tau, stitch, antialias)
        side = pipeline.backbone.side_multiple
        network = model_size(video.info.height, video.info.width, settings.target, side)
        outputs = Outputs(out, video.info, formats, options, network)
        try:
            times: deque[int] = deque()
            stream = Stream(Regressor(pipeline.backbone), _noting_times(video, times), settings)

            def save(chunk: DisparityChunk) -> None:
                outputs.write(chunk, [times.popleft() for _ in chunk.disparity])
                if progress is not None:
                    progress(outputs.frames)

            with Behind(save, CHUNKS_BEHIND) as behind:
                for chunk in stream.at_model_size():
                    behind.give(chunk)
            outputs.close()
            record = _record(pipeline, stream, video, outputs)
            outputs.describe(record.facts())
        except BaseException as error:
            if outputs.abort():
                # What went wrong first says more than that its description could not be written either.
                with suppress(OutputError):
                    outputs.describe(_record(pipeline, stream, video, outputs, stopped=_why(error)).facts())
            raise
        finally:
            outputs.release()
    return Result(outputs.paths, outputs.sidecar, record, time.perf_counter() - started)


def _card_before_weights(
    model: str | Path | Pipeline, device: str | torch.device, dtype: str | torch.dtype
) -> ModelCard:
    """The card of a model that may not be open yet; ModelError and OptionError for what `load` would refuse by name."""
    if not isinstance(model, Pipeline):
        choose_device(device)
        dtype_named(dtype)
        return registry.card(model)
    for name, asked, has in (
        ("device", device_named(device), str(model.device)),
        ("dtype", dtype_named(dtype), model.dtype),
    ):
        if asked not in ("auto", has, has.partition(":")[0]):
            raise OptionError(f"{name} is '{asked}' but the open model has {has}; leave it out, or open the model so")
    return model.card


def _chosen_formats(formats: str | Sequence[str] | None) -> list[str] | None:
    """The formats as a list; OptionError for what is no format, or none at all."""
    if formats is None:
        return None
    if not isinstance(formats, str | list | tuple | set | frozenset) or not formats:
        raise OptionError(f"formats is {shown(formats)} but must name one or several of {', '.join(writers())}")
    return [check_name("format", name, writers()) for name in ([formats] if isinstance(formats, str) else formats)]


def _check_options(options: ExportOptions | None, progress: Callable[[int], None] | None) -> None:
    if options is not None and not isinstance(options, ExportOptions):
        raise OptionError(f"options is {shown(options)} but must be dvd.export.ExportOptions(…), or None")
    if progress is not None and not callable(progress):
        raise OptionError(f"progress is {shown(progress)} but must be a function of the number of frames done, or None")


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
        shot_ranges=outputs.shot_ranges,
        seams=stream.seams,
        cuts=stream.cuts,
        shots=stream.shots,
        outputs=[writer.facts() for writer in outputs.writers],
        warnings=[*video.warnings, *(describe_wander(shot) for shot in stream.shots if not shot.steady)],
        stopped=stopped,
        source_numbers=video.info.numbers.facts() if video.info.numbers else None,
    )

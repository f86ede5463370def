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
from dvd.frames import as_frames
from dvd.hardware import choose_device, choose_dtype, device_named, dtype_named
from dvd.outputs import Outputs, check_outputs
from dvd.record import Record
from dvd.regressor import Regressor
from dvd.resize import model_size
from dvd.stitch import describe_wander
from dvd.stream import Settings, Stream, StreamOptions
from dvd.threads import Behind
from dvd.types import DisparityChunk, Seam, Shot
from dvd.video import PipeCopy, Video, open_video

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

CHUNKS_BEHIND = 2
"""Finished chunks, still at the model's size, that may wait for the writers."""


def load(
    name_or_folder: str | Path = "dvd-mini", device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
) -> DVD:
    """Open a model by name or folder.

    `device`, `dtype`: names ("cuda:1", "float16") or torch's own objects; "auto" takes the best device, and bfloat16
    where that is fast and good enough. Raise ModelError if the model is unknown, incomplete or damaged, OptionError if
    the device or dtype is unknown or not available.
    """
    card = registry.card(name_or_folder)
    chosen_device = choose_device(device)
    chosen_dtype, reason = choose_dtype(dtype, chosen_device, card)
    model = DVD(registry.load(name_or_folder, chosen_device, chosen_dtype), reason)
    log.info("%s on %s in %s: %s", model.card.name, model.device, model.dtype, reason)
    return model


@dataclass(frozen=True)
class Prediction:
    """The disparity of a clip.

    `prediction`: `T H W` float32, affine-invariant, larger is nearer; one scale and shift per shot. `seams`: the joints
    of windows; `shots`: the frames of each shot and how far its scale went.
    """

    prediction: NDArray[np.float32]
    seams: Sequence[Seam] = ()
    shots: Sequence[Shot] = ()


class DVD:
    """A model that is ready: frames in, disparity out, at once (`model(frames)`) or chunk by chunk (`stream`)."""

    def __init__(self, backbone: Backbone, dtype_reason: str = "asked for") -> None:
        self.backbone = backbone
        self.dtype_reason = dtype_reason

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path = "dvd-mini",
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
    ) -> DVD:
        """Open a model as `dvd.load` does."""
        return load(name_or_folder, device, dtype)

    @property
    def card(self) -> ModelCard:
        """The model's name, licence and default settings."""
        return self.backbone.card

    @property
    def device(self) -> torch.device:
        """The device that the model computes on."""
        return self.backbone.device

    @property
    def dtype(self) -> str:
        """The number format that the model computes in, such as "float32"."""
        return str(self.backbone.dtype).removeprefix("torch.")

    def __call__(self, frames: Any, options: StreamOptions | None = None, **changes: Any) -> Prediction:
        """Predict the disparity of all frames, at their own size.

        `frames`: an array or tensor `T H W 3`, an open video (`dvd.open_video`), or any iterable of frames `H W 3`:
        arrays, tensors on any device or PIL images in RGB; uint8, or floating point in [0, 1]. A single image counts as
        a clip of one frame. `changes`: fields of `StreamOptions`, such as `size=(192, 256)` or `window=9`. Raise
        InputError if these are not frames, OptionError for a value of the wrong type or outside its range; errors of a
        generator of frames pass through.
        """
        stream = self.stream(as_frames(frames), options, **changes)
        disparity = np.concatenate([chunk.disparity for chunk in stream])
        return Prediction(disparity, stream.seams, stream.shots)

    def predict(
        self, frames: Iterable[Any], options: StreamOptions | None = None, **changes: Any
    ) -> NDArray[np.float32]:
        """Return `self(frames, …).prediction`, `T H W` float32. For files there is `dvd.predict_file`."""
        return self(frames, options, **changes).prediction

    def stream(self, frames: Iterable[Any], options: StreamOptions | None = None, **changes: Any) -> Stream:
        """Predict chunk by chunk, in memory that does not grow with the number of frames.

        A stream that is closed, dropped or not used up leaves no thread and reads no further frame.
        """
        return Stream(Regressor(self.backbone), frames, self.settle(options, **changes))

    def settle(self, options: StreamOptions | None = None, **changes: Any) -> Settings:
        """Return the settings that `stream` would use. Raise OptionError for a value outside its range."""
        return _changed(options, changes).settle(self.card, self.backbone.time_factor)


Pipeline = DVD
"""The former name of `DVD`."""


@dataclass(frozen=True)
class Result:
    """The files written for one input, the JSON beside them and its content, and the seconds spent."""

    outputs: tuple[Path, ...]
    sidecar: Path
    record: Record
    seconds: float


def predict_file(
    source: str | Path | PipeCopy,
    out: str | Path,
    model: str | Path | DVD = "dvd-mini",
    formats: str | Sequence[str] | None = None,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    start: int | float | str | None = None,
    end: int | float | str | None = None,
    stream: StreamOptions | None = None,
    options: ExportOptions | None = None,
    progress: Callable[[int], None] | None = None,
    **changes: Any,
) -> Result:
    """Predict a video, an image or a folder of frames into files, and write a JSON beside them that says how.

    `out`: a folder, or a file whose ending chooses the format. `formats`: one or several names of `dvd.names.FORMATS`,
    by default mp4. `start`, `end`: as `open_video` takes them. `device`, `dtype`: as `load` takes them. `stream` and
    `changes` (fields of `StreamOptions`, such as `size` and `window`) say how frames pass through the model, `options`
    how files are written; the sizes of raw values are among the latter. `progress` is called with the number of
    finished frames, from another thread.

    Decoding, network and encoding run side by side. An error leaves either no files, or whole files of the frames that
    were finished. Raise InputError, OutputError, ModelError or OptionError with one line that says how to mend it,
    before the weights are read wherever possible.
    """
    started = time.perf_counter()
    if not isinstance(source, PipeCopy):
        check_path("source", source, "a video, an image or a folder of frames", InputError)
    check_path("out", out, "a folder or a file", OutputError)
    formats = _chosen_formats(formats)
    _check_options(options, progress)
    # Files are resized by their writers, after the stream.
    asked = _changed(stream, changes).but(values_at="network")
    # The window's rounding step is known with the weights; a step of 1 rounds nothing and logs nothing.
    asked.settle(_card_before_weights(model, device, dtype), 1)
    with open_video(source, start, end) as video:
        check_outputs(out, video.info, formats, options)  # before seconds go into a model
        ready = model if isinstance(model, DVD) else load(model, device, dtype)
        settings = ready.settle(asked)
        side = ready.backbone.side_multiple
        network = model_size(video.info.height, video.info.width, settings.least_size, side)
        outputs = Outputs(out, video.info, formats, options, network)
        try:
            times: deque[int] = deque()
            chunks = Stream(Regressor(ready.backbone), _noting_times(video, times), settings)

            def save(chunk: DisparityChunk) -> None:
                outputs.write(chunk, [times.popleft() for _ in chunk.disparity])
                if progress is not None:
                    progress(outputs.frames)

            with Behind(save, CHUNKS_BEHIND) as behind:
                for chunk in chunks:
                    behind.give(chunk)
            outputs.close()
            record = _record(ready, chunks, video, outputs)
            outputs.describe(record.facts())
        except BaseException as error:
            if outputs.abort():
                # The first error says more than a failure to describe what is kept.
                with suppress(OutputError):
                    outputs.describe(_record(ready, chunks, video, outputs, stopped=_stop_reason(error)).facts())
            raise
        finally:
            outputs.release()
    return Result(outputs.paths, outputs.sidecar, record, time.perf_counter() - started)


def _changed(options: StreamOptions | None, changes: dict[str, Any]) -> StreamOptions:
    if options is not None and not isinstance(options, StreamOptions):
        raise OptionError(
            f"stream options are {shown(options)} but must be dvd.StreamOptions(…), or keywords such as size=(480, 640)"
        )
    return (options or StreamOptions()).but(**changes)


def _card_before_weights(model: str | Path | DVD, device: str | torch.device, dtype: str | torch.dtype) -> ModelCard:
    """Return the card of a model, open or not. Raise ModelError and OptionError for names that `load` would refuse."""
    if not isinstance(model, DVD):
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
    """Return the formats as a list. Raise OptionError for an unknown format, or for none at all."""
    if formats is None:
        return None
    if not isinstance(formats, str | list | tuple | set | frozenset) or not formats:
        raise OptionError(f"formats is {shown(formats)} but must name one or several of {', '.join(writers())}")
    return [check_name("format", name, writers()) for name in ([formats] if isinstance(formats, str) else formats)]


def _check_options(options: ExportOptions | None, progress: Callable[[int], None] | None) -> None:
    if options is not None and not isinstance(options, ExportOptions):
        raise OptionError(f"options is {shown(options)} but must be dvd.ExportOptions(…), or None")
    if progress is not None and not callable(progress):
        raise OptionError(f"progress is {shown(progress)} but must be a function of the number of frames done, or None")


def _noting_times(video: Video, times: deque[int]) -> Iterator[NDArray[np.uint8]]:
    for frame in video:
        times.append(frame.pts)
        yield frame.rgb


def _stop_reason(error: BaseException) -> str:
    return "stopped by the user" if isinstance(error, KeyboardInterrupt) else str(error)


def _record(model: DVD, stream: Stream, video: Video, outputs: Outputs, stopped: str = "") -> Record:
    assert stream.source_size is not None
    assert stream.model_size is not None
    settings = stream.settings
    return Record(
        source=str(video.info.path),
        model=model.card.name,
        licence=model.card.licence,
        frames=outputs.frames,
        frame_rate=video.info.frame_rate,
        source_size=stream.source_size,
        size=stream.model_size,
        window=settings.window,
        overlap=settings.overlap,
        tau=settings.tau,
        stitch=settings.rule.name,
        fit=settings.rule.fit,
        device=str(model.device),
        dtype=model.dtype,
        dtype_reason=model.dtype_reason,
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

"""DVD's own models as methods: the stream that `dvd predict` runs, unchanged, or every frame by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import OptionError
from dvd.evaluation.sequences import EvalSequence
from dvd.hardware import device_name
from dvd.names import Space
from dvd.pipeline import DVD
from dvd.regressor import Regressor
from dvd.stream import Settings, Stream, StreamOptions
from dvd.types import Seam


class Ours:
    """A model on videos.

    `seams` and `cuts` are those of the sequence predicted last. Raise OptionError for options that contradict each
    other, or if τ is given to a model that samples.
    """

    space: Space = "disparity"

    def __init__(self, model: DVD, options: StreamOptions | None = None) -> None:
        self.name = model.card.name
        self.seams: list[Seam] = []
        self.cuts: list[int] = []
        self._model = model
        self._settings = _settle(model, options or StreamOptions())

    def describe(self) -> dict[str, Any]:
        """Return model, licence, device, number format, every setting of the stream, and a sampler's steps."""
        settings = self._settings
        return {
            "kind": "generative baseline" if self._model.backbone.samples else "dvd",
            "model": self._model.card.name,
            "licence": self._model.card.licence,
            "device": f"{self._model.device} ({device_name(self._model.device)})",
            "dtype": self._model.dtype,
            "size": _size(settings),
            "window": settings.window,
            "overlap": settings.overlap,
            **self._model.backbone.conditioning(settings.tau),
            "stitch": asdict(settings.rule),
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """Yield disparity `T H W` float32 at the frames' own size, as windows are finished."""
        rgb = (frame.rgb for frame in sequence.frames())
        stream = Stream(Regressor(self._model.backbone), rgb, self._settings)
        self.seams, self.cuts = stream.seams, stream.cuts
        with closing(stream):
            for chunk in stream:
                yield chunk.disparity


class SingleImage:
    """A model on single images: every frame is a window of its own, with nothing to align.

    The discriminative single-image baseline is this with a model that was trained on images alone. The size and τ of
    `options` are read. Raise OptionError if τ is given to a model that samples.
    """

    space: Space = "disparity"

    def __init__(self, model: DVD, options: StreamOptions | None = None) -> None:
        self.name = f"{model.card.name}, single images"
        self._model = model
        self._options = options or StreamOptions()
        self._settings = _settle(model, self._options)

    def describe(self) -> dict[str, Any]:
        """Return model, licence, device, number format, size, and the anchor or a sampler's steps."""
        return {
            "kind": "single images",
            "model": self._model.card.name,
            "licence": self._model.card.licence,
            "space": self.space,
            "device": f"{self._model.device} ({device_name(self._model.device)})",
            "dtype": self._model.dtype,
            "size": _size(self._settings),
            **self._model.backbone.conditioning(self._settings.tau),
            "window": 1,
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """Yield one frame at a time, `1 H W` float32 in [0, 1] of the sequence's size."""
        for frame in sequence.frames():
            yield self._model.predict([frame.rgb], self._options)


def _settle(model: DVD, options: StreamOptions) -> Settings:
    if options.tau is not None and model.backbone.samples:
        raise OptionError(f"model '{model.card.name}' samples from noise and reads no tau; leave it out")
    return model.settle(options)


def _size(settings: Settings) -> str | list[int]:
    return "source" if settings.least_size is None else list(settings.least_size)

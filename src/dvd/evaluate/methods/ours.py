"""DVD's own models as methods: the stream that `dvd predict` runs, unchanged, or every frame by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import OptionError
from dvd.evaluate.sequences import EvalSequence
from dvd.hardware import device_name
from dvd.names import Space
from dvd.pipeline import Pipeline, load
from dvd.regressor import Regressor
from dvd.stream import Size, Stream
from dvd.types import Seam


class Ours:
    """A model behind `dvd.pipeline`: any that can be loaded, with any window, overlap, τ, size and way of stitching.

    `seams` and `cuts` are those of the sequence predicted last. The values are those of `Pipeline.predict`; None for
    the model's own. OptionError where one is outside its range, two contradict each other, or τ is given to a
    generative model.
    """

    space: Space = "disparity"

    def __init__(
        self,
        pipeline: Pipeline,
        size: Size = None,
        window: int | None = None,
        overlap: int | None = None,
        tau: float | None = None,
        stitch: str | None = None,
    ) -> None:
        self.name = pipeline.card.name
        self.seams: list[Seam] = []
        self.cuts: list[int] = []
        self._pipeline = pipeline
        _check_tau(pipeline, tau)
        self._settings = pipeline.settings(size, window, overlap, tau, stitch or "default")

    def describe(self) -> dict[str, Any]:
        """Model, licence, device, number format, every setting of the stream, and the steps of a generative model."""
        settings = self._settings
        return {
            "kind": "generative baseline" if self._pipeline.backbone.samples else "dvd",
            "model": self._pipeline.card.name,
            "licence": self._pipeline.card.licence,
            "device": f"{self._pipeline.device} ({device_name(self._pipeline.device)})",
            "dtype": self._pipeline.dtype,
            "size": "source" if settings.target is None else list(settings.target),
            "window": settings.window,
            "overlap": settings.overlap,
            **self._pipeline.backbone.conditioning(settings.tau),
            "stitch": asdict(settings.rule),
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """Chunks `T H W` float32 of disparity at the frames' own size, as windows get done."""
        rgb = (frame.rgb for frame in sequence.frames())
        stream = Stream(Regressor(self._pipeline.backbone), rgb, self._settings)
        self.seams, self.cuts = stream.seams, stream.cuts
        with closing(stream):
            for chunk in stream:
                yield chunk.disparity


@dataclass
class SingleImage:
    """Any model by name, by folder or opened: what it does without the frames around.

    The discriminative single-image baseline is this with a model that was trained on images alone. `size`, `tau`,
    `device` and `dtype` as `dvd.load` and `Pipeline.predict` take them; a generative model takes no τ.
    """

    model: str | Path | Pipeline = "dvd-mini"
    name: str = ""
    size: Size = None
    tau: float | None = None
    device: str = "auto"
    dtype: str = "auto"
    space: Space = field(default="disparity", init=False)

    def __post_init__(self) -> None:
        if not self.name:
            model = self.model.card.name if isinstance(self.model, Pipeline) else Path(self.model).name
            self.name = f"{model}, single images"

    def describe(self) -> dict[str, Any]:
        """Model, licence, device, number format, size and anchor; opens the model. Errors as `dvd.load`."""
        pipeline = self._pipeline
        _check_tau(pipeline, self.tau)
        settings = pipeline.settings(self.size, tau=self.tau)
        return {
            "kind": "single images",
            "model": pipeline.card.name,
            "licence": pipeline.card.licence,
            "space": self.space,
            "device": f"{pipeline.device} ({device_name(pipeline.device)})",
            "dtype": pipeline.dtype,
            "size": list(settings.target) if settings.target else "source",
            **pipeline.backbone.conditioning(settings.tau),
            "window": 1,
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """One frame at a time, `1 H W` float32 in [0, 1] of the sequence's size."""
        for frame in sequence.frames():
            yield self._pipeline.predict([frame.rgb], size=self.size, tau=self.tau)

    @cached_property
    def _pipeline(self) -> Pipeline:
        return self.model if isinstance(self.model, Pipeline) else load(self.model, self.device, self.dtype)


def _check_tau(pipeline: Pipeline, tau: float | None) -> None:
    """Raise OptionError where τ is given to a model that samples: the sampler visits times of its own."""
    if tau is not None and pipeline.backbone.samples:
        raise OptionError(f"model '{pipeline.card.name}' samples from noise and reads no tau; leave it out")

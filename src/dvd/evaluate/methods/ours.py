"""DVD's own models as a method: the stream that `dvd predict` runs, with nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.evaluate.methods.sampling import check_anchor, conditioning, kind
from dvd.evaluate.sequences import EvalSequence
from dvd.hardware import device_name
from dvd.names import Space
from dvd.pipeline import Pipeline
from dvd.regressor import Regressor
from dvd.stream import Size, Stream, StreamOptions
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
        check_anchor(pipeline, tau)
        self._settings = pipeline.settle(StreamOptions(size, window, overlap, tau, stitch or "default"))

    def describe(self) -> dict[str, Any]:
        """Model, licence, device, number format, every setting of the stream, and the steps of a generative model."""
        settings = self._settings
        return {
            "kind": kind(self._pipeline),
            "model": self._pipeline.card.name,
            "licence": self._pipeline.card.licence,
            "device": f"{self._pipeline.device} ({device_name(self._pipeline.device)})",
            "dtype": self._pipeline.dtype,
            "size": "source" if settings.least_size is None else list(settings.least_size),
            "window": settings.window,
            "overlap": settings.overlap,
            **conditioning(self._pipeline, settings.tau),
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

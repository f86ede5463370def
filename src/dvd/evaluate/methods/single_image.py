"""A model of ours on single images: every frame on its own, a window of one, with nothing to align and no memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.evaluate.methods.sampling import check_anchor, conditioning
from dvd.evaluate.sequences import EvalSequence
from dvd.hardware import device_name
from dvd.names import Space
from dvd.pipeline import Pipeline, load
from dvd.stream import Size


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
        check_anchor(pipeline, self.tau)
        settings = pipeline.settle(size=self.size, tau=self.tau)
        return {
            "kind": "single images",
            "model": pipeline.card.name,
            "licence": pipeline.card.licence,
            "space": self.space,
            "device": f"{pipeline.device} ({device_name(pipeline.device)})",
            "dtype": pipeline.dtype,
            "size": list(settings.least_size) if settings.least_size else "source",
            **conditioning(pipeline, settings.tau),
            "window": 1,
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """One frame at a time, `1 H W` float32 in [0, 1] of the sequence's size."""
        for frame in sequence.frames():
            yield self._pipeline.predict([frame.rgb], size=self.size, tau=self.tau)

    @cached_property
    def _pipeline(self) -> Pipeline:
        return self.model if isinstance(self.model, Pipeline) else load(self.model, self.device, self.dtype)

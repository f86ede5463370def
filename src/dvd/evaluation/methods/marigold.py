"""Marigold v1.1 (Ke et al. 2025) through diffusers: every frame on its own, depth up to scale and shift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.arguments import check_seed
from dvd.backbones.hub import fetch_folder
from dvd.errors import OptionError
from dvd.evaluation.methods.pretrained import PretrainedMethod, opening, require, shown_size
from dvd.evaluation.sequences import EvalSequence
from dvd.names import Space
from dvd.resize import model_size

V1_1 = "prs-eth/marigold-depth-v1-1"


@dataclass
class Marigold(PretrainedMethod):
    """By repository or folder.

    `steps` of denoising and `size`: None takes the checkpoint's own; its size is a longest side. `ensemble`: the number
    of predictions of a frame that are merged (over 2 with scipy). `seed`: of the noise, which is the same for every
    frame, so that no prediction depends on the frames before. Raise OptionError for numbers out of range, and if a
    library is missing. Needs weights from the hub, and the extra `compare`.
    """

    libraries = ("diffusers", "transformers")
    own_size = "the checkpoint's own"

    model: str | Path = V1_1
    name: str = "Marigold v1.1"
    space: Space = field(default="depth", init=False)
    steps: int | None = None
    ensemble: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ensemble > 2:
            require("scipy", f"an ensemble of {self.ensemble}")
        check_seed(self.seed)
        steps = 1 if self.steps is None else self.steps
        if min(steps, self.ensemble) < 1:
            raise OptionError(f"{self.name} cannot take steps {steps}, ensemble {self.ensemble}; both are at least 1")

    def describe(self) -> dict[str, Any]:
        """Add steps, ensemble and seed; the checkpoint's own number of steps is known once it is open."""
        opened = self.__dict__.get("_opened")
        steps = self.steps if opened is None else self.steps or opened.default_denoising_steps
        return super().describe() | {
            "steps": "the checkpoint's own" if steps is None else steps,
            "ensemble": self.ensemble,
            "seed": self.seed,
            "noise": "the same for every frame",
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """Yield one frame at a time, `1 H W` float32 in [0, 1]. Raise ModelError if weights are missing."""
        import torch

        pipeline, longest = self._opened, self._longest(sequence.size)
        for frame in sequence.frames():
            predicted = pipeline(
                frame.rgb.astype(np.float32) / np.float32(255),
                num_inference_steps=self.steps,
                ensemble_size=self.ensemble,
                processing_resolution=longest,
                generator=torch.Generator().manual_seed(self.seed),
                output_type="np",
            ).prediction  # 1 H W 1
            yield predicted[..., 0].astype(np.float32)

    def _longest(self, size: tuple[int, int]) -> int:
        """Return the longest side of what the network sees of frames of this size; 0 keeps their size."""
        if self.size is None:
            longest = int(self._opened.default_processing_resolution or 0)
        else:
            longest = 0 if self.size == "source" else max(model_size(*size, self.size, 1))
        self._seen[shown_size(size)] = f"longest side {longest or max(size)}"
        return longest

    @cached_property
    def _opened(self) -> Any:
        import torch
        from diffusers import MarigoldDepthPipeline

        def fetch(repo: str, *, local_files_only: bool) -> str:
            return MarigoldDepthPipeline.download(repo, local_files_only=local_files_only, use_safetensors=True)

        folder = fetch_folder(self.model, fetch, self.download)
        with opening(self.model, folder):
            pipeline = MarigoldDepthPipeline.from_pretrained(folder, local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(self._device, getattr(torch, self.dtype))

"""Marigold v1.1 (Ke et al. 2025) through diffusers: every frame on its own, depth up to scale and shift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import OptionError
from dvd.evaluate.hub import check_dtype, opening, origin, require, weights_folder
from dvd.evaluate.sequences import EvalSequence
from dvd.hardware import choose_device, device_name
from dvd.metrics import Space

V1_1 = "prs-eth/marigold-depth-v1-1"


@dataclass
class Marigold:
    """By repository or folder; it is opened when the first frame is predicted.

    `steps` of denoising and `size`, the longest side in pixels that the network sees (0 for the frame's own): None for
    what the checkpoint says. `ensemble`: how many predictions are made of each frame and merged (over 2 with scipy).
    `seed`: of the noise, which is drawn anew for each frame, so that all frames start from the same and one frame's
    prediction does not depend on those before it. Needs weights from a hub, and the extra `compare`.
    """

    model: str | Path = V1_1
    name: str = "Marigold v1.1"
    steps: int | None = None
    ensemble: int = 1
    seed: int = 0
    size: int | None = None
    device: str = "auto"
    dtype: str = "float32"
    download: bool = True
    space: Space = field(default="depth", init=False)

    def __post_init__(self) -> None:
        """OptionError for an unknown device or dtype, for numbers out of range, and without the libraries."""
        for library in ("diffusers", "transformers"):
            require(library, self.name)
        if self.ensemble > 2:
            require("scipy", f"an ensemble of {self.ensemble}")
        self._device = choose_device(self.device)
        check_dtype(self.name, self.dtype)
        steps = 1 if self.steps is None else self.steps
        if min(steps, self.ensemble) < 1 or (self.size or 0) < 0:
            raise OptionError(
                f"{self.name} cannot take steps {self.steps}, ensemble {self.ensemble}, size {self.size}; "
                "steps and ensemble are at least 1, size at least 0"
            )

    def describe(self) -> dict[str, Any]:
        """Weights, library, device and every setting; opens nothing: a checkpoint's own are told once it is open."""
        opened = self.__dict__.get("_opened")
        steps = self.steps if opened is None else self.steps or opened.default_denoising_steps
        size = self.size if opened is None or self.size is not None else opened.default_processing_resolution
        return origin(self.model, "diffusers") | {
            "kind": "single images",
            "space": self.space,
            "device": f"{self._device} ({device_name(self._device)})",
            "dtype": self.dtype,
            "size": "the checkpoint's own" if size is None else size,
            "steps": "the checkpoint's own" if steps is None else steps,
            "ensemble": self.ensemble,
            "seed": self.seed,
            "noise": "the same for every frame",
            "window": 1,
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """One frame at a time, `1 H W` float32 in [0, 1]. ModelError where the weights are not there."""
        import torch

        pipeline = self._opened
        for frame in sequence.frames():
            predicted = pipeline(
                frame.rgb.astype(np.float32) / np.float32(255),
                num_inference_steps=self.steps,
                ensemble_size=self.ensemble,
                processing_resolution=self.size,
                generator=torch.Generator().manual_seed(self.seed),
                output_type="np",
            ).prediction  # 1 H W 1
            yield predicted[..., 0].astype(np.float32)

    @cached_property
    def _opened(self) -> Any:
        import torch
        from diffusers import MarigoldDepthPipeline

        def fetch(repo: str, *, local_files_only: bool) -> str:
            return MarigoldDepthPipeline.download(repo, local_files_only=local_files_only, use_safetensors=True)

        folder = weights_folder(self.model, fetch, self.download)
        with opening(self.model, folder):
            pipeline = MarigoldDepthPipeline.from_pretrained(folder, local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline.to(self._device, getattr(torch, self.dtype))

"""Depth Anything V2 (Yang et al. 2024) through transformers: frame by frame, disparity up to scale and shift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvd.backbones.hub import fetch_folder
from dvd.errors import ModelError
from dvd.evaluation.methods.pretrained import PretrainedMethod, opening, shown_size
from dvd.evaluation.sequences import EvalSequence
from dvd.resize import model_size, to_source_size

if TYPE_CHECKING:
    import torch

SMALL = "depth-anything/Depth-Anything-V2-Small-hf"


@dataclass
class DepthAnythingV2(PretrainedMethod):
    """One of its relative models, by repository or folder.

    `size` is applied in the frame's shape, rounded up to a multiple of the patches; None is the model's own (518). Any
    model works that transformers opens for depth estimation and that predicts disparity; raise ModelError for one that
    predicts metres. Needs weights from the hub, and the extra `compare`.
    """

    libraries = ("transformers",)
    own_size = "the model's own"

    model: str | Path = SMALL
    name: str = "Depth Anything V2"

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """Yield one frame at a time, `1 H W` float32 of its own size. Raise ModelError if weights are missing."""
        for frame in sequence.frames():
            yield to_source_size(self.disparity(frame.rgb), sequence.size)

    def disparity(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Image `H W 3` → disparity `1 h w` of the size that the network sees."""
        import torch

        processor, network = self._opened
        size = rgb.shape[:2]
        pixels = processor(images=rgb, return_tensors="pt", **self._sized(size, processor))["pixel_values"]
        self._seen[shown_size(size)] = shown_size(pixels.shape[-2:])
        with torch.inference_mode():
            predicted = network(pixels.to(self._device, getattr(torch, self.dtype))).predicted_depth
        return predicted.float().cpu().numpy()

    def _sized(self, size: tuple[int, int], processor: Any) -> dict[str, Any]:
        """Return keyword arguments that override the processor's own size, which may be too short on one side."""
        if self.size is None:
            return {}
        least_size = None if self.size == "source" else self.size
        height, width = model_size(*size, least_size, getattr(processor, "ensure_multiple_of", None) or 1)
        return {"size": {"height": height, "width": width}, "keep_aspect_ratio": False}

    @cached_property
    def _opened(self) -> tuple[Any, torch.nn.Module]:
        import torch
        from huggingface_hub import snapshot_download
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        def fetch(repo: str, *, local_files_only: bool) -> str:
            patterns = ["*.json", "*.safetensors"]
            return snapshot_download(repo, allow_patterns=patterns, local_files_only=local_files_only)

        folder = fetch_folder(self.model, fetch, self.download)
        with opening(self.model, folder):
            processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            network = AutoModelForDepthEstimation.from_pretrained(folder, local_files_only=True)
        if getattr(network.config, "depth_estimation_type", "relative") == "metric":
            raise ModelError(f"{self.model} predicts metres; take a relative model, such as {SMALL}")
        return processor, network.to(self._device, getattr(torch, self.dtype)).eval()

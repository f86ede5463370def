"""Depth Anything V2 (Yang et al. 2024) through transformers: frame by frame, disparity up to scale and shift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import ModelError, OptionError
from dvd.evaluate.hub import check_dtype, opening, origin, require, weights_folder
from dvd.evaluate.sequences import EvalSequence
from dvd.hardware import choose_device, device_name
from dvd.metrics import Space
from dvd.resize import to_source_size

if TYPE_CHECKING:
    import torch

SMALL = "depth-anything/Depth-Anything-V2-Small-hf"


@dataclass
class DepthAnythingV2:
    """One of its relative models, by repository or folder; it is opened when the first frame is predicted.

    `size`: least height and width in pixels that the network sees, at the frame's own shape; None for what the model's
    own preprocessing says (518). Any model that transformers opens for depth estimation and that predicts disparity
    works; ModelError for one that predicts metres. Needs weights from a hub, and the extra `compare`.
    """

    model: str | Path = SMALL
    name: str = "Depth Anything V2"
    size: int | None = None
    device: str = "auto"
    dtype: str = "float32"
    download: bool = True
    space: Space = field(default="disparity", init=False)

    def __post_init__(self) -> None:
        """OptionError for an unknown device or dtype, for a size below 1, and without transformers."""
        require("transformers", self.name)
        self._device = choose_device(self.device)
        check_dtype(self.name, self.dtype)
        if self.size is not None and self.size < 1:
            raise OptionError(f"size of {self.name} is {self.size} but must be at least 1 pixel")

    def describe(self) -> dict[str, Any]:
        """Weights, library, device, number format and size; opens nothing."""
        return origin(self.model, "transformers") | {
            "kind": "single images",
            "space": self.space,
            "device": f"{self._device} ({device_name(self._device)})",
            "dtype": self.dtype,
            "size": self.size or "the model's own",
            "window": 1,
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """One frame at a time, `1 H W` float32 of the sequence's size. ModelError where the weights are not there."""
        for frame in sequence.frames():
            yield to_source_size(self.disparity(frame.rgb), sequence.size)

    def disparity(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """An image `H W 3` → `1 h w` at the size at which the network sees it."""
        import torch

        processor, network = self._opened
        sized = {} if self.size is None else {"size": {"height": self.size, "width": self.size}}
        pixels = processor(images=rgb, return_tensors="pt", **sized)["pixel_values"]
        with torch.inference_mode():
            predicted = network(pixels.to(self._device, getattr(torch, self.dtype))).predicted_depth
        return predicted.float().cpu().numpy()

    @cached_property
    def _opened(self) -> tuple[Any, torch.nn.Module]:
        import torch
        from huggingface_hub import snapshot_download
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        def fetch(repo: str, *, local_files_only: bool) -> str:
            wanted = ["*.json", "*.safetensors"]
            return snapshot_download(repo, allow_patterns=wanted, local_files_only=local_files_only)

        folder = weights_folder(self.model, fetch, self.download)
        with opening(self.model, folder):
            processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            network = AutoModelForDepthEstimation.from_pretrained(folder, local_files_only=True)
        if getattr(network.config, "depth_estimation_type", "relative") == "metric":
            raise ModelError(f"{self.model} predicts metres; take a relative model, such as {SMALL}")
        return processor, network.to(self._device, getattr(torch, self.dtype)).eval()

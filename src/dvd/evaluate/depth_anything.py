"""Depth Anything V2 (Yang et al. 2024) through transformers: frame by frame, disparity up to scale and shift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import ModelError
from dvd.evaluate.hub import check_dtype, check_size, opening, origin, require, shown_size, weights_folder
from dvd.evaluate.sequences import EvalSequence
from dvd.hardware import choose_device, device_name
from dvd.metrics import Space
from dvd.resize import model_size, to_source_size
from dvd.stream import Size

if TYPE_CHECKING:
    import torch

SMALL = "depth-anything/Depth-Anything-V2-Small-hf"


@dataclass
class DepthAnythingV2:
    """One of its relative models, by repository or folder; it is opened when the first frame is predicted.

    `size`: least height and width in pixels that the network sees, in the frame's shape and up to a multiple of its
    patches; "source" for the frame's own; None for what the model's preprocessing does (518). Any model that
    transformers opens for depth estimation and that predicts disparity works; ModelError for one that predicts metres.
    Needs weights from a hub, and the extra `compare`.
    """

    model: str | Path = SMALL
    name: str = "Depth Anything V2"
    size: Size = None
    device: str = "auto"
    dtype: str = "float32"
    download: bool = True
    space: Space = field(default="disparity", init=False)
    _seen: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """OptionError for an unknown device or dtype, for a size below 1, and without transformers."""
        require("transformers", self.name, self.model)
        self._device = choose_device(self.device)
        check_dtype(self.name, self.dtype)
        check_size(self.name, self.size)

    def open(self) -> None:
        """Opens the weights now. ModelError where they cannot be had or are no relative model."""
        _ = self._opened

    def describe(self) -> dict[str, Any]:
        """Weights, library, device, number format and size; opens nothing. What the network has seen is told later."""
        return origin(self.model, "transformers") | {
            "kind": "single images",
            "space": self.space,
            "device": f"{self._device} ({device_name(self._device)})",
            "dtype": self.dtype,
            "size": list(self.size) if isinstance(self.size, tuple) else self.size or "the model's own",
            "processed": dict(self._seen),
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
        size = rgb.shape[:2]
        pixels = processor(images=rgb, return_tensors="pt", **self._sized(size, processor))["pixel_values"]
        self._seen[shown_size(size)] = shown_size(pixels.shape[-2:])
        with torch.inference_mode():
            predicted = network(pixels.to(self._device, getattr(torch, self.dtype))).predicted_depth
        return predicted.float().cpu().numpy()

    def _sized(self, size: tuple[int, int], processor: Any) -> dict[str, Any]:
        """What tells the preprocessing another size than its own; of its own it may fall short of one side."""
        if self.size is None:
            return {}
        target = None if self.size == "source" else self.size
        height, width = model_size(*size, target, getattr(processor, "ensure_multiple_of", None) or 1)
        return {"size": {"height": height, "width": width}, "keep_aspect_ratio": False}

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

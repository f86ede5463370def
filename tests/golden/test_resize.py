"""The release's resize: sizes and pixels."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dvd.resize import model_size, resize_frames

GOLDEN = Path(__file__).parent
SIZES = json.loads((GOLDEN / "values.json").read_text())["resize_480x640"]


@pytest.mark.parametrize("source", SIZES)
def test_sizes_are_those_of_the_release(source: str) -> None:
    height, width = map(int, source.split(","))
    assert list(model_size(height, width, (480, 640), 16)) == SIZES[source]


def test_pixels_are_those_of_the_release() -> None:
    tensors = load_file(str(GOLDEN / "tensors.safetensors"))
    rgb, wanted = tensors["resize.rgb"], tensors["resize.out"]
    size = model_size(rgb.shape[2], rgb.shape[3], (48, 64), 16)
    resized = resize_frames(rgb, size, antialias=None)
    assert (torch.linalg.vector_norm(resized - wanted) / torch.linalg.vector_norm(wanted)) <= 1e-6

"""Frames as people hold them all give the same numbers; everything else is refused in one line that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dvd.errors import InputError
from dvd.frames import ROUNDING, check_frames, checked_frame
from dvd.types import Frame

RGB = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
UNIT = (RGB / 255).astype(np.float32)


def arrays(frames: Any) -> np.ndarray:
    """All frames as `T H W 3` in [0, 1]."""
    read = [checked_frame(frame, index) for index, frame in enumerate(check_frames(frames))]
    return np.stack([each / np.float32(255) if each.dtype == np.uint8 else each for each in read])


def in_one_buffer() -> Iterator[np.ndarray]:
    buffer = np.empty_like(RGB[0])
    for frame in RGB:
        buffer[:] = frame
        yield buffer


def read_only() -> np.ndarray:
    frames = RGB.copy()
    frames.flags.writeable = False
    return frames


def objects() -> np.ndarray:
    frames = np.empty(3, object)
    frames[:] = [Image.fromarray(frame) for frame in RGB]
    return frames


ACCEPTED: dict[str, Callable[[], Any]] = {
    "array": lambda: RGB,
    "list of arrays": lambda: list(RGB),
    "generator": lambda: (frame for frame in RGB),
    "list of lists": lambda: UNIT.tolist(),
    "PIL images": lambda: [Image.fromarray(frame) for frame in RGB],
    "an array of PIL images": objects,
    "video frames": lambda: [Frame(frame, index) for index, frame in enumerate(RGB)],
    "tensor uint8": lambda: torch.from_numpy(RGB),
    "tensor float": lambda: torch.from_numpy(UNIT),
    "tensor double": lambda: torch.from_numpy(UNIT).double(),
    "tensors with grad": lambda: [torch.from_numpy(frame).requires_grad_() for frame in UNIT],
    "tensors of a view": lambda: torch.from_numpy(RGB.transpose(0, 3, 1, 2).copy()).permute(0, 2, 3, 1),
    "tensor conjugated": lambda: torch.complex(torch.from_numpy(UNIT), torch.from_numpy(UNIT)).conj().real,
    "float64": lambda: RGB / 255,
    "big-endian": lambda: UNIT.astype(">f4"),
    "Fortran order": lambda: np.asfortranarray(RGB),
    "negative strides": lambda: RGB[::-1, ::-1, ::-1][::-1, ::-1, ::-1],
    "BGR turned": lambda: np.ascontiguousarray(RGB[..., ::-1])[..., ::-1],
    "read-only": read_only,
}


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=list(ACCEPTED))
def test_all_forms_of_frames_give_the_same_array(make: Callable[[], Any]) -> None:
    np.testing.assert_allclose(arrays(make()), UNIT, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_frames_are_read_to_their_precision(dtype: torch.dtype) -> None:
    np.testing.assert_allclose(arrays(torch.from_numpy(UNIT).to(dtype)), UNIT, atol=4e-3)


def test_a_generator_that_reuses_its_buffer_is_read_frame_by_frame() -> None:
    for index, frame in enumerate(check_frames(in_one_buffer())):
        np.testing.assert_array_equal(checked_frame(frame, index), RGB[index])


def test_values_slightly_outside_0_and_1_are_clipped() -> None:
    edge = np.full((2, 2, 3), 1 + ROUNDING / 2)
    edge[0] = -ROUNDING / 2
    read = checked_frame(edge, 0)
    assert (read.min(), read.max()) == (0, 1)


class Odd:
    """Neither frames nor anything that can be iterated over."""


class Fails:
    shape = (4, 5, 3)

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise TypeError("this lies on a device of its own")


class Table:
    """As pandas has it: columns, of which iterating gives the names."""

    shape = (10, 3)

    def __iter__(self) -> Iterator[str]:
        return iter("abc")

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        return np.zeros(self.shape)


def iterate(frames: Any) -> None:
    for index, frame in enumerate(check_frames(frames)):
        checked_frame(frame, index)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (None, "frames is None; give an array T H W 3, or a list or generator of frames H W 3"),
        (7, "frames is 7; give an array"),
        (True, "frames is True; give an array"),
        (Odd(), "frames is an Odd; give an array"),
        ({"rgb": RGB}, "frames is a dict; give an array"),
        ({1, 2}, "frames is a set; give an array"),
        (b"frames", "frames is b'frames' (bytes); give an array"),
        (
            "clip.mp4",
            "frames is the path 'clip.mp4'; use dvd.predict_file('clip.mp4', out), or give",
        ),
        (Path("clip.mp4"), "frames is the path 'clip.mp4'; use dvd.predict"),
        (Table(), "frames is a Table of shape (10, 3); frames are H W 3"),
        (Image.fromarray(RGB[0]), "frames is one frame (Image); give a list of frames"),
        (Frame(RGB[0], 0), "frames is one frame (Frame); give a list of frames"),
        (RGB[0], "frames has shape (4, 5, 3), which is one frame; frames are H W 3"),
        (torch.from_numpy(RGB[0]), "which is one frame"),
        (np.array(3.0), "frames is a single value (ndarray); frames are H W 3"),
        (
            RGB.transpose(0, 3, 1, 2),
            "frames has shape (3, 3, 4, 5); frames are H W 3, red, green and blue, and many are",
        ),
        (RGB.transpose(0, 3, 1, 2), "here the channels come first, so move them to the end"),
        (torch.from_numpy(RGB).permute(0, 3, 1, 2), "here the channels come first"),
        (np.concatenate([RGB, RGB[..., :1]], -1), "leave out the fourth channel"),
        (RGB[..., :1], "this is gray"),
        (RGB[..., 0], "this is gray"),
        (RGB[None], "frames is an array of shape (1, 3, 4, 5, 3)"),
        ([RGB], "frame 0 has shape (3, 4, 5, 3)"),
        ([RGB], "these are several frames, so give them one by one"),
        ([RGB[0], None], "frame 1 is None; frames are H W 3"),
        ([RGB[0], "clip.mp4"], "frame 1 is 'clip.mp4' (str); frames are H W 3"),
        ([{"rgb": RGB[0]}], "frame 0 is a dict; frames are H W 3"),
        ([Odd()], "frame 0 has shape ()"),
        ([Fails()], "frame 0 is a Fails of shape (4, 5, 3) and cannot be read as an array (this lies on a device"),
        (
            [torch.zeros(4, 5, 3, device="meta")],
            "frame 0 is a Tensor of shape (4, 5, 3) and cannot be read as an array",
        ),
        ([Image.new("L", (5, 4))], "frame 0 is a PIL image of mode L; give frame.convert('RGB')"),
        ([Image.new("RGBA", (5, 4))], "frame 0 is a PIL image of mode RGBA"),
        (
            [RGB[0].astype(np.uint16)],
            "frame 0 is uint16; frames are uint8, or floating point in [0, 1]; divide by 65535",
        ),
        ([RGB[0].astype(int)], "frame 0 is int64; frames are uint8, or floating point in [0, 1]"),
        ([RGB[0] > 3], "frame 0 is bool; frames are uint8"),
        ([RGB[0].astype(np.float32)], "so divide by 255 or give uint8"),
        ([np.full((4, 5, 3), np.nan)], "frame 0 has values that are not finite"),
        ([np.full((4, 5, 3), -np.inf)], "frame 0 has values that are not finite"),
        ([np.zeros((4, 0, 3), np.uint8)], "frame 0 has shape (4, 0, 3)"),
        ([[[1, 2], [3]]], "cannot be read as an array"),
        ([Fraction(1, 2)], "frame 0 has shape ()"),
    ],
)
def test_invalid_frames_are_refused_in_one_line(frames: Any, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        iterate(frames)
    assert "\n" not in str(caught.value)

"""Frames in the forms that users have (arrays, tensors, PIL images, an open video) → arrays `H W 3`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dvd.arguments import shown
from dvd.errors import InputError, first_line
from dvd.types import Frame

ROUNDING = 1e-3
"""Floating-point frames may exceed [0, 1] by this much, for example after resizing; they are clipped."""
FORM = "frames are H W 3, red, green and blue"


def check_frames(frames: Any) -> Iterable[Any]:
    """Return an iterable of frames unchanged: an array or tensor `T H W 3`, a list, a generator, a `Video` …

    Raise InputError if it cannot hold frames. `checked_frame` checks every frame.
    """
    if isinstance(frames, str | os.PathLike):
        path = os.fspath(frames)
        raise InputError(
            f"frames is the path {path!r}; use dvd.predict_file({path!r}, out), or give the frames of dvd.open_video(…)"
        )
    if isinstance(frames, Image.Image | Frame):
        raise InputError(f"frames is one frame ({type(frames).__name__}); give a list of frames, such as [frame]")
    shape = getattr(frames, "shape", None)
    if shape is not None and not _holds_objects(frames):
        _check_shape(frames, tuple(shape))
    unordered = isinstance(frames, bytes | bytearray | memoryview | Mapping | Set)
    iterable = hasattr(type(frames), "__iter__") or hasattr(type(frames), "__getitem__")
    if unordered or not iterable:
        raise InputError(f"frames is {shown(frames)}; give an array T H W 3, or a list or generator of frames H W 3")
    return frames


def as_frames(frames: Any) -> Any:
    """Return a single image (PIL, or an array or tensor `H W 3`) as a clip of one frame, anything else unchanged."""
    shape = tuple(getattr(frames, "shape", ()))
    single = isinstance(frames, Image.Image) or (len(shape) == 3 and shape[2] == 3)
    return [frames] if single else frames


def checked_frame(frame: Any, index: int) -> NDArray[np.generic]:
    """Return the frame as `H W 3`, uint8 or float32 in [0, 1]. Raise InputError if it is something else."""
    rgb = _array(frame, index)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"frame {index} has shape {rgb.shape}; {FORM}{_remedy(rgb.shape)}")
    if rgb.dtype == np.uint8:
        return rgb
    if not np.issubdtype(rgb.dtype, np.floating):
        by = f"; divide by {np.iinfo(rgb.dtype).max}.0" if rgb.dtype.kind == "u" else ""
        raise InputError(f"frame {index} is {rgb.dtype}; frames are uint8, or floating point in [0, 1]{by}")
    low, high = rgb.min(), rgb.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"frame {index} has values that are not finite (NaN or infinity); mend or leave out the frame")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise InputError(
            f"frame {index} has values from {low:.4g} to {high:.4g}; floating-point frames lie in [0, 1], "
            "so divide by 255 or give uint8"
        )
    rgb = rgb.astype(np.float32, copy=False)
    return rgb if low >= 0 and high <= 1 else rgb.clip(0, 1)


def _array(frame: Any, index: int) -> NDArray[Any]:
    """Return any kind of frame as an array with the same values."""
    if isinstance(frame, Frame):
        return frame.rgb
    if isinstance(frame, Image.Image) and frame.mode != "RGB":
        raise InputError(f"frame {index} is a PIL image of mode {frame.mode}; give frame.convert('RGB')")
    if frame is None or isinstance(frame, str | bytes | os.PathLike | Mapping):
        raise InputError(f"frame {index} is {shown(frame)}; {FORM}")
    try:
        return _tensor_values(frame) if isinstance(frame, Tensor) else np.asarray(frame)
    except Exception as error:  # other libraries raise what they like when they cannot copy to the CPU
        reason = first_line(error)
        raise InputError(f"frame {index} is {shown(frame)} and cannot be read as an array ({reason[:80]})") from error


def _tensor_values(frame: Tensor) -> NDArray[Any]:
    if frame.is_floating_point() and frame.dtype not in (torch.float16, torch.float32, torch.float64):
        frame = frame.float()  # NumPy knows no bfloat16
    return frame.numpy(force=True)


def _holds_objects(frames: Any) -> bool:
    """Return whether `frames` is a NumPy array of arrays or images, which is used as a list."""
    return isinstance(frames, np.ndarray) and frames.dtype == object and frames.ndim == 1


def _check_shape(frames: Any, shape: tuple[Any, ...]) -> None:
    if len(shape) == 4 and shape[3] == 3:
        return
    kind = type(frames).__name__
    if len(shape) == 3 and shape[2] == 3:
        raise InputError(
            f"frames has shape {shape}, which is one frame; {FORM}, and many are T H W 3: give frames[None]"
        )
    if len(shape) in (3, 4):
        raise InputError(f"frames has shape {shape}; {FORM}, and many are T H W 3{_remedy(shape[1:])}")
    raise InputError(f"frames is {shown(frames) if shape else _single_value(kind)}; {FORM}, and many are T H W 3")


def _single_value(kind: str) -> str:
    return f"a single value ({kind})"


def _remedy(shape: tuple[Any, ...]) -> str:
    """Say how to turn a frame of this shape into `H W 3`; "" if unknown."""
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return "; this is gray, so repeat it three times along a last axis"
    if len(shape) == 4:
        return "; these are several frames, so give them one by one"
    if len(shape) == 3 and shape[2] == 4:
        return "; leave out the fourth channel, [..., :3]"
    if len(shape) == 3 and shape[0] == 3:
        return "; here the channels come first, so move them to the end"
    return ""

"""Convert the inputs of metrics, NumPy or torch, to NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike
    from torch import Tensor

    Values: TypeAlias = ArrayLike | Tensor

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]


def to_array(values: Values) -> NDArray[Any]:
    """Return a NumPy array; a torch tensor may be on any device and require a gradient."""
    if not hasattr(values, "detach"):
        return np.asarray(values)
    tensor = values.detach().cpu()
    # NumPy has no bfloat16.
    narrow = tensor.is_floating_point() and tensor.element_size() < 4
    array: NDArray[Any] = (tensor.float() if narrow else tensor).numpy()
    return array


def to_floats(values: Values) -> Array:
    """Return an array of its own float type, at least float32."""
    array = to_array(values)
    floats: Array = array.astype(np.result_type(array.dtype, np.float32), copy=False)
    return floats


def to_mask(values: Values) -> Mask:
    """Return a bool array, true where a value is not zero."""
    return to_array(values).astype(bool, copy=False)


def clip_of(depth_m: Values, truth_m: Values, mask: Values) -> tuple[Array, Array, Mask]:
    """Return the three as arrays. Raise ValueError unless all have one shape `T H W`."""
    depth, truth, valid = to_array(depth_m), to_array(truth_m), to_mask(mask)
    if not depth.shape == truth.shape == valid.shape or depth.ndim != 3:
        raise ValueError(f"depth {depth.shape}, truth {truth.shape} and mask {valid.shape} must have one shape T H W")
    return depth, truth, valid

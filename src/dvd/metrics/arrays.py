"""NumPy or torch in: how the metrics see what they are given."""

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
    """The same numbers as a NumPy array; a torch tensor may lie on any device and need a gradient."""
    if not hasattr(values, "detach"):
        return np.asarray(values)
    tensor = values.detach().cpu()
    # NumPy has no bfloat16.
    narrow = tensor.is_floating_point() and tensor.element_size() < 4
    array: NDArray[Any] = (tensor.float() if narrow else tensor).numpy()
    return array


def to_floats(values: Values) -> Array:
    """The same numbers in their own float type, at least float32."""
    array = to_array(values)
    floats: Array = array.astype(np.result_type(array.dtype, np.float32), copy=False)
    return floats


def to_mask(values: Values) -> Mask:
    """True wherever a value is not zero."""
    return to_array(values).astype(bool, copy=False)


def clip_of(depth_m: Values, truth_m: Values, mask: Values) -> tuple[Array, Array, Mask]:
    """The three as arrays; ValueError unless all have one shape `T H W`."""
    depth, truth, valid = to_array(depth_m), to_array(truth_m), to_mask(mask)
    if not depth.shape == truth.shape == valid.shape or depth.ndim != 3:
        raise ValueError(f"depth {depth.shape}, truth {truth.shape} and mask {valid.shape} must have one shape T H W")
    return depth, truth, valid

"""Networks without memory: modules and shapes alone, to be filled from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_VALUES_ALONE = {nn.init.normal_, torch.Tensor.normal_, torch.Tensor.div, torch.Tensor.__truediv__}
"""What changes values and no shape, as initialisation uses it: normal draws, and their division by a number."""


@contextmanager
def blueprint() -> Iterator[None]:
    """Inside, modules are built on the meta device and not initialised; their values have to come from elsewhere."""
    with torch.device("meta"), _Shapes():
        yield


class _Shapes(TorchFunctionMode):
    """Leaves `_VALUES_ALONE` out: on the meta device they would import torch's compiler, 1 s and 70 MB, for nothing."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _VALUES_ALONE:
            return args[0] if args else kwargs["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **kwargs)

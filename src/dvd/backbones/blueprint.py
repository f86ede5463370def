"""Build networks without memory: modules and shapes alone, to be filled from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_VALUES_ONLY = {nn.init.normal_, torch.Tensor.normal_, torch.Tensor.div, torch.Tensor.__truediv__}
"""Functions of initialisation that change values but no shape: normal draws, and their division by a number."""


@contextmanager
def blueprint() -> Iterator[None]:
    """Build modules on the meta device without initialising them; their values must be loaded afterwards."""
    with torch.device("meta"), _Shapes():
        yield


class _Shapes(TorchFunctionMode):
    """Skips `_VALUES_ONLY`: on the meta device they would import torch's compiler (1 s, 70 MB) without any effect."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _VALUES_ONLY:
            return args[0] if args else kwargs["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **kwargs)

"""Data sets on disk: the table of their layouts, and clips and frames out of them.

`register_layout` adds a data set that is described by a `Layout`; evaluation, training and `dvd data` then know it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvd.data.folders import Patterns
    from dvd.data.framing import Framing
    from dvd.data.layout import Layout
    from dvd.data.layouts import open_source, register_layout

__all__ = ["Framing", "Layout", "Patterns", "open_source", "register_layout"]

_HOMES = {
    "Framing": "dvd.data.framing",
    "Layout": "dvd.data.layout",
    "Patterns": "dvd.data.folders",
    "open_source": "dvd.data.layouts",
    "register_layout": "dvd.data.layouts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dvd.data' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)

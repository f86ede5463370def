"""Depth from video in one deterministic pass.

`load` opens a model, `predict` turns a video file into disparity files, `open_video` streams frames. What is heavy is
imported when one of them is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvd.pipeline import Pipeline, load
    from dvd.pipeline import predict_file as predict
    from dvd.video import open_video

__all__ = ["Pipeline", "load", "open_video", "predict"]

_HOMES = {
    "Pipeline": ("dvd.pipeline", "Pipeline"),
    "load": ("dvd.pipeline", "load"),
    "predict": ("dvd.pipeline", "predict_file"),
    "open_video": ("dvd.video", "open_video"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dvd' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

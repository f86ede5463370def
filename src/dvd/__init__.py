"""Depth from video in one deterministic pass.

`load` opens a model, `model(frames)` predicts arrays, `predict_file` turns a video file into disparity files,
`open_video` streams frames. Heavy modules are imported when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvd.backbones.base import ModelCard
    from dvd.errors import DVDError, InputError, ModelError, OptionError, OutputError
    from dvd.export import ExportOptions
    from dvd.pipeline import DVD, Pipeline, Prediction, Result, load, predict_file
    from dvd.pipeline import predict_file as predict
    from dvd.record import Record
    from dvd.stitch import StitchRule
    from dvd.stream import Stream, StreamOptions
    from dvd.types import DisparityChunk, Frame, Seam, Shot, VideoInfo
    from dvd.video import Video, open_video

__all__ = [
    "DVD",
    "DVDError",
    "DisparityChunk",
    "ExportOptions",
    "Frame",
    "InputError",
    "ModelCard",
    "ModelError",
    "OptionError",
    "OutputError",
    "Pipeline",
    "Prediction",
    "Record",
    "Result",
    "Seam",
    "Shot",
    "StitchRule",
    "Stream",
    "StreamOptions",
    "Video",
    "VideoInfo",
    "load",
    "open_video",
    "predict",
    "predict_file",
]

_HOMES = {
    "backbones.base": ("ModelCard",),
    "errors": ("DVDError", "InputError", "ModelError", "OptionError", "OutputError"),
    "export": ("ExportOptions",),
    "pipeline": ("DVD", "Pipeline", "Prediction", "Result", "load", "predict_file"),
    "record": ("Record",),
    "stitch": ("StitchRule",),
    "stream": ("Stream", "StreamOptions"),
    "types": ("DisparityChunk", "Frame", "Seam", "Shot", "VideoInfo"),
    "video": ("Video", "open_video"),
}
"""Module → the public names that it defines."""
_ALIASES = {"predict": "predict_file"}
"""Former names."""


def __getattr__(name: str) -> Any:
    defined = _ALIASES.get(name, name)
    for module, names in _HOMES.items():
        if defined in names:
            value = getattr(import_module(f"dvd.{module}"), defined)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'dvd' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Depth from video in one deterministic pass.

`load` opens a model, `model(frames)` predicts arrays, `predict_file` turns a video file into disparity files,
`open_video` streams frames, `evaluate` measures a method on labelled recordings. Heavy modules are imported when a
name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvd.backbones.base import ModelCard
    from dvd.backbones.registry import register_backbone
    from dvd.data.layouts import register_layout
    from dvd.errors import DVDError, InputError, ModelError, OptionError, OutputError
    from dvd.evaluation.methods.base import MethodOptions
    from dvd.evaluation.methods.registry import register_method
    from dvd.evaluation.protocol import Protocol
    from dvd.evaluation.request import evaluate
    from dvd.evaluation.results import Results
    from dvd.export import ExportOptions, register_format
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
    "MethodOptions",
    "ModelCard",
    "ModelError",
    "OptionError",
    "OutputError",
    "Pipeline",
    "Prediction",
    "Protocol",
    "Record",
    "Result",
    "Results",
    "Seam",
    "Shot",
    "StitchRule",
    "Stream",
    "StreamOptions",
    "Video",
    "VideoInfo",
    "evaluate",
    "load",
    "open_video",
    "predict",
    "predict_file",
    "register_backbone",
    "register_format",
    "register_layout",
    "register_method",
]

_HOMES = {
    "backbones.base": ("ModelCard",),
    "backbones.registry": ("register_backbone",),
    "data.layouts": ("register_layout",),
    "errors": ("DVDError", "InputError", "ModelError", "OptionError", "OutputError"),
    "evaluation.methods.base": ("MethodOptions",),
    "evaluation.methods.registry": ("register_method",),
    "evaluation.protocol": ("Protocol",),
    "evaluation.request": ("evaluate",),
    "evaluation.results": ("Results",),
    "export": ("ExportOptions", "register_format"),
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

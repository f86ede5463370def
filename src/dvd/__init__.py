"""Depth from video in one deterministic pass.

`load` opens a model, `model(frames)` predicts arrays, `predict_file` turns a video file into disparity files,
`open_video` streams frames, `evaluate` measures a method on labelled recordings. Heavy modules are imported when a
name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvd.backbones.base import Backbone, ModelCard
    from dvd.backbones.registry import register_backbone
    from dvd.data.folders import FrameSequence, Pair, Patterns, Survey
    from dvd.data.framing import Framing
    from dvd.data.layout import Layout, Packed
    from dvd.data.layouts import register_layout
    from dvd.errors import DVDError, InputError, ModelError, OptionError, OutputError
    from dvd.evaluation.methods.base import Method, MethodOptions
    from dvd.evaluation.methods.registry import MethodEntry, register_method
    from dvd.evaluation.protocol import Protocol
    from dvd.evaluation.request import evaluate
    from dvd.evaluation.results import Part, Results, SequenceResult
    from dvd.evaluation.sequences import EvalFrame, EvalSequence
    from dvd.export import ExportOptions, Writer, register_format
    from dvd.memory import ModelMemory
    from dvd.pipeline import DVD, Pipeline, Prediction, Result, load, predict_file
    from dvd.pipeline import predict_file as predict
    from dvd.record import Record
    from dvd.stitch import StitchRule
    from dvd.stream import Settings, Stream, StreamOptions
    from dvd.types import ClockJump, DisparityChunk, Frame, FrameNumbers, MediaFile, Seam, Shot, Timeline, VideoInfo
    from dvd.video import PipeCopy, Video, open_video

__all__ = [
    "DVD",
    "Backbone",
    "ClockJump",
    "DVDError",
    "DisparityChunk",
    "EvalFrame",
    "EvalSequence",
    "ExportOptions",
    "Frame",
    "FrameNumbers",
    "FrameSequence",
    "Framing",
    "InputError",
    "Layout",
    "MediaFile",
    "Method",
    "MethodEntry",
    "MethodOptions",
    "ModelCard",
    "ModelError",
    "ModelMemory",
    "OptionError",
    "OutputError",
    "Packed",
    "Pair",
    "Part",
    "Patterns",
    "PipeCopy",
    "Pipeline",
    "Prediction",
    "Protocol",
    "Record",
    "Result",
    "Results",
    "Seam",
    "SequenceResult",
    "Settings",
    "Shot",
    "StitchRule",
    "Stream",
    "StreamOptions",
    "Survey",
    "Timeline",
    "Video",
    "VideoInfo",
    "Writer",
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
    "backbones.base": ("Backbone", "ModelCard"),
    "backbones.registry": ("register_backbone",),
    "data.layout": ("Layout", "Packed"),
    "data.layouts": ("register_layout",),
    "data.framing": ("Framing",),
    "data.folders": ("FrameSequence", "Pair", "Patterns", "Survey"),
    "memory": ("ModelMemory",),
    "errors": ("DVDError", "InputError", "ModelError", "OptionError", "OutputError"),
    "evaluation.methods.base": ("Method", "MethodOptions"),
    "evaluation.methods.registry": ("MethodEntry", "register_method"),
    "evaluation.protocol": ("Protocol",),
    "evaluation.request": ("evaluate",),
    "evaluation.results": ("Part", "Results", "SequenceResult"),
    "evaluation.sequences": ("EvalFrame", "EvalSequence"),
    "export": ("ExportOptions", "Writer", "register_format"),
    "pipeline": ("DVD", "Pipeline", "Prediction", "Result", "load", "predict_file"),
    "record": ("Record",),
    "stitch": ("StitchRule",),
    "stream": ("Settings", "Stream", "StreamOptions"),
    "types": (
        "ClockJump",
        "DisparityChunk",
        "Frame",
        "FrameNumbers",
        "MediaFile",
        "Seam",
        "Shot",
        "Timeline",
        "VideoInfo",
    ),
    "video": ("PipeCopy", "Video", "open_video"),
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

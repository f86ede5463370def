"""Every method by the name that `dvd eval --model` takes: priors, other people's, saved predictions, our models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dvd.backbones import registry as models
from dvd.errors import OptionError, unknown
from dvd.evaluation.methods.base import Method, MethodEntry, MethodOptions
from dvd.evaluation.methods.priors import PRIORS, Prior
from dvd.plugins import Plugins

if TYPE_CHECKING:
    from dvd.pipeline import DVD

STREAM_OPTIONS = ("size", "window", "overlap", "tau", "stitch")
SAVED_OPTIONS = ("space", "key", "offset", "note")
MARIGOLD_OPTIONS = ("size", "steps", "ensemble", "seed")


def _prior(name: str, _argument: str, _options: MethodOptions) -> Method:
    return Prior(name)


def _saved(path: str, options: MethodOptions) -> Method:
    from dvd.evaluation.methods.saved import SavedPredictions

    if options.space is None:
        raise OptionError(f"saved:{path} may hold disparity or depth, which no file says; say which, with --predicted")
    return SavedPredictions(Path(path), **options.given(*SAVED_OPTIONS))


def _depth_anything(model: str, options: MethodOptions) -> Method:
    from dvd.evaluation.methods.depth_anything import SMALL, DepthAnythingV2

    method = DepthAnythingV2(model or SMALL, **options.given("device", "dtype", "size"))
    method.open()
    return method


def _marigold(model: str, options: MethodOptions) -> Method:
    from dvd.evaluation.methods.marigold import V1_1, Marigold

    method = Marigold(model or V1_1, **options.given("device", "dtype", *MARIGOLD_OPTIONS))
    method.open()
    return method


def _single_image(model: str, options: MethodOptions) -> Method:
    from dvd.evaluation.methods.ours import SingleImage
    from dvd.stream import StreamOptions

    return SingleImage(_load(model or "dvd-mini", options), StreamOptions(**options.given("size", "tau")))


def _ours(model: str, options: MethodOptions) -> Method:
    from dvd.evaluation.methods.ours import Ours
    from dvd.stream import StreamOptions

    return Ours(_load(model, options), StreamOptions(**options.given(*STREAM_OPTIONS)))


def _load(model: str, options: MethodOptions) -> DVD:
    from dvd.pipeline import DVD, load

    loaded = load(model, options.device, options.dtype)
    return DVD(loaded.backbone.resampled(options.steps, options.seed), loaded.dtype_reason)


METHODS: Plugins[MethodEntry] = Plugins(
    "method",
    {
        **{name: MethodEntry(summary, partial(_prior, name)) for name, (summary, _) in PRIORS.items()},
        "saved": MethodEntry(
            "predictions on disk, a file or folder for each sequence", _saved, SAVED_OPTIONS, "PATH", needed=True
        ),
        "depth-anything-v2": MethodEntry(
            "Depth Anything V2, frame by frame; weights from the hub", _depth_anything, ("size",), "MODEL"
        ),
        "marigold": MethodEntry("Marigold, frame by frame; weights from the hub", _marigold, MARIGOLD_OPTIONS, "MODEL"),
        "single-image": MethodEntry(
            "one of our models, frame by frame", _single_image, ("size", "tau", "steps", "seed"), "MODEL"
        ),
    },
    group="dvd.methods",
)
"""All methods but our models on videos; each imports its libraries when it is opened.

Other packages add theirs by `register_method`, or by entry points of the group `dvd.methods` that name a `MethodEntry`.
"""


def register_method(name: str, entry: MethodEntry) -> None:
    """Add a method under a name. Raise OptionError if the name is taken."""
    METHODS.register(name, entry)


OURS = MethodEntry("a model that dvd models lists, or a model folder", _ours, (*STREAM_OPTIONS, "steps", "seed"))


def open_method(text: str, options: MethodOptions | None = None) -> Method:
    """Open the method that `text` names: NAME or NAME:ARGUMENT of `METHODS`, else one of our models or a model folder.

    Raise OptionError if the name is unknown, an argument is missing, or an option is given that the method does not
    read.
    """
    entry, argument = find_method(text)
    options = options or MethodOptions()
    for name in options.given():
        if name not in entry.options:
            raise OptionError(f"method '{text}' reads no {name}; leave it out")
    method = entry.open(argument, options)
    if options.name:
        method.name = options.name
    return method


def find_method(text: str) -> tuple[MethodEntry, str]:
    """Return the entry that `text` names, and the argument after its name. Raise OptionError if there is none."""
    name, colon, argument = text.partition(":")
    if name in METHODS:
        entry = METHODS[name]
        if (entry.needed and not argument) or (colon and not entry.argument):
            raise OptionError(f"method '{text}' is written {usage(name)}")
        return entry, argument
    if text in models.names() or Path(text).exists() or "/" in text:
        return OURS, text
    raise OptionError(unknown("method or model", text, [*METHODS, *models.names()]))


def options_of_each(methods: Sequence[str], options: MethodOptions) -> dict[str, MethodOptions]:
    """Return for each of several methods those options that it reads.

    Raise OptionError if a method is unknown or named twice, if an option is given that none of them reads, or if
    several would share a name.
    """
    repeated = [text for text, count in Counter(methods).items() if count > 1]
    if repeated:
        raise OptionError(f"method '{repeated[0]}' is named twice; name it once")
    if len(methods) == 1:
        return {methods[0]: options}
    if options.name:
        raise OptionError(f"{len(methods)} methods cannot all be called '{options.name}'; measure each by itself")
    read = {text: find_method(text)[0].options for text in methods}
    for name in options.given():
        if not any(name in names for names in read.values()):
            raise OptionError(f"none of the methods {', '.join(methods)} reads a {name}; leave it out")
    return {text: MethodOptions(**options.given(*names)) for text, names in read.items()}


def stitches(text: str) -> bool:
    """Return whether the method that `text` names joins windows."""
    return "stitch" in find_method(text)[0].takes


def usage(name: str) -> str:
    """Return how a method is written, such as saved:PATH or marigold[:MODEL]."""
    entry = METHODS[name]
    argument = f":{entry.argument}"
    return name + ("" if not entry.argument else argument if entry.needed else f"[{argument}]")

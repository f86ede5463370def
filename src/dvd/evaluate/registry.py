"""Every method by the name that `dvd eval --model` takes: priors, other people's, saved predictions, our models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dvd.backbones import registry as models
from dvd.errors import OptionError, unknown
from dvd.evaluate.methods import Method
from dvd.evaluate.priors import PRIORS, Prior
from dvd.metrics import Space
from dvd.stream import Size


@dataclass(frozen=True)
class MethodOptions:
    """What a method may be given; None, "auto" and "default" leave it to the method.

    `space`, `key`, `offset` and `note` are of saved predictions (see `SavedPredictions`), the others of networks.
    """

    device: str = "auto"
    dtype: str = "auto"
    size: Size = None
    window: int | None = None
    overlap: int | None = None
    tau: float | None = None
    stitch: str = "default"
    space: Space | None = None
    key: str | None = None
    offset: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class MethodEntry:
    """A method that has a name. `open` takes what follows the name and a colon; `takes` names the options it reads.

    `argument` is what may follow the name and a colon, "" for nothing; with `needed` it has to.
    """

    summary: str
    open: Callable[[str, MethodOptions], Method]
    takes: tuple[str, ...] = ()
    argument: str = ""
    needed: bool = False


def _saved(path: str, options: MethodOptions) -> Method:
    from dvd.evaluate.saved import SavedPredictions

    if options.space is None:
        raise OptionError(f"saved:{path} may hold disparity or depth, which no file says; say which")
    return SavedPredictions(Path(path), options.space, key=options.key, offset=options.offset, note=options.note)


def _depth_anything(model: str, options: MethodOptions) -> Method:
    from dvd.evaluate.depth_anything import DepthAnythingV2

    return DepthAnythingV2(**_hub_model(model, options))


def _marigold(model: str, options: MethodOptions) -> Method:
    from dvd.evaluate.marigold import Marigold

    return Marigold(**_hub_model(model, options))


def _hub_model(model: str, options: MethodOptions) -> dict[str, Any]:
    given = {"model": model, "device": options.device, "dtype": "" if options.dtype == "auto" else options.dtype}
    return {name: value for name, value in given.items() if value}


def _single_image(model: str, options: MethodOptions) -> Method:
    from dvd.evaluate.single_image import SingleImage

    return SingleImage(
        model or "dvd-mini", size=options.size, tau=options.tau, device=options.device, dtype=options.dtype
    )


def _ours(model: str, options: MethodOptions) -> Method:
    from dvd.evaluate.ours import Ours
    from dvd.pipeline import load

    pipeline = load(model, options.device, options.dtype)
    return Ours(pipeline, options.size, options.window, options.overlap, options.tau, options.stitch)


def _prior(name: str) -> MethodEntry:
    return MethodEntry(PRIORS[name][0], lambda _rest, _options: Prior(name))


METHODS: Mapping[str, MethodEntry] = MappingProxyType(
    {
        **{name: _prior(name) for name in PRIORS},
        "saved": MethodEntry(
            "predictions on disk, a file or folder for each sequence",
            _saved,
            ("space", "key", "offset", "note"),
            "PATH",
            needed=True,
        ),
        "depth-anything-v2": MethodEntry("Depth Anything V2, frame by frame", _depth_anything, argument="MODEL"),
        "marigold": MethodEntry("Marigold, frame by frame", _marigold, argument="MODEL"),
        "single-image": MethodEntry("one of our models, frame by frame", _single_image, ("size", "tau"), "MODEL"),
    }
)
"""The methods that are not our models on videos; each imports what it needs when it is opened."""

OURS = MethodEntry(
    "a model that dvd models lists, or a model folder",
    _ours,
    ("size", "window", "overlap", "tau", "stitch"),
)


def open_method(text: str, options: MethodOptions | None = None) -> Method:
    """The method that `text` names: NAME or NAME:ARGUMENT of `METHODS`, else one of our models or a model folder.

    OptionError where the name is unknown, an argument is missing, or an option is given that the method does not read.
    """
    name, colon, rest = text.partition(":")
    if name in METHODS:
        entry = METHODS[name]
        if (entry.needed and not rest) or (colon and not entry.argument):
            raise OptionError(f"method '{text}' is written {usage(name)}")
    elif text in models.names() or Path(text).exists() or "/" in text:
        entry, rest = OURS, text
    else:
        raise OptionError(unknown("method or model", text, [*METHODS, *models.names()]))
    given = options or MethodOptions()
    _check_options(text, entry, given)
    return entry.open(rest, given)


def usage(name: str) -> str:
    """How a method is written, such as saved:PATH or marigold[:MODEL]."""
    entry = METHODS[name]
    argument = f":{entry.argument}"
    return name + ("" if not entry.argument else argument if entry.needed else f"[{argument}]")


def _check_options(text: str, entry: MethodEntry, options: MethodOptions) -> None:
    """Refuses what would be ignored; a device is no contradiction to what needs none."""
    plain, readable = MethodOptions(), {"device", "dtype", *entry.takes}
    for name in (field.name for field in fields(options)):
        if name not in readable and getattr(options, name) != getattr(plain, name):
            raise OptionError(f"method '{text}' reads no {name}; leave it out")

"""Every method by the name that `dvd eval --model` takes: priors, other people's, saved predictions, our models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dvd.backbones import registry as models
from dvd.errors import OptionError, unknown
from dvd.evaluate.methods.base import Method
from dvd.evaluate.methods.priors import PRIORS, Prior
from dvd.names import Space
from dvd.stream import Size

if TYPE_CHECKING:
    from dvd.pipeline import Pipeline


@dataclass(frozen=True)
class MethodOptions:
    """The options of all methods; None and "auto" leave the choice to the method.

    `size`: least height and width that a network sees, (height, width) in pixels, or "source". `steps`, `ensemble` and
    `seed` are of methods that sample from noise. `space`, `key`, `offset` and `note` are of saved predictions (see
    `SavedPredictions`). `name` is what any method is called in tables.
    """

    device: str = "auto"
    dtype: str = "auto"
    size: Size = None
    window: int | None = None
    overlap: int | None = None
    tau: float | None = None
    stitch: str | None = None
    steps: int | None = None
    ensemble: int | None = None
    seed: int | None = None
    space: Space | None = None
    key: str | None = None
    offset: float = 0.0
    note: str = ""
    name: str = ""


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
    from dvd.evaluate.methods.saved import SavedPredictions

    if options.space is None:
        raise OptionError(f"saved:{path} may hold disparity or depth, which no file says; say which, with --predicted")
    return SavedPredictions(Path(path), options.space, key=options.key, offset=options.offset, note=options.note)


def _depth_anything(model: str, options: MethodOptions) -> Method:
    from dvd.evaluate.methods.depth_anything import DepthAnythingV2

    method = DepthAnythingV2(**_hub_model(model, options))
    method.open()
    return method


def _marigold(model: str, options: MethodOptions) -> Method:
    from dvd.evaluate.methods.marigold import Marigold

    sampled = {name: getattr(options, name) for name in ("steps", "ensemble", "seed")}
    given = {name: value for name, value in sampled.items() if value is not None}
    method = Marigold(**_hub_model(model, options), **given)
    method.open()
    return method


def _hub_model(model: str, options: MethodOptions) -> dict[str, Any]:
    dtype = "" if options.dtype == "auto" else options.dtype
    given = {"model": model, "device": options.device, "dtype": dtype, "size": options.size}
    return {name: value for name, value in given.items() if value}


def _single_image(model: str, options: MethodOptions) -> Method:
    from dvd.evaluate.methods.ours import SingleImage

    return SingleImage(_opened(model or "dvd-mini", options), size=options.size, tau=options.tau)


def _ours(model: str, options: MethodOptions) -> Method:
    from dvd.evaluate.methods.ours import Ours

    pipeline = _opened(model, options)
    return Ours(pipeline, options.size, options.window, options.overlap, options.tau, options.stitch)


def _opened(model: str, options: MethodOptions) -> Pipeline:
    from dvd.pipeline import Pipeline, load

    pipeline = load(model, options.device, options.dtype)
    return Pipeline(pipeline.backbone.resampled(options.steps, options.seed), pipeline.dtype_reason)


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
        "depth-anything-v2": MethodEntry(
            "Depth Anything V2, frame by frame; weights from the hub", _depth_anything, ("size",), "MODEL"
        ),
        "marigold": MethodEntry(
            "Marigold, frame by frame; weights from the hub",
            _marigold,
            ("size", "steps", "ensemble", "seed"),
            "MODEL",
        ),
        "single-image": MethodEntry(
            "one of our models, frame by frame", _single_image, ("size", "tau", "steps", "seed"), "MODEL"
        ),
    }
)
"""The methods that are not our models on videos; each imports what it needs when it is opened."""

OURS = MethodEntry(
    "a model that dvd models lists, or a model folder",
    _ours,
    ("size", "window", "overlap", "tau", "stitch", "steps", "seed"),
)


def open_method(text: str, options: MethodOptions | None = None) -> Method:
    """The method that `text` names: NAME or NAME:ARGUMENT of `METHODS`, else one of our models or a model folder.

    OptionError where the name is unknown, an argument is missing, or an option is given that the method does not read.
    """
    entry, rest = find_method(text)
    given = options or MethodOptions()
    _check_options(text, entry, given)
    method = entry.open(rest, given)
    if given.name:
        method.name = given.name
    return method


def find_method(text: str) -> tuple[MethodEntry, str]:
    """The entry that `text` names, and what it says after the name; OptionError where there is none."""
    name, colon, rest = text.partition(":")
    if name in METHODS:
        entry = METHODS[name]
        if (entry.needed and not rest) or (colon and not entry.argument):
            raise OptionError(f"method '{text}' is written {usage(name)}")
        return entry, rest
    if text in models.names() or Path(text).exists() or "/" in text:
        return OURS, text
    raise OptionError(unknown("method or model", text, [*METHODS, *models.names()]))


def options_of_each(methods: Sequence[str], options: MethodOptions) -> dict[str, MethodOptions]:
    """What each of several methods is given: of the options those that it reads.

    OptionError where a method is unknown or named twice, or where an option is given that none of them reads, or a name
    that several would share.
    """
    twice = [text for text, count in Counter(methods).items() if count > 1]
    if twice:
        raise OptionError(f"method '{twice[0]}' is named twice; name it once")
    if len(methods) == 1:
        return {methods[0]: options}
    if options.name:
        raise OptionError(f"{len(methods)} methods cannot all be called '{options.name}'; measure each by itself")
    plain, read = MethodOptions(), {text: _read(find_method(text)[0]) for text in methods}
    for name in (field.name for field in fields(options)):
        if getattr(options, name) != getattr(plain, name) and not any(name in names for names in read.values()):
            raise OptionError(f"none of the methods {', '.join(methods)} reads a {name}; leave it out")
    return {text: replace(plain, **{name: getattr(options, name) for name in names}) for text, names in read.items()}


def stitches(text: str) -> bool:
    """Whether the method that `text` names joins windows."""
    return "stitch" in find_method(text)[0].takes


def usage(name: str) -> str:
    """How a method is written, such as saved:PATH or marigold[:MODEL]."""
    entry = METHODS[name]
    argument = f":{entry.argument}"
    return name + ("" if not entry.argument else argument if entry.needed else f"[{argument}]")


def _check_options(text: str, entry: MethodEntry, options: MethodOptions) -> None:
    """Refuses what would be ignored; a device is no contradiction to what needs none."""
    plain, read = MethodOptions(), _read(entry)
    for name in (field.name for field in fields(options)):
        if name not in read and getattr(options, name) != getattr(plain, name):
            raise OptionError(f"method '{text}' reads no {name}; leave it out")


def _read(entry: MethodEntry) -> set[str]:
    return {"device", "dtype", "name", *entry.takes}

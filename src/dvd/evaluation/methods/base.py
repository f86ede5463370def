"""The interface of everything that predicts depth, and the options that all methods share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from dvd.names import Space

if TYPE_CHECKING:
    from dvd.evaluation.sequences import EvalSequence
    from dvd.stream import Size


class Method(Protocol):
    """Predicts a sequence, chunk by chunk, in bounded memory."""

    name: str
    space: Space
    """Whether `predict` gives disparity (larger is nearer) or depth."""

    def describe(self) -> dict[str, Any]:
        """Return what a report must state: model, commit or version, device, dtype, size, window, overlap, τ …"""
        ...

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray]:
        """Yield chunks `T H W` float32 in order, of the size of the sequence's frames, every frame exactly once.

        Raise InputError if the prediction does not fit the sequence in frame count or size.
        """
        ...


@dataclass(frozen=True)
class MethodOptions:
    """The options of all methods; None and "auto" leave the choice to the method.

    `size`: least height and width that a network sees, (height, width) in pixels, or "source". `steps`, `ensemble` and
    `seed` are for methods that sample from noise. `space`, `key`, `offset` and `note` are for saved predictions (see
    `SavedPredictions`). `name` is the name of the method in tables.
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

    def given(self, *names: str) -> dict[str, Any]:
        """Return those of the named options, or of all, that differ from their default."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if not names or field.name in names}
        return {name: value for name, value in values.items() if value != getattr(MethodOptions, name)}


@dataclass(frozen=True)
class MethodEntry:
    """A method in the registry: `open` takes the argument after its name and a colon, and reads the options in `takes`.

    `argument` describes what may follow the colon, "" for nothing; `needed` makes it mandatory.
    """

    summary: str
    open: Callable[[str, MethodOptions], Method]
    takes: tuple[str, ...] = ()
    argument: str = ""
    needed: bool = False

    @property
    def options(self) -> set[str]:
        """The options that may be given: a device is ignored by a method that needs none."""
        return {"device", "dtype", "name", *self.takes}

"""Formats, backbones, data sets and methods by name, with those of other packages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any, TypeVar, cast

from dvd.arguments import check_name
from dvd.errors import OptionError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Plugins(Mapping[str, T]):
    """Things of one kind by name, each loaded when it is first asked for.

    `own` maps a name to the thing, or to its home "module:attribute". An installed package adds to them by entry points
    of the `group`, a program by `register`. This package's own names win over those of other packages.
    """

    def __init__(self, kind: str, own: Mapping[str, T | str], group: str) -> None:
        self.kind, self.group = kind, group
        self._things: dict[str, T | str | EntryPoint] = dict(own)
        self._searched = False

    def register(self, name: str, thing: T | str) -> None:
        """Add a thing, or its home "module:attribute". Raise OptionError if another one has the name."""
        if self._known().get(name, thing) != thing:
            raise OptionError(f"{self.kind} '{name}' exists already; choose another name")
        self._things[name] = thing

    def __getitem__(self, name: str) -> T:
        """Return the thing of that name. Raise OptionError for an unknown name, with the nearest known ones."""
        thing = self._known()[check_name(self.kind, name, self._known())]
        if isinstance(thing, EntryPoint | str):
            thing = self._things[name] = cast("T", self._load(name, thing))
        return thing

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def loaded(self) -> dict[str, T]:
        """Return every thing by name; one of another package that cannot be imported is left out with a warning."""
        found = {}
        for name, thing in list(self._known().items()):
            try:
                found[name] = self[name]
            except OptionError as error:
                if not isinstance(thing, EntryPoint):
                    raise
                log.warning("%s", error)
                del self._things[name]
        return found

    def _known(self) -> dict[str, T | str | EntryPoint]:
        if not self._searched:
            self._searched = True
            for entry in entry_points(group=self.group):
                self._things.setdefault(entry.name, entry)
        return self._things

    def _load(self, name: str, home: str | EntryPoint) -> Any:
        try:
            return resolve_name(home) if isinstance(home, str) else home.load()
        except Exception as error:  # another package's code may raise anything
            where = home if isinstance(home, str) else home.value
            raise OptionError(f"{self.kind} '{name}' of {where} cannot be loaded ({error})") from error

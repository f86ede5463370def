"""Recipes ⇄ flat fields: what the command line and a file may change, and what two runs differ in."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from dvd.errors import InputError, OptionError, unknown
from dvd.train.values import (
    TYPE,
    as_text,
    build,
    from_plain,
    from_text,
    joined,
    known_name,
    plain_name,
    settable_fields,
    type_hints,
)

R = TypeVar("R")

_ABSENT = "absent"


def override(recipe: R, given: Mapping[str, str | None]) -> R:
    """The recipe with some fields changed, all at once: name → text.

    A name is a dotted path (`model.time`, `phases.adapt.steps`: in a tuple whose members have names, by name), or its
    end where only one field ends so (`adapt.steps`, `steps`). Dashes and underscores are the same. Text is read by the
    field's annotation: numbers, `true` and `false`, `none`, `1,2,3`, `144x192,192x256`; nested dataclasses take JSON.
    None is a name without a value, which means true. Raises `OptionError` for an unknown or ambiguous name, a field
    given twice (or with a part of it), and a wrong value.
    """
    kinds = {path: kind for path, kind, _ in _walk(recipe)}
    texts: dict[str, str | None] = {}
    for name, text in given.items():
        path = _find(name, kinds)
        for other in texts:
            if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
                both = f"{path} is given twice" if path == other else f"{other} and {path} are both given"
                raise OptionError(f"{both}; give one of them")
        texts[path] = text
    changes: dict[str, Any] = {}
    for path, text in texts.items():
        _put(changes, path, _plain(path, text, kinds[path]))
    return overlay(recipe, changes)


def overlay(recipe: R, plain: Mapping[str, Any]) -> R:
    """The recipe with the fields of a nested table (as `read_config` gives it) in place of its own.

    A table in place of a tuple changes the members that it names; a list replaces them all. Raises `OptionError` for
    unknown fields and for values of the wrong type.
    """
    return _overlaid(recipe, plain, type(recipe), "")


def read_config(path: str | Path) -> dict[str, Any]:
    """The nested table in a TOML or JSON file; `InputError` for a file that cannot be read as one."""
    path = Path(path)
    if path.suffix.lower() not in (".toml", ".json"):
        raise InputError(f"{path}: a configuration is a .toml or a .json file")
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is not valid {path.suffix[1:].upper()} ({reason}); mend it there") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: holds no table of fields; write {{field: value, …}}")
    return table


def describe(recipe: Any) -> Any:
    """A recipe in values that JSON knows: dataclasses become tables (derived ones with their type), tuples lists."""
    if is_dataclass(recipe):
        own: Any = type(recipe)
        derived = {TYPE: own.__name__} if any(map(is_dataclass, own.__mro__[1:])) else {}
        return derived | {name: describe(getattr(recipe, name)) for name in settable_fields(recipe)}
    if isinstance(recipe, tuple | list):
        return [describe(each) for each in recipe]
    return str(recipe) if isinstance(recipe, Path) else recipe


def from_description(kind: type[R], described: Mapping[str, Any]) -> R:
    """What `describe` was given, of type `kind`; raises `OptionError` if the table does not fit it."""
    return build(kind, described)


def flat(recipe: Any) -> dict[str, str]:
    """Every field by its dotted path, as text that `override` reads back."""
    return {path: as_text(describe(value)) for path, _, value in _walk(recipe) if not _parts(value)}


def differences(there: Any, now: Any) -> list[str]:
    """One line for every field in which two recipes (or descriptions) differ: `adapt.steps: 100 there, 200 now`."""
    return list(_differences(*(_named(each if isinstance(each, Mapping) else describe(each)) for each in (there, now))))


def parse_fields(rest: Sequence[str]) -> dict[str, str | None]:
    """`--field value`, `--field=value` and the bare `--flag` (None) of a command line, for `override`.

    Raises `OptionError` for anything else and for a field given twice.
    """
    given: dict[str, str | None] = {}
    words = list(rest)
    while words:
        word = words.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise OptionError(f"unexpected '{word}'; fields are given as --field value")
        name = plain_name(name)
        if name in given:
            raise OptionError(f"--{name} is given twice; give it once")
        if equals:
            given[name] = value
        else:
            given[name] = words.pop(0) if words and not words[0].startswith("--") else None
    return given


def _overlaid(value: Any, plain: Any, kind: Any, where: str) -> Any:
    parts, own = _parts(value), type(value)
    if not (parts and isinstance(plain, Mapping)) or plain.get(TYPE, own.__name__) != own.__name__:
        return from_plain(plain, kind, where)
    changes = {}
    for given, each in plain.items():
        if given != TYPE:
            name = known_name(given, parts, where)
            part_kind, part = parts[name]
            changes[name] = _overlaid(part, each, part_kind, joined(where, name))
    if isinstance(value, tuple):
        return tuple(changes.get(name, part) for name, (_, part) in parts.items())
    return replace(value, **changes)


def _parts(value: Any) -> dict[str, tuple[Any, Any]]:
    """What can be given by name in a dataclass, or in a tuple of dataclasses with names: type and value of each."""
    own: Any = type(value)
    if is_dataclass(value):
        hints = type_hints(own)
        return {name: (hints[name], getattr(value, name)) for name in settable_fields(own)}
    if isinstance(value, tuple) and (names := _names([getattr(each, "name", None) for each in value])):
        return {name: (type(each), each) for name, each in zip(names, value, strict=True)}
    return {}


def _names(names: list[Any]) -> list[str]:
    """The names of a tuple's members; none at all where not every one has a name of its own that a path can hold."""
    usable = all(isinstance(name, str) and name and "." not in name for name in names)
    return names if usable and len({plain_name(name) for name in names}) == len(names) else []


def _walk(value: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted path, type and value of all that can be given, what holds others before what it holds."""
    for name, (kind, part) in _parts(value).items():
        path = joined(where, name)
        yield path, kind, part
        yield from _walk(part, path)


def _find(name: str, paths: Iterable[str]) -> str:
    known = {plain_name(path): path for path in paths}
    spelled = plain_name(name)
    if spelled in known:
        return known[spelled]
    found = [path for plain, path in known.items() if plain.endswith(f".{spelled}")]
    if len(found) > 1:
        raise OptionError(f"'{name}' is the end of several fields: {', '.join(found)}; give one of them in full")
    if not found:
        depth = name.count(".") + 1
        raise OptionError(unknown("field", name, {".".join(path.split(".")[-depth:]) for path in known.values()}))
    return found[0]


def _plain(path: str, text: str | None, kind: Any) -> Any:
    if text is not None:
        return from_text(text, kind)
    if kind is not bool and bool not in get_args(kind):
        raise OptionError(f"--{path} has no value; only what is true or false may stand alone")
    return True


def _put(changes: dict[str, Any], path: str, value: Any) -> None:
    """Adds a value to the nested table; fields of one table come together, whatever way each was named."""
    *tables, name = path.split(".")
    for table in tables:
        changes = changes.setdefault(table, {})
    changes[name] = value


def _differences(there: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(now, Mapping):
        for name in {**there, **now}:
            yield from _differences(there.get(name, _ABSENT), now.get(name, _ABSENT), joined(where, name))
    elif there != now:
        # Of a table that only one side has, the other has nothing to compare field by field.
        one, two = ("given" if isinstance(each, Mapping) else as_text(each) for each in (there, now))
        yield f"{where}: {one} there, {two} now"


def _named(described: Any) -> Any:
    """Lists of tables as tables of tables, by name or number, so that two runs are compared field by field."""
    if isinstance(described, Mapping):
        return {name: _named(value) for name, value in described.items()}
    if isinstance(described, list) and described and all(isinstance(each, Mapping) for each in described):
        names = _names([each.get("name") for each in described]) or list(map(str, range(len(described))))
        return {name: _named(each) for name, each in zip(names, described, strict=True)}
    return described

"""Recipes as tables: changed from the command line or a file, written as JSON, and compared field by field.

Names and tables are handled here; pydantic reads and checks the values.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from dvd.errors import InputError, OptionError, unknown

try:
    from pydantic import ConfigDict, TypeAdapter, ValidationError
    from pydantic_core import to_json
except ModuleNotFoundError as error:
    raise OptionError("training needs pydantic; pip install 'dvd-depth[train]'") from error

R = TypeVar("R")

TYPE = "type"
"""The key in a table that names a derived class."""
NONE = "none"
"""The text for no value, or for an empty tuple."""


class _Text(str):
    """A value from the command line, which its field's type has yet to read."""


def parse_fields(words: Sequence[str]) -> dict[str, str | None]:
    """Return the `--field value`, `--field=value` and bare `--flag` (None) of a command line, for `override`.

    Raise OptionError for any other word and for a field given twice.
    """
    given: dict[str, str | None] = {}
    waiting = ""
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        name = _plain(name)
        if waiting and not word.startswith("--"):
            given[waiting], waiting = word, ""
        elif not word.startswith("--") or not name:
            raise OptionError(f"unexpected '{word}'; fields are given as --field value")
        elif name in given:
            raise OptionError(f"--{name} is given twice; give it once")
        else:
            given[name], waiting = (value, "") if equals else (None, name)
    return given


def read_config(path: str | Path) -> dict[str, Any]:
    """Return the nested table in a TOML or JSON file; raise InputError if the file cannot be read as one."""
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".toml", ".json"):
        raise InputError(f"{path}: a configuration is a .toml or a .json file")
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text) if kind == ".toml" else json.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is not valid {kind[1:].upper()} ({reason}); correct the file") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: holds no table of fields; write {{field: value, …}}")
    return table


def override(recipe: R, given: Mapping[str, str | None]) -> R:
    """Return the recipe with the fields of `given`, name → text, in place of its own.

    A name is a dotted path (`model.time`; members of a tuple by their name: `phases.adapt.steps`) or the end of exactly
    one path (`adapt.steps`). Dashes and underscores are the same. The field's type reads the text: `3e-4`, `true`,
    `none`, `1,2,3`, `144x192,192x256`; anything deeper is JSON. None stands for true. Raise OptionError for an unknown
    or ambiguous name, a field given twice (or with a part of it), and a wrong value.
    """
    described = _by_name(describe(recipe))
    paths = list(_paths(described))
    names: dict[str, str] = {}
    for name, text in given.items():
        path = _find(name, paths)
        for other in names:
            if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
                raise OptionError(f"--{names[other]} and --{name} set the same field; give one of them")
        names[path] = name
        *tables, last = path.split(".")
        table = reduce(getitem, tables, described)
        if text is None and not (table[last] is None or isinstance(table[last], bool)):
            raise OptionError(f"--{path} has no value; only a field that is true or false can be given without one")
        table[last] = _merge(table[last], True if text is None else _from_text(text), path)
    return _build(type(recipe), described, "")


def overlay(recipe: R, table: Mapping[str, Any]) -> R:
    """Return the recipe with the fields of a nested table in place of its own.

    A table in place of a tuple changes the members it names; a list replaces all members. The key `type` chooses a
    derived class. Raise OptionError for an unknown or missing field and for a value of the wrong type.
    """
    return _build(type(recipe), _merge(_by_name(describe(recipe)), table, ""), "")


def describe(recipe: Any) -> Any:
    """Return a recipe as JSON values: dataclasses become tables (derived ones with their type), tuples lists."""
    if is_dataclass(recipe):
        own: Any = type(recipe)
        derived = {TYPE: own.__name__} if any(map(is_dataclass, own.__mro__[1:])) else {}
        return derived | {field.name: describe(getattr(recipe, field.name)) for field in fields(recipe)}
    if isinstance(recipe, tuple | list):
        return [describe(entry) for entry in recipe]
    return str(recipe) if isinstance(recipe, Path) else recipe


def flat(recipe: Any) -> dict[str, str]:
    """Return every field by its dotted path, as text that `override` reads."""
    paths = _paths(_by_name(describe(recipe)))
    return {path: _as_text(value) for path, value in paths.items() if not isinstance(value, Mapping)}


def differences(there: Any, now: Any) -> list[str]:
    """Return a line per field in which two recipes (or descriptions) differ: `adapt.steps: 100 there, 200 now`."""
    before, after = (_by_name(side if isinstance(side, Mapping) else describe(side)) for side in (there, now))
    return list(_differences(before, after, ""))


def _differences(there: Any, now: Any, where: str) -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(now, Mapping):
        for name in {**there, **now}:
            yield from _differences(there.get(name, "absent"), now.get(name, "absent"), _join(where, name))
    elif there != now:
        before, after = ("given" if isinstance(side, Mapping) else _as_text(side) for side in (there, now))
        yield f"{where}: {before} there, {after} now"


def _by_name(described: Any) -> Any:
    """Turn lists of tables that have names of their own into tables by name."""
    if isinstance(described, Mapping):
        return {name: _by_name(value) for name, value in described.items()}
    if isinstance(described, list) and all(isinstance(entry, Mapping) for entry in described):
        names = [entry.get("name") for entry in described]
        usable = all(isinstance(name, str) and name and "." not in name for name in names)
        if names and usable and len(set(map(_plain, names))) == len(names):
            return {name: _by_name(entry) for name, entry in zip(names, described, strict=True)}
    return described


def _paths(table: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Return the values of a nested table, tables included, by dotted path."""
    paths: dict[str, Any] = {}
    for name, value in table.items():
        if name != TYPE:
            path = _join(where, name)
            paths |= {path: value} | (_paths(value, path) if isinstance(value, Mapping) else {})
    return paths


def _find(name: str, known: Iterable[str]) -> str:
    paths = {_plain(path): path for path in known}
    if _plain(name) in paths:
        return paths[_plain(name)]
    ends = [path for plain, path in paths.items() if plain.endswith(f".{_plain(name)}")]
    if len(ends) > 1:
        raise OptionError(f"'{name}' is the end of several fields: {', '.join(ends)}; give one of them in full")
    if not ends:
        depth = name.count(".") + 1
        raise OptionError(unknown("field", name, {".".join(path.split(".")[-depth:]) for path in known}))
    return ends[0]


def _merge(old: Any, new: Any, where: str) -> Any:
    """Put the entries of `new` in place of those of `old`; all of them if `new` is no table, or of another type."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)) or new.get(TYPE, old.get(TYPE)) != old.get(TYPE):
        return new
    merged = dict(old)
    for name, value in _known(new, old, where).items():
        merged[name] = _merge(old[name], value, _join(where, name))
    return merged


def _build(kind: Any, table: Mapping[str, Any], where: str) -> Any:
    """Return a dataclass `kind`, or the class derived from it that the table names, with the table's fields."""
    if TYPE in table:
        classes, name = _classes(kind), str(table[TYPE])
        if name not in classes:
            raise OptionError(unknown(TYPE, name, classes) + (f" ({where})" if where else ""))
        kind = classes[name]
    hints, known = get_type_hints(kind), {field.name: field for field in fields(kind)}
    given = _known(table, known, where)
    required = [name for name, field in known.items() if field.default is field.default_factory is MISSING]
    if missing := [name for name in required if name not in given]:
        raise OptionError(f"{where or kind.__name__} lacks {', '.join(missing)}; give a value for each")
    return kind(**{name: _value(hints[name], value, _join(where, name)) for name, value in given.items()})


def _classes(kind: Any) -> dict[str, Any]:
    """Return a class and all that derive from it, by name."""
    return {kind.__name__: kind} | {name: each for sub in kind.__subclasses__() for name, each in _classes(sub).items()}


def _known(table: Mapping[str, Any], known: Iterable[str], where: str) -> dict[str, Any]:
    """Return the table, less its type, with names as in `known`; raise OptionError with the nearest for another one."""
    names = {_plain(name): name for name in known if name != TYPE}
    for name in table:
        if name != TYPE and _plain(name) not in names:
            raise OptionError(unknown("field", _join(where, name), (_join(where, name) for name in names.values())))
    return {names[_plain(name)]: value for name, value in table.items() if name != TYPE}


def _value(kind: Any, value: Any, where: str) -> Any:
    """Return a value of the annotated type `kind` from JSON values or from text."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if isinstance(value, str) and value.lower() == NONE and NoneType in members:
        return None
    read = _split(value, members) if isinstance(value, _Text) else value
    single = next(filter(is_dataclass, members), None)
    several = next((entry for member in members for entry in get_args(member) if is_dataclass(entry)), None)
    if single and isinstance(read, Mapping):
        return _build(single, read, where)
    if several and isinstance(read, Mapping | list):
        tables = read.items() if isinstance(read, Mapping) else enumerate(read)
        return tuple(_value(several, table, _join(where, str(name))) for name, table in tables)
    none = f" or {NONE}" if NoneType in members else ""
    if (table := single or several) and not (read is None and none):
        expected = f"{'a table' if single else 'a list of tables'} of {', '.join(each.name for each in fields(table))}"
        raise OptionError(f"{where} is {_shown(value)}; expected {expected}{none}")
    if value == "" and Path in members:
        raise OptionError(f"{where} is ''; expected a path")
    try:
        if isinstance(value, _Text):
            return _adapter(kind).validate_python(read)
        return _adapter(kind).validate_json(to_json(value, inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        raise OptionError(_reason(error, value, read, where, none)) from error


@cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))


def _reason(error: ValidationError, value: Any, read: Any, where: str, none: str) -> str:
    """Return one line: the field, its value, and what pydantic expected."""
    errors = error.errors()
    path, kind = [index for index in errors[0]["loc"] if isinstance(index, int)], errors[0]["type"]
    expected = " or ".join(
        dict.fromkeys(each["msg"].partition(", unable")[0].removeprefix("Input should be ") for each in errors)
    )
    if kind == "too_long":
        expected = f"{errors[0]['ctx']['max_length']} values"
    if kind == "missing":
        path.pop()
        expected = f"{1 + max(int(each['loc'][-1]) for each in errors if each['type'] == kind)} values"
    for index in path:
        where, value, read, none = _join(where, str(index)), read[index], read[index], ""
    return f"{where} is {_shown(value)}; expected {expected}{none}"


def _split(text: str, members: tuple) -> Any:
    """Return a list if a member of the type is a tuple, else the text itself."""
    entries = next((get_args(member) for member in members if get_origin(member) is tuple), ())
    if entries and text in ("", NONE):
        return []
    if not entries or is_dataclass(entries[0]):
        return str(text)
    parts = [part.strip() for part in text.split(",")]
    if get_origin(entries[0]) is tuple:
        return [part.split("x") for part in parts]
    return text.split("x") if entries[0] in (int, float) and len(parts) == 1 else parts


def _from_text(text: str) -> Any:
    """Return a table or list written as JSON, or else the text for its field's type to read."""
    try:
        return json.loads(text) if text[:1] in ("{", "[") else _Text(text)
    except ValueError:
        return _Text(text)


def _as_text(plain: Any) -> str:
    """Return a JSON value as `override` reads it."""
    if plain is None or plain == []:
        return NONE
    if isinstance(plain, list) and not any(isinstance(part, list | Mapping) for part in plain):
        return ",".join(map(_as_text, plain))
    if isinstance(plain, list) and all(isinstance(pair, list) and {*map(type, pair)} == {int} for pair in plain):
        return ",".join("x".join(map(str, pair)) for pair in plain)
    return plain if isinstance(plain, str) else json.dumps(plain, default=str)


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else _as_text(value)


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name

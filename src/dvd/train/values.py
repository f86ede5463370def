"""Text, JSON and TOML → values of annotated types, checked; and back to text as the command line takes it."""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dvd.errors import OptionError, unknown

TYPE = "type"
"""The key in a table that names a derived class."""
NONE = "none"
"""How the absence of a value, or of all values, is written: TOML and the command line have no word of their own."""


def from_plain(value: Any, kind: Any, where: str) -> Any:
    """A value as JSON and TOML hold it → one of the annotated type `kind`: lists become tuples, tables dataclasses.

    `where` names the field in the error. Raises `OptionError` for another type, for a value outside a `Literal`, for a
    table with fields that are unknown or missing; what a dataclass itself refuses passes through.
    """
    if get_origin(kind) in (Union, types.UnionType):
        return _member(value, kind, where)
    if get_origin(kind) is tuple:
        return _tuple(value, kind, where)
    if is_dataclass(kind) and isinstance(value, Mapping):
        return build(kind, value, where)
    if get_origin(kind) is Literal:
        fits = any(value == each and type(value) is type(each) for each in get_args(kind))
    elif kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    elif kind is Path:
        fits = isinstance(value, str) and value != ""
    elif kind in (int, bool, str, types.NoneType):
        fits = type(value) is kind
    else:
        fits = False
    if not fits:
        raise OptionError(f"{where} is {_quoted(value)}; expected {expected(kind)}")
    return kind(value) if kind in (float, Path) else value


def from_text(text: str, kind: Any) -> Any:
    """Text of the command line → a plain value for `from_plain`; text that cannot be one stays for it to refuse.

    Tuples are `1,2,3`, an empty one `none`; their pairs `144x192` or, with text in them, `name:1`; tables, and anything
    nested deeper, JSON.
    """
    if get_origin(kind) in (Union, types.UnionType):
        readings = _readings(text, kind)
        return next((plain for plain in readings if _fits(plain, kind)), readings[0] if len(readings) == 1 else text)
    if get_origin(kind) is Literal:
        return next((each for each in get_args(kind) if as_text(each) == text), text)
    if get_origin(kind) is tuple:
        return _listed(text, kind)
    if is_dataclass(kind):
        return _json(text)
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return text
    return text


def as_text(plain: Any) -> str:
    """A plain value as `from_text` reads it back."""
    if plain is None:
        return NONE
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, Mapping) or (isinstance(plain, list) and not _short(plain)):
        return json.dumps(plain)
    if isinstance(plain, list):
        return ",".join(_pair_text(each) if isinstance(each, list) else as_text(each) for each in plain) or NONE
    return str(plain)


def build(kind: Any, plain: Mapping[str, Any], where: str = "") -> Any:
    """A dataclass from a table; fields that are not in it take their defaults.

    `type` in the table chooses a class derived from `kind` by its name.
    """
    if TYPE in plain:
        kind = _derived(kind, plain[TYPE], where)
        plain = {name: value for name, value in plain.items() if name != TYPE}
    hints, settable = type_hints(kind), settable_fields(kind)
    given = {known_name(name, settable, where): value for name, value in plain.items()}
    missing = [name for name, each in settable.items() if name not in given and _required(each)]
    if missing:
        raise OptionError(f"{where or kind.__name__} lacks {', '.join(missing)}; give a value for each")
    return kind(**{name: from_plain(value, hints[name], joined(where, name)) for name, value in given.items()})


def known_name(name: str, known: Iterable[str], where: str = "") -> str:
    """`name` as it is spelled in code; `OptionError` with the nearest where there is no such field at `where`."""
    names = {plain_name(each): each for each in known}
    if plain_name(name) not in names:
        raise OptionError(unknown("field", joined(where, name), (joined(where, each) for each in names.values())))
    return names[plain_name(name)]


def plain_name(name: str) -> str:
    """Dashes and underscores are the same."""
    return name.replace("-", "_")


def settable_fields(kind: Any) -> dict[str, Field]:
    """The fields of a dataclass (or of one of its values) that can be given, by name."""
    return {each.name: each for each in fields(kind) if each.init}


def joined(where: str, name: str) -> str:
    """A dotted path."""
    return f"{where}.{name}" if where else name


@cache
def type_hints(kind: Any) -> dict[str, Any]:
    """The annotations of a dataclass as types, whether they were written as types or as text."""
    return get_type_hints(kind)


def expected(kind: Any) -> str:
    """What `kind` takes, in words."""
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(expected(each) for each in sorted(get_args(kind), key=lambda each: each is types.NoneType))
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(as_text, get_args(kind)))}"
    if get_origin(kind) is tuple:
        return _expected_tuple(kind)
    if is_dataclass(kind):
        return f"a table of {', '.join(settable_fields(kind))}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
    return NONE if kind is types.NoneType else words.get(kind, f"a value of type {kind}")


def _derived(kind: Any, name: Any, where: str) -> Any:
    classes, waiting = {}, [kind]
    while waiting:
        each = waiting.pop()
        classes[each.__name__] = each
        waiting += each.__subclasses__()
    if name not in classes:
        raise OptionError(unknown("type", str(name), classes) + (f" ({where})" if where else ""))
    return classes[name]


def _member(value: Any, kind: Any, where: str) -> Any:
    """The first type of a union that takes the value, text last because it takes everything."""
    members = get_args(kind)
    if types.NoneType in members and value in (None, NONE):
        return None
    others = _specific_first(members)
    if len(others) == 1:
        try:
            return from_plain(value, others[0], where)
        except OptionError as error:
            # What is wrong inside of a table is said by the table; a value of the wrong type may also be none.
            if isinstance(value, Mapping | list):
                raise
            raise OptionError(f"{where} is {_quoted(value)}; expected {expected(kind)}") from error
    taker = next((each for each in others if _fits(value, each)), None)
    if taker is None:
        raise OptionError(f"{where} is {_quoted(value)}; expected {expected(kind)}")
    return from_plain(value, taker, where)


def _tuple(value: Any, kind: Any, where: str) -> tuple:
    members = get_args(kind)
    endless = len(members) == 2 and members[1] is Ellipsis
    if not isinstance(value, list | tuple) or not (endless or len(value) == len(members)):
        raise OptionError(f"{where} is {_quoted(value)}; expected {expected(kind)}")
    kinds = members[:1] * len(value) if endless else members
    pairs = zip(value, kinds, strict=True)
    return tuple(from_plain(each, one, joined(where, str(index))) for index, (each, one) in enumerate(pairs))


def _listed(text: str, kind: Any) -> Any:
    """`1,2,3`, `144x192,192x256`, `name:1,other:2`, `none`, or a JSON list → a list."""
    first = get_args(kind)[0]
    if text == NONE:
        return []
    if text.startswith("[") or (text and is_dataclass(first)):
        return _json(text)
    if get_origin(first) is tuple:
        between = "x" if _numeric(first) else ":"
        pairs = [each.split(between) for each in text.split(",")] if text else []
        kinds = get_args(first)
        return [[from_text(part.strip(), one) for part, one in _beside(pair, kinds)] for pair in pairs]
    parts = re.split("[,x]" if _numeric(kind) else ",", text) if text else []
    return [from_text(part.strip(), one) for part, one in _beside(parts, get_args(kind))]


def _beside(parts: list[str], kinds: tuple) -> list[tuple[str, Any]]:
    """Every part and the type it should have; parts too many take the last, so that their number is refused later."""
    kinds = kinds[:1] if kinds[-1] is Ellipsis else kinds
    return [(part, kinds[min(index, len(kinds) - 1)]) for index, part in enumerate(parts)]


def _readings(text: str, kind: Any) -> list[Any]:
    members = get_args(kind)
    if types.NoneType in members and text.lower() == NONE:
        return [None]
    return [from_text(text, each) for each in _specific_first(members)]


def _specific_first(members: tuple) -> list[Any]:
    return sorted((each for each in members if each is not types.NoneType), key=lambda each: each in (str, Path))


def _fits(value: Any, kind: Any) -> bool:
    try:
        from_plain(value, kind, "")
    except OptionError:
        return False
    return True


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _short(plain: list) -> bool:
    """Whether a list can be written with commas: nothing in it is itself a table or nested twice."""
    parts = [part for each in plain for part in (each if isinstance(each, list) else [each])]
    return not any(isinstance(part, list | Mapping) for part in parts)


def _pair_text(pair: list) -> str:
    numeric = all(isinstance(each, int | float) and not isinstance(each, bool) for each in pair)
    return ("x" if numeric else ":").join(map(as_text, pair))


def _numeric(kind: Any) -> bool:
    return all(each in (int, float, Ellipsis) for each in get_args(kind))


def _required(each: Field) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _quoted(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else as_text(list(value) if isinstance(value, tuple) else value)


def _expected_tuple(kind: Any) -> str:
    members = get_args(kind)
    first, endless = members[0], members[-1] is Ellipsis
    if is_dataclass(first):
        return f"a list, each {expected(first)}"
    if get_origin(first) is tuple:
        example = "144x192,192x256" if _numeric(first) else "name:1,other:2"
        return f"values like {example}"
    if endless:
        return f"{expected(first)}, or several separated by commas"
    return f"{len(members)} values separated by commas, each {expected(first)}"

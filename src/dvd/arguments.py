"""Checks of values that users give; an error says in one line what was given and what is expected."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable
from typing import Any

from dvd.errors import DVDError, OptionError, unknown

SHOWN_LETTERS = 40
"""Longest text of a value that an error quotes."""

MOST_SEED = 2**63 - 1


def shown(value: object) -> str:
    """Describe a value in a few words, with its type if that could be mistaken: 8.5, '45' (str), a dict."""
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{_a(kind)} of shape {tuple(shape)}"
    text = repr(value)
    short = len(text) <= SHOWN_LETTERS and "\n" not in text
    if short and isinstance(value, str | bytes):
        return f"{text} ({kind})"
    plain = value is None or isinstance(value, bool | int | float | complex | tuple | list) or hasattr(value, "dtype")
    return text if short and plain else _a(kind)


def whole(name: str, value: Any, what: str = "a whole number") -> int:
    """Return a whole number, NumPy's too, as an int. Raise OptionError for others; `what` says what is expected."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise OptionError(f"{name} is {shown(value)} but must be {what}") from None


def check_tau(tau: Any) -> float:
    """Return the anchor as a float. Raise OptionError unless it is a number with 0 ≤ tau ≤ 1."""
    try:
        if isinstance(tau, bool | str | bytes):
            raise TypeError
        number = float(tau)
    except (TypeError, ValueError, RuntimeError):  # the last from torch, for a tensor of several numbers
        raise OptionError(f"tau is {shown(tau)} but must be a number between 0 and 1") from None
    if math.isnan(number) or not 0 <= number <= 1:
        raise OptionError(f"tau is {number:g} but must be between 0 and 1; the models were trained at 0.5")
    return number


def check_seed(seed: int) -> None:
    """Raise OptionError unless `seed` is a whole number that a generator of random numbers takes."""
    if not 0 <= seed <= MOST_SEED:
        raise OptionError(f"seed {seed} is out of range; give a whole number from 0 to {MOST_SEED}")


def check_size(size: Any) -> tuple[int, int] | str | None:
    """Return (height, width) in pixels as ints, "source" or None. Raise OptionError for others or sides below 1."""
    if size is None or (isinstance(size, str) and size == "source"):
        return size
    wanted = "a height and a width in pixels, such as (480, 640), or 'source'"
    try:
        if isinstance(size, str | bytes | dict | set):
            raise TypeError
        height, width = (whole("side", side) for side in size)
    except (TypeError, ValueError, OptionError):
        raise OptionError(f"size is {shown(size)} but must be {wanted}") from None
    if min(height, width) < 1:
        raise OptionError(f"size is {height}x{width} but must be {wanted}, both at least 1")
    return height, width


def check_antialias(antialias: Any) -> bool | None:
    """Return True, False or None. Raise OptionError for others."""
    if antialias is None or isinstance(antialias, bool):
        return antialias
    if type(antialias).__name__ in ("bool_", "bool"):  # NumPy's
        return bool(antialias)
    raise OptionError(f"antialias is {shown(antialias)} but must be True, False or None")


def check_path(name: str, value: Any, what: str, error: type[DVDError] = OptionError) -> str | os.PathLike[str]:
    """Return a path, as text or `Path`. Raise `error` for others and for empty text; `what` says what is expected."""
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise error(f"{name} is {shown(value)} but must be the path of {what}")
    if not os.fspath(value):
        raise error(f"{name} is empty but must be the path of {what}")
    return value


def check_name(kind: str, value: Any, known: Iterable[str]) -> str:
    """Return a name that is in `known`. Raise OptionError for others, with the nearest known names."""
    names = tuple(known)
    if not isinstance(value, str):
        raise OptionError(f"{kind} is {shown(value)} but must be one of {', '.join(names)}")
    if value not in names:
        raise OptionError(unknown(kind, value, names))
    return value


def _a(kind: str) -> str:
    kind = "array" if kind == "ndarray" else kind
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"

"""What a user can get wrong; every message names what was wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DVDError(Exception):
    """Something the user can mend. The command line prints its one line and exits with status 2."""


class InputError(DVDError):
    """A video, image or folder that cannot be read."""


class OutputError(DVDError):
    """A place that cannot be written, or that already holds something."""


class ModelError(DVDError):
    """A model that is unknown, incomplete, damaged or not what it claims to be."""


class OptionError(DVDError):
    """A value outside its range, or two values that contradict each other."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """One line that names an unknown `kind` (model, format, device …) and offers the nearest known names."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.4)
    offer = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return f"unknown {kind} '{name}'; {offer}"

"""Kinds of values on the command line, each refused in one line that says what was expected."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from typing import Literal

from dvd.errors import unknown

STITCHES = ("default", "continuous", "least-squares", "demo", "benchmark")
"""The names of `dvd.stitch.RULES`, which is too heavy to import for reading a command line."""


def one_of(kind: str, names: Iterable[str]) -> Callable[[str], str]:
    """A name out of `names`; another is answered with the nearest."""
    known = tuple(names)

    def parse(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(unknown(kind, text, known))
        return text

    return parse


def size(text: str) -> tuple[int, int] | Literal["source"]:
    """`HxW` in pixels, both at least 1, or "source"."""
    if text == "source":
        return "source"
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(sides) < 1:
        raise argparse.ArgumentTypeError(
            f"size '{text}' is not HEIGHTxWIDTH in pixels, both at least 1, such as 480x640; nor is it 'source'"
        )
    return sides


def names(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def add_model_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Which model runs (or `several` do), where, and on windows of what size: what the commands share."""
    from dvd.hardware import DTYPES

    what = "a name that `dvd models` lists, or a model folder"
    if several:
        parser.add_argument("--model", nargs="+", default=["dvd-mini"], help=f"{what}; or several")
    else:
        parser.add_argument("--model", default="dvd-mini", help=what)
    add_window_arguments(parser)
    parser.add_argument(
        "--dtype",
        type=one_of("dtype", DTYPES),
        default="auto",
        help=f"{', '.join(DTYPES)} (default: auto, bfloat16 where that is fast and good enough)",
    )


def add_window_arguments(parser: argparse.ArgumentParser) -> None:
    """On windows of what size a model runs, and where."""
    from dvd.hardware import DEVICES

    parser.add_argument("--size", type=size, metavar="HxW", help="least height and width that the network sees")
    parser.add_argument("--window", type=int, metavar="N", help="frames that pass through the network together")
    parser.add_argument("--overlap", type=int, metavar="N", help="frames that neighbouring windows share")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto, the best there is)")

"""What the scripts here share: bad input is answered as argparse answers it, in one line with exit status 2."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable

from dvd.apps.options import size
from dvd.errors import DVDError


def run(parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], None]) -> None:
    """Reads the command line and works; what the user can mend is said as argparse says its own."""
    args = parser.parse_args()
    try:
        work(args)
    except DVDError as error:
        parser.error(str(error))


def at_least(least: int) -> Callable[[str], int]:
    """A whole number that is no smaller."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {least}")
        return number

    return parse


def pixels(text: str) -> tuple[int, int]:
    """`HxW`; there is no source whose size could be taken."""
    sides = size(text)
    if sides == "source":
        raise argparse.ArgumentTypeError("size 'source' is not HEIGHTxWIDTH in pixels, such as 480x640")
    return sides


def check(process: subprocess.Popen[str]) -> None:
    """Hands on what a `dvd` that has ended, its stderr a pipe, said went wrong."""
    line = process.communicate()[1].strip().rpartition("\n")[2].removeprefix("dvd: ")
    if process.returncode == 2:
        raise DVDError(line)
    if process.returncode:
        raise SystemExit(f"dvd failed with status {process.returncode}: {line}")

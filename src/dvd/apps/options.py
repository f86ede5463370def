"""Parsers of command-line values and the options that several commands share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from dvd.errors import DVDError, unknown
from dvd.names import DEVICES, DTYPES

OWN = "the model's own"


class HelpWithDefaults(argparse.HelpFormatter):
    """Show the default of every option that has one, unless its help text mentions the default itself."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text, default = action.help, action.default
        if not text or not action.option_strings or "default:" in text or isinstance(default, bool):
            return text
        if default in (None, "", argparse.SUPPRESS) or default == []:
            return text
        shown = " ".join(map(str, default)) if isinstance(default, list) else "%(default)s"
        return f"{text} (default: {shown})"


PARSER: dict[str, Any] = {"allow_abbrev": False, "formatter_class": HelpWithDefaults}
"""Keyword arguments of every command's parser."""


def one_of(kind: str, names: Iterable[str]) -> Callable[[str], str]:
    """Return a parser of one of `names`. It answers an unknown name with the nearest known ones."""
    known = tuple(names)

    def parse(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(unknown(kind, text, known))
        return text

    return parse


def size(text: str) -> tuple[int, int] | Literal["source"]:
    """Parse `HxW` in pixels, both at least 1, or "source"."""
    if text == "source":
        return "source"
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(sides) < 1:
        raise argparse.ArgumentTypeError(
            f"size '{text}' is not HEIGHTxWIDTH in pixels, both at least 1, such as 480x640; nor is it 'source'"
        )
    return sides


def count(text: str) -> int:
    """Parse a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number; give one such as 9") from None


def device(text: str) -> str:
    """Parse the name of a device. Whether this machine has it is checked when torch is loaded."""
    from dvd.hardware import device_named

    try:
        return device_named(text)
    except DVDError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def anchor(text: str) -> float:
    """Parse the anchor τ."""
    from dvd.arguments import check_tau

    try:
        return check_tau(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number; give one between 0 and 1") from None
    except DVDError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def names(text: str) -> list[str]:
    """Parse names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def add_model_arguments(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add the options for the model (or `several`), its windows, device and number format."""
    help = "a name that `dvd models` lists, or a model folder"
    if several:
        parser.add_argument("--model", nargs="+", default=["dvd-mini"], help=f"{help}; or several")
    else:
        parser.add_argument("--model", default="dvd-mini", help=help)
    add_window_arguments(parser)
    parser.add_argument(
        "--dtype",
        type=one_of("dtype", DTYPES),
        default="auto",
        help=f"{', '.join(DTYPES)} (default: auto, bfloat16 where that is fast and good enough)",
    )


def add_window_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for size, window, overlap and device."""
    parser.add_argument(
        "--size",
        type=size,
        metavar="HxW",
        help=f"least height and width that the network sees, or 'source' for the video's (default: {OWN})",
    )
    parser.add_argument(
        "--window",
        type=count,
        metavar="N",
        help=f"frames that pass through the network together, rounded up to 4 n + 1 (default: {OWN})",
    )
    parser.add_argument(
        "--overlap",
        type=count,
        metavar="N",
        help=f"frames that neighbouring windows share (default: {OWN}, at most half the window)",
    )
    parser.add_argument(
        "--device",
        type=device,
        default="auto",
        help=f"{', '.join(DEVICES)} or cuda:N (default: auto, the best there is)",
    )


def add_tau(parser: argparse.ArgumentParser) -> None:
    """Add the option for the anchor τ."""
    parser.add_argument(
        "--tau", type=anchor, help=f"anchor of the network in [0, 1] (default: {OWN}; all were trained at 0.5)"
    )


def check_values(args: argparse.Namespace, models: Iterable[str]) -> None:
    """Check window and overlap against the models' cards, before any weights are read and without torch.

    Raise OptionError for values that contradict each other, ModelError for an unknown model or a damaged card.
    """
    from dvd.backbones import registry
    from dvd.windows import choose

    for model in models:
        card = registry.card(model)
        choose(args.window, args.overlap, card.window, card.overlap)

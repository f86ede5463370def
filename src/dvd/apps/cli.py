"""`dvd …`: reads the command line, runs one command, and turns what went wrong into one line and an exit status.

0 done · 1 a fault of the program · 2 something the user can mend · 130 stopped with Ctrl-C · 141 nobody reads the
output any more, as after `| head`. Nothing heavy is imported until a command runs, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import NoReturn

from dvd.apps import bench, convert, data, demo, doctor, evaluate, models, predict, train
from dvd.apps.console import show_log
from dvd.errors import DVDError, OptionError, unknown

COMMANDS = {
    "predict": predict,
    "models": models,
    "doctor": doctor,
    "demo": demo,
    "bench": bench,
    "train": train,
    "convert": convert,
    "data": data,
    "eval": evaluate,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command that `argv` (default: the process's own) names; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):  # not every console's encoding has "→", or every letter of a file's name
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    show_log()
    try:
        args = _parse(sys.argv[1:] if argv is None else list(argv))
        status = args.run(args)
        sys.stdout.flush()
        return status
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except DVDError as error:
        return _fail(str(error), 2)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _unread():
            return 141
        if os.environ.get("DVD_DEBUG") == "1":
            raise
        return _fail(
            f"unexpected {type(error).__name__}: {error}; set DVD_DEBUG=1 to see where, and please report it", 1
        )


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; each command's file declares its own options."""
    parser = OneLineParser(prog="dvd", description="Depth from video in one deterministic pass.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"dvd {metadata.version('dvd-depth')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0].split(": ", 1)[1].rstrip(".")
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=command)
    return parser


def _parse(argv: list[str]) -> argparse.Namespace:
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        raise OptionError(unknown("command", argv[0], COMMANDS))
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if rest and not getattr(args, "takes_fields", False):
        args.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.fields = rest
    return args


def _unread() -> bool:
    """Whether whoever read our output has left; only writing once more tells."""
    try:
        print(flush=True)
    except BrokenPipeError:
        # What is still in the buffer would raise once more when Python leaves.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _fail(message: str, status: int) -> int:
    print(f"dvd: {' '.join(message.split())}", file=sys.stderr)
    return status

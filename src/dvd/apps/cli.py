"""`dvd …`: read the command line, run one command, and turn errors into one line and an exit status.

0 done · 1 a fault of the program · 2 an error that the user can correct · 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by
SIGHUP · 141 the reader of the output is gone, as after `| head`. Heavy libraries are imported when a command runs, so
`--help` answers at once. The commands' own files are imported inside `main`, where Ctrl-C already ends in one line.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

from dvd.apps.console import escape_what_the_console_lacks, show_log
from dvd.apps.options import PARSER
from dvd.apps.signals import EXIT_STATUS, Stopped, stopped_by_signals
from dvd.errors import DVDError, OptionError, unknown

COMMANDS = {
    name: f"dvd.apps.{name}" for name in ("predict", "models", "doctor", "demo", "bench", "train", "convert", "data")
} | {"eval": "dvd.apps.evaluate"}
"""Command → the file that declares its options and runs it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names (by default the process's own arguments) and return the exit status.

    Signals are handled only with the process's own arguments: a library must leave them alone.
    """
    escape_what_the_console_lacks()
    show_log()
    try:
        with stopped_by_signals() if argv is None else nullcontext():
            args = _parse(sys.argv[1:] if argv is None else list(argv))
            status: int = args.run(args)
            sys.stdout.flush()
            return status
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except DVDError as error:
        return _fail(str(error), 2)
    except Stopped as stop:
        return _fail(f"stopped by {stop}" if stop.number != signal.SIGINT else "stopped", EXIT_STATUS + stop.number)
    except KeyboardInterrupt:
        return _fail("stopped", EXIT_STATUS + signal.SIGINT)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return 141
        if os.environ.get("DVD_DEBUG") == "1":
            raise
        return _fail(
            f"unexpected {type(error).__name__}: {error}; set DVD_DEBUG=1 to see where, and please report it", 1
        )


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that reports errors in one line."""

    def error(self, message: str) -> NoReturn:
        message = message.replace("required: -o/--output", "required: -o/--output, a folder for the results")
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class _Version(argparse.Action):
    """Print the version. It is looked up here because that takes longer than parsing the whole command line."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **more)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        print(f"dvd {metadata.version('dvd-depth')}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line from the options that each command's file declares."""
    parser = OneLineParser(prog="dvd", description="Depth from video in one deterministic pass.", allow_abbrev=False)
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, file in COMMANDS.items():
        module = import_module(file)
        summary = (module.__doc__ or "").splitlines()[0].split(": ", 1)[1].rstrip(".")
        command = commands.add_parser(name, help=summary, description=summary, **PARSER)
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=command)
    return parser


def _parse(argv: list[str]) -> argparse.Namespace:
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        raise OptionError(_no_command(argv))
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if rest and not getattr(args, "takes_fields", False):
        args.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    args.fields = rest
    return args


def _no_command(argv: list[str]) -> str:
    """Say that the first word is not a command; if it looks like a file, suggest `dvd predict`."""
    word = argv[0]
    path = os.path.exists(word) or len(Path(word).parts) > 1 or re.fullmatch(r"\.[a-z]\w+", Path(word).suffix.lower())
    if not path:
        return unknown("command", word, COMMANDS)
    asked = shlex.join(argv) if {"-o", "--output"} & set(argv) else f"{shlex.join(argv)} -o OUT"
    return f"'{word}' is no command; did you mean: dvd predict {asked}"


def _reader_is_gone() -> bool:
    """Return whether the reader of our output is gone, by writing once more."""
    try:
        print(flush=True)
    except BrokenPipeError:
        _silence(sys.stdout)
        return True
    return False


def _fail(message: str, status: int) -> int:
    line = f"dvd: {' '.join(message.split())}\n"
    for stream, text in ((sys.stdout, ""), (sys.stderr, line)):
        try:
            print(text, end="", file=stream, flush=True)
        except OSError:  # the terminal or the reader is gone
            _silence(stream)
    return status


def _silence(stream: TextIO) -> None:
    """Send the stream to /dev/null: flushing it at exit would fail again and change the exit status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

"""`dvd convert`: rewrites a checkpoint with its LoRA laid out as in the release, only where it can learn, or merged."""

from __future__ import annotations

import argparse
from pathlib import Path

from dvd.apps.options import one_of
from dvd.names import CHECKPOINT_LAYOUTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `dvd convert`."""
    parser.add_argument("source", metavar="SOURCE", type=Path, help="a checkpoint of a Wan transformer, any layout")
    parser.add_argument("target", metavar="TARGET", type=Path, help="the .safetensors file to write")
    parser.add_argument(
        "--layout",
        type=one_of("layout", CHECKPOINT_LAYOUTS),
        required=True,
        help="release: LoRA everywhere the release has it; default: only where a gradient reaches; merged: none",
    )


def run(args: argparse.Namespace) -> int:
    """Convert the checkpoint and print the file that was written."""
    from dvd.errors import InputError, OptionError, OutputError

    if not args.source.is_file():
        raise InputError(f"{args.source} is not a file; name a checkpoint such as model.safetensors")
    if args.target.suffix != ".safetensors":
        raise OptionError(f"{args.target}: checkpoints are written as .safetensors; name such a file")
    if args.target.exists():
        raise OutputError(f"{args.target} exists already; name another file, or delete it")

    from dvd.train.export import convert

    convert(args.source, args.target, args.layout)
    print(f"{args.target}: {args.target.stat().st_size / 2**20:.1f} MiB, layout {args.layout}")
    return 0

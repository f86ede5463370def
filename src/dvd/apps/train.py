"""`dvd train`: makes a model from a named recipe, resuming what is already there."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dvd train`."""
    parser.add_argument("recipe", metavar="RECIPE", help="dvd-mini, or smoke for a run of seconds")
    parser.add_argument("-o", "--output", type=Path, help="folder of the run; default runs/RECIPE")
    parser.add_argument("--textures", type=Path, help="folder of photographs and materials for the scenes")
    parser.add_argument("--processes", type=int, default=2, help="processes that render scenes (default 2)")
    parser.add_argument("--threads", type=int, help="processor threads of the training; default all")


def run(args: argparse.Namespace) -> int:
    """Trains and says where the model is."""
    from dvd.errors import InputError, OptionError, unknown
    from dvd.train.recipes import RECIPES

    if args.recipe not in RECIPES:
        raise OptionError(unknown("recipe", args.recipe, RECIPES))
    if args.textures is not None and not args.textures.is_dir():
        raise InputError(f"{args.textures} is not a folder of textures; give another or leave --textures out")
    import torch

    from dvd.train.loop import train

    if args.threads:
        torch.set_num_threads(args.threads)
    folder = args.output or Path("runs", args.recipe)
    model = train(RECIPES[args.recipe], folder, args.processes, args.textures)
    print(f"{model} holds the model; try it with: dvd predict CLIP -o OUT --model {model}")
    return 0

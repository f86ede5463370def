"""`dvd train`: trains a model by a named recipe, or resumes a run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvd.train.settings import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dvd train`; every other option is a field of the recipe."""
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="a name from --list")
    parser.add_argument("--list", action="store_true", help="show the recipes, one line each")
    parser.add_argument("--dry-run", action="store_true", help="show the recipe, its parameters, data and memory")
    parser.add_argument("-o", "--output", type=Path, help="folder of the run (default: runs/RECIPE)")
    parser.add_argument("--config", type=Path, help="a .toml or .json file with fields of the recipe")
    parser.add_argument("--processes", type=int, default=2, help="processes that render scenes (default: 2)")
    parser.epilog = (
        "Any field of the recipe can be set as --field VALUE, by its dotted path or its end: --adapt.steps 100, --rank "
        "64, --data /datasets, --threads 2. Many GPUs: torchrun --nproc_per_node 8 -m dvd train RECIPE."
    )
    parser.set_defaults(takes_fields=True)


def run(args: argparse.Namespace) -> int:
    """Train, and print where the model is."""
    if args.list:
        from dvd.train.recipes import RECIPES

        width = max(map(len, RECIPES))
        for name, recipe in RECIPES.items():
            print(f"{name:{width}}  {recipe.summary}")
        return 0
    recipe = resolve(args)
    folder = args.output or Path("runs", args.recipe)
    if args.dry_run:
        from dvd.train.dry_run import describe_run

        for line in describe_run(recipe, folder):
            print(line)
        return 0
    return _train(recipe, folder, args)


def resolve(args: argparse.Namespace) -> Recipe:
    """Return the recipe that the command line names, changed by --config and then by the fields given as options.

    Raise OptionError for an unknown recipe or field, or a wrong value.
    """
    from dvd.errors import OptionError, unknown
    from dvd.train.config import overlay, override, parse_fields, read_config
    from dvd.train.recipes import RECIPES

    if args.recipe is None:
        raise OptionError(f"which recipe? one of {', '.join(RECIPES)}; dvd train --list describes them")
    if args.recipe not in RECIPES:
        # If a field comes before the recipe, argparse takes its value for the recipe.
        hint = "; the recipe comes first, then its fields" if set(args.fields) & set(RECIPES) else ""
        raise OptionError(unknown("recipe", args.recipe, RECIPES) + hint)
    recipe = RECIPES[args.recipe]
    if args.config is not None:
        recipe = overlay(recipe, read_config(args.config))
    return override(recipe, parse_fields(args.fields))


def _train(recipe: Recipe, folder: Path, args: argparse.Namespace) -> int:
    from dvd.errors import OptionError
    from dvd.train.dry_run import refuse_missing_data

    if args.processes < 1:
        raise OptionError(f"--processes is {args.processes} but must be at least 1")
    refuse_missing_data(recipe, folder)

    import torch

    from dvd.train.loop import train

    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    model = train(recipe, folder, args.processes)
    if os.environ.get("RANK", "0") == "0":  # the number torchrun gives this process
        print(f"{model} holds the model; try it with: dvd predict CLIP -o OUT --model {model}")
    return 0

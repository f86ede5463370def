"""`dvd models`: list the models by name, with their licences, and whether their weights are here."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: `dvd models` takes no options."""


def run(_: argparse.Namespace) -> int:
    """Print one line per named model, and how to load another."""
    from dvd.backbones import registry

    rows = [("name", "weights", "licence", "")]
    for entry in registry.ENTRIES:
        absent = "not installed" if entry.folder is not None else "to download"
        rows.append((entry.name, "here" if registry.is_here(entry) else absent, entry.licence, entry.summary))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip())
    print("\nAny folder with config.json, the transformer's and the VAE's weights can be loaded too: --model FOLDER")
    return 0

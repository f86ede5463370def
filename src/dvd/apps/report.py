"""What `dvd eval` shows of its results: tables in the console, files beside results.json, a comparison of two."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvd.evaluate.pictures import Frames
    from dvd.evaluate.results import Results


def tables_text(results: Sequence[Results], form: str = "console", beside_published: bool = True) -> str:
    """Every table that the results fill, in one form; in CSV one document with one head."""
    from dvd.evaluate.table_forms import render
    from dvd.evaluate.tables import tables

    parts = [render(table, form) for table in tables(results, beside_published)]
    if form == "csv":
        return "".join(part if not i else part.partition("\n")[2] for i, part in enumerate(parts))
    return "\n".join(parts)


def write_reports(
    results: Sequence[Results], folder: Path, frames: Iterable[Frames] = (), beside_published: bool = True
) -> list[Path]:
    """tables.txt, tables.md, tables.tex, tables.csv and page.html in `folder`, each replaced whole."""
    from dvd.evaluate.page import page
    from dvd.evaluate.table_forms import ENDINGS

    texts = {f"tables.{ending}": tables_text(results, form, beside_published) for form, ending in ENDINGS.items()}
    texts["page.html"] = page(results, frames, beside_published)
    for name, text in texts.items():
        aside = folder / f".{name}.{os.getpid()}.part"
        aside.write_text(text, encoding="utf-8")
        aside.replace(folder / name)
    return [folder / name for name in texts]


def comparison_text(a: Path, b: Path, metric: str = "abs_rel") -> str:
    """Paired differences b − a of two results.json, for every data set that they share and for all together."""
    from dvd.evaluate.compare import by_dataset, describe
    from dvd.evaluate.labels import dataset_label
    from dvd.evaluate.results import read

    found = by_dataset(read(a), read(b), metric)
    parts = [(dataset_label(name), describe(one, sequences=name != "all")) for name, one in found.items()]
    return "\n".join(f"{name}\n{text}" for name, text in parts)

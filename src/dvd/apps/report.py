"""What `dvd eval` shows of its results: tables in the console, files beside results.json, a comparison of two."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvd.evaluate.report.pictures import Frames
    from dvd.evaluate.results import Results

SHOWN = {
    "abs_rel": "AbsRel×100",
    "delta1": "δ1",
    "rgb_boundary_f1": "B-F1 rgb",
    "rgb_boundary_recall": "B-Rec rgb",
    "si_boundary_f1": "B-F1 s.i.",
    "relative_temporal_difference": "RTD",
    "temporal_alignment_error": "TAE×100",
    "flow_warping_error": "OPW (m)",
    "abs_rel_per_frame": "per frame×100",
    "wander": "wander",
}
"""The columns of the sequences on the terminal; results.json has every metric."""


def sequence_lines(results: Results) -> Iterator[str]:
    """Every data set with its sequences, the mean over them, and over the short and the long ones."""
    from dvd.stitch import MOST_WANDER

    names = [name for name in SHOWN if any(name in one.metrics for one in results.sequences)]
    indented = [f"  {one.name}" for one in results.sequences]
    width = max(map(len, [*indented, results.method, "short, 000 to 000 frames", *results.datasets]))
    timed = results.conditions.get("kind") not in ("prior", "saved predictions")
    yield f"{results.method:{width}}  frames  {'  '.join(map(_head, names))}{'  frames/s' * timed}"
    for dataset in results.datasets:
        here = [one for one in results.sequences if one.dataset == dataset]
        for one in here:
            if one.skipped is not None:
                yield f"  {one.name:{width - 2}}  skipped: {one.skipped}"
                continue
            speed = f"{one.frames / one.seconds:8.1f}" if timed and one.seconds else ""
            yield f"  {one.name:{width - 2}}  {one.frames:6}  {_cells(one.metrics, names)}  {speed}".rstrip()
            scales = [1.0, *(seam["scale"] for seam in one.seams if "scale" in seam)]
            if not 1 / MOST_WANDER <= min(scales) <= max(scales) <= MOST_WANDER:
                yield f"    the accumulated scale of its seams wanders from {min(scales):.2f} to {max(scales):.2f}"
            if one.cuts:
                yield f"    scene cuts, where scale and shift begin anew: {', '.join(map(str, one.cuts))}"
        counted = [one.frames for one in here if one.skipped is None]
        for title, lengths in _parts(dataset, results.protocol):
            frames = [count for count in counted if lengths is None or count in lengths]
            if frames and (lengths is None or len(frames) < len(counted)):
                yield f"{title:{width}}  {sum(frames):6}  {_cells(results.mean(dataset, lengths), names)}"
    if len(results.datasets) > 1:
        frames = [one.frames for one in results.sequences if one.skipped is None]
        yield f"{'all sequences':{width}}  {sum(frames):6}  {_cells(results.mean(None), names)}"


def tables_text(
    results: Sequence[Results], form: str = "console", beside_published: bool = True, notes: bool = True
) -> str:
    """Every table that the results fill, in one form, with or without notes; in CSV one document with one head."""
    from dataclasses import replace

    from dvd.evaluate.report.table_forms import render
    from dvd.evaluate.report.tables import tables

    made = tables(results, beside_published)
    parts = [render(table if notes else replace(table, notes=()), form) for table in made]
    if form == "csv":
        return "".join(part if not i else part.partition("\n")[2] for i, part in enumerate(parts))
    return "\n".join(parts)


def write_reports(
    results: Sequence[Results], folder: Path, frames: Iterable[Frames] = (), beside_published: bool = True
) -> list[Path]:
    """tables.txt, tables.md, tables.tex, tables.csv and page.html in `folder`, each replaced whole.

    OutputError where one cannot be written.
    """
    from dvd.evaluate.report.page import page
    from dvd.evaluate.report.table_forms import ENDINGS
    from dvd.files import replacing

    texts = {f"tables.{ending}": tables_text(results, form, beside_published) for form, ending in ENDINGS.items()}
    texts["page.html"] = page(results, frames, beside_published)
    for name, text in texts.items():
        with replacing(folder / name) as file:
            file.write(text.encode())
    return [folder / name for name in texts]


def comparison_text(a: Path, b: Path, metric: str = "abs_rel") -> str:
    """Paired differences b − a of two results.json, for every data set that they share and for all together."""
    from dvd.evaluate.report.compare import by_dataset, describe
    from dvd.evaluate.report.labels import dataset_label
    from dvd.evaluate.results import read

    found = by_dataset(read(a), read(b), metric)
    parts = [(dataset_label(name), describe(one, sequences=name != "all")) for name, one in found.items()]
    return "\n".join(f"{name}\n{text}" for name, text in parts)


def _parts(dataset: str, protocol: Mapping[str, object]) -> Iterator[tuple[str, range | None]]:
    short, long = protocol.get("short"), protocol.get("long")
    if isinstance(short, list | tuple):
        yield f"short, {short[0]} to {short[1]} frames", range(short[0], short[1] + 1)
    if isinstance(long, int):
        yield f"long, from {long} frames", range(long, sys.maxsize)
    yield dataset, None


def _cells(metrics: dict[str, float], names: list[str]) -> str:
    from dvd.evaluate.report.labels import label

    return "  ".join(label(name).show(metrics.get(name)).rjust(len(_head(name))) for name in names)


def _head(name: str) -> str:
    """The head of a column, as wide as its values at least."""
    return SHOWN[name].rjust(5)

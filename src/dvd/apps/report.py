"""How `dvd eval` shows results: lines for the console, and tables and a page beside results.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvd.evaluation.methods.base import Method
    from dvd.evaluation.report.snapshots import Snapshot
    from dvd.evaluation.results import Results

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
"""The metrics of a sequence that the console shows, with their heads; results.json has every metric."""


def method_line(method: Method, conditions: dict[str, Any]) -> str:
    """Write a method's description of itself in one line, and what decided how its windows are joined."""
    values = {**method.describe(), "stitch from": conditions.get("stitch_from")}
    values.pop("licence", None)
    if isinstance(values.get("stitch"), dict):
        values["stitch"] = values["stitch"]["name"]
    return ", ".join(f"{name} {_text(value)}" for name, value in values.items() if value not in (None, "", [], {}))


def sequence_lines(results: Results) -> Iterator[str]:
    """Write every data set with its sequences, and the means over all of them, the short and the long ones."""
    from dvd.stitch import MOST_WANDER

    names = [name for name in SHOWN if any(name in one.metrics for one in results.sequences)]
    indented = [f"  {one.name}" for one in results.sequences]
    width = max(map(len, [*indented, results.method, "short, 000 to 000 frames", *results.datasets]))
    timed = results.conditions.get("kind") not in ("prior", "saved predictions")
    yield f"{results.method:{width}}  frames  {'  '.join(map(_head, names))}{'  frames/s' * timed}"
    for dataset in results.datasets:
        sequences = [one for one in results.sequences if one.dataset == dataset]
        for one in sequences:
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
        counted = [one.frames for one in sequences if one.skipped is None]
        for name, part in results.parts.items():
            frames = [count for count in counted if count in part.lengths]
            if 0 < len(frames) < len(counted):
                means = _cells(results.mean(dataset, part.lengths), names)
                yield f"{f'{name}, {part.words}':{width}}  {sum(frames):6}  {means}"
        if counted:
            yield f"{dataset:{width}}  {sum(counted):6}  {_cells(results.mean(dataset), names)}"
    if len(results.datasets) > 1:
        frames = [one.frames for one in results.sequences if one.skipped is None]
        yield f"{'all sequences':{width}}  {sum(frames):6}  {_cells(results.mean(None), names)}"


def print_reports(measured: Sequence[tuple[Path, Results]], folder: Path, notes: bool) -> None:
    """Print the tables of results, given with their folders, and write tables and page into `folder`."""
    from dvd.evaluation.report import snapshots
    from dvd.evaluation.report.page import missing
    from dvd.evaluation.report.table_forms import render_all
    from dvd.evaluation.results import distinct

    results = distinct([each for _, each in measured])
    folders = [path for path, _ in measured]
    kept = (frame for path, each in zip(folders, results, strict=True) for frame in snapshots.load(path, each))
    written = write_reports(results, folder, kept)
    print(f"\n{render_all(results, notes=notes)}\nwrote {', '.join(map(str, written))}")
    if message := missing():
        print(message)


def write_reports(
    results: Sequence[Results], folder: Path, snapshots: Iterable[Snapshot] = (), beside_published: bool = True
) -> list[Path]:
    """Write tables.txt, tables.md, tables.tex and tables.csv into `folder`, and page.html if its libraries are there.

    Each file is replaced as a whole. Raise OutputError if the disk refuses.
    """
    from dvd.evaluation.report.page import missing, page
    from dvd.evaluation.report.table_forms import ENDINGS, render_all
    from dvd.files import replacing

    texts = {f"tables.{ending}": render_all(results, form, beside_published) for form, ending in ENDINGS.items()}
    if not missing():
        texts["page.html"] = page(results, snapshots, beside_published)
    for name, text in texts.items():
        with replacing(folder / name) as file:
            file.write(text.encode())
    return [folder / name for name in texts]


def _text(value: object) -> str:
    """Write a size as 192x256, and each of several values once."""
    if isinstance(value, list) and all(isinstance(entry, int) for entry in value):
        return "x".join(map(str, value))
    if isinstance(value, dict):
        return " and ".join(f"{name} {entry}" for name, entry in value.items())
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cells(metrics: dict[str, float], names: list[str]) -> str:
    from dvd.evaluation.report.labels import label

    return "  ".join(label(name).show(metrics.get(name)).rjust(len(_head(name))) for name in names)


def _head(name: str) -> str:
    """Return the head of a column, at least as wide as its values."""
    return SHOWN[name].rjust(5)

"""The printed numbers are the paper's, all of them, and say that they are printed."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from dvd.evaluation.report import published

PAPER = Path(__file__).parents[5] / "shared/paper.txt"
DATASETS = {"KITTI", "ScanNet", "Bonn", "Sintel", "DIODE", "NYUv2"}
METRICS = {"AbsRel": "abs_rel", "delta": "delta1", "δ": "delta1", "B-Recall": "boundary_recall", "B-F1": "boundary_f1"}


def test_every_number_of_four_tables_is_there_once() -> None:
    rows = published.load()
    assert Counter(row.table for row in rows) == {1: 7 * 8, 2: 7 * 6, 3: 4 * 6, 4: 4 * 6 - 2}
    assert len({(row.table, row.method, row.dataset, row.metric) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("table", "method", "dataset", "metric", "value"),
    [
        (1, "DVD", "kitti", "abs_rel", 6.7),
        (1, "DepthCrafter", "sintel", "abs_rel", 37.1),
        (1, "ChronoDepth", "bonn", "delta1", 0.901),
        (2, "DVD", "bonn", "abs_rel", 5.3),
        (2, "Marigold v1.1", "kitti", "abs_rel", 24.7),
        (2, "VDA", "scannet", "delta1", 0.972),
        (3, "DepthCrafter", "bonn", "boundary_recall", 0.282),
        (3, "DVD", "scannet", "boundary_f1", 0.259),
        (4, "VDA", "nyuv2", "abs_rel", 4.7),
        (4, "DVD", "diode", "delta1", 0.738),
    ],
)
def test_some_numbers_by_hand(table: int, method: str, dataset: str, metric: str, value: float) -> None:
    key = (table, method, dataset, metric)
    assert [row.value for row in published.load() if (row.table, row.method, row.dataset, row.metric) == key] == [value]


def test_empty_cells_of_the_paper_have_no_entry() -> None:
    assert not [r for r in published.load() if (r.table, r.method, r.dataset) == (4, "ChronoDepth", "kitti")]


def test_every_number_says_that_it_is_printed_and_in_what_units() -> None:
    for row in published.load():
        assert row.label == "published"
        assert row.source == f"published, Table {row.table}"
        assert row.units == ("× 100" if row.metric == "abs_rel" else "1")
        assert row.units == "× 100" or 0 < row.value < 1
    assert set(published.titles()) == {1, 2, 3, 4}


@pytest.mark.skipif(not PAPER.exists(), reason="the paper's text, ../shared/paper.txt, is not here")
@pytest.mark.parametrize("table", [1, 2, 3, 4])
def test_the_numbers_are_those_of_the_paper(table: int) -> None:
    lines = PAPER.read_text(encoding="utf-8").splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith(f"Table {table}.")) + 2
    datasets, metrics = lines[first].split("\t"), lines[first + 1].split("\t")
    columns, dataset = {}, ""
    for place, cell in enumerate(metrics):
        dataset = datasets[place] if place < len(datasets) and datasets[place] in DATASETS else dataset
        known = [name for text, name in METRICS.items() if text in cell]
        if known:
            columns[place] = (dataset.lower(), known[0])
    printed = []
    for line in lines[first + 2 : lines.index("", first + 2)]:
        cells = line.split("\t")
        method = re.sub(r" \(.*\)$", "", cells[0])
        printed += [(method, *key, float(cells[place])) for place, key in columns.items() if cells[place] != "-"]
    assert printed == [(r.method, r.dataset, r.metric, r.value) for r in published.load() if r.table == table]

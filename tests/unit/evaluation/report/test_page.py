"""The page: every sequence and number is on it, it is well formed, and it needs nothing but itself."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the eval extra is not installed")
pytest.importorskip("jinja2", reason="the eval extra is not installed")

from dvd.apps.report import print_reports, sequence_lines, write_reports
from dvd.errors import OptionError
from dvd.evaluation.protocol import PROTOCOLS
from dvd.evaluation.report.compare import compare_files
from dvd.evaluation.report.labels import label
from dvd.evaluation.report.page import page
from dvd.evaluation.report.snapshots import Snapshot
from dvd.evaluation.report.table_forms import render_all
from dvd.evaluation.results import Results, SequenceResult, write

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Checks that every element is closed by its own end, and gathers text, addresses and identities."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        assert len({name for name, _ in attrs}) == len(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def sequence(name: str, frames: int, seed: int, dataset: str = "bonn") -> SequenceResult:
    draws = np.random.default_rng(seed)
    per_frame: dict[str, list[float | None]] = {
        metric: draws.uniform(0.05, 0.4, frames).tolist() for metric in ("abs_rel", "delta1", "rmse", "frame_scale")
    }
    metrics = {metric: float(np.mean(values)) for metric, values in per_frame.items()}
    seams = [
        {
            **{"start": s, "stop": s + 9, "scale": 1.1, "shift": 0.01, "r2": 0.9, "trusted": s > 40},
            **{"error_before": 0.03, "error_after": 0.002},
        }
        for s in range(36, frames, 36)
    ]
    scale, shift = draws.uniform(1, 2, 2).tolist()
    return SequenceResult(name, dataset, frames, None, scale, shift, metrics, per_frame, seams, 12.34)


def charts(document: str) -> list[dict[str, Any]]:
    """The values that the page's script shows, chart by chart."""
    return [json.loads(value) for value in re.findall(r"data-chart='([^']*)'", document)]


SKIPPED = SequenceResult("gone", "bonn", 60, "frame 3 has no valid <pixel>")
PROTOCOL = asdict(PROTOCOLS["paper"])
ONE = Results(
    "dvd-mini",
    {"commit": "a3c5726", "device": "cpu", "size": (192, 256)},
    PROTOCOL,
    (sequence("walk", 90, 1), sequence("run & <hide>", 300, 2), sequence("room", 70, 3, "scannet"), SKIPPED),
)
IMAGES = Results("row", {}, PROTOCOL, tuple(sequence(f"i{i}", 1, i, "nyuv2") for i in range(5)))


def picture(frame: int = 0) -> Snapshot:
    truth = np.linspace(1, 4, 12 * 16).reshape(12, 16)
    return Snapshot(np.zeros((12, 16, 3), np.uint8), truth * 1.125, truth, "bonn", "walk", frame, "dvd-mini")


@pytest.mark.slow
def test_every_sequence_and_number_is_there_and_the_page_is_well_formed() -> None:
    read = Reader(page([ONE], [picture(5)]))
    assert read.open == []
    text = " ".join(read.text)
    for one in ONE.sequences:
        assert one.name in text
        for metric, value in one.metrics.items():
            assert label(metric).show(value) in read.text
        for value in (one.scale, one.shift):
            assert value is None or f"{value:.5g}" in read.text
    for dataset in ONE.datasets:
        for metric, value in ONE.mean(dataset).items():
            assert label(metric).show(value) in read.text
    said = ("frame 3 has no valid <pixel>", "a3c5726", "192 × 256", "least-squares", "published, Table 1", "12.3")
    for part in (*said, "0.03 before alignment, 0.002 after"):
        assert part in text, part
    # Four curves and four plots of seams for each of three sequences.
    assert read.counts["svg"] == 3 * (4 + 4)


@pytest.mark.slow
def test_the_page_refers_to_nothing_outside_itself() -> None:
    document = page([ONE], [picture()])
    read = Reader(document)
    assert read.addresses
    for address in read.addresses:
        assert address.startswith(("#", "data:image/png;base64,")), address[:40]
    assert {address[1:] for address in read.addresses if address.startswith("#")} <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", document)


@pytest.mark.slow
def test_frames_show_four_pictures_with_their_error() -> None:
    read = Reader(page([ONE], [picture(5), picture(6)]))
    assert read.counts["img"] == 8
    assert sum("frame 5" in text for text in read.text) == 1
    assert "AbsRel × 100: 12.5" in read.text
    assert "No frames were kept." in " ".join(Reader(page([ONE])).text)


@pytest.mark.slow
def test_methods_are_drawn_over_each_other_under_names_of_their_own() -> None:
    read = Reader(page([ONE, replace(ONE, sequences=(sequence("walk", 90, 9),))]))
    text = " ".join(read.text)
    assert "dvd-mini (2)" in text
    document = page([ONE, replace(ONE, method="row")])
    shown = charts(document)[0]
    assert [series["name"] for series in shown["series"]] == ["dvd-mini", "row"]
    assert "var(--s1, " in document
    assert '<span class="key c1">row</span>' in document


@pytest.mark.slow
def test_the_script_finds_every_value() -> None:
    shown = {(chart["label"], series["name"]): series for chart in charts(page([ONE])) for series in chart["series"]}
    assert ("frame", "dvd-mini, before alignment") in shown
    values = next(chart["series"][0]["y"] for chart in charts(page([ONE])))
    assert values == pytest.approx([100 * value for value in ONE.sequences[0].per_frame["abs_rel"]], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", "'><img src=x onerror=alert(1)>", "</style>{{ 7 * 7 }}"])
def test_a_name_that_looks_like_markup_stays_text(evil: str) -> None:
    walk = replace(ONE.sequences[0], name=evil)
    named = replace(ONE, method=evil, conditions={evil: evil}, sequences=(walk, replace(SKIPPED, skipped=evil)))
    document = page([named], [replace(picture(), method=evil, sequence=evil, why=evil)])
    read = Reader(document)
    assert read.open == []
    assert read.counts["script"] == read.counts["style"] == 1
    assert read.counts["img"] == 4
    assert evil in " ".join(read.text)
    assert {series["name"] for chart in charts(document) for series in chart["series"]} == {
        *(evil, f"{evil}, before alignment", f"{evil}, after alignment")
    }


def test_single_images_have_a_ranking_and_no_curves() -> None:
    document = page([IMAGES])
    assert charts(document)[0]["label"] == "rank of the image, best first"
    assert 'class="sequence"' not in document


def test_a_page_of_skipped_sequences_only_is_still_a_page() -> None:
    read = Reader(page([replace(ONE, sequences=(SKIPPED,))]))
    assert read.open == []
    assert "gone" in read.text


def test_a_page_needs_results() -> None:
    with pytest.raises(OptionError, match=r"results\.json"):
        page([])


@pytest.mark.slow
def test_reports_are_written_beside_the_results(tmp_path) -> None:
    written = write_reports([ONE, replace(ONE, method="row")], tmp_path, [picture()])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    heads = [line for line in (tmp_path / "tables.csv").read_text().splitlines() if line.startswith("table,source")]
    assert len(heads) == 1
    assert "dvd-mini" in render_all([ONE])


def test_without_matplotlib_tables_are_written_and_the_page_is_explained(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("dvd.evaluation.report.page.find_spec", lambda name: None if name == "matplotlib" else object())
    print_reports([(tmp_path, ONE)], tmp_path, notes=False)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".md", ".tex", ".txt"]
    said = capsys.readouterr().out
    assert said.endswith("page.html needs matplotlib: pip install 'dvd-depth[eval]'\n")
    with pytest.raises(OptionError, match="needs matplotlib"):
        page([ONE])


def test_two_files_are_compared(tmp_path) -> None:
    write(ONE, tmp_path / "a.json")
    write(replace(ONE, method="row"), tmp_path / "b.json")
    text = compare_files(tmp_path / "a.json", tmp_path / "b.json")
    assert "row − dvd-mini" in text
    assert "equal 3 of 3" in text


@pytest.mark.slow
def test_the_means_of_all_methods_stand_together() -> None:
    document = page([ONE, replace(ONE, method="row"), replace(ONE, method="constant")])
    rows = re.findall(r'<tr class="([^"]*)"><td>mean</td>', document)
    assert rows == ["first", "", ""] * 2, "a line above the first of each data set, and no other"


def test_a_long_name_of_a_method_moves_all_lines() -> None:
    head, *lines = sequence_lines(replace(ONE, method="a method whose name is longer than any sequence's"))
    end = head.index("frames") + len("frames")
    counts = [line[:end].split()[-1] for line in lines if "skipped" not in line]
    assert counts[:2] == ["90", "300"]
    assert all(count.isdigit() for count in counts)

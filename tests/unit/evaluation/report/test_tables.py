"""Tables of the paper's form: means by hand, measured apart from published, every form with source and conditions."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, replace

import pytest

from dvd.errors import OptionError
from dvd.evaluation.protocol import PROTOCOLS
from dvd.evaluation.report.table_forms import FORMS, latex, render
from dvd.evaluation.report.tables import table, tables
from dvd.evaluation.results import Results, SequenceResult

CONDITIONS = {"commit": "a3c5726", "device": "cpu", "dtype": "float32", "size": (192, 256), "window": 45, "overlap": 9}


def sequence(name: str, frames: int, abs_rel: float, dataset: str = "bonn", **metrics: float) -> SequenceResult:
    return SequenceResult(name, dataset, frames, metrics={"abs_rel": abs_rel, "delta1": 1 - abs_rel, **metrics})


def results(*sequences: SequenceResult, method: str = "dvd-mini", protocol: str = "paper") -> Results:
    return Results(method, CONDITIONS, asdict(PROTOCOLS[protocol]), sequences)


MIXED = results(
    sequence("a", 49, 0.10),
    sequence("b", 50, 0.20),
    sequence("c", 200, 0.30),
    sequence("d", 201, 0.40),
    sequence("e", 1, 0.05, "nyuv2"),
    replace(sequence("f", 60, 0.99), skipped="frame 3 has no valid pixel", metrics={}),
)


def measured(name: str, *given: Results) -> list[tuple]:
    return [row.values for row in table(name, given).rows if row.measured]


def test_means_are_over_the_sequences_of_each_length_in_printed_units() -> None:
    assert measured("video", MIXED) == [(pytest.approx(25), pytest.approx(0.75))]
    assert measured("short", MIXED) == [(pytest.approx(25), pytest.approx(0.75))]
    assert measured("long", MIXED) == [(pytest.approx(40), pytest.approx(0.6))]
    assert measured("image", MIXED) == [(pytest.approx(5), pytest.approx(0.95))]
    assert [row.sequences for row in table("video", [MIXED]).rows if row.measured] == [(4, 4)]
    assert [row.sequences for row in table("short", [MIXED]).rows if row.measured] == [(2, 2)]


def test_short_and_long_are_the_lengths_of_the_protocol() -> None:
    narrow = replace(MIXED, protocol={**MIXED.protocol, "short": [40, 50], "long": 200})
    assert measured("short", narrow)[0][0] == pytest.approx(15)
    assert measured("long", narrow)[0][0] == pytest.approx(35)
    assert measured("short", replace(MIXED, protocol=asdict(PROTOCOLS["video-depth-anything"]))) == []


def test_published_rows_cover_the_measured_data_sets_and_say_so() -> None:
    made = table("long", [MIXED])
    assert [column.dataset for column in made.columns] == ["bonn", "bonn"]
    printed = {row.method: row for row in made.rows if not row.measured}
    assert printed["DVD"].values == (5.3, 0.978)
    assert all(row.source == "published, Table 2" for row in printed.values())
    assert len(printed) == 7
    assert not any(row.method == "dvd-mini" for row in printed.values())
    assert all(row.measured for row in table("long", [MIXED], beside_published=False).rows)


def test_a_data_set_that_is_not_published_has_measured_rows_alone() -> None:
    made = table("video", [results(sequence("a", 60, 0.1, "tum"))])
    assert [row.source for row in made.rows] == ["measured"]
    assert "Table" not in made.title


def test_without_results_the_published_tables_are_whole() -> None:
    made = table("video", [])
    assert [column.dataset for column in made.columns[::2]] == ["kitti", "scannet", "bonn", "sintel"]
    assert [row.values for row in made.rows if row.method == "VDA"] == [
        (7.2, 0.963, 5.8, 0.968, 4.7, 0.970, 39.7, 0.654)
    ]
    images = table("image", [])
    assert [column.dataset for column in images.columns[::2]] == ["kitti", "diode", "nyuv2"]
    assert images.rows[0].values == (None, None, 80.3, 0.549, 21.2, 0.767)


def test_both_forms_of_the_boundary_score_have_rows_of_their_own() -> None:
    scores = {"rgb_boundary_recall": 0.2, "rgb_boundary_f1": 0.3, "si_boundary_f1": 0.4}
    made = table("boundary", [results(sequence("a", 60, 0.1, **scores))])
    assert [(row.source, row.values) for row in made.rows if row.measured] == [
        ("measured, RGB edges", (0.2, 0.3)),
        ("measured, scale-invariant", (None, 0.4)),
    ]
    assert "not stated" in " ".join(made.notes)
    assert not any(made.rows[index].measured for index in made.ranks(1)), "the forms are not ranked among each other"


def test_the_best_are_ranked_apart_by_source_and_the_way_that_is_better() -> None:
    a, b = results(sequence("d", 201, 0.4)), results(sequence("d", 201, 0.2), method="row")
    made = table("long", [a, b])
    names = [row.method for row in made.rows]
    assert {names[index]: place for index, place in made.ranks(0).items()} == {
        **{"DVD": 1, "VDA": 2},
        **{"row": 1, "dvd-mini": 2},
    }
    assert {names[index] for index, place in made.ranks(1).items() if place == 1} == {"DVD", "row"}
    assert not any(made.rows[index].measured for index in table("long", [a]).ranks(0))


def test_only_filled_tables_are_made_and_none_twice() -> None:
    assert [made.name for made in tables([MIXED])] == ["video", "short", "long", "image"]
    assert [made.name for made in tables([results(sequence("b", 60, 0.2))])] == ["short"]
    assert [made.name for made in tables([results(sequence("b", 30, 0.2))])] == ["video"]
    assert tables([results(replace(sequence("b", 60, 0.2), skipped="why", metrics={}))]) == []


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_numbers_sources_and_conditions(form: str) -> None:
    text = render(table("long", [MIXED]), form)
    for part in ("dvd-mini", "measured", "published, Table 2", "0.978", "float32", "a3c5726", "least-squares"):
        assert part in text, part
    assert "40" in text
    for line in text.splitlines():
        if "DepthCrafter" in line:
            assert "published" in line
            assert "measured" not in line


def test_conditions_say_what_was_counted_and_skipped() -> None:
    notes = "\n".join(table("short", [MIXED]).notes)
    assert "Bonn 2 sequences, 250 frames (1 skipped: f: frame 3 has no valid pixel)" in notes
    assert "size 192 × 256" in notes
    assert "short 50 to 200 frames, long from 201 frames" in notes


def test_rows_that_cannot_be_compared_are_pointed_out() -> None:
    other = results(sequence("b", 60, 0.2), method="row", protocol="release-video")
    made = table("video", [MIXED, other])
    notes = " ".join(made.notes)
    ranked = {made.rows[index].source for column in range(2) for index in made.ranks(column)}
    assert ranked == {"published, Table 1"}, "no measured row is the best where they must not be compared"
    assert "must not be compared" in notes
    assert "do not all cover the same sequences" in notes
    assert "must not" not in " ".join(table("video", [MIXED, replace(MIXED, method="row")]).notes)


def test_the_console_table_is_aligned() -> None:
    lines = render(table("long", [MIXED])).splitlines()
    rule = lines[3]
    assert set(rule) == {"─"}
    body = lines[2:3] + lines[4 : lines.index(rule, 4)]
    assert {len(line) for line in body} == {len(rule)}
    assert "Bonn" in lines[1]


def test_csv_has_one_line_for_every_number() -> None:
    rows = list(csv.DictReader(io.StringIO(render(table("long", [MIXED]), "csv"))))
    assert len(rows) == 8 * 2
    mine = [row for row in rows if row["source"] == "measured"]
    assert [(row["metric"], float(row["value"]), row["unit"], row["sequences"]) for row in mine] == [
        ("abs_rel", pytest.approx(40), "× 100", "1"),
        ("delta1", pytest.approx(0.6), "1", "1"),
    ]
    assert {row["sequences"] for row in rows if row["source"] != "measured"} == {""}


def test_latex_escapes_and_balances() -> None:
    assert latex(r"a_b & 5% {x} δ1↑ \y") == (r"a\_b \& 5\% \{x\} $\delta_1\uparrow$ \textbackslash{}y")
    text = render(table("long", [replace(MIXED, method="my_method")]), "latex")
    assert r"my\_method" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert r"\textbf{5.3}" in text
    assert r"\underline{6.6}" in text


def test_markdown_columns_match_their_head() -> None:
    lines = [line for line in render(table("long", [MIXED]), "markdown").splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {5}
    assert "**5.3**" in "\n".join(lines)


def test_unknown_names_are_answered_with_known_ones() -> None:
    with pytest.raises(OptionError, match="short"):
        table("shrt", [MIXED])
    with pytest.raises(OptionError, match="markdown"):
        render(table("short", [MIXED]), "markdwn")


def test_two_runs_of_one_method_have_names_of_their_own() -> None:
    made = table("video", [MIXED, MIXED])
    assert [row.method for row in made.rows if row.measured] == ["dvd-mini", "dvd-mini (2)"]
    assert "dvd-mini (2), measured: " in " ".join(made.notes)


def test_markdown_escapes_names() -> None:
    text = render(table("video", [replace(MIXED, method="$x$ [a](b) &lt; *c*")]), "markdown")
    assert r"| \$x\$ \[a\](b) \&lt; \*c\* |" in text

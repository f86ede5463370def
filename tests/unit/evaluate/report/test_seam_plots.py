"""Seams drawn and told: the error before and after alignment of every method, what is missing left out."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from dvd.evaluate.report.charts import draw
from dvd.evaluate.report.seam_plots import fits_and_errors, in_words
from dvd.evaluate.results import SequenceResult


def seam(start: int, before: float, after: float, trusted: float = 1.0) -> dict[str, float]:
    return {
        **{"start": start, "stop": start + 5, "scale": 1.1, "shift": 0.01, "r2": 0.9},
        **{"error_before": before, "error_after": after, "trusted": trusted},
    }


ONE = SequenceResult("walk", "bonn", 40, seams=[seam(12, 0.02, 0.001), seam(24, 0.04, 0.003, trusted=0.0)])
OTHER = SequenceResult("walk", "bonn", 40, seams=[seam(12, 0.5, 0.2)])
NONE = SequenceResult("walk", "bonn", 40)
OLD = SequenceResult("walk", "bonn", 40, seams=[{"start": 12, "scale": 1.0, "error_after": 0.001}])


def marks(svg: str, tag: str) -> list[tuple[str, str]]:
    return [(each.get("class", ""), each.get("data-name", "")) for each in ET.fromstring(svg).iter(tag)]


def test_both_errors_are_on_one_logarithmic_scale() -> None:
    errors, *fits = map(draw, fits_and_errors(["ours", "row", "theirs"], {0: ONE, 1: NONE, 2: OTHER}, (0, 39)))
    root = ET.fromstring(errors)
    assert (root.get("data-y"), root.get("data-log"), root.get("data-x")) == ("0.001 1", "true", "0 39")
    before, after = "ours, before alignment", "ours, after alignment"
    assert marks(errors, "rect") == [
        *(("s0 point", before), ("s0 refused", before), ("s2 point", "theirs, before alignment"))
    ]
    assert marks(errors, "circle") == [
        *(("s0 point", after), ("s0 refused", after), ("s2 point", "theirs, after alignment"))
    ]
    (above, _, _), (below, _, _) = (
        [float(m.get(y, "")) for m in root.iter(t)] for t, y in (("rect", "y"), ("circle", "cy"))
    )
    assert above < below, "the greater error stands higher"
    assert len(fits) == 3
    assert all(marks(fit, "circle")[0] == ("s0 point", "ours") for fit in fits)


def test_older_results_show_what_they_have() -> None:
    errors, scale, shift, r2 = map(draw, fits_and_errors(["old"], {0: OLD}, (0, 39)))
    assert marks(errors, "rect") == []
    assert marks(errors, "circle") == [("s0 point", "old, after alignment")]
    assert scale
    assert (shift, r2) == ("", "")


def test_cuts_are_told_with_and_without_seams() -> None:
    (alone,) = in_words(["ours"], {0: replace(NONE, cuts=[7])})
    assert alone == "ours: scale and shift begin anew at frame 7."
    first, second = in_words(["ours"], {0: replace(ONE, cuts=[7, 30])})
    assert first.endswith("begin anew at frames 7, 30.")
    assert "2 seams, 1 refused, accumulated scale 1.00 … 1.10" in second


def test_nothing_is_drawn_or_said_without_seams() -> None:
    assert set(map(draw, fits_and_errors(["row"], {0: NONE}, (0, 39)))) == {""}
    assert list(in_words(["row"], {0: NONE})) == []


def test_the_words_give_the_means() -> None:
    ours, theirs = in_words(["ours", "row", "theirs"], {0: ONE, 1: NONE, 2: OTHER})
    assert ours.startswith("ours: 2 seams, 1 refused, accumulated scale 1.00 … 1.10; ")
    assert ours.endswith(" 0.03 before alignment, 0.002 after alignment.")
    assert theirs.startswith("theirs: 1 seam, accumulated scale 1.00 … 1.10; ")
    (old,) = in_words(["old"], {0: OLD})
    assert old.endswith("difference of disparity over the overlaps 0.001 after alignment.")

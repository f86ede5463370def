"""The charts of an evaluation: which values each shows, in which units, and seams in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dvd.evaluation.report.charts import metric_over_time, ranking, seam_charts, seams_in_words
from dvd.evaluation.results import SequenceResult


def seam(start: int, before: float, after: float, trusted: float = 1.0) -> dict[str, float]:
    return {
        **{"start": start, "stop": start + 5, "scale": 1.1, "shift": 0.01, "r2": 0.9},
        **{"error_before": before, "error_after": after, "trusted": trusted},
    }


ONE = SequenceResult("walk", "bonn", 40, seams=[seam(12, 0.02, 0.001), seam(24, 0.04, 0.003, trusted=0.0)])
OTHER = SequenceResult("walk", "bonn", 40, seams=[seam(12, 0.5, 0.2)])
NONE = SequenceResult("walk", "bonn", 40)
OLD = SequenceResult("walk", "bonn", 40, seams=[{"start": 12, "scale": 1.0, "error_after": 0.001}])


def test_a_metric_over_time_has_a_line_for_each_method_that_has_it() -> None:
    walk = SequenceResult("walk", "bonn", 40, per_frame={"abs_rel": [0.1, None, 0.3]})
    chart = metric_over_time(["ours", "row", "theirs"], {0: walk, 1: NONE, 2: walk}, "abs_rel")
    assert (chart.title, chart.factor, chart.x_ends, chart.y_ends) == ("AbsRel × 100 ↓", 100, (0, 39), (0, None))
    assert [(series.name, series.colour, list(series.y)) for series in chart.series] == [
        ("ours", 0, [0.1, None, 0.3]),
        ("theirs", 2, [0.1, None, 0.3]),
    ]


@pytest.mark.parametrize(
    ("metric", "title", "ends"),
    [
        ("delta1", "δ1 ↑", (None, 1)),
        ("rmse", "RMSE (m) ↓", (0, None)),
        ("frame_scale", "Scale of the frame", (None, None)),
    ],
)
def test_titles_have_units_and_errors_begin_at_zero(metric: str, title: str, ends: tuple) -> None:
    chart = metric_over_time(["ours"], {0: SequenceResult("walk", "bonn", 2, per_frame={metric: [0.1, 0.2]})}, metric)
    assert (chart.title, chart.y_ends) == (title, ends)


def test_images_are_ranked_from_best_to_worst() -> None:
    images = {
        f"i{i}": {0: SequenceResult(f"i{i}", "nyuv2", 1, metrics={"delta1": v})} for i, v in enumerate((0.2, 0.9))
    }
    (series,) = ranking(["ours"], images, "delta1").series
    assert (list(series.x), series.y) == ([1, 2], [0.9, 0.2])


def test_seam_errors_share_one_logarithmic_scale() -> None:
    errors, *fits = seam_charts(["ours", "row", "theirs"], {0: ONE, 1: NONE, 2: OTHER})
    assert (errors.log, errors.points, errors.x_ends) == (True, True, (0, 39))
    drawn = [(series.name, series.mark, series.y, series.hollow) for series in errors.series if series.x]
    assert drawn == [
        ("ours, before alignment", "square", [0.02, 0.04], [False, True]),
        ("theirs, before alignment", "square", [0.5], [False]),
        ("ours, after alignment", "dot", [0.001, 0.003], [False, True]),
        ("theirs, after alignment", "dot", [0.2], [False]),
    ]
    assert [fit.series[0].x for fit in fits] == [[12, 24]] * 3


def test_older_results_show_what_they_have() -> None:
    errors, scale, shift, r2 = seam_charts(["old"], {0: OLD})
    assert [series.y for series in errors.series] == [[], [0.001]]
    assert [chart.series[0].y for chart in (scale, shift, r2)] == [[1.0], [], []]


def test_cuts_are_described_with_and_without_seams() -> None:
    (alone,) = seams_in_words(["ours"], {0: replace(NONE, cuts=[7])})
    assert alone == "ours: scale and shift begin anew at frame 7."
    first, second = seams_in_words(["ours"], {0: replace(ONE, cuts=[7, 30])})
    assert first.endswith("begin anew at frames 7, 30.")
    assert "2 seams, 1 refused, accumulated scale 1.00 … 1.10" in second


def test_without_seams_the_charts_are_empty_and_nothing_is_said() -> None:
    assert all(not series.x for chart in seam_charts(["row"], {0: NONE}) for series in chart.series)
    assert list(seams_in_words(["row"], {0: NONE})) == []


def test_the_words_give_the_means() -> None:
    ours, theirs = seams_in_words(["ours", "row", "theirs"], {0: ONE, 1: NONE, 2: OTHER})
    assert ours.startswith("ours: 2 seams, 1 refused, accumulated scale 1.00 … 1.10; ")
    assert ours.endswith(" 0.03 before alignment, 0.002 after alignment.")
    assert theirs.startswith("theirs: 1 seam, accumulated scale 1.00 … 1.10; ")
    (old,) = seams_in_words(["old"], {0: OLD})
    assert old.endswith("difference of disparity over the overlaps 0.001 after alignment.")

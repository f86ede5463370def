"""Charts: round ticks, gaps, spikes that survive thinning, and values that can be read back off the picture."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dvd.evaluate.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST_POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Chart,
    Series,
    draw,
    thin,
    ticks,
)


def polylines(svg: str) -> list[np.ndarray]:
    found = [each.get("points", "") for each in ET.fromstring(svg).iter("polyline")]
    return [np.array([list(map(float, pair.split(","))) for pair in points.split()]) for points in found]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.5, 1]), (0, 10, [0, 5, 10]), (3, 21, [5, 10, 15, 20]), (0.02, 0.09, [0.02, 0.04, 0.06, 0.08])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_an_empty_range_has_one_tick() -> None:
    assert ticks(2, 2) == [2]


def test_values_can_be_read_back() -> None:
    values = [0.1, 0.4, 0.2, 0.3]
    svg = draw(Chart("AbsRel", [Series("a", range(4), values)], factor=100))
    root = ET.fromstring(svg)
    low, high = map(float, root.get("data-y", "").split())
    (line,) = polylines(svg)
    read = low + (HEIGHT - BOTTOM - line[:, 1]) / (HEIGHT - TOP - BOTTOM) * (high - low)
    assert read == pytest.approx([10, 40, 20, 30], abs=0.01)
    assert line[[0, -1], 0] == pytest.approx([LEFT, WIDTH - RIGHT])


def test_gaps_stay_and_a_lone_value_is_a_point() -> None:
    values = [1.0, 2.0, None, math.nan, 3.0, 4.0, None, 5.0]
    svg = draw(Chart("x", [Series("a", range(8), values)]))
    assert [len(line) for line in polylines(svg)] == [2, 2]
    assert len(list(ET.fromstring(svg).iter("circle"))) == 1


def test_thinning_keeps_the_spike_and_the_gap() -> None:
    x, y = np.arange(5000.0), np.zeros(5000)
    y[1234], y[2000:2100] = 9, math.nan
    kept_x, kept_y = thin(x, y)
    assert len(kept_x) <= MOST_POINTS
    assert kept_y[kept_x == 1234] == 9
    assert np.isnan(kept_y).any()
    assert (np.diff(kept_x) > 0).all()


def test_ends_are_fixed_but_never_cut_a_value_off() -> None:
    fixed = Chart("x", [Series("a", range(2), [0.2, 0.4])], ends=(0.0, 1.0), across=(0, 9))
    assert 'data-y="0 1"' in draw(fixed)
    assert 'data-x="0 9"' in draw(fixed)
    assert 'data-y="-0.5 1"' in draw(Chart("x", [Series("a", range(2), [-0.5, 0.4])], ends=(0.0, 1.0)))


def test_refused_points_are_hollow_and_series_have_colours() -> None:
    svg = draw(Chart("seams", [Series("a", [3, 7], [1.0, 2.0], 1, [False, True])], points=True))
    assert re.findall(r'class="(s1 \w+)"', svg) == ["s1 point", "s1 refused"]


def test_nothing_to_draw_is_nothing_drawn() -> None:
    assert draw(Chart("x", [Series("a", range(2), [None, math.inf])])) == ""
    assert draw(Chart("x", [])) == ""


def test_a_constant_has_a_scale() -> None:
    svg = draw(Chart("x", [Series("a", range(3), [2.0, 2.0, 2.0])]))
    assert np.isfinite(polylines(svg)[0]).all()


def test_names_are_escaped() -> None:
    svg = draw(Chart("<b> & co", [Series('"<x>"', range(2), [1, 2])]))
    assert ET.fromstring(svg).get("aria-label") == "<b> & co"


def test_values_can_be_read_back_off_a_logarithmic_scale() -> None:
    values = [3e-5, 0.02, 7e-4]
    svg = draw(Chart("error", [Series("a", range(3), values, mark="square")], points=True, log=True))
    root = ET.fromstring(svg)
    assert (root.get("data-y"), root.get("data-log")) == ("1e-05 0.1", "true")
    middles = np.array([float(mark.get("y", "")) + float(mark.get("height", "")) / 2 for mark in root.iter("rect")])
    read = 10 ** (-5 + (HEIGHT - BOTTOM - middles) / (HEIGHT - TOP - BOTTOM) * 4)
    assert read == pytest.approx(values, rel=1e-3)
    assert [each.text for each in root.iter("text") if each.text and each.text.startswith("10")] == [
        *("10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹")
    ]


@pytest.mark.parametrize(
    ("values", "ends"), [([1e-3], "0.001 0.01"), ([0.5, 2.0], "0.1 10"), ([1e-12, 1.0], "1e-12 1")]
)
def test_a_logarithmic_scale_has_whole_decades_and_two_ticks_at_least(values: list[float], ends: str) -> None:
    svg = draw(Chart("error", [Series("a", range(len(values)), values)], log=True))
    assert f'data-y="{ends}"' in svg
    assert 2 <= svg.count(">10") <= 6


def test_what_is_not_positive_has_no_place_on_a_logarithmic_scale() -> None:
    svg = draw(Chart("error", [Series("a", range(4), [0.0, 0.1, -1.0, math.nan])], points=True, log=True))
    assert svg.count("<circle") == 1
    assert draw(Chart("error", [Series("a", range(2), [0.0, 0.0])], log=True)) == ""

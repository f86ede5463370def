"""Plots in house style: values and gaps, scales, colours for light and dark, and SVG that a page can hold."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="the eval extra is not installed")

from dvd.errors import OutputError
from dvd.plots import COLOURS, PAPER, Chart, ChartDrawer, DrawnChart, Series, add_legend, new_figure, plot, save_png


def draw(chart: Chart) -> DrawnChart:
    drawn = ChartDrawer().draw(chart)
    assert drawn is not None
    return drawn


def plotted(chart: Chart):
    _, (axes,) = new_figure(400, 200)
    assert plot(axes, chart)
    return axes


def labels(drawn: DrawnChart) -> list[str]:
    return [text.text or "" for text in ET.fromstring(drawn.svg).iter("{http://www.w3.org/2000/svg}text")]


def test_values_are_multiplied_and_gaps_stay() -> None:
    chart = Chart("AbsRel", [Series("a", range(5), [0.1, 0.4, None, math.nan, 0.3])], factor=100)
    line = plotted(chart).lines[0]
    np.testing.assert_allclose(line.get_ydata(), [10, 40, math.nan, math.nan, 30])
    (series,) = draw(chart).values["series"]
    assert series == {"name": "a", "x": [0, 1, 2, 3, 4], "y": [10, 40, None, None, 30]}


def test_a_value_between_gaps_is_a_point() -> None:
    _, alone = plotted(Chart("x", [Series("a", range(5), [1.0, 2.0, None, 3.0, None])])).lines
    assert alone.get_marker() == "o"
    assert list(alone.get_xdata()) == [3]


def test_a_spike_in_a_long_line_is_drawn() -> None:
    values = np.zeros(20_000)
    values[12_345] = 9
    drawn = draw(Chart("x", [Series("a", range(20_000), values.tolist())], y_ends=(0.0, 9.0)))
    (path,) = re.findall(r'<path d="([^"]*)" style="fill: none; stroke: var\(--s0', drawn.svg)
    assert min(float(y) for y in re.findall(r"[ML] \S+ (\S+)", path)) == drawn.values["box"][2]
    assert len(path) < 5000, "what cannot be seen is left out"


def test_ends_are_fixed_but_never_cut_a_value_off() -> None:
    axes = plotted(Chart("x", [Series("a", range(2), [0.2, 0.4])], x_ends=(0, 9), y_ends=(0.0, 1.0)))
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 9), (0, 1))
    assert plotted(Chart("x", [Series("a", range(2), [-0.5, 0.4])], y_ends=(0.0, 1.0))).get_ylim() == (-0.5, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.2, 9.7], ["0", "5", "10"]),
        ([1.00001, 1.00003], ["1.000010", "1.000015", "1.000020", "1.000025", "1.000030"]),
        ([-0.04, 0.06], ["−0.04", "−0.02", "0.00", "0.02", "0.04", "0.06"]),
    ],
)
def test_tick_labels_are_round_and_differ(values: list[float], expected: list[str]) -> None:
    axes = plotted(Chart("x", [Series("a", range(2), values)]))
    assert [text.get_text() for text in axes.get_yticklabels()] == expected


def test_a_single_constant_value_has_scales() -> None:
    axes = plotted(Chart("x", [Series("a", [3], [2.0])]))
    assert axes.get_xlim() == (2.5, 3.5)
    assert axes.get_ylim()[0] < 2 < axes.get_ylim()[1]


@pytest.mark.parametrize(
    ("values", "powers"),
    [
        ([1e-3], ["10⁻³", "10⁻²"]),
        ([0.5, 2.0], ["10⁻¹", "10⁰", "10¹"]),
        ([3e-5, 0.02], ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]),
    ],
)
def test_a_logarithmic_scale_has_whole_decades(values: list[float], powers: list[str]) -> None:
    chart = Chart("error", [Series("a", range(len(values)), values)], points=True, log=True)
    assert [text.get_text() for text in plotted(chart).get_yticklabels()] == powers
    np.testing.assert_allclose(plotted(chart).lines[0].get_ydata(), np.log10(values))
    assert draw(chart).values["series"][0]["y"] == pytest.approx(values)


def test_values_that_are_not_positive_are_gaps_on_a_logarithmic_scale() -> None:
    chart = Chart("error", [Series("a", range(4), [0.0, 0.1, -1.0, math.nan])], points=True, log=True)
    assert list(plotted(chart).lines[0].get_xdata()) == [1]
    assert ChartDrawer().draw(Chart("error", [Series("a", range(2), [0.0, 0.0])], log=True)) is None


def test_refused_points_are_hollow_and_series_have_colours_and_marks() -> None:
    series = Series("a", [3, 7], [1.0, 2.0], 1, [False, True], "square")
    full, hollow = plotted(Chart("seams", [series], points=True)).lines
    assert [line.get_markerfacecolor() for line in (full, hollow)] == [COLOURS[1], PAPER]
    assert {line.get_markeredgecolor() for line in (full, hollow)} == {COLOURS[1]}
    assert {line.get_marker() for line in (full, hollow)} == {"s"}


def test_further_series_have_the_same_colours_and_other_dashes() -> None:
    first, seventh = plotted(Chart("x", [Series(name, range(2), [1, 2], i) for name, i in (("a", 0), ("g", 6))])).lines
    assert first.get_color() == seventh.get_color()
    assert first.get_linestyle() != seventh.get_linestyle()


def test_nothing_is_drawn_without_a_finite_value() -> None:
    assert ChartDrawer().draw(Chart("x", [Series("a", range(2), [None, math.inf])])) is None
    assert ChartDrawer().draw(Chart("x", [])) is None


def test_charts_of_one_drawer_do_not_mix() -> None:
    drawer = ChartDrawer()
    points = Chart("points", [Series("a", range(2), [0.1, 0.2], 3)], "rank", points=True, log=True)
    lines = Chart("lines", [Series("b", range(5), [1, 2, 3, 4, 5])])
    first, second, again = drawer.draw(lines), drawer.draw(points), drawer.draw(lines)
    assert first is not None
    assert second is not None
    assert again is not None
    assert first.svg == again.svg
    assert first.values == again.values
    assert "var(--s3" not in again.svg
    assert "rank" in labels(second)
    ids = [each for drawn in (second, drawer.draw(points)) for each in re.findall(r' id="([^"]*)"', drawn.svg)]
    assert ids
    assert len(ids) == len(set(ids))


def test_the_svg_needs_no_style_of_its_own_and_names_its_colours() -> None:
    svg = draw(Chart("<b> & co $x$", [Series('"<x>"', range(2), [1, 2])])).svg
    root = ET.fromstring(svg)
    assert root.get("aria-label") == "<b> & co $x$"
    assert "<b> & co $x$" in labels(DrawnChart(svg, {}))
    assert not re.search(r"<style|url\(|font-family|DejaVu", svg)
    assert f"stroke: var(--s0, {COLOURS[0]})" in svg
    for colour in re.findall(r"#[0-9a-f]{6}", svg):
        assert re.search(rf"var\(--\w+, {colour}\)", svg), "a page can set every colour"


def test_a_figure_is_written_whole_with_one_legend(tmp_path: Path) -> None:
    figure, panels = new_figure(400, 200, 1, 2)
    for axes in panels:
        plot(axes, Chart("x", [Series("b", range(2), [1, 2], 1), Series("a", range(2), [2, 1])]))
    add_legend(figure, ["a", "b", "never drawn"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    save_png(figure, tmp_path / "plot.png")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]
    pixels = np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).reshape(-1, 3)
    assert (pixels == list(bytes.fromhex(COLOURS[1][1:]))).all(axis=1).any()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        save_png(figure, tmp_path / "file" / "plot.png")

"""Parsing `--start` and `--end`, and the part that they bound."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dvd.errors import OptionError
from dvd.video.trim import Bound, Trim, parse_moment


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        (120, Bound(frame=120)),
        ("120", Bound(frame=120)),
        (1.5, Bound(seconds=Fraction(3, 2))),
        (2.0, Bound(seconds=Fraction(2))),
        ("1.5", Bound(seconds=Fraction(3, 2))),
        ("12s", Bound(seconds=Fraction(12))),
        ("12.5s", Bound(seconds=Fraction(25, 2))),
        ("0:12", Bound(seconds=Fraction(12))),
        ("00:01:02.5", Bound(seconds=Fraction(125, 2))),
    ],
)
def test_moments_are_parsed(value, bound):
    assert parse_moment(value, "start") == bound


@pytest.mark.parametrize("value", ["", "x", "-1", -1, -0.5, "1:2:3:4", "5 m", "1e3", float("nan"), float("inf")])
def test_invalid_moments_are_refused(value):
    with pytest.raises(OptionError, match=r"--end .* is no moment"):
        parse_moment(value, "end")


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (1.5, "0:01"), ("0:10", "0:05")])
def test_start_must_be_before_end(start, end):
    with pytest.raises(OptionError, match="is not before"):
        Trim.parse(start, end)


@pytest.mark.parametrize("end", [0, 0.0, "0:00"])
def test_an_end_of_zero_is_refused_without_mentioning_start(end):
    with pytest.raises(OptionError, match=f"--end {end} leaves no frame; ") as caught:
        Trim.parse(None, end)
    assert "start" not in str(caught.value)


def test_count_of_frames_inside():
    rate = Fraction(25)
    assert Trim.parse(None, None).count(100, rate) == 100
    assert Trim.parse(10, None).count(100, rate) == 90
    assert Trim.parse(10, 30).count(100, rate) == 20
    assert Trim.parse(1.0, "2s").count(100, rate) == 25
    assert Trim.parse(0.01, 0.05).count(100, rate) == 1, "frame 1 alone, at 0.04 s, is in [0.01, 0.05)"
    assert Trim.parse(None, 300).count(100, rate) == 100
    assert Trim.parse(200, None).count(100, rate) == 0
    assert Trim.parse(10, None).count(None, rate) is None

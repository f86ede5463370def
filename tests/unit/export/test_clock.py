"""When sound is heard, where the clocks of pictures and sound jump."""

from __future__ import annotations

from fractions import Fraction

from dvd.export.clock import Placement
from dvd.types import ClockJump


def test_placement_follows_the_jumps_of_the_pictures():
    """Pictures and sound of three parts of ten seconds; the second starts at 0 again, the third leaps."""
    jumps = [ClockJump(0, 10_000), ClockJump(90_000, 20_000)]
    placement = Placement(jumps, Fraction(1, 1000))
    second = Fraction(1, 50)
    stamps = [start + second * index for start in (0, 0, 90) for index in range(500)]
    for index, stamp in enumerate(stamps):
        time = placement.of(stamp, None)
        assert time == second * index
        placement.passed(time + second)


def test_placement_waits_for_a_jump_that_is_not_known_yet():
    jumps: list[ClockJump] = []
    placement = Placement(jumps, Fraction(1, 1000))
    placement.passed(Fraction(10))
    assert placement.of(Fraction(0), Fraction(9)) is None
    jumps.append(ClockJump(40, 10_040))
    assert placement.of(Fraction(0), Fraction(9)) == 10


def test_sound_whose_clock_alone_jumps_goes_on_where_it_was():
    placement = Placement([], Fraction(1, 1000))
    placement.passed(Fraction(10))
    assert placement.of(Fraction(0), Fraction(12)) is None
    assert placement.of(Fraction(0), Fraction(16)) == 10
    placement.passed(Fraction(11))
    assert placement.of(Fraction(1), Fraction(16)) == 11


def test_a_silent_stretch_is_no_jump():
    placement = Placement([], Fraction(1, 1000))
    placement.passed(Fraction(10))
    assert placement.of(Fraction(30), Fraction(10)) == 30

"""Pictures of a folder are sorted into series by their names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvd.errors import InputError
from dvd.video.series import one_series

FOLDER = Path("shots")


def series(*names: str, pattern: bool = False):
    return one_series(FOLDER, [FOLDER / name for name in names], pattern)


def numbered(form: str, numbers) -> list[str]:
    return [form.format(number) for number in numbers]


def refusal(*names: str) -> str:
    with pytest.raises(InputError) as caught:
        series(*names)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_numbers_and_times_follow_the_names():
    found = series(*numbered("shot_{:04d}.png", (1003, 1001, 1002)))
    assert [path.name for path in found.paths] == ["shot_1001.png", "shot_1002.png", "shot_1003.png"]
    assert found.pts == (0, 1, 2)
    assert found.numbers.text(0) == "1001"
    assert found.numbers.facts() == {"first": 1001, "last": 1003, "step": 1, "missing": []}
    assert found.notes == ()


def test_a_gap_keeps_its_time_and_is_noted():
    found = series(*numbered("shot_{:04d}.png", (1001, 1002, 1003, 1007, 1008, 1010)))
    assert found.pts == (0, 1, 2, 6, 7, 9)
    assert found.numbers.facts()["missing"] == [[1004, 1006], [1009, 1009]]
    (note,) = found.notes
    assert note.startswith("frames 1004–1006, 1009 are missing;")
    assert "neighbours" in note, "the network does not know of the gap"


def test_many_gaps_are_shortened():
    (note,) = series(*numbered("{}.png", (0, 2, 4, 6, 8, 9))).notes
    assert note.startswith("frames 1, 3, 5 and 1 more are missing")


def test_numbers_in_even_steps_have_no_gaps():
    found = series(*numbered("f{:03d}.png", (0, 5, 10, 15)))
    assert found.pts == (0, 1, 2, 3)
    assert [found.numbers.text(pts) for pts in found.pts] == ["000", "005", "010", "015"]
    assert found.numbers.facts()["missing"] == []
    assert "steps of 5" in found.notes[0]


def test_numbers_far_apart_stay_in_names_but_do_not_set_times():
    found = series("1403636579763555584.png", "1403636579813555456.png", "1403636579863555999.png")
    assert found.pts == (0, 1, 2)
    assert found.numbers.text(1) == "1403636579813555456"
    assert "too far apart to count frames" in found.notes[0]


def test_the_number_is_the_one_that_varies():
    found = series(*numbered("v003_shot12_{:02d}_final2.png", (7, 8)))
    assert found.numbers.text(0) == "07"


def test_time_stamps_with_a_fraction_are_not_frame_numbers():
    names = ["1305031102.175304.png", "1305031102.211214.png", "1305031103.043264.png"]
    found = series(*names)
    assert [path.name for path in found.paths] == names
    assert (found.pts, found.numbers, found.notes) == ((0, 1, 2), None, ())
    hundredths = [f"{second}.{hundredth:02d}.png" for second in range(3) for hundredth in range(0, 100, 20)]
    assert len(series(*hundredths).paths) == 15, "not three cameras"


@pytest.mark.parametrize(
    ("first", "second", "offers"),
    [
        ("{:03d}_color.png", "{:03d}_depth.png", ("*_color.png", "*_depth.png")),
        ("left_{:04d}.png", "right_{:04d}.png", ("left_*.png", "right_*.png")),
        ("{:04d}.png", "{:04d}.jpg", ("*.png", "*.jpg")),
        ("cam0_{:02d}.png", "cam1_{:02d}.png", ("cam0_*.png", "cam1_*.png")),
        ("{:02d}_0.png", "{:02d}_1.png", ("*_0.png", "*_1.png")),
        ("{:04d}.png", "{:04d}_mask.png", ("%04d.png", "*_mask.png")),
    ],
)
def test_two_series_are_refused_with_a_pattern_for_each(first, second, offers):
    names = numbered(first, range(4)) + numbered(second, range(4))
    line = refusal(*names)
    assert line.startswith("shots: holds 2 kinds of pictures (4 like ")
    for offer in offers:
        assert f"'shots/{offer}'" in line
    assert "'shots/*' for all" in line


def test_a_pattern_takes_all_matches_with_a_note():
    found = series("0_color.png", "0_depth.png", "1_color.png", "1_depth.png", pattern=True)
    assert len(found.paths) == 4
    assert "2 kinds of names (0_color.png, 0_depth.png)" in found.notes[0]


def test_single_pictures_beside_a_series_are_left_out_and_named():
    found = series(*numbered("{:04d}.png", range(1, 9)), "cover.jpg", "0003.jpg")
    assert [path.name for path in found.paths] == numbered("{:04d}.png", range(1, 9))
    assert found.notes == ("left out, because not named like the other 8 pictures: 0003.jpg, cover.jpg",)


def test_a_series_may_mix_endings():
    found = series("0001.png", "0002.PNG", "0003.jpg", "0004.jpeg")
    assert len(found.paths) == 4
    assert found.notes == ()


def test_names_without_a_numbering_are_read_in_their_order():
    found = series("cat.png", "ant.png", "bee2.png", "bee1.png")
    assert [path.name for path in found.paths] == ["ant.png", "bee1.png", "bee2.png", "cat.png"]
    assert found.numbers is None
    assert "no one numbering" in found.notes[0]


def test_a_repeated_number_is_refused():
    assert "1.png and 01.png have the same number" in refusal("1.png", "01.png", "2.png")


def test_consecutive_shots_are_one_series():
    names = [f"s{shot}_{frame:03d}.png" for shot, frames in ((1, range(5)), (2, range(3, 8))) for frame in frames]
    found = series(*names)
    assert [path.name for path in found.paths] == names
    assert found.numbers is None

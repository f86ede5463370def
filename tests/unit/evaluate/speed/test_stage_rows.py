"""The arithmetic between timings and what is reported of them."""

from __future__ import annotations

import pytest

from dvd.evaluate.speed.contenders import Way
from dvd.evaluate.speed.peak import Peak
from dvd.evaluate.speed.race import Timing
from dvd.evaluate.speed.stage_rows import per_window, ratios, rows_of, sums

NETWORK = {
    ("encode", "ours"): (1.0, 1.2),
    ("transformer", "ours"): (4.0, 4.4),
    ("transformer", "unfolded"): (6.0, 6.0),
    ("transformer", "diffusers"): (8.0, 9.0),
    ("decode latents", "ours"): (2.0, 2.0),
    ("decode latents", "diffusers"): (3.0, 3.0),
}
AROUND = {"decode": (0.5, 0.7), "stitch": (0.1, 0.1), "write": (0.4, 0.6)}


def timings() -> dict[Way, Timing]:
    found = {
        Way(*key, "float32"): Timing(times, 10**9, Peak(100 + index))
        for index, (key, times) in enumerate(NETWORK.items())
    }
    return found | {Way(stage, "ours", ""): Timing(times, 0, Peak(7)) for stage, times in AROUND.items()}


def test_sums_are_taken_turn_by_turn_and_ours_stands_in_for_what_a_way_lacks() -> None:
    added = sums(timings(), "float32")
    assert added[Way("window", "ours", "float32")].seconds == pytest.approx((7.0, 7.6))
    assert added[Way("window", "unfolded", "float32")].seconds == pytest.approx((9.0, 9.2))
    assert added[Way("window", "diffusers", "float32")].seconds == pytest.approx((1 + 8 + 3, 1.2 + 9 + 3))
    assert added[Way("one by one", "ours", "float32")].seconds == pytest.approx((8.0, 9.0))
    assert added[Way("window", "ours", "float32")].flops == 3 * 10**9


def test_the_peak_of_a_sum_is_its_highest_part_and_unknown_where_a_part_is() -> None:
    known = timings()
    assert sums(known, "float32")[Way("window", "diffusers", "float32")].peak == Peak(105)
    known[Way("encode", "ours", "float32")] = Timing((1.0, 1.0), 1)
    assert sums(known, "float32")[Way("window", "ours", "float32")].peak == Peak(None)


def test_work_on_the_whole_clip_counts_its_share_of_a_window() -> None:
    assert per_window(Timing((6.0, 9.0), 12, Peak(5)), 3) == Timing((2.0, 3.0), 4, Peak(5))


def test_rows_come_in_the_order_of_the_stream_with_rates_of_the_video() -> None:
    rows = rows_of(timings(), frames=12.0)
    assert list(dict.fromkeys(row.stage for row in rows)) == [
        "decode", "encode", "transformer", "decode latents", "stitch", "write",
    ]  # fmt: skip
    ours = next(row for row in rows if (row.stage, row.by) == ("transformer", "ours"))
    assert ours.seconds == pytest.approx(4.2)
    assert ours.frames_per_second == pytest.approx(12 / 4.2)
    assert ours.speedup == pytest.approx(8.5 / 4.2)
    assert ours.spread == pytest.approx(0.2 / 4.2)
    encode = next(row for row in rows if row.stage == "encode")
    assert encode.speedup is None


def test_ratios_compare_only_stages_that_both_sides_have() -> None:
    known = timings()
    known[Way("transformer", "ours", "bfloat16")] = Timing((1.5,), 1)
    assert ratios(rows_of(known, 1.0)) == {
        "ours against unfolded, float32 (transformer)": pytest.approx(6 / 4.2),
        "ours against diffusers, float32 (transformer + decode latents)": pytest.approx(11.5 / 6.2),
        "bfloat16 against float32, ours (transformer)": pytest.approx(4.2 / 1.5),
        "ours in bfloat16 against diffusers in float32 (transformer)": pytest.approx(8.5 / 1.5),
    }


def test_the_gain_of_threads_is_the_sum_against_the_whole() -> None:
    known = timings() | {Way("end to end", "ours", "float32"): Timing((5.0, 5.0), 0)}
    found = ratios(rows_of(known | sums(known, "float32"), 1.0))
    assert found["stages side by side in threads against one by one"] == pytest.approx(8.5 / 5)

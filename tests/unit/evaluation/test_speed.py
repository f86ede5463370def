"""The times of a tiny model, and the sums, rates and ratios made of timings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from golden_run import GOLDEN

from dvd.evaluation.race import Peak, Timing
from dvd.evaluation.speed import Speed, measure, per_window, ratios, stage_times, sums
from dvd.evaluation.stages import RULE, draw_clip
from dvd.evaluation.twins import Way, has_diffusers
from dvd.pipeline import load

pytestmark = pytest.mark.slow

SIZE, WINDOW, OVERLAP, FRAMES = (32, 48), 9, 3, 21

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
    network = {
        Way(*key, "float32"): Timing(times, 10**9, Peak(100 + index))
        for index, (key, times) in enumerate(NETWORK.items())
    }
    return network | {Way(stage, "ours", ""): Timing(times, 0, Peak(7)) for stage, times in AROUND.items()}


def test_sums_are_taken_turn_by_turn_and_a_missing_stage_is_counted_with_ours() -> None:
    added = sums(timings(), "float32")
    assert added[Way("window", "ours", "float32")].seconds == pytest.approx((7.0, 7.6))
    assert added[Way("window", "unfolded", "float32")].seconds == pytest.approx((9.0, 9.2))
    assert added[Way("window", "diffusers", "float32")].seconds == pytest.approx((1 + 8 + 3, 1.2 + 9 + 3))
    assert added[Way("one by one", "ours", "float32")].seconds == pytest.approx((8.0, 9.0))
    assert added[Way("window", "ours", "float32")].flops == 3 * 10**9


def test_the_peak_of_a_sum_is_its_highest_part_and_unknown_if_one_is() -> None:
    known = timings()
    assert sums(known, "float32")[Way("window", "diffusers", "float32")].peak == Peak(105)
    known[Way("encode", "ours", "float32")] = Timing((1.0, 1.0), 1)
    assert sums(known, "float32")[Way("window", "ours", "float32")].peak == Peak(None)


def test_work_on_the_whole_clip_counts_its_share_of_a_window() -> None:
    assert per_window(Timing((6.0, 9.0), 12, Peak(5)), 3) == Timing((2.0, 3.0), 4, Peak(5))


def test_stage_times_are_in_the_order_of_the_stream_with_rates_of_the_video() -> None:
    rows = stage_times(timings(), frames=12.0)
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
    assert ratios(stage_times(known, 1.0)) == {
        "ours against unfolded, float32 (transformer)": pytest.approx(6 / 4.2),
        "ours against diffusers, float32 (transformer + decode latents)": pytest.approx(11.5 / 6.2),
        "bfloat16 against float32, ours (transformer)": pytest.approx(4.2 / 1.5),
        "ours in bfloat16 against diffusers in float32 (transformer)": pytest.approx(8.5 / 1.5),
    }


def test_the_gain_of_threads_is_the_sum_against_the_whole() -> None:
    known = timings() | {Way("end to end", "ours", "float32"): Timing((5.0, 5.0), 0)}
    result = ratios(stage_times(known | sums(known, "float32"), 1.0))
    assert result["stages side by side in threads against one by one"] == pytest.approx(8.5 / 5)


@pytest.fixture(scope="module")
def speed(tmp_path_factory) -> Speed:
    pipeline = load(GOLDEN, "cpu", "float32")
    folder = tmp_path_factory.mktemp("speed")
    clip = draw_clip(folder / "drawn.mp4", FRAMES + 4, (64, 96))
    settings = pipeline.settle(size=SIZE, window=WINDOW, overlap=OVERLAP, stitch=RULE)
    return measure(pipeline, [pipeline.backbone], settings, clip, FRAMES, folder, repeats=2)


@pytest.mark.slow
def test_six_stages_add_up_to_one_by_one(speed) -> None:
    ours = {row.stage: row for row in speed.rows if row.by == "ours"}
    stages = ("decode", "encode", "transformer", "decode latents", "stitch", "write")
    for turn in range(2):
        total = sum(ours[stage].times[turn] for stage in stages)
        assert ours["one by one"].times[turn] == pytest.approx(total)
    assert ours["end to end"].frames_per_second == pytest.approx(FRAMES / 3 / ours["end to end"].seconds)
    assert ours["first frame"].seconds < 3 * max(ours["end to end"].times)
    assert set(ours) == {*stages, "window", "one by one", "end to end", "first frame"}


def test_every_stage_has_a_time_and_the_network_has_operations(speed) -> None:
    assert all(row.seconds > 0 and len(row.times) == 2 for row in speed.rows)
    network = [row for row in speed.rows if row.stage in ("encode", "transformer", "decode latents")]
    assert all(row.gflops > 0 for row in network)
    if Path("/proc/self/clear_refs").exists():
        assert all(row.peak_host_bytes is not None for row in speed.rows if row.stage != "first frame")
    assert all(row.peak_device_bytes is None for row in speed.rows)


@pytest.mark.skipif(not has_diffusers(), reason="the extra diffusers is not installed")
def test_diffusers_does_the_same_window_on_the_same_weights(speed) -> None:
    theirs = {row.stage for row in speed.rows if row.by == "diffusers"}
    assert theirs == {"encode", "transformer", "decode latents", "window"}
    (difference,) = speed.relative_difference.values()
    assert difference < 1e-4
    assert speed.notes == ()


def test_a_speed_is_ready_for_json(speed) -> None:
    facts = json.loads(json.dumps(asdict(speed)))
    assert (facts["frames"], facts["windows"], facts["window"], facts["overlap"]) == (
        FRAMES,
        3,
        WINDOW,
        OVERLAP,
    )
    assert facts["weight_bytes"]["float32"] > 0
    assert len(facts["rows"]) == len(speed.rows)

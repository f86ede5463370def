"""The product's own work on a clip, stage by stage and whole, with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden_run import GOLDEN

from dvd.errors import OptionError
from dvd.evaluate.speed.drawn_clip import draw_clip
from dvd.evaluate.speed.file_stages import RULE, ClipWork
from dvd.evaluate.speed.stages import Speed, measure
from dvd.evaluate.speed.twins import has_diffusers
from dvd.pipeline import Pipeline, load
from dvd.video import open_video

SIZE, WINDOW, OVERLAP, FRAMES = (32, 48), 9, 3, 21


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load(GOLDEN, "cpu", "float32")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return draw_clip(tmp_path_factory.mktemp("clip") / "drawn.mp4", FRAMES + 4, (64, 96))


def work_on(clip: Path, frames: int, pipeline: Pipeline, folder: Path) -> ClipWork:
    settings = pipeline.settle(size=SIZE, window=WINDOW, overlap=OVERLAP, stitch=RULE)
    return ClipWork(clip, frames, pipeline, settings, folder)


def shown(path: Path) -> np.ndarray:
    with open_video(path) as video:
        return np.stack([frame.rgb for frame in video])


def test_the_stages_one_by_one_write_what_the_product_writes(pipeline, clip, tmp_path) -> None:
    work = work_on(clip, FRAMES, pipeline, tmp_path)
    assert (work.frames, work.windows, work.size, work.source_size) == (FRAMES, 3, SIZE, (64, 96))
    assert work.rgb.shape == (1, 3, WINDOW, *SIZE)
    for stage in (work.decode, work.stitch, work.write, work.end_to_end):
        stage()
    written, whole = shown(tmp_path / "written.mp4"), shown(tmp_path / "end_to_end.mp4")
    assert written.shape == (FRAMES, 64, 96, 3)
    np.testing.assert_array_equal(written, whole)


def test_the_first_frame_comes_before_the_last(pipeline, clip, tmp_path) -> None:
    work = work_on(clip, FRAMES, pipeline, tmp_path)
    work.end_to_end()
    work.end_to_end()
    assert len(work.first_frame) == 2
    assert min(work.first_frame) > 0


def test_a_clip_shorter_than_a_window_is_refused(pipeline, clip, tmp_path) -> None:
    with pytest.raises(OptionError, match="has 5 frames and a window is 9; name a longer clip"):
        work_on(clip, 5, pipeline, tmp_path)


@pytest.fixture(scope="module")
def speed(pipeline, clip, tmp_path_factory) -> Speed:
    settings = pipeline.settle(size=SIZE, window=WINDOW, overlap=OVERLAP, stitch=RULE)
    folder = tmp_path_factory.mktemp("speed")
    return measure(pipeline, [pipeline.backbone], settings, clip, FRAMES, folder, repeats=2)


def test_six_stages_add_up_to_one_by_one(speed) -> None:
    ours = {row.stage: row for row in speed.rows if row.by == "ours"}
    stages = ("decode", "encode", "transformer", "decode latents", "stitch", "write")
    for turn in range(2):
        total = sum(ours[stage].times[turn] for stage in stages)
        assert ours["one by one"].times[turn] == pytest.approx(total)
    assert ours["end to end"].frames_per_second == pytest.approx(FRAMES / 3 / ours["end to end"].seconds)
    assert ours["first frame"].seconds < 3 * max(ours["end to end"].times)
    assert set(ours) == {*stages, "window", "one by one", "end to end", "first frame"}


def test_every_row_has_time_and_the_network_its_arithmetic(speed) -> None:
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
    assert speed.conditions.notes == ()


def test_facts_are_json(speed) -> None:
    told = json.loads(json.dumps(speed.facts()))
    assert (told["frames"], told["windows"], told["window"], told["overlap"]) == (FRAMES, 3, WINDOW, OVERLAP)
    assert told["weight_bytes"]["float32"] > 0
    assert len(told["rows"]) == len(speed.rows)

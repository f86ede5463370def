"""The product's own work on a clip, stage by stage and whole, with a tiny model."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from golden_run import GOLDEN

from dvd.errors import OptionError
from dvd.evaluation.stages import RULE, ClipWork, draw_clip
from dvd.pipeline import DVD, load
from dvd.video import open_video

SIZE, WINDOW, OVERLAP, FRAMES = (32, 48), 9, 3, 21


@pytest.fixture(scope="module")
def pipeline() -> DVD:
    return load(GOLDEN, "cpu", "float32")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return draw_clip(tmp_path_factory.mktemp("clip") / "drawn.mp4", FRAMES + 4, (64, 96))


def work_on(clip: Path, frames: int, pipeline: DVD, folder: Path) -> ClipWork:
    settings = pipeline.settle(size=SIZE, window=WINDOW, overlap=OVERLAP, stitch=RULE)
    return ClipWork(clip, frames, pipeline, settings, folder)


def shown(path: Path) -> np.ndarray:
    with open_video(path) as video:
        return np.stack([frame.rgb for frame in video])


@pytest.mark.slow
def test_stages_one_by_one_write_the_same_video_as_the_whole(pipeline, clip, tmp_path) -> None:
    work = work_on(clip, FRAMES, pipeline, tmp_path)
    assert (work.frames, work.windows, work.size, work.source_size) == (FRAMES, 3, SIZE, (64, 96))
    assert work.rgb.shape == (1, 3, WINDOW, *SIZE)
    for stage in (work.decode, work.stitch, work.write, work.end_to_end):
        stage()
    written, whole = shown(tmp_path / "written.mp4"), shown(tmp_path / "end_to_end.mp4")
    assert written.shape == (FRAMES, 64, 96, 3)
    np.testing.assert_array_equal(written, whole)


@pytest.mark.slow
def test_the_time_of_the_first_frame_is_noted_in_every_run(pipeline, clip, tmp_path) -> None:
    work = work_on(clip, FRAMES, pipeline, tmp_path)
    work.end_to_end()
    work.end_to_end()
    assert len(work.first_frame) == 2
    assert min(work.first_frame) > 0


def test_a_clip_shorter_than_a_window_is_refused(pipeline, clip, tmp_path) -> None:
    with pytest.raises(OptionError, match="has 5 frames and a window is 9; name a longer clip"):
        work_on(clip, 5, pipeline, tmp_path)


def test_the_drawn_clip_moves_has_the_given_size_and_is_always_the_same(tmp_path) -> None:
    paths = [draw_clip(tmp_path / name, 7, (64, 96)) for name in ("a.mp4", "b.mp4")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with open_video(paths[0]) as video:
        frames = [frame.rgb for frame in video]
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 7
    changes = [np.abs(b.astype(int) - a).mean() for a, b in pairwise(frames)]
    assert min(changes) > 1

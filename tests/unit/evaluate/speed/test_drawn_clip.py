from __future__ import annotations

from itertools import pairwise

import numpy as np

from dvd.evaluate.speed.drawn_clip import draw_clip
from dvd.video import open_video


def test_the_drawn_clip_moves_has_its_size_and_is_always_the_same(tmp_path) -> None:
    paths = [draw_clip(tmp_path / name, 7, (64, 96)) for name in ("a.mp4", "b.mp4")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with open_video(paths[0]) as video:
        frames = [frame.rgb for frame in video]
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 7
    changes = [np.abs(b.astype(int) - a).mean() for a, b in pairwise(frames)]
    assert min(changes) > 1

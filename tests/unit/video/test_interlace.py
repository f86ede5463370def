"""Interlaced frames become whole frames."""

from __future__ import annotations

import numpy as np
from synth import make_video

from dvd.video import open_video


def test_deinterlacing_removes_combs(tmp_path):
    frames = [_combed(index) for index in range(10)]
    path = make_video(tmp_path / "fields.mp4", frames, interlaced=True)
    plain = make_video(tmp_path / "frames.mp4", frames)
    woven, combed = list(open_video(path)), list(open_video(plain))
    assert [frame.pts for frame in woven] == [frame.pts for frame in combed], "as many frames at the same times"
    assert _comb(woven[5].rgb) < 0.35 * _comb(combed[5].rgb)


def _combed(index: int) -> np.ndarray:
    """Return a bright bar that moves 6 pixels from one field to the next."""
    rgb = np.full((48, 96, 3), 40, dtype=np.uint8)
    for field in (0, 1):
        left = 6 * (2 * index + field) % 70
        rgb[field::2, left : left + 20] = 220
    return rgb


def _comb(rgb: np.ndarray) -> float:
    lines = rgb[..., 0].astype(float)
    return float(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]).mean())

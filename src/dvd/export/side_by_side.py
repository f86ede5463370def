"""RGB and its disparity next to each other in one video, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dvd.export.base import ExportOptions, Size
from dvd.export.colormaps import colour_levels, to_levels
from dvd.export.mp4 import VideoWriter
from dvd.types import VideoInfo


class SideBySideWriter(VideoWriter):
    """Twice the source's width: RGB left, disparity right."""

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions, network: Size | None = None) -> None:
        super().__init__(path, info, options, network)
        self._shown = (0.0, 1.0)
        self._both = np.empty((info.height, 2 * info.width, 3), dtype=np.uint8)

    def write_pairs(
        self, rgb: Sequence[np.ndarray], disparity: np.ndarray, pts: Sequence[int], shown: tuple[float, float]
    ) -> None:
        """Adds frames: `rgb` T of `H W 3` uint8, `disparity` `T h w` float32 of the network's size, `pts` in
        `info.time_base`; `shown` are the disparities that are darkest and brightest."""
        if len(rgb) != len(disparity):
            raise ValueError(f"{len(rgb)} RGB frames beside {len(disparity)} of disparity")
        self._shown = shown
        for left, frame, time in zip(rgb, disparity, pts, strict=True):
            self._both[:, : self.info.width] = left
            self.write(frame[None], [time])

    def _start(self, _disparity: np.ndarray, pts: Sequence[int], /) -> None:
        self._encoder = self._open_encoder((self.info.height, 2 * self.info.width), pts)

    def _put(self, frame: np.ndarray, pts: int, /) -> None:
        levels = to_levels(frame, *self._shown)
        self._both[:, self.info.width :] = colour_levels(levels, self.options.shown_colormap)[..., :3]
        if self._encoder:
            self._encoder.put(self._both, pts)

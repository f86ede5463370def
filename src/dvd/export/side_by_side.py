"""RGB and its disparity next to each other in one video, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dvd.errors import OptionError
from dvd.export.base import ExportOptions
from dvd.export.colormaps import colour_levels, to_levels
from dvd.export.mp4 import VideoWriter, display_range
from dvd.types import VideoInfo


class SideBySideWriter(VideoWriter):
    """Twice the source's width: RGB left, disparity right. The ranges are `rolling` and `fixed`."""

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions) -> None:
        """Raises `OptionError` for the range `global`, which would have to keep all of the RGB frames."""
        if options.range == "global":
            raise OptionError("side by side cannot show the range 'global'; use 'rolling' or 'fixed'")
        super().__init__(path, info, options)
        self._range = display_range(options)
        self._both = np.empty((info.height, 2 * info.width, 3), dtype=np.uint8)

    def write_pairs(self, rgb: Sequence[np.ndarray], disparity: np.ndarray, pts: Sequence[int]) -> None:
        """Adds frames: `rgb` T of `H W 3` uint8, `disparity` `T H W` float32, `pts` in `info.time_base`."""
        if len(rgb) != len(disparity):
            raise ValueError(f"{len(rgb)} RGB frames beside {len(disparity)} of disparity")
        for left, frame, time in zip(rgb, disparity, pts, strict=True):
            self._both[:, : self.info.width] = left
            self.write(frame[None], [time])

    def _start(self, disparity: np.ndarray, pts: Sequence[int], /) -> None:
        self._range.start(disparity)
        self._encoder = self._open_encoder((self.info.height, 2 * self.info.width), pts)

    def _put(self, frame: np.ndarray, pts: int, /) -> None:
        levels = to_levels(frame, *self._range.of(frame, float(pts * self.info.time_base)))
        self._both[:, self.info.width :] = colour_levels(levels, self.options.shown_colormap)[..., :3]
        if self._encoder:
            self._encoder.put(self._both, pts)

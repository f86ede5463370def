"""16-bit PNG per frame: a fixed linear range of disparity on 0 … 65535, larger is nearer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dvd.export.frame_files import FrameFilesWriter

log = logging.getLogger(__name__)

_TOP = 65535


class Png16Writer(FrameFilesWriter):
    """`disparity = low + value / 65535 · (high − low)`, with `options.value_range`; each file's text says so too."""

    ending = ".png"
    _clipped = 0

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint16)

    def facts(self) -> dict[str, Any]:
        low, high = self.options.value_range
        return super().facts() | {
            "value_range": [low, high],
            "to_disparity": f"{low:g} + value / {_TOP} * {high - low:g}",
            "clipped_pixels": self._clipped,
        }

    def _save(self, frame: np.ndarray, path: Path) -> None:
        low, high = self.options.value_range
        levels = (frame - np.float32(low)) * np.float32(_TOP / (high - low)) + np.float32(0.5)
        inside = (levels >= 0) & (levels < _TOP + 1)
        self._clipped += int(levels.size - np.count_nonzero(inside))
        levels = np.fmin(np.fmax(levels, 0), _TOP).astype(np.uint16)
        text = PngInfo()
        text.add_text("disparity_range", f"{low:g} {high:g}")
        Image.fromarray(levels).save(path, format="PNG", compress_level=1, pnginfo=text)

    def _finish(self) -> None:
        if self._clipped:
            total = self.frames * self.size[0] * self.size[1]
            log.warning(
                "%s: %d of %d pixels lay outside %g … %g and were clipped; use npz or exr, which keep them",
                self.path,
                self._clipped,
                total,
                *self.options.value_range,
            )

"""Disparity of one image as a colour-mapped or gray PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from dvd.export.base import Writer
from dvd.export.colormaps import colour_levels, to_levels
from dvd.export.display_range import robust_range


class PictureWriter(Writer):
    """One 8-bit picture; every range but `fixed` means the image's own quantiles."""

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"range": self.options.range, "colormap": self.options.shown_colormap}

    def _start(self, disparity: np.ndarray, _pts: Sequence[int], /) -> None:
        fixed = self.options.range == "fixed"
        self._range = self.options.fixed_range if fixed else robust_range([disparity[0]])

    def _put(self, frame: np.ndarray, _pts: int, /) -> None:
        coloured = colour_levels(to_levels(frame, *self._range), self.options.shown_colormap)[..., :3]
        Image.fromarray(coloured).save(self._part, format="PNG")

    def _finish(self) -> None:
        """The part is whole after its only frame."""

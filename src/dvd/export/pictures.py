"""Disparity in PNGs to look at: one image in colour or gray, and a contact sheet of some frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from dvd.export.display import coloured, robust_range
from dvd.export.writer import Writer, check_writable
from dvd.files import replacing

_GAP = 4


class PictureWriter(Writer):
    """One 8-bit picture; every range but `fixed` means the image's own quantiles."""

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"range": self.options.range, "colormap": self.options.shown_colormap}

    def start(self, disparity: np.ndarray, _pts: Sequence[int], /) -> None:
        fixed = self.options.range == "fixed"
        self._range = self.options.fixed_range if fixed else robust_range([disparity[0]])

    def add(self, frame: np.ndarray, _pts: int, /) -> None:
        Image.fromarray(coloured(frame, *self._range, self.options.shown_colormap)).save(self.part, format="PNG")


def contact_sheet(
    rgb: Sequence[np.ndarray],
    disparity: Sequence[np.ndarray],
    path: str | Path,
    columns: int = 4,
    numbers: Sequence[int] | None = None,
    cell_width: int = 320,
    colormap: str = "turbo",
    overwrite: bool = False,
    ranges: Sequence[tuple[float, float]] | None = None,
) -> Path:
    """Write a grid of frames, RGB above disparity, with frame numbers, as a PNG and return its path.

    `rgb`: `H W 3` uint8 each; `disparity`: `h w` float32 each; `columns`: cells in a row; `numbers`: the labels of the
    cells, 0, 1, … by default; `ranges`: the disparities that each cell shows as darkest and brightest, one range for
    all by default. Raise `OutputError` if `path` cannot be written.
    """
    if not rgb or len(rgb) != len(disparity):
        raise ValueError(f"{len(rgb)} RGB frames beside {len(disparity)} of disparity; expected as many, at least one")
    path = Path(path)
    check_writable(path, overwrite)
    height, width = rgb[0].shape[:2]
    cell = (cell_width, max(round(height * cell_width / width), 1))
    ranges = ranges or [robust_range(disparity)] * len(disparity)
    columns = min(columns, len(rgb))
    rows = math.ceil(len(rgb) / columns)
    step = (cell[0] + _GAP, 2 * cell[1] + _GAP)
    sheet = Image.new("RGB", (columns * step[0] + _GAP, rows * step[1] + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (picture, frame, (low, high)) in enumerate(zip(rgb, disparity, ranges, strict=True)):
        left, top = _GAP + index % columns * step[0], _GAP + index // columns * step[1]
        sheet.paste(_resized(picture, cell), (left, top))
        sheet.paste(_resized(coloured(frame, low, high, colormap), cell), (left, top + cell[1]))
        label = str(numbers[index] if numbers else index)
        pen.text((left + 4, top + 3), label, fill="white", stroke_width=2, stroke_fill="black")
    with replacing(path) as file:
        sheet.save(file, format="PNG")
    return path


def _resized(picture: np.ndarray, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)

"""Some frames of a result in one PNG: RGB above disparity, with frame numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dvd.export.base import check_writable
from dvd.export.colormaps import colour_levels, to_levels
from dvd.export.display_range import robust_range
from dvd.files import replacing

_GAP = 4


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
    """Writes a grid of `columns` cells a row and returns its path.

    `rgb`: `H W 3` uint8 each; `disparity`: `h w` float32 each; `ranges`: the disparities that each shows as darkest and
    brightest, one range for all if not given; `numbers`: what to write on the cells, 0, 1, … if not given. Raises
    `OutputError` if `path` cannot be written.
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
        coloured = colour_levels(to_levels(frame, low, high), colormap)[..., :3]
        sheet.paste(_sized(picture, cell), (left, top))
        sheet.paste(_sized(coloured, cell), (left, top + cell[1]))
        label = str(numbers[index] if numbers else index)
        pen.text((left + 4, top + 3), label, fill="white", stroke_width=2, stroke_fill="black")
    with replacing(path) as file:
        sheet.save(file, format="PNG")
    return path


def _sized(picture: np.ndarray, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)

"""Where each data set keeps the optical flow from a frame to the next, and what it says does not count in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dvd.data import formats
from dvd.data.folders import Pair
from dvd.data.framing import Size, size_text
from dvd.data.sources import BadSample

FlowReader = Callable[[Path, Pair, Pair, Size], np.ndarray | None]
"""(root, a frame, the one after it in its sequence, height and width as stored) → `H W 2` float32 as stored.

In pixels, right and down; NaN where it is unknown or the point is hidden in the later frame. None where there is none.
"""


def sintel(root: Path, pair: Pair, later: Pair, size: Size) -> np.ndarray | None:
    """`flow/SCENE/frame_N.flo` beside `depth/`, without what `occlusions/` and `invalid/`, if there, mark (not 0).

    Flow leads from frame N to N + 1: where that is missing, there is none. BadSample for a damaged file, or one of
    another size than its frame.
    """
    depth = root / pair.depth
    top, scene = depth.parents[2], depth.parent.name
    path = top / "flow" / scene / f"{depth.stem}.flo"
    if int(later.number) != int(pair.number) + 1 or not path.exists():
        return None
    flow = _of_size(path, formats.read_flo(path), size)
    for kind in ("occlusions", "invalid"):
        mask = top / kind / scene / f"{depth.stem}.png"
        if mask.exists():
            flow[_of_size(mask, formats.read_rgb(mask), size).any(axis=-1)] = np.nan
    return flow


def _of_size(path: Path, values: np.ndarray, size: Size) -> np.ndarray:
    if values.shape[:2] != size:
        raise BadSample(str(path), f"is {size_text(values.shape)}, and its frame {size_text(size)}")
    return values

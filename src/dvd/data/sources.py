"""The interface of every source of training clips, and the clip itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class RawClip:
    """`rgb` `T H W 3` uint8 and `disparity` `T H W` float32, 1 / metres or any affine unit, NaN where unknown.

    `valid` `T H W`: the pixels whose quantiles normalise the clip; None for all known pixels. The sky, for example, is
    known to be far, but its value says nothing about the scene's range.
    """

    rgb: np.ndarray
    disparity: np.ndarray
    valid: np.ndarray | None = None


class BadSample(Exception):
    """Raised for a sample that cannot be used: `where` names its file, `why` its fault."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where, self.why = where, why


class Source(Protocol):
    """Clips by index. A clip is `frames` neighbouring frames of one sequence; a single frame is an image."""

    name: str

    def count(self, frames: int) -> int:
        """Return the number of clips of `frames` frames; every starting frame counts."""
        ...

    def clip(self, index: int, frames: int) -> Any:
        """Return clip `index` of `count(frames)`: a RawClip, or a LatentClip from a cache.

        Raise BadSample if its files cannot be used.
        """
        ...

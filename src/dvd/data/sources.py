"""Where training clips come from: one small protocol, whatever lies on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class RawClip:
    """`rgb` `T H W 3` uint8 and `disparity` `T H W` float32, 1 / metres or any affine unit, NaN where unknown.

    `valid` `T H W`, or None for all that is known: what the normalisation's quantiles are taken over. The sky, say,
    is known to be far, but says nothing of the scene's range.
    """

    rgb: np.ndarray
    disparity: np.ndarray
    valid: np.ndarray | None = None


class BadSample(Exception):
    """A sample that cannot be trained on: `where` names its file, `why` says what is wrong with it."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where, self.why = where, why


class Source(Protocol):
    """Clips by number. A clip is `frames` neighbouring frames of one sequence; a single frame is an image."""

    name: str

    def count(self, frames: int) -> int:
        """How many clips of `frames` frames there are; every starting frame counts."""
        ...

    def clip(self, index: int, frames: int) -> Any:
        """The clip with that number, 0 ≤ index < count(frames); BadSample where its files are no good.

        A RawClip, or a LatentClip out of a cache.
        """
        ...

"""Priors that ignore the pixels: a lower bound for every method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import OptionError, unknown
from dvd.evaluation.sequences import EvalSequence
from dvd.names import Space
from dvd.stream import CHUNK_BYTES

Size = tuple[int, int]


def _ones(size: Size) -> NDArray[np.float32]:
    return np.ones(size, np.float32)


def _rows(size: Size) -> NDArray[np.float32]:
    """Return disparity that grows towards the bottom; in (0, 1], so that every pixel counts in the fit."""
    height, width = size
    return np.repeat(np.arange(1, height + 1, dtype=np.float32)[:, None] / np.float32(height), width, axis=1)


PRIORS: Mapping[str, tuple[str, Callable[[Size], NDArray[np.float32]]]] = MappingProxyType(
    {
        "constant": ("the best constant disparity of a clip", _ones),
        "row": ("the best linear function of the image row", _rows),
    }
)
"""Name → (what the prior is after alignment, disparity `H W` of every frame)."""


@dataclass
class Prior:
    """Predicts the same disparity for every frame.

    The alignment makes it the best of its kind: by least squares in disparity, a constant becomes the mean disparity
    of the truth, and the row the best linear function of it, once per clip. Raise OptionError for an unknown name.
    """

    prior: str
    name: str = ""
    space: Space = "disparity"

    def __post_init__(self) -> None:
        if self.prior not in PRIORS:
            raise OptionError(unknown("prior", self.prior, PRIORS))
        self.name = self.name or self.prior

    def describe(self) -> dict[str, Any]:
        """Return that this is a prior, and which."""
        return {"kind": "prior", "prior": PRIORS[self.prior][0]}

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """Yield chunks `T H W` float32 of at most `CHUNK_BYTES`; views of one picture."""
        picture = PRIORS[self.prior][1](sequence.size)
        step = max(1, CHUNK_BYTES // picture.nbytes)
        for first in range(0, sequence.count, step):
            yield np.broadcast_to(picture, (min(step, sequence.count - first), *picture.shape))

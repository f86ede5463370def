"""The interface of every reader: facts first, then frames one by one, converted only on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from dvd.types import FrameNumbers, MediaFile

Warn = Callable[[str], None]
"""Called with one line about a fault that reading survives."""


class UnreadableFrame(Exception):
    """One frame is damaged; the others may be whole."""


@dataclass(frozen=True)
class Raw:
    """A frame before conversion: its time stamp, if any, and a function that returns it as upright `H W 3` uint8."""

    pts: int | None
    rgb: Callable[[], np.ndarray]
    """Raise `UnreadableFrame` for a damaged frame."""
    duration: int | None = None
    """In the source's time base; None where the source gives none."""
    transposed: bool = False
    """Whether rows and columns were exchanged to make the frame upright."""


class Source(Protocol):
    """An input that can be read from its start any number of times."""

    path: Path
    name: str
    frame_rate: Fraction
    time_base: Fraction
    frame_count: int | None
    start_pts: int | None
    has_audio: bool
    is_image: bool

    @property
    def numbers(self) -> FrameNumbers | None:
        """The numbers in the names of an image sequence."""
        ...

    @property
    def media(self) -> MediaFile | None:
        """The file that FFmpeg reads, with its pixel aspect as stored; None for pictures."""
        ...

    def frames(self, warn: Warn, needed_from: int = 0) -> Iterator[Raw]:
        """Yield the frames in order; those before the time stamp `needed_from` may be skipped to save work.

        `warn` is called with one line for each kind of damage.
        """
        ...

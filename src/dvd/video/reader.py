"""What every reader promises the stream: facts beforehand, then frames one by one, converted only if wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from dvd.types import FrameNumbers, MediaFile


class UnreadableFrame(Exception):
    """One frame that is damaged among others that may be whole."""


@dataclass(frozen=True)
class Raw:
    """A frame before conversion: its time, if the source gives one, and how to get `H W 3` uint8, upright."""

    pts: int | None
    rgb: Callable[[], np.ndarray]
    """May raise `UnreadableFrame`."""
    duration: int | None = None
    """In the source's time base, where it says so."""
    transposed: bool = False
    """Whether rows and columns were exchanged to turn it upright."""


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
        """The file that FFmpeg reads, its pixel aspect as stored; None for pictures."""
        ...

    def frames(self, warn: Callable[[str], None], needed_from: int = 0) -> Iterator[Raw]:
        """The frames in order; those before the time stamp `needed_from` may be left out where that saves work.

        What is found damaged on the way is told to `warn`, one line each.
        """
        ...

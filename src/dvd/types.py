"""The few values that travel between the rooms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FrameNumbers:
    """The numbers in the names of an image sequence: time stamp → number, rising, with `digits` digits at least.

    `step` is the distance between neighbours where none is missing.
    """

    by_pts: Mapping[int, int]
    digits: int
    step: int = 1

    def text(self, pts: int) -> str:
        """The number of the frame at `pts`, padded as in the source's names."""
        return f"{self.by_pts[pts]:0{self.digits}d}"

    def gaps(self) -> Iterator[tuple[int, int]]:
        """First and last number of every gap."""
        numbers = list(self.by_pts.values())
        for before, after in pairwise(numbers):
            if after - before > self.step:
                yield before + self.step, after - self.step

    def facts(self) -> dict[str, Any]:
        """Plain values for the JSON beside a result."""
        numbers = list(self.by_pts.values())
        gaps = [list(gap) for gap in self.gaps()]
        return {"first": numbers[0], "last": numbers[-1], "step": self.step, "missing": gaps}


@dataclass(frozen=True)
class ClockJump:
    """From a frame on, the source's clock is another: the stamp `source` is shown at `shown`, both in its time base."""

    source: int
    shown: int


@dataclass
class Timeline:
    """A video's times as far as reading has found them out; it grows while frames are read.

    `trimmed`: whether a beginning was cut off on purpose. `last`, `last_duration`: time stamp and duration of the last
    frame read; the duration is None where the source does not say. `ended`: whether that frame is the source's last,
    so that nothing was cut off behind it.
    """

    jumps: list[ClockJump] = field(default_factory=list)
    trimmed: bool = False
    last: int | None = None
    last_duration: int | None = None
    ended: bool = False


@dataclass(frozen=True)
class MediaFile:
    """The file behind a video and its container's word on times and pixels; times are seconds of its own clock.

    `path` is not the input's own where that can be read only once. `start`: where its earliest stream begins, so that
    pictures and sound keep their distance; `video_start`: where its pictures do. `pixel_aspect`: width of a pixel over
    its height. `longest_gap`: seconds; a greater distance between two frames means that the clock has leapt.
    """

    path: Path
    start: Fraction = Fraction(0)
    video_start: Fraction = Fraction(0)
    pixel_aspect: Fraction | None = None
    longest_gap: Fraction = Fraction(3600)


@dataclass(frozen=True)
class VideoInfo:
    """What is known of an input before its first frame is used. Width and height are upright (rotation applied)."""

    name: str
    path: Path
    width: int
    height: int
    frame_rate: Fraction
    time_base: Fraction
    frame_count: int | None = None
    """The container's word; None where it gives none. The stream itself decides."""
    has_audio: bool = False
    is_image: bool = False
    numbers: FrameNumbers | None = None
    """Only for a numbered image sequence."""
    media: MediaFile | None = None
    """None for pictures. Its pixel aspect is upright, as width and height are."""
    timeline: Timeline = field(default_factory=Timeline, compare=False)


@dataclass(frozen=True)
class Frame:
    """One upright frame: `rgb` H W 3 uint8, and its presentation time `pts` in units of the video's time base."""

    rgb: np.ndarray
    pts: int


@dataclass(frozen=True)
class Window:
    """Frames [start, stop) that pass through the network together.

    `next_start` is where the following window begins, so frames before it are settled once this window is stitched;
    None marks the last window of a shot.
    """

    start: int
    stop: int
    next_start: int | None = None

    @property
    def length(self) -> int:
        return self.stop - self.start

    def later(self, frames: int) -> Window:
        """The same window, counted from `frames` frames earlier."""
        ahead = None if self.next_start is None else self.next_start + frames
        return Window(self.start + frames, self.stop + frames, ahead)


@dataclass(frozen=True)
class Seam:
    """The joint of two windows over frames [start, stop): aligned = scale · window + shift.

    `scale` and `shift` are accumulated: they bring the later window, as it was predicted, to the scale of the shot's
    first window, because it is fitted to frames that are stitched already. `change` is this joint's own part: `scale`
    divided by that of the window before.

    `r2` is the squared correlation of the two sides and `residual` the fit's root mean square error in disparity.
    `error_before` and `error_after` are the seam's error (Fig. 6): the mean squared difference of disparity, over all
    pixels of those frames, between what was there and the window as it was predicted, and as `scale` and `shift` leave
    it. `trusted` is False where this single fit was refused; `scale` and `shift` are then what was applied instead, and
    `note` says why. A chain of trusted fits can still carry the scale away: `Shot` says how far.
    """

    start: int
    stop: int
    scale: float
    shift: float
    r2: float
    residual: float
    error_before: float
    error_after: float
    trusted: bool = True
    note: str = ""
    change: float = 1.0


@dataclass(frozen=True)
class Shot:
    """Frames [start, stop) that are stitched to one scale, and how far that scale went from the first window's.

    `scale` and `shift` are the least and the greatest of the shot's seams, with 1 and 0 of the first window among them.
    `farthest` are the frames [start, stop) of the seam whose scale is farthest from 1, None where there is no seam.
    `steady` is False where the scale left the bounds of `dvd.stitch.MOST_WANDER`.
    """

    start: int
    stop: int
    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    farthest: tuple[int, int] | None = None
    steady: bool = True


@dataclass(frozen=True)
class DisparityChunk:
    """Finished frames [start, start + T): `disparity` T H W float32, affine-invariant, larger is nearer.

    All of them belong to the shot whose first frame is `shot`; scale and shift are common to a shot.
    """

    start: int
    disparity: np.ndarray
    shot: int = 0

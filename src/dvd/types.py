"""Small values that the rooms pass to each other."""

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
    """The numbers in the file names of an image sequence: time stamp → number, increasing.

    Numbers have at least `digits` digits; `step` is the distance between neighbours where none is missing.
    """

    by_pts: Mapping[int, int]
    digits: int
    step: int = 1

    def text(self, pts: int) -> str:
        """Return the number of the frame at `pts`, padded as in the source's file names."""
        return f"{self.by_pts[pts]:0{self.digits}d}"

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Yield the first and the last missing number of every gap."""
        numbers = list(self.by_pts.values())
        for before, after in pairwise(numbers):
            if after - before > self.step:
                yield before + self.step, after - self.step

    def facts(self) -> dict[str, Any]:
        """Return plain values for the sidecar."""
        numbers = list(self.by_pts.values())
        gaps = [list(gap) for gap in self.gaps()]
        return {"first": numbers[0], "last": numbers[-1], "step": self.step, "missing": gaps}


@dataclass(frozen=True)
class ClockJump:
    """A jump of the source's clock: from here on, the time stamp `source` is shown at `shown`, in its time base."""

    source: int
    shown: int


@dataclass
class Timeline:
    """A video's times, filled in while its frames are read.

    `trimmed`: whether the beginning was cut off on purpose. `last`, `last_duration`: time stamp and duration of the
    last frame read; the duration is None if the source does not give it. `ended`: whether it is the source's last.
    """

    jumps: list[ClockJump] = field(default_factory=list)
    trimmed: bool = False
    last: int | None = None
    last_duration: int | None = None
    ended: bool = False


@dataclass(frozen=True)
class MediaFile:
    """The file of a video, with the times and pixel shape that its container gives; times in seconds of its own clock.

    `path` is a copy if the input can be read only once. `start`: the beginning of the earliest stream, so that pictures
    and sound keep their distance; `video_start`: the beginning of the pictures. `pixel_aspect`: width of a pixel
    divided by its height. `longest_gap`: a longer time between two frames, in seconds, means that the clock jumped.
    """

    path: Path
    start: Fraction = Fraction(0)
    video_start: Fraction = Fraction(0)
    pixel_aspect: Fraction | None = None
    longest_gap: Fraction = Fraction(3600)


@dataclass(frozen=True)
class VideoInfo:
    """The facts about an input that are known before its first frame is used; width and height after rotation."""

    name: str
    path: Path
    width: int
    height: int
    frame_rate: Fraction
    time_base: Fraction
    frame_count: int | None = None
    """As the container gives it, or None; the frames that can be read decide."""
    has_audio: bool = False
    is_image: bool = False
    numbers: FrameNumbers | None = None
    """The numbers of an image sequence; None for other inputs."""
    media: MediaFile | None = None
    """None for pictures. The pixel aspect is given after rotation, like width and height."""
    timeline: Timeline = field(default_factory=Timeline, compare=False)


@dataclass(frozen=True)
class Frame:
    """One upright frame: `rgb` H W 3 uint8, and its presentation time `pts` in units of the video's time base."""

    rgb: np.ndarray
    pts: int


@dataclass(frozen=True)
class Window:
    """Frames [start, stop) that pass through the network together.

    `next_start` is the first frame of the following window: frames before it are settled once this window is stitched.
    It is None for the last window of a shot.
    """

    start: int
    stop: int
    next_start: int | None = None

    @property
    def length(self) -> int:
        return self.stop - self.start

    def later(self, frames: int) -> Window:
        """Return the window `frames` frames later."""
        ahead = None if self.next_start is None else self.next_start + frames
        return Window(self.start + frames, self.stop + frames, ahead)


@dataclass(frozen=True)
class Seam:
    """The joint of two windows over frames [start, stop): aligned = scale · window + shift.

    `scale` and `shift` are accumulated: they bring the predicted values of the later window to the scale of the shot's
    first window, because the fit is made to frames that are already stitched. `change` is the part of this seam alone:
    `scale` divided by the scale of the window before.

    `r2` is the squared correlation of the two sides, `residual` the fit's root mean square error in disparity.
    `error_before` and `error_after` are the seam error (Fig. 6): the mean squared difference of disparity over all
    pixels of these frames, between the stitched frames and the later window, before and after `scale` and `shift` are
    applied. `trusted` is False if this fit was refused: `scale` and `shift` are then those that were applied instead,
    and `note` says why. A chain of trusted fits can still move the scale away: `Shot` says how far.
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
    """Frames [start, stop) that are stitched to one scale, and how far that scale moved from the first window's.

    `scale` and `shift` are the least and the greatest values of the shot's seams and its first window (1 and 0).
    `farthest`: the frames [start, stop) of the seam whose scale is farthest from 1; None without seams. `steady` is
    False if the scale left the bounds of `dvd.stitch.MOST_WANDER`.
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

    `shot` is the first frame of the shot that they belong to; one scale and shift hold for a shot.
    """

    start: int
    disparity: np.ndarray
    shot: int = 0

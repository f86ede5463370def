"""How a decoded picture has to be turned or mirrored to be upright: its display matrix as one of eight orientations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import av
import numpy as np

_OBLIQUE = math.cos(math.radians(2))
"""Up to two degrees from a quarter turn is rounding; players turn by the nearest quarter as well."""


@dataclass(frozen=True)
class Orientation:
    """Rows and columns are exchanged first if `transposed`, then either is reversed.

    `oblique`: the matrix asks for another angle; this is the nearest orientation. `angle`: the degrees that PyAV gives
    for the matrix.
    """

    transposed: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False
    oblique: bool = False
    angle: int = field(default=0, compare=False)

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """`H W C` as stored → upright, a view; `W H C` if `transposed`."""
        turned = picture.swapaxes(0, 1) if self.transposed else picture
        return turned[:: -1 if self.reverse_rows else 1, :: -1 if self.reverse_columns else 1]


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame, before: Orientation | None) -> Orientation:
    """The orientation that the container or the stream gives `frame`, which comes after one with `before`, if any.

    A stream may give it once for all frames up to the next key frame. The matrix is read only where it may have
    changed: a frame whose side data were asked for refers to itself, and its memory waits for Python's collector.
    """
    rotation = frame.rotation
    if before is not None and (rotation == before.angle or (rotation == 0 and not frame.key_frame)):
        return before
    return replace(_orientation_in(frame, before or UPRIGHT), angle=rotation)


def _orientation_in(frame: av.VideoFrame, before: Orientation) -> Orientation:
    try:
        matrix = bytes(frame.side_data["DISPLAYMATRIX"])  # type: ignore[typeddict-item]
    except KeyError:
        return UPRIGHT if frame.key_frame else before
    except ValueError:
        # PyAV cannot list side data of kinds that it does not know; the angle alone it gives all the same.
        return _turned(frame.rotation)
    return from_matrix(np.frombuffer(matrix, dtype=np.int32).reshape(3, 3))


def _turned(degrees: int) -> Orientation:
    """The orientation nearest to a turn anticlockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return from_matrix(np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]))


def from_matrix(matrix: np.ndarray) -> Orientation:
    """The orientation nearest to a display matrix, 3 × 3, of which only the directions count.

    Its rows begin with (a, b) and (c, d); a stored pixel (x, y) is shown at (a x + c y, b x + d y), up to a shift
    (FFmpeg's libavutil/display.h).
    """
    (a, b), (c, d) = matrix[:2, :2].astype(float)
    straight, crossed = abs(a) + abs(d), abs(b) + abs(c)
    length = math.hypot(a, b, c, d) * math.sqrt(2)
    if length == 0:
        return UPRIGHT
    oblique = max(straight, crossed) < _OBLIQUE * length
    if crossed > straight:
        return Orientation(True, b < 0, c < 0, oblique)
    return Orientation(False, d < 0, a < 0, oblique)

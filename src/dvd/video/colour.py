"""A decoded frame of a video file → upright uint8 RGB: matrix, range, bit depth, alpha, HDR, display matrix.

HDR (PQ or HLG, BT.2020) becomes SDR (BT.709 primaries, gamma 2.2) by tables and one 3 × 3 matrix: signal → light in
units of the HDR reference white, 203 cd/m² (ITU-R BT.2408) → a shoulder above 60 % of it that bends highlights softly
to 1 → BT.709 primaries → gamma. The shoulder works on each channel alone, so very bright saturated colours lose some
saturation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import av
import numpy as np
from av.video.reformatter import VideoReformatter

# AVColorSpace, ITU-T H.273 table 4.
_BT709, _UNSPECIFIED, _BT470BG, _BT2020 = 1, 2, 5, 9
_SWSCALE_KNOWS = frozenset((0, 1, 4, 5, 6, 7, 9))
_BT2020_CONSTANT_LUMINANCE = 10

TRANSPARENT = "transparent parts are read as if over black"

PQ, HLG = 16, 18
"""Transfer characteristics, ITU-T H.273 table 3: SMPTE ST 2084, ARIB STD-B67."""
HDR_TRANSFERS = frozenset((PQ, HLG))

_REFERENCE_WHITE = 203.0
_SHOULDER = 0.6
_GAMMA = 2.2
_STEPS = 4096

# Linear light, BT.2020 → BT.709 (ITU-R BT.2087).
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)

_OBLIQUE = math.cos(math.radians(2))
"""Up to two degrees from a quarter turn is rounding. Players turn by the nearest quarter too."""


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to turn and mirror a picture: exchange rows and columns, then reverse either.

    `oblique`: the display matrix has another angle, and this is the nearest orientation. `angle`: PyAV's degrees for
    that matrix.
    """

    transposed: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False
    oblique: bool = False
    angle: int = field(default=0, compare=False)

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Return an upright view of a stored `H W C` picture; `W H C` if `transposed`."""
        turned = picture.swapaxes(0, 1) if self.transposed else picture
        return turned[:: -1 if self.reverse_rows else 1, :: -1 if self.reverse_columns else 1]


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame, before: Orientation | None) -> Orientation:
    """Return the orientation that the container or the stream gives `frame`; `before` is that of the frame before it.

    A stream may give it once for all frames up to the next key frame. The matrix is read only where it may have
    changed: reading a frame's side data makes the frame refer to itself, and its memory waits for Python's collector.
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
        # PyAV cannot list side data of unknown kinds, but it still gives the angle.
        return _nearest_turn(frame.rotation)
    return from_matrix(np.frombuffer(matrix, dtype=np.int32).reshape(3, 3))


def _nearest_turn(degrees: int) -> Orientation:
    """Return the orientation nearest to an anticlockwise turn."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return from_matrix(np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]))


def from_matrix(matrix: np.ndarray) -> Orientation:
    """Return the orientation nearest to a 3 × 3 display matrix; its scale does not matter.

    Its rows begin with (a, b) and (c, d): a stored pixel (x, y) is shown at (a x + c y, b x + d y), up to a shift
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


class ToRGB:
    """Convert the frames of one stream; swscale's tables are kept between frames.

    Frames without a named matrix are read as players do: BT.709 from 720 lines on, BT.601 below. The frame's own tag
    and pixel format decide between limited and full range.
    """

    def __init__(self, transfer: int, warn: Callable[[], None]) -> None:
        """`transfer`: the stream's transfer characteristics (H.273); `warn`: called for a frame with transparency."""
        self._transfer = transfer
        self._warn = warn
        self._scale = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, orientation: Orientation) -> np.ndarray:
        """Return contiguous, upright `H W 3` uint8."""
        _name_matrix(frame)
        if self._transfer in HDR_TRANSFERS:
            rgb = sdr_from_hdr(self._pixels(frame, "rgb48le"), self._transfer)
        elif _may_be_transparent(frame.format):
            rgb = over_black(self._pixels(frame, "rgba"), self._warn)
        else:
            rgb = self._pixels(frame, "rgb24")
        return np.ascontiguousarray(orientation.apply(rgb))

    def _pixels(self, frame: av.VideoFrame, form: str) -> np.ndarray:
        return self._scale.reformat(frame, format=form).to_ndarray()


def over_black(rgba: np.ndarray, warn: Callable[[], None]) -> np.ndarray:
    """Return `H W 4` uint8 with straight alpha as `H W 3` over black; call `warn` if anything is transparent."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgb)
    warn()
    return ((rgb.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def _name_matrix(frame: av.VideoFrame) -> None:
    """Set the matrix of a frame that names none, or names one that swscale lacks."""
    if frame.colorspace == _BT2020_CONSTANT_LUMINANCE:
        frame.colorspace = _BT2020
    elif frame.colorspace not in _SWSCALE_KNOWS and not frame.format.is_rgb:
        frame.colorspace = _BT709 if max(frame.width / 16 * 9, frame.height) >= 720 else _BT470BG


def _may_be_transparent(form: av.VideoFormat) -> bool:
    return _has_alpha(form.name)


@cache
def _has_alpha(name: str) -> bool:
    form = av.VideoFormat(name)
    return form.has_palette or any(component.is_alpha for component in form.components)


def sdr_from_hdr(signal: np.ndarray, transfer: int) -> np.ndarray:
    """Return `H W 3` uint8 for an `H W 3` uint16 signal: full-range BT.2020 RGB; `transfer` is `PQ` or `HLG`."""
    light = _light_table(transfer)[signal]
    light = light @ (_TO_BT709.T * (_STEPS - 1))
    np.clip(light, 0, _STEPS - 1, out=light)
    return _gamma_table()[light.astype(np.uint16)]


@cache
def _light_table(transfer: int) -> np.ndarray:
    signal = np.linspace(0, 1, 65536)
    nits = _pq_nits(signal) if transfer == PQ else _hlg_nits(signal)
    light = nits / _REFERENCE_WHITE
    room = 1 - _SHOULDER
    bent = _SHOULDER + room * (1 - np.exp(-(np.maximum(light, _SHOULDER) - _SHOULDER) / room))
    return np.where(light < _SHOULDER, light, bent).astype(np.float32)


def _pq_nits(signal: np.ndarray) -> np.ndarray:
    """Return cd/m² by the SMPTE ST 2084 EOTF."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    return 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_nits(signal: np.ndarray) -> np.ndarray:
    """Return cd/m² by the HLG inverse OETF and a 1000 cd/m² display's gamma 1.2, each channel alone (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return 1000 * scene**1.2


@cache
def _gamma_table() -> np.ndarray:
    return np.round(255 * np.linspace(0, 1, _STEPS) ** (1 / _GAMMA)).astype(np.uint8)

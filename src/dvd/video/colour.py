"""The pixels of a decoded frame → upright uint8 RGB: matrix, range, bit depth, HDR, alpha, orientation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from dvd.video.hdr import HDR_TRANSFERS, sdr_from_hdr
from dvd.video.orientation import Orientation

# AVColorSpace, ITU-T H.273 table 4.
_BT709, _UNSPECIFIED, _BT470BG, _BT2020 = 1, 2, 5, 9
_SWSCALE_KNOWS = frozenset((0, 1, 4, 5, 6, 7, 9))
_BT2020_CONSTANT_LUMINANCE = 10

TRANSPARENT = "transparent parts are read as if over black"


class ToRGB:
    """Converts frames of one stream; keeps swscale's tables between frames.

    Frames that do not name their matrix are taken as players do: BT.709 from 720 lines on, BT.601 below. Limited and
    full range are told apart by the frame's own tag and pixel format.
    """

    def __init__(self, transfer: int, warn: Callable[[], None]) -> None:
        """`transfer`: the stream's transfer characteristics (H.273); `warn`: called for a frame with transparency."""
        self._transfer = transfer
        self._warn = warn
        self._scale = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, orientation: Orientation) -> np.ndarray:
        """`H W 3` uint8, contiguous and upright."""
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
    """`H W 4` uint8 with straight alpha → `H W 3` over black; `warn` is called if anything is transparent."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgb)
    warn()
    return ((rgb.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def _name_matrix(frame: av.VideoFrame) -> None:
    """Settles the matrix of a frame that leaves it open, or names one that swscale has not."""
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

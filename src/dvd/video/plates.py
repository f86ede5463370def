"""Plates of film and of renderers: OpenEXR, DPX and Radiance, whose values are proportional to light or to density.

Scene-linear light is shown by the sRGB curve, with the exposure as it is and 1 as white. DPX that its header calls
logarithmic goes through the Cineon curve first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from dvd.video.ffmpeg_picture import decode
from dvd.video.levels import Pixels
from dvd.video.reader import UnreadableFrame

Tell = Callable[[str], None]

LINEAR = "scene-linear, shown by the sRGB curve with 1 as white"
LOGARITHMIC = f"logarithmic, read by the Cineon curve (95 black, 685 white); {LINEAR}"

_DPX_TRANSFER_AT = 801
"""Where a DPX header names the transfer of its first element (SMPTE 268M)."""
_DPX_WHITE = 65535
_PRINTING_DENSITY, _LINEAR, _LOGARITHMIC = 1, 2, 3


def has_openexr() -> bool:
    """Whether the optional OpenEXR library is installed."""
    return find_spec("OpenEXR") is not None


def read_exr(path: Path, tell: Tell) -> Pixels:
    """The R, G, B channels (else Y) on the display window; where no data lie it is black.

    The first layer that has R, G and B is taken where the plain ones are missing. `tell` is called with the line about
    the curve, and with the layer's name. Raises `UnreadableFrame`.
    """
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            # Closing the file empties its headers.
            parts = [(dict(part.header), _planes(part)) for part in file.parts]
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise UnreadableFrame(str(error)) from error
    if not any(channels for _, channels in parts):
        raise UnreadableFrame("an EXR without whole pictures; is it cut off?")
    header, values, layer = _colour(parts)
    tell(LINEAR)
    if layer:
        tell(f"its layer '{layer}' is read")
    return Pixels(_on_display(header, values), 1, linear=True)


def _planes(part: Any) -> dict[str, np.ndarray]:
    return {name: channel.pixels for name, channel in part.channels.items()}


def _colour(parts: list[tuple[dict[str, Any], dict[str, np.ndarray]]]) -> tuple[dict[str, Any], np.ndarray, str]:
    """Header, `h w C` and layer name of the first picture in colour, else in gray."""
    for names in (("R", "G", "B"), ("Y",)):
        for header, channels in parts:
            for layer in _layers(channels, names):
                planes = [channels[layer + name] for name in names]
                if all(plane.dtype.kind == "f" and plane.shape == planes[0].shape for plane in planes):
                    return header, np.stack(planes, axis=-1), layer.rstrip(".")
    found = ", ".join(name for _, channels in parts for name in channels)
    raise UnreadableFrame(f"an EXR without the channels R, G, B or Y; it has {found}")


def _layers(channels: dict[str, np.ndarray], names: tuple[str, ...]) -> Iterator[str]:
    """Prefixes under which all of `names` exist, the empty one first."""
    prefixes = dict.fromkeys(["", *(name[: -len(names[0])] for name in channels if name.endswith("." + names[0]))])
    return (prefix for prefix in prefixes if all(prefix + name in channels for name in names))


def _on_display(header: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """Puts the data window where it lies on the display window, cut to it."""
    (left, top), (right, bottom) = (tuple(map(int, corner)) for corner in header["displayWindow"])
    data_left, data_top = (int(each) for each in header["dataWindow"][0])
    height, width = values.shape[:2]
    display = np.zeros((bottom - top + 1, right - left + 1, values.shape[2]), dtype=np.float32)
    rows = slice(max(data_top, top), min(data_top + height, bottom + 1))
    columns = slice(max(data_left, left), min(data_left + width, right + 1))
    if rows.start < rows.stop and columns.start < columns.stop:
        display[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = values[
            rows.start - data_top : rows.stop - data_top, columns.start - data_left : columns.stop - data_left
        ]
    return display


def read_dpx(path: Path, tell: Tell) -> Pixels:
    """A DPX by its header's transfer: logarithmic, linear, or as a display expects it. Raises `UnreadableFrame`."""
    pixels = decode(path)
    values = pixels.values[..., :3]
    with path.open("rb") as file:
        file.seek(_DPX_TRANSFER_AT)
        transfer = int.from_bytes(file.read(1), "big")
    if transfer == _LINEAR:
        tell(LINEAR)
        return Pixels(values, _DPX_WHITE, linear=True)
    if transfer in (_PRINTING_DENSITY, _LOGARITHMIC):
        tell(LOGARITHMIC)
        return Pixels(linear_from_cineon(values / np.float32(_DPX_WHITE)), 1, linear=True)
    return Pixels(values, _DPX_WHITE)


def linear_from_cineon(signal: np.ndarray) -> np.ndarray:
    """Printing density in [0, 1] → light, 0 at code 95 and 1 at code 685 of 1023 (Kodak's Cineon curve, gamma 0.6)."""
    light = 10 ** ((signal * 1023 - 685) * 0.002 / 0.6)
    black = 10 ** ((95 - 685) * 0.002 / 0.6)
    return ((light - black) / (1 - black)).astype(np.float32)


def read_radiance(path: Path, tell: Tell) -> Pixels:
    """A Radiance `.hdr`. Raises `UnreadableFrame`."""
    tell(LINEAR)
    return Pixels(decode(path).values, 1, linear=True)

"""Pictures of more than 8 bits: read those that Pillow cannot read, and convert all to uint8 by one scale for an input.

OpenEXR, DPX and Radiance hold values proportional to light or to density. Scene-linear light is shown by the sRGB
curve, with unchanged exposure and 1 as white; logarithmic DPX (by its header) goes through the Cineon curve first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dvd.video.reader import UnreadableFrame, Warn

LINEAR = "scene-linear, shown by the sRGB curve with 1 as white"
LOGARITHMIC = f"logarithmic, read by the Cineon curve (95 black, 685 white); {LINEAR}"

_DPX_TRANSFER_AT = 801
"""Position in a DPX header of the transfer of its first element (SMPTE 268M)."""
_DPX_WHITE = 65535
_PRINTING_DENSITY, _LINEAR, _LOGARITHMIC = 1, 2, 3

_BITS = (8, 10, 12, 14, 16, 24, 32)
"""Bit depths of cameras and files; values are read with the smallest that holds them."""
WHITES = tuple(2**bits - 1 for bits in _BITS)

_WIDENED = 257
"""8 bits stretched to 16 (v · 257) are multiples of this; such pictures span 16 bits even if they are dark."""

_QUANTILE_OF = 10**6
"""Number of values that a quantile is taken from."""

_SLACK = 1.001
"""A resized or compressed float picture may exceed its white by rounding."""

_TIFF_BITS, _TIFF_SAMPLE_FORMAT, _FLOAT = 258, 339, 3
"""TIFF tags, and the value of the second tag for floats."""


@dataclass(frozen=True)
class Pixels:
    """One picture as stored, upright: `values` `H W C` with C = 1 (gray) or 3, uint8, wider integers or floats.

    `white`: the value to show as white, None where the file does not say. `linear`: values are proportional to light,
    not to what a display expects. `alpha`: `H W 1` straight alpha of values that are wider than 8 bits.
    """

    values: np.ndarray
    white: float | None
    linear: bool = False
    alpha: np.ndarray | None = None


@dataclass(frozen=True)
class Scale:
    """The value shown as white, with a line for the user where it is a guess.

    `highest`: the largest value known when the guess was made; may be above white.
    """

    white: float
    note: str = ""
    highest: float = 0


def is_bright(values: np.ndarray) -> bool:
    """Whether this picture uses all 16 bits, so that no other picture is needed for a guess."""
    return values.dtype.kind != "f" and 2**14 <= int(values.max()) < 2**16


def guess_scale(samples: Sequence[np.ndarray]) -> Scale:
    """Return one scale for `samples`: pictures of one input, all integers or all floats."""
    if samples[0].dtype.kind == "f":
        return _guess_floats(samples)
    largest = max(int(sample.max()) for sample in samples)
    if largest <= 0 or (largest < 2**16 and all(not np.any(sample % _WIDENED) for sample in samples)):
        return Scale(65535)
    bits = next(bits for bits in _BITS if largest < 2**bits)
    white = 2**bits - 1
    return Scale(white, "" if bits == 16 else f"its values reach {largest}, read as {bits} bits (0 … {white})")


def _guess_floats(samples: Sequence[np.ndarray]) -> Scale:
    finite = np.concatenate([sample[np.isfinite(sample)] for sample in samples])
    largest = float(finite.max(initial=0))
    if largest <= _SLACK:
        return Scale(1)
    if np.quantile(finite[:: max(finite.size // _QUANTILE_OF, 1)], 0.95) <= 1:
        return Scale(1, f"its values reach {largest:.6g}, read as 0 … 1; brighter values are white", largest)
    white = next((white for white in WHITES if largest <= white * _SLACK), largest)
    return Scale(white, f"its values reach {largest:.6g}, read as 0 … {white:.6g}")


def to_rgb(pixels: Pixels, white: float) -> np.ndarray:
    """Return `H W 3` uint8 over black. Values above `white` become white, negative ones and NaN black."""
    values = pixels.values
    if values.dtype != np.uint8:
        signal = np.nan_to_num(values.astype(np.float32), nan=0, posinf=white, neginf=0) / np.float32(white)
        signal = np.clip(signal, 0, 1)
        if pixels.alpha is not None:
            signal = signal * _opacity(pixels.alpha, white)
        values = ((srgb_from_linear(signal) if pixels.linear else signal) * 255 + 0.5).astype(np.uint8)
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else np.ascontiguousarray(values)


def _opacity(alpha: np.ndarray, white: float) -> np.ndarray:
    """Return alpha in [0, 1]. If colours use fewer bits than their integers hold, so does alpha."""
    opaque = white if alpha.dtype.kind == "f" or alpha.max() <= white else np.iinfo(alpha.dtype).max
    return alpha.astype(np.float32) / np.float32(opaque)


def srgb_from_linear(light: np.ndarray) -> np.ndarray:
    """Encode light in [0, 1] as an sRGB signal in [0, 1] (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-8) ** (1 / 2.4) - 0.055)


def decode(path: Path, page: int = 0) -> Pixels:
    """Read one picture through FFmpeg: `H W C` as stored, uint8, uint16 or float32, straight alpha where C is 4.

    9 to 15 bits are stretched to 16. `white` is None for 16-bit values, which may hold fewer bits. `page` is the index
    of a picture in a TIFF. Raise `UnreadableFrame` if this is no picture.
    """
    if _is_half_float_tiff(path):
        raise UnreadableFrame("a TIFF of half floats; save it with 32 bits, or as EXR")
    try:
        content = _tiff_page(path, page) if page else path.open("rb")
        with content, av.open(content, "r") as container:
            if not (container.format.name.endswith("_pipe") or container.format.name == "image2"):
                raise UnreadableFrame("not an image but a video; rename it" if container.streams.video else "no image")
            frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration, IndexError, SyntaxError) as error:
        raise UnreadableFrame("not an image that can be read") from error
    return _pixels(frame)


def _pixels(frame: av.VideoFrame) -> Pixels:
    parts = frame.format.components
    if "f32" in frame.format.name or "f16" in frame.format.name:
        values = frame.reformat(format="gbrpf32le").to_ndarray()
        return Pixels(values, None)
    bits = max(part.bits for part in parts)
    deep = bits > 8
    alpha = frame.format.has_palette or any(part.is_alpha for part in parts)
    form = ("rgba64le" if alpha else "rgb48le") if deep else ("rgba" if alpha else "rgb24")
    white = None if bits == 16 else 65535 if deep else 255
    return Pixels(frame.reformat(format=form).to_ndarray(), white)


def _tiff_page(path: Path, page: int) -> BytesIO:
    """Return the file with its header pointing at `page`, because FFmpeg reads only a TIFF's first page."""
    content = path.read_bytes()
    file = BytesIO(content)
    directory = ImageFileDirectory_v2(file.read(8))
    if content[2:4] not in (b"*\0", b"\0*"):
        raise UnreadableFrame("a page of a BigTIFF")
    for _ in range(page):
        file.seek(directory.next)
        directory.load(file)
    order: Literal["little", "big"] = "little" if content[:2] == b"II" else "big"
    return BytesIO(content[:4] + directory.next.to_bytes(4, order) + content[8:])


def _is_half_float_tiff(path: Path) -> bool:
    """Whether a TIFF holds half floats, which FFmpeg reads as integers."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in (b"II*\0", b"MM\0*"):
            return False
        directory = ImageFileDirectory_v2(head)
        file.seek(directory.next)
        directory.load(file)
    return directory.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == _FLOAT and directory.get(_TIFF_BITS, (1,))[0] == 16


def has_openexr() -> bool:
    """Whether the optional OpenEXR library is installed."""
    return find_spec("OpenEXR") is not None


def read_exr(path: Path, warn: Warn) -> Pixels:
    """Read the R, G, B channels (else Y) of an OpenEXR file on its display window, black where there is no data.

    Where the plain channels are missing, the first layer with R, G and B is read. `warn` is called with a line about
    the curve and one with the layer's name. Raise `UnreadableFrame` for a damaged file.
    """
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            # Copied, because closing the file empties its headers.
            parts = [(dict(part.header), _planes(part)) for part in file.parts]
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise UnreadableFrame(str(error)) from error
    if not any(channels for _, channels in parts):
        raise UnreadableFrame("an EXR without whole pictures; is it cut off?")
    header, values, layer = _colour(parts)
    warn(LINEAR)
    if layer:
        warn(f"its layer '{layer}' is read")
    return Pixels(_on_display(header, values), 1, linear=True)


def _planes(part: Any) -> dict[str, np.ndarray]:
    return {name: channel.pixels for name, channel in part.channels.items()}


def _colour(parts: list[tuple[dict[str, Any], dict[str, np.ndarray]]]) -> tuple[dict[str, Any], np.ndarray, str]:
    """Return header, `h w C` and layer name of the first colour picture, else of the first gray one."""
    for names in (("R", "G", "B"), ("Y",)):
        for header, channels in parts:
            for layer in _layers(channels, names):
                planes = [channels[layer + name] for name in names]
                if all(plane.dtype.kind == "f" and plane.shape == planes[0].shape for plane in planes):
                    return header, np.stack(planes, axis=-1), layer.rstrip(".")
    available = ", ".join(name for _, channels in parts for name in channels)
    raise UnreadableFrame(f"an EXR without the channels R, G, B or Y; it has {available}")


def _layers(channels: dict[str, np.ndarray], names: tuple[str, ...]) -> Iterator[str]:
    """Yield the prefixes under which all of `names` exist, the empty one first."""
    prefixes = dict.fromkeys(["", *(name[: -len(names[0])] for name in channels if name.endswith("." + names[0]))])
    return (prefix for prefix in prefixes if all(prefix + name in channels for name in names))


def _on_display(header: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """Return the display window with the part of the data window that is inside it."""
    (left, top), (right, bottom) = (tuple(map(int, corner)) for corner in header["displayWindow"])
    data_left, data_top = map(int, header["dataWindow"][0])
    height, width = values.shape[:2]
    display = np.zeros((bottom - top + 1, right - left + 1, values.shape[2]), dtype=np.float32)
    rows = slice(max(data_top, top), min(data_top + height, bottom + 1))
    columns = slice(max(data_left, left), min(data_left + width, right + 1))
    if rows.start < rows.stop and columns.start < columns.stop:
        display[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = values[
            rows.start - data_top : rows.stop - data_top, columns.start - data_left : columns.stop - data_left
        ]
    return display


def read_dpx(path: Path, warn: Warn) -> Pixels:
    """Read a DPX by its header's transfer: logarithmic, linear or for a display. Raise `UnreadableFrame`."""
    pixels = decode(path)
    values = pixels.values[..., :3]
    with path.open("rb") as file:
        file.seek(_DPX_TRANSFER_AT)
        transfer = int.from_bytes(file.read(1), "big")
    if transfer == _LINEAR:
        warn(LINEAR)
        return Pixels(values, _DPX_WHITE, linear=True)
    if transfer in (_PRINTING_DENSITY, _LOGARITHMIC):
        warn(LOGARITHMIC)
        return Pixels(linear_from_cineon(values / np.float32(_DPX_WHITE)), 1, linear=True)
    return Pixels(values, _DPX_WHITE)


def linear_from_cineon(signal: np.ndarray) -> np.ndarray:
    """Return light for printing density in [0, 1]: 0 at code 95, 1 at code 685 of 1023 (Cineon curve, gamma 0.6)."""
    light = 10 ** ((signal * 1023 - 685) * 0.002 / 0.6)
    black = 10 ** ((95 - 685) * 0.002 / 0.6)
    return ((light - black) / (1 - black)).astype(np.float32)


def read_radiance(path: Path, warn: Warn) -> Pixels:
    """Read a Radiance `.hdr`. Raise `UnreadableFrame`."""
    warn(LINEAR)
    return Pixels(decode(path).values, 1, linear=True)

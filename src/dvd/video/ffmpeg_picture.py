"""One picture through FFmpeg: what Pillow cannot read, or reads with fewer bits than it has."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Literal

import av
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dvd.video.levels import Pixels
from dvd.video.reader import UnreadableFrame

_BITS, _SAMPLE_FORMAT, _FLOAT = 258, 339, 3
"""TIFF tags, and the value of the second for floats."""


def decode(path: Path, page: int = 0) -> Pixels:
    """`H W C` as stored, with straight alpha where C is 4: uint8, uint16 or float32.

    9 to 15 bits are stretched to 16. The white of 16-bit values is left open: fewer bits may be stored in them.
    `page` counts the pictures of a TIFF. Raises `UnreadableFrame` for what is no picture.
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
    """The file with its header pointing at that page; FFmpeg reads a TIFF's first one only."""
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
    """Whether a TIFF holds half floats, which FFmpeg takes for integers."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in (b"II*\0", b"MM\0*"):
            return False
        directory = ImageFileDirectory_v2(head)
        file.seek(directory.next)
        directory.load(file)
    return directory.get(_SAMPLE_FORMAT, (1,))[0] == _FLOAT and directory.get(_BITS, (1,))[0] == 16

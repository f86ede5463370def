"""Images as frames: one image, or many in natural order (frame2 before frame10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dvd.types import MediaFile
from dvd.video.colour import over_black
from dvd.video.reader import Raw, UnreadableFrame

IMAGE_SUFFIXES = frozenset(
    (
        ".png",
        ".jpg",
        ".jpeg",
        ".jfif",
        ".bmp",
        ".tif",
        ".tiff",
        ".webp",
        ".ppm",
        ".pgm",
        ".pnm",
        ".tga",
        ".jp2",
        ".avif",
    )
)

FOLDER_RATE = Fraction(25)
"""Frames per second of images, which have none of their own; FFmpeg takes the same."""

TRANSPARENT = "transparent parts are read as if over black"


class Pictures:
    """Image files as a source; they are opened one at a time, when their frame is wanted."""

    frame_rate = FOLDER_RATE
    time_base = 1 / FOLDER_RATE
    start_pts: int | None = 0
    has_audio = False
    media: MediaFile | None = None

    def __init__(self, path: Path, paths: Sequence[Path], name: str) -> None:
        self.path = path
        self.name = name
        self.paths = sorted(paths, key=natural_order)
        self.frame_count: int | None = len(self.paths)
        self.is_image = list(paths) == [path]

    def frames(self, warn: Callable[[str], None], needed_from: int = 0) -> Iterator[Raw]:
        transparent = partial(warn, f"{self.path.name}: {TRANSPARENT}")
        for index, path in enumerate(self.paths[needed_from:], needed_from):
            yield Raw(index, partial(read_picture, path, transparent))


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A sort key under which digits count as numbers."""
    parts = re.split(r"(\d+)", path.as_posix().lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_picture(path: Path, warn: Callable[[], None]) -> np.ndarray:
    """One image as `H W 3` uint8, upright by its EXIF tag, 16 bits scaled to 8, transparent parts over black.

    `warn` is called for transparency. Raises `UnreadableFrame` with the reason.
    """
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            if picture.mode.startswith("I") or picture.mode == "F":
                return _deep_gray(np.asarray(picture))
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                return over_black(np.asarray(picture.convert("RGBA")), warn)
            return np.array(picture.convert("RGB"))
    except UnidentifiedImageError as error:
        raise UnreadableFrame("not an image") from error
    except Image.DecompressionBombError as error:
        raise UnreadableFrame("more pixels than is safe to open") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableFrame(str(error) or type(error).__name__) from error


def _deep_gray(values: np.ndarray) -> np.ndarray:
    """Gray of more than 8 bits: integers span 0…65535, floats 0…1."""
    top = 1.0 if values.dtype.kind == "f" else 65535.0
    gray = np.clip(np.nan_to_num(values.astype(np.float32)) * (255.0 / top) + 0.5, 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)

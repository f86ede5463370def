"""Recognise a picture file, list its pages, and read a page as pixels, upright and over black."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from dvd.video import deep_pictures
from dvd.video.colour import TRANSPARENT, over_black
from dvd.video.deep_pictures import WHITES, Pixels, decode
from dvd.video.reader import UnreadableFrame, Warn

_ANIMATIONS = ("PNG", "WEBP", "AVIF", "GIF")
"""Pillow's names of formats whose pictures are a film; in other formats they are views, layers or sizes."""

_SHORTEST_MS = 10.0
_DEFAULT_MS = 100.0
"""Browsers show a frame with a duration of 10 ms or less for 100 ms."""

_REDUCED, _MASK = 1, 4
_SUBFILE_TYPE, _ORIENTATION, _PHOTOMETRIC, _SAMPLE_FORMAT = 254, 274, 262, 339
"""TIFF tags."""
_WHITE_IS_ZERO, _UNSIGNED = 0, 1

_FULL = 65535

_MOTION_PHOTO = re.compile(rb"(?:MotionPhoto|MicroVideo)(?:=\"|>)1")
"""Text in the XMP of a photo whose file ends with a short video."""

_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""EXIF orientation → anticlockwise quarter turns, and whether to mirror the result left to right."""

_SIDEWAYS = (5, 6, 7, 8)


_HEIF_BRANDS = frozenset(b"avif avis heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1 miaf".split())
_AVIF_BRANDS = frozenset((b"avif", b"avis"))

_SIGNATURES = {
    b"\x89PNG": "png",
    b"\x76\x2f\x31\x01": "exr",
    b"SDPX": "dpx",
    b"XPDS": "dpx",
    b"#?RADIANCE": "radiance",
    b"#?RGBE": "radiance",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"GIF8": "gif",
}


@dataclass(frozen=True)
class Contents:
    """The pages of one file that are read as frames, whether they have durations, and a line about pages left out.

    Page None is the one that the file opens with.
    """

    pages: tuple[int | None, ...] = (None,)
    timed: bool = False
    left_out: str = ""


class PageReader:
    """Read pages of picture files; the last file stays open, because its next page is often read next.

    `warn` is called with each line that a user should know about a picture.
    """

    def __init__(self, warn: Warn, several_known: bool = False) -> None:
        """`several_known`: whether the user already knows which pictures of a file are read."""
        self._warn = warn
        self._several_known = several_known
        self._path: Path | None = None
        self._image: Image.Image | None = None

    def pixels(self, path: Path, page: int | None = None) -> Pixels:
        """Read one page. Raise `UnreadableFrame` with the reason."""
        kind = picture_kind(path)
        with _unreadable_frames():
            if kind == "exr":
                return deep_pictures.read_exr(path, self._warn)
            if kind == "dpx":
                return deep_pictures.read_dpx(path, self._warn)
            if kind == "radiance":
                return deep_pictures.read_radiance(path, self._warn)
            if kind == "heic" and not has_heif():
                raise UnreadableFrame(NO_HEIF)
            if kind == "avif" and not features.check("avif"):
                raise UnreadableFrame("AVIF needs Pillow 11.3 or newer: pip install -U pillow")
            try:
                image = self._open(path)
            except UnidentifiedImageError:
                return _flat(decode(path), self._warn)
            if page is not None:
                image.seek(page)
            self._warn_of_left_out(image)
            return _pixels(image, path, page or 0, self._warn)

    def duration_ms(self, path: Path, page: int | None) -> float:
        """Return how long a page of an animation is shown."""
        with _unreadable_frames():
            image = self._open(path)
            image.seek(page or 0)
            image.load()
            duration = float(image.info.get("duration") or 0)
        return duration if duration > _SHORTEST_MS else _DEFAULT_MS

    def close(self) -> None:
        """Close the open file."""
        if self._image is not None:
            self._image.close()
        self._path = self._image = None

    def _open(self, path: Path) -> Image.Image:
        if self._image is None or path != self._path:
            self.close()
            self._image, self._path = open_image(path), path
        return self._image

    def _warn_of_left_out(self, image: Image.Image) -> None:
        if not self._several_known and getattr(image, "is_animated", False):
            self._warn("some files hold several pictures; the first of each is read")
        if _MOTION_PHOTO.search(_xmp(image)):
            self._warn("a motion photo; the still picture is read, its video is left out")


def picture_kind(path: Path) -> str | None:
    """Return "png", "webp", "tiff", "gif", "avif", "heic", "exr", "dpx" or "radiance" by the first bytes, else None.

    "heic" is every HEIF that is not AVIF. JPEG is not recognised, because a Motion JPEG video begins like one.
    """
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError:
        return None
    if head[4:8] == b"ftyp":
        return _heif_kind(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), None)


def _heif_kind(head: bytes) -> str | None:
    """Return "avif" or "heic" by the brands in a HEIF's first box: the major one, a version, the compatible ones."""
    major, length = head[8:12], int.from_bytes(head[:4], "big")
    if major not in _HEIF_BRANDS:
        return None
    compatible = {head[at : at + 4] for at in range(16, min(length, len(head)), 4)}
    return "avif" if _AVIF_BRANDS & {major, *compatible} else "heic"


NO_HEIF = (
    "HEIC pictures need the package pillow-heif: pip install pillow-heif; or convert them: heif-convert photo.heic "
    "photo.png"
)


def has_heif() -> bool:
    """Whether pillow-heif, with which Pillow reads HEIC, is installed."""
    return find_spec("pillow_heif") is not None


def open_image(path: Path) -> Image.Image:
    """Open a file with Pillow; Pillow's errors pass through."""
    if picture_kind(path) == "heic" and has_heif():
        import pillow_heif

        pillow_heif.register_heif_opener()
    image = Image.open(path)
    if image.format == "TIFF" and image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS:
        # Pillow memory-maps such a file with its sides exchanged; it reads the same bytes in memory correctly.
        image.close()
        return Image.open(BytesIO(path.read_bytes()))
    return image


def contents_of(path: Path) -> Contents:
    """Return which pages of one file are frames; one for a file that cannot be opened, whose reading will raise."""
    if picture_kind(path) in ("exr", "dpx", "radiance"):
        return Contents()
    try:
        with open_image(path) as image:
            return _contents(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return Contents()


def _contents(image: Image.Image) -> Contents:
    count = getattr(image, "n_frames", 1)
    if count == 1:
        return Contents()
    if image.format in _ANIMATIONS:
        return Contents(tuple(range(1 if image.info.get("default_image") else 0, count)), timed=True)
    if image.format == "TIFF":
        return _tiff_contents(image, count)
    return Contents(left_out=f"it holds {count} pictures ({image.format}); the main one is read")


def _tiff_contents(image: Image.Image, count: int) -> Contents:
    """Return all pages if they have one size; thumbnails and masks, marked by a tag, never count."""
    sizes: dict[int, tuple[int, int]] = {}
    for page in range(count):
        image.seek(page)
        if not image.tag_v2.get(_SUBFILE_TYPE, 0) & (_REDUCED | _MASK):  # type: ignore[attr-defined]
            sizes[page] = image.size
    if not sizes:
        return Contents(left_out=f"it holds {count} reduced pictures; the first is read")
    first, size = next(iter(sizes.items()))
    if len(set(sizes.values())) > 1:
        return Contents(
            (first,), left_out=f"its {count} pages differ in size; one is read, of {size[0]} × {size[1]} pixels"
        )
    dropped = count - len(sizes)
    left_out = f"{dropped} of its {count} pages are thumbnails or masks and are left out" if dropped else ""
    return Contents(tuple(sizes), left_out=left_out)


def _pixels(image: Image.Image, path: Path, page: int, warn: Warn) -> Pixels:
    if _is_deep_colour(image, path):
        try:
            deep = _flat(decode(path, page if image.format == "TIFF" else 0), warn)
            orientation = image.getexif().get(_ORIENTATION, 1)
            alpha = None if deep.alpha is None else _turned(deep.alpha, orientation)
            return Pixels(_turned(deep.values, orientation), deep.white, alpha=alpha)
        except UnreadableFrame:
            # Fall back to the 8 of 16 bits that Pillow reads.
            warn("16-bit colours are read with 8 bits")
    white = _white(image, path)
    inverted = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # type: ignore[attr-defined]
    unsigned = image.format == "TIFF" and image.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED  # type: ignore[attr-defined]
    image.load()  # Pillow turns a TIFF upright here; it must not be turned twice.
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;") or upright.mode in ("I", "F"):
        values = np.asarray(upright)
        if upright.mode.startswith("I;") and inverted:
            values = _FULL - values
        elif upright.mode == "I" and unsigned:
            values = values.view(np.uint32)
        return Pixels(values[..., None], white)
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        return _flat(Pixels(np.asarray(upright.convert("RGBA")), 255), warn)
    return Pixels(np.array(upright.convert("RGB")), 255)


def _white(image: Image.Image, path: Path) -> float | None:
    """Return the white of values wider than 8 bits if the file names fewer than 16 bits, which Pillow stretches.

    TIFF's MaxSampleValue is ignored: it is meant for statistics, and would make a film flicker.
    """
    return _FULL if image.format in ("PPM", "JPEG2000") and _named_white(image, path) < _FULL else None


def _is_deep_colour(image: Image.Image, path: Path) -> bool:
    """Whether this is 16-bit colour, of which Pillow keeps the upper 8 bits; call this before loading."""
    if image.mode not in ("RGB", "RGBA", "LA", "RGBX"):
        return False
    if image.format in ("PPM", "JPEG2000"):
        return _named_white(image, path) > 255
    return image.format in ("PNG", "TIFF") and any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def _named_white(image: Image.Image, path: Path) -> int:
    """Return the largest value that a PPM or a JPEG 2000 can hold, by its header."""
    with path.open("rb") as file:
        head = file.read(4096)
    if image.format == "PPM":
        fields = re.sub(rb"#[^\n]*", b"", head).split(maxsplit=4)
        return int(fields[3]) if len(fields) > 3 and fields[3].isdigit() else 255
    # The SIZ segment of the code stream holds the first component's bits minus one.
    at = head.find(b"\xff\x4f\xff\x51")
    return 2 ** ((head[at + 42] & 0x7F) + 1) - 1 if at >= 0 and len(head) > at + 42 else 255


def _flat(pixels: Pixels, warn: Warn) -> Pixels:
    """Return pixels with alpha as three channels over black; deep pixels keep their alpha beside them."""
    values = pixels.values
    if values.shape[2] != 4:
        return pixels
    if not values[..., 3].any():
        warn("the picture is fully transparent, and so it is read as black")
        return Pixels(np.zeros_like(values[..., :3]), pixels.white)
    if values.dtype == np.uint8:
        return Pixels(over_black(values, lambda: warn(TRANSPARENT)), pixels.white)
    alpha = values[..., 3:]
    if alpha.min() == alpha.max() and int(alpha.max()) in WHITES:
        return Pixels(values[..., :3], pixels.white)
    warn(TRANSPARENT)
    return Pixels(values[..., :3], pixels.white, alpha=alpha)


def _turned(values: np.ndarray, orientation: int) -> np.ndarray:
    turns, mirrored = _TURNS.get(orientation, (0, False))
    upright = np.rot90(values, turns)
    return np.ascontiguousarray(upright[:, ::-1] if mirrored else upright)


def _xmp(image: Image.Image) -> bytes:
    xmp = image.info.get("xmp", b"")
    return xmp if isinstance(xmp, bytes) else str(xmp).encode()


@contextmanager
def _unreadable_frames() -> Iterator[None]:
    """Turn Pillow's errors into `UnreadableFrame`."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise UnreadableFrame("not an image") from error
    except Image.DecompressionBombError as error:
        raise UnreadableFrame("more pixels than is safe to open") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadableFrame(str(error) or type(error).__name__) from error

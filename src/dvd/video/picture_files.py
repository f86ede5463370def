"""Picture files, page by page: which pages one has, and each as pixels, upright and over black."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from dvd.video import plates
from dvd.video.colour import TRANSPARENT, over_black
from dvd.video.ffmpeg_picture import decode
from dvd.video.kinds import picture_kind
from dvd.video.levels import WHITES, Pixels
from dvd.video.reader import UnreadableFrame

Tell = Callable[[str], None]

_ANIMATIONS = ("PNG", "WEBP", "AVIF", "GIF")
"""Pillow's names of formats whose pictures follow each other in time; in others they are views, layers or sizes."""

_SHORTEST_MS = 10.0
_DEFAULT_MS = 100.0
"""Browsers show frames that ask for 10 ms or less for 100 ms."""

_REDUCED, _MASK = 1, 4
_SUBFILE_TYPE, _ORIENTATION, _PHOTOMETRIC, _SAMPLE_FORMAT = 254, 274, 262, 339
"""TIFF tags."""
_WHITE_IS_ZERO, _UNSIGNED = 0, 1

_FULL = 65535

_MOTION_PHOTO = re.compile(rb"(?:MotionPhoto|MicroVideo)(?:=\"|>)1")
"""Words in the XMP of a photo whose file ends with a short video."""

_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""EXIF orientation → anticlockwise quarter turns, and whether the result is mirrored left to right."""

_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Contents:
    """The pages of one file that are read as frames, whether they carry durations, and what is left out.

    A page None is the one that the file opens with.
    """

    pages: tuple[int | None, ...] = (None,)
    timed: bool = False
    left_out: str = ""


class PageReader:
    """Reads pages of picture files; keeps the last file open, because its next page is often wanted next.

    `tell` is called with what a user should know of a picture, one line each.
    """

    def __init__(self, tell: Tell, several_told: bool = False) -> None:
        """`several_told`: whether the user knows already which pictures of a file are read."""
        self._tell = tell
        self._several_told = several_told
        self._path: Path | None = None
        self._image: Image.Image | None = None

    def pixels(self, path: Path, page: int | None = None) -> Pixels:
        """One page. Raises `UnreadableFrame` with the reason."""
        kind = picture_kind(path)
        with _unreadable_frames():
            if kind == "exr":
                return plates.read_exr(path, self._tell)
            if kind == "dpx":
                return plates.read_dpx(path, self._tell)
            if kind == "radiance":
                return plates.read_radiance(path, self._tell)
            if kind == "heic" and not has_heif():
                raise UnreadableFrame(NO_HEIF)
            if kind == "avif" and not features.check("avif"):
                raise UnreadableFrame("AVIF needs Pillow 11.3 or newer: pip install -U pillow")
            try:
                image = self._open(path)
            except UnidentifiedImageError:
                return _flat(decode(path), self._tell)
            if page is not None:
                image.seek(page)
            self._say_what_is_left(image)
            return _pixels(image, path, page or 0, self._tell)

    def duration_ms(self, path: Path, page: int | None) -> float:
        """How long a page of an animation is shown."""
        with _unreadable_frames():
            image = self._open(path)
            image.seek(page or 0)
            image.load()
            duration = float(image.info.get("duration") or 0)
        return duration if duration > _SHORTEST_MS else _DEFAULT_MS

    def close(self) -> None:
        """Lets go of the open file."""
        if self._image is not None:
            self._image.close()
        self._path = self._image = None

    def _open(self, path: Path) -> Image.Image:
        if self._image is None or path != self._path:
            self.close()
            self._image, self._path = open_image(path), path
        return self._image

    def _say_what_is_left(self, image: Image.Image) -> None:
        if not self._several_told and getattr(image, "is_animated", False):
            self._tell("some files hold several pictures; the first of each is read")
        if _MOTION_PHOTO.search(_xmp(image)):
            self._tell("a motion photo; the still picture is read, its video is left out")


NO_HEIF = (
    "HEIC pictures need the package pillow-heif: pip install pillow-heif; or convert them: heif-convert photo.heic "
    "photo.png"
)


def has_heif() -> bool:
    """Whether Pillow can be taught to read HEIC."""
    return find_spec("pillow_heif") is not None


def open_image(path: Path) -> Image.Image:
    """The file, opened by Pillow. Raises what Pillow raises."""
    if picture_kind(path) == "heic" and has_heif():
        import pillow_heif

        pillow_heif.register_heif_opener()
    image = Image.open(path)
    if image.format == "TIFF" and image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS:
        # Pillow maps a file of this kind into memory with its sides exchanged; content in memory it reads rightly.
        image.close()
        return Image.open(BytesIO(path.read_bytes()))
    return image


def contents_of(path: Path) -> Contents:
    """Which pages of one file are frames. A file that cannot be opened counts as one; reading it will say why."""
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
    """All pages if they have one size; thumbnails and masks, which a tag marks, never count."""
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


def _pixels(image: Image.Image, path: Path, page: int, tell: Tell) -> Pixels:
    if _is_deep_colour(image, path):
        try:
            deep = _flat(decode(path, page if image.format == "TIFF" else 0), tell)
            orientation = image.getexif().get(_ORIENTATION, 1)
            alpha = None if deep.alpha is None else _turned(deep.alpha, orientation)
            return Pixels(_turned(deep.values, orientation), deep.white, alpha=alpha)
        except UnreadableFrame:
            # Pillow's 8 of the 16 bits are better than nothing.
            tell("16-bit colours are read with 8 bits")
    white = _white(image, path)
    inverted = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # type: ignore[attr-defined]
    unsigned = image.format == "TIFF" and image.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED  # type: ignore[attr-defined]
    image.load()  # A TIFF turns itself upright here, and must not be turned twice.
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;") or upright.mode in ("I", "F"):
        values = np.asarray(upright)
        if upright.mode.startswith("I;") and inverted:
            values = _FULL - values
        elif upright.mode == "I" and unsigned:
            values = values.view(np.uint32)
        return Pixels(values[..., None], white)
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        return _flat(Pixels(np.asarray(upright.convert("RGBA")), 255), tell)
    return Pixels(np.array(upright.convert("RGB")), 255)


def _white(image: Image.Image, path: Path) -> float | None:
    """The white of values wider than 8 bits, if the file names fewer than 16 bits: Pillow has stretched them then.

    TIFF's MaxSampleValue is left alone: it is meant for statistics, and would let a film flicker.
    """
    return _FULL if image.format in ("PPM", "JPEG2000") and _named_white(image, path) < _FULL else None


def _is_deep_colour(image: Image.Image, path: Path) -> bool:
    """Whether this is 16-bit colour, of which Pillow keeps the upper 8 bits; asked before it is loaded."""
    if image.mode not in ("RGB", "RGBA", "LA", "RGBX"):
        return False
    if image.format in ("PPM", "JPEG2000"):
        return _named_white(image, path) > 255
    return image.format in ("PNG", "TIFF") and any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def _named_white(image: Image.Image, path: Path) -> int:
    """The largest value that a PPM or a JPEG 2000 can hold, by its header."""
    with path.open("rb") as file:
        head = file.read(4096)
    if image.format == "PPM":
        fields = re.sub(rb"#[^\n]*", b"", head).split(maxsplit=4)
        return int(fields[3]) if len(fields) > 3 and fields[3].isdigit() else 255
    # Bits less one of the first component, in the SIZ segment of the code stream.
    at = head.find(b"\xff\x4f\xff\x51")
    return 2 ** ((head[at + 42] & 0x7F) + 1) - 1 if at >= 0 and len(head) > at + 42 else 255


def _flat(pixels: Pixels, tell: Tell) -> Pixels:
    """Four channels, the last one alpha, → three over black, or with the alpha beside them if they are deep."""
    values = pixels.values
    if values.shape[2] != 4:
        return pixels
    if not values[..., 3].any():
        tell("the picture is fully transparent, and so it is read as black")
        return Pixels(np.zeros_like(values[..., :3]), pixels.white)
    if values.dtype == np.uint8:
        return Pixels(over_black(values, lambda: tell(TRANSPARENT)), pixels.white)
    alpha = values[..., 3:]
    if alpha.min() == alpha.max() and int(alpha.max()) in WHITES:
        return Pixels(values[..., :3], pixels.white)
    tell(TRANSPARENT)
    return Pixels(values[..., :3], pixels.white, alpha=alpha)


def _turned(values: np.ndarray, orientation: int) -> np.ndarray:
    turns, mirrored = _TURNS.get(orientation, (0, False))
    upright = np.rot90(values, turns)
    return np.ascontiguousarray(upright[:, ::-1] if mirrored else upright)


def _xmp(image: Image.Image) -> bytes:
    found = image.info.get("xmp", b"")
    return found if isinstance(found, bytes) else str(found).encode()


@contextmanager
def _unreadable_frames() -> Iterator[None]:
    """Turns what Pillow raises into `UnreadableFrame`."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise UnreadableFrame("not an image") from error
    except Image.DecompressionBombError as error:
        raise UnreadableFrame("more pixels than is safe to open") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnreadableFrame(str(error) or type(error).__name__) from error

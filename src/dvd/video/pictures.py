"""Read pictures as frames: one picture, the pages of one file, or a series of files, each opened when needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from dvd.errors import InputError
from dvd.types import FrameNumbers, MediaFile
from dvd.video.deep_pictures import Pixels, Scale, guess_scale, has_openexr, is_bright, to_rgb
from dvd.video.picture_files import NO_HEIF, PageReader, contents_of, has_heif, picture_kind
from dvd.video.reader import Raw, UnreadableFrame, Warn
from dvd.video.series import Series

FOLDER_RATE = Fraction(25)
"""Frames per second of image series; FFmpeg's default as well."""

_MILLISECOND = Fraction(1, 1000)

_PROBED = 8
"""Number of pages or files read to find an input's frame rate or the range of its values."""


@dataclass(frozen=True)
class Page:
    """One frame: a page of a file (None: the one that it opens with), and its time (None: by the pages' durations)."""

    path: Path
    index: int | None
    pts: int | None


class Pictures:
    """Picture files as a source. The range of values of more than 8 bits is guessed once for all files."""

    start_pts: int | None = 0
    has_audio = False
    media: MediaFile | None = None

    def __init__(
        self,
        path: Path,
        name: str,
        pages: Sequence[Page],
        is_image: bool = False,
        notes: Sequence[str] = (),
        numbers: FrameNumbers | None = None,
        frame_rate: Fraction = FOLDER_RATE,
        time_base: Fraction = 1 / FOLDER_RATE,
    ) -> None:
        """`notes`: lines about the whole input, passed to `warn` when frames are read."""
        self.path = path
        self.name = name
        self.is_image = is_image
        self.numbers = numbers
        self.frame_rate = frame_rate
        self.time_base = time_base
        self.frame_count: int | None = len(pages)
        self._pages = pages
        self._notes = notes
        self._scales: dict[str, Scale] = {}

    def frames(self, warn: Warn, needed_from: int = 0) -> Iterator[Raw]:
        warn = partial(self._warn_by_name, warn)
        for note in self._notes:
            warn(note)
        with closing(PageReader(warn, several_known=len({page.path for page in self._pages}) == 1)) as reader:
            for pts, page in self._timed(reader):
                if pts >= needed_from:
                    yield Raw(pts, partial(self._rgb, reader, page, warn))

    def _timed(self, reader: PageReader) -> Iterator[tuple[int, Page]]:
        """Yield every page with its time; durations are summed before rounding, so that errors do not add up."""
        elapsed_ms = 0.0
        for page in self._pages:
            if page.pts is not None:
                yield page.pts, page
                continue
            yield round(elapsed_ms), page
            elapsed_ms += _duration_ms(reader, page)

    def _rgb(self, reader: PageReader, page: Page, warn: Warn) -> np.ndarray:
        pixels = reader.pixels(page.path, page.index)
        return to_rgb(pixels, self._white(pixels, warn) if pixels.white is None else pixels.white)

    def _white(self, pixels: Pixels, warn: Warn) -> float:
        """Return the value shown as white, guessed from the first picture and a few others, for integers or floats."""
        kind = pixels.values.dtype.kind
        if kind not in self._scales:
            others = [] if is_bright(pixels.values) else self._samples(kind)
            self._scales[kind] = guess_scale([pixels.values, *others])
        scale = self._scales[kind]
        if scale.note:
            warn(scale.note)
            if np.any(pixels.values > max(scale.highest, scale.white)):
                warn(f"some pictures hold values above {scale.white:g}; there they are white")
        return scale.white

    def _samples(self, kind: str) -> list[np.ndarray]:
        """Return the values of a few evenly spread pictures whose white is unknown as well."""
        count = len(self._pages)
        chosen = {round(index * (count - 1) / _PROBED) for index in range(1, _PROBED + 1)} if count > 1 else set()
        samples = []
        with closing(PageReader(lambda _: None, several_known=True)) as reader:
            for index in sorted(chosen):
                try:
                    pixels = reader.pixels(self._pages[index].path, self._pages[index].index)
                except UnreadableFrame:
                    continue
                if pixels.white is None and pixels.values.dtype.kind == kind:
                    samples.append(pixels.values)
        return samples

    def _warn_by_name(self, warn: Warn, line: str) -> None:
        warn(f"{self.path.name}: {line}")


def picture_file(path: Path) -> Pictures:
    """Return the source for one file: an image or an animation. Raise `InputError` as `picture_series` does."""
    _check_libraries(path, [path])
    contents = contents_of(path)
    notes = [contents.left_out] if contents.left_out else []
    if contents.timed:
        pages = [Page(path, index, None) for index in contents.pages]
        return Pictures(path, path.stem, pages, notes=notes, frame_rate=_rate(pages), time_base=_MILLISECOND)
    pages = [Page(path, index, pts) for pts, index in enumerate(contents.pages)]
    return Pictures(path, path.stem, pages, is_image=len(pages) == 1, notes=notes)


def picture_series(path: Path, series: Series, name: str) -> Pictures:
    """Return the source for files in order. Raise `InputError` where a format's optional library is missing."""
    _check_libraries(path, series.paths)
    pages = [Page(file, None, pts) for file, pts in zip(series.paths, series.pts, strict=True)]
    return Pictures(path, name, pages, notes=series.notes, numbers=series.numbers)


def _check_libraries(source: Path, paths: Sequence[Path]) -> None:
    endings = {path.suffix.lower() for path in paths}
    kinds = {picture_kind(paths[0])}
    if ("exr" in kinds or ".exr" in endings) and not has_openexr():
        raise InputError(f"{source}: EXR pictures need the OpenEXR library; pip install 'dvd-depth[exr]'")
    if "heic" in kinds and not has_heif():
        raise InputError(f"{source}: {NO_HEIF}")


def _rate(pages: Sequence[Page]) -> Fraction:
    """Return frames per second by the mean duration of the first pages; 23.976 becomes 24000/1001."""
    with closing(PageReader(lambda _: None, several_known=True)) as reader:
        durations = [_duration_ms(reader, page) for page in pages[:_PROBED]]
    return Fraction(1000 * len(durations) / sum(durations)).limit_denominator(1001)


def _duration_ms(reader: PageReader, page: Page) -> float:
    """Return a page's duration; a folder's for a page that cannot be read, whose reading will raise."""
    try:
        return reader.duration_ms(page.path, page.index)
    except UnreadableFrame:
        return float(1000 / FOLDER_RATE)

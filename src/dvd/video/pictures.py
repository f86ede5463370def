"""Pictures as frames: one picture, the pages of one file, or a series of files; opened when their frame is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from dvd.errors import InputError
from dvd.types import FrameNumbers, MediaFile
from dvd.video import plates
from dvd.video.kinds import picture_kind
from dvd.video.levels import Pixels, Scale, guess_scale, is_bright, to_rgb
from dvd.video.picture_files import NO_HEIF, PageReader, contents_of, has_heif
from dvd.video.reader import Raw, UnreadableFrame
from dvd.video.series import Series

FOLDER_RATE = Fraction(25)
"""Frames per second of images, which have none of their own; FFmpeg takes the same."""

_MILLISECOND = Fraction(1, 1000)

_PROBED = 8
"""So many pages or files of an input are looked at for its frame rate, or for the range of its values."""

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Page:
    """One frame: a page of a file (None: the one it opens with), and its time; None where durations decide."""

    path: Path
    index: int | None
    pts: int | None


class Pictures:
    """Picture files as a source. The range of values of more than 8 bits is guessed once for all of them."""

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
        """`notes`: lines about the whole input, told when it is read."""
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
        tell = partial(self._tell, warn)
        for note in self._notes:
            tell(note)
        with closing(PageReader(tell, several_told=len({page.path for page in self._pages}) == 1)) as reader:
            for pts, page in self._timed(reader):
                if pts >= needed_from:
                    yield Raw(pts, partial(self._rgb, reader, page, tell))

    def _timed(self, reader: PageReader) -> Iterator[tuple[int, Page]]:
        """Every page with its time; of animations the durations are added up, so that rounding does not."""
        elapsed_ms = 0.0
        for page in self._pages:
            if page.pts is not None:
                yield page.pts, page
                continue
            yield round(elapsed_ms), page
            elapsed_ms += _duration_ms(reader, page)

    def _rgb(self, reader: PageReader, page: Page, tell: Warn) -> np.ndarray:
        pixels = reader.pixels(page.path, page.index)
        return to_rgb(pixels, self._white(pixels, tell) if pixels.white is None else pixels.white)

    def _white(self, pixels: Pixels, tell: Warn) -> float:
        """The value shown as white: guessed from the first picture and a few others, for integers and floats apart."""
        kind = pixels.values.dtype.kind
        if kind not in self._scales:
            others = [] if is_bright(pixels.values) else self._samples(kind)
            self._scales[kind] = guess_scale([pixels.values, *others])
        scale = self._scales[kind]
        if scale.note:
            tell(scale.note)
            if np.any(pixels.values > max(scale.highest, scale.white)):
                tell(f"some pictures hold values above {scale.white:g}; there they are white")
        return scale.white

    def _samples(self, kind: str) -> list[np.ndarray]:
        """Values of some other pictures, evenly spread, whose range is as open as the first one's."""
        count = len(self._pages)
        chosen = {round(index * (count - 1) / _PROBED) for index in range(1, _PROBED + 1)} if count > 1 else set()
        found = []
        with closing(PageReader(lambda _: None, several_told=True)) as reader:
            for index in sorted(chosen):
                try:
                    pixels = reader.pixels(self._pages[index].path, self._pages[index].index)
                except UnreadableFrame:
                    continue
                if pixels.white is None and pixels.values.dtype.kind == kind:
                    found.append(pixels.values)
        return found

    def _tell(self, warn: Warn, line: str) -> None:
        warn(f"{self.path.name}: {line}")


def picture_file(path: Path) -> Pictures:
    """One file: an image, or a film if it holds pictures that follow each other. Raises `InputError` as below."""
    _check_libraries(path, [path])
    contents = contents_of(path)
    notes = [contents.left_out] if contents.left_out else []
    if contents.timed:
        pages = [Page(path, index, None) for index in contents.pages]
        return Pictures(path, path.stem, pages, notes=notes, frame_rate=_rate(pages), time_base=_MILLISECOND)
    pages = [Page(path, index, pts) for pts, index in enumerate(contents.pages)]
    return Pictures(path, path.stem, pages, is_image=len(pages) == 1, notes=notes)


def picture_series(path: Path, series: Series, name: str) -> Pictures:
    """Files in order. Raises `InputError` for a format whose optional library is not installed."""
    _check_libraries(path, series.paths)
    pages = [Page(each, None, pts) for each, pts in zip(series.paths, series.pts, strict=True)]
    return Pictures(path, name, pages, notes=series.notes, numbers=series.numbers)


def _check_libraries(source: Path, paths: Sequence[Path]) -> None:
    endings = {path.suffix.lower() for path in paths}
    kinds = {picture_kind(paths[0])}
    if ("exr" in kinds or ".exr" in endings) and not plates.has_openexr():
        raise InputError(f"{source}: EXR pictures need the OpenEXR library; pip install 'dvd-depth[exr]'")
    if "heic" in kinds and not has_heif():
        raise InputError(f"{source}: {NO_HEIF}")


def _rate(pages: Sequence[Page]) -> Fraction:
    """Frames per second by the mean duration of the first pages; 23.976 stays 24000/1001."""
    with closing(PageReader(lambda _: None, several_told=True)) as reader:
        durations = [_duration_ms(reader, page) for page in pages[:_PROBED]]
    return Fraction(1000 * len(durations) / sum(durations)).limit_denominator(1001)


def _duration_ms(reader: PageReader, page: Page) -> float:
    """A page that cannot be read lasts as long as a frame of a folder; reading it will say why."""
    try:
        return reader.duration_ms(page.path, page.index)
    except UnreadableFrame:
        return float(1000 / FOLDER_RATE)

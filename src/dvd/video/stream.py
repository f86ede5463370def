"""The story of reading: take frames from a source, skip those outside the trim, give the rest a time and one size."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from types import TracebackType

import numpy as np
from PIL import Image

from dvd.errors import InputError
from dvd.types import Frame, MediaFile, Timeline, VideoInfo
from dvd.video.reader import Raw, Source, UnreadableFrame
from dvd.video.timeline import timed
from dvd.video.trim import Trim

log = logging.getLogger(__name__)

_FEW_TICKS, _FINER = 4, 8
"""A time base of fewer ticks per frame has no room for a frame between two others, so it is made 8 times finer."""

_NO_LIMIT_S = Fraction(10**9)


class Video:
    """An open video: `info`, then an iterator over its frames, once. Close it, or use it in `with`.

    Time stamps are the source's own, in `info.time_base`, strictly increasing. Frames whose stamp is missing, repeated
    or steps back get a time between their neighbours; where the clock jumps, the parts are joined (`info.timeline`).
    Frames of another size than the first are resized to it.
    `warnings` lists every fault that reading survived, one line each; each is logged once.
    """

    info: VideoInfo
    warnings: list[str]

    def __init__(self, source: Source, trim: Trim) -> None:
        """Decode the first frame inside `trim`. Raise `InputError` if there is none."""
        self.warnings = []
        self._source = source
        self._trim = trim
        self._unreadable: list[str] = []
        self._resized = False
        self._seen = 0
        self._transposed = False
        self._timeline = Timeline(trimmed=trim.start is not None)
        self._ticks = _ticks(source)
        self._frames = self._read()
        first = next(self._frames, None)
        if first is None:
            raise InputError(self._no_frame_reason())
        self._first: Frame | None = first
        height, width = first.rgb.shape[:2]
        self.info = VideoInfo(
            name=source.name,
            path=source.path,
            width=width,
            height=height,
            frame_rate=source.frame_rate,
            time_base=source.time_base / self._ticks,
            frame_count=trim.count(source.frame_count, source.frame_rate),
            has_audio=source.has_audio,
            is_image=source.is_image,
            numbers=source.numbers,
            media=_upright(source.media, self._transposed),
            timeline=self._timeline,
        )

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._frames)

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the source; frames not yet read are lost."""
        self._first = None
        self._frames.close()

    def _read(self) -> Generator[Frame]:
        size: tuple[int, int] | None = None
        given = 0
        for pts, raw in self._inside():
            try:
                rgb = raw.rgb()
            except UnreadableFrame as error:
                self._unreadable.append(str(error))
                continue
            height, width = rgb.shape[:2]
            if size is None:
                size, self._transposed = (height, width), raw.transposed
            if (height, width) != size:
                rgb = self._resize(rgb, size, given)
            self._timeline.last, self._timeline.last_duration = pts, self._duration(raw)
            yield Frame(rgb, pts)
            given += 1
        if self._unreadable and given:
            self._warn(
                f"{self._source.path.name}: {len(self._unreadable)} frames could not be read and were left out "
                f"({self._unreadable[0]})"
            )

    def _inside(self) -> Iterator[tuple[int, Raw]]:
        """Yield time and frame inside the trim; frames before it are decoded but never converted."""
        start, end = self._trim.start, self._trim.end
        origin = None if self._source.start_pts is None else self._source.start_pts * self._ticks
        base = self._source.time_base / self._ticks
        for index, (pts, raw) in enumerate(self._timed(base, origin or 0)):
            self._seen = index + 1
            origin = pts if origin is None else origin
            seconds = (pts - origin) * base
            if end is not None and end.reached(index, seconds):
                self._timeline.last_duration = pts - (self._timeline.last or 0)
                return
            if start is None or start.reached(index, seconds):
                yield pts, raw
        self._timeline.ended = True

    def _timed(self, base: Fraction, first: int) -> Iterator[tuple[int, Raw]]:
        step = max(round(1 / (self._source.frame_rate * base)), 1)
        longest_gap = self._source.media.longest_gap if self._source.media else _NO_LIMIT_S
        raws = (raw if raw.pts is None else replace(raw, pts=raw.pts * self._ticks) for raw in self._raw_frames())
        return timed(raws, first, step, max(round(longest_gap / base), 10 * step), self._timeline, self._warn_of_jump)

    def _warn_of_jump(self, index: int) -> None:
        if len(self._timeline.jumps) > 1:
            return
        self._warn(
            f"{self._source.path.name}: its clock jumps, first at frame {index}, as where recordings were joined; "
            "the parts follow each other without a gap"
        )

    def _duration(self, raw: Raw) -> int | None:
        return None if raw.duration is None else raw.duration * self._ticks

    def _raw_frames(self) -> Iterator[Raw]:
        """Yield frames from the start, or from near a start in seconds; frame numbers need every frame counted."""
        start, end = self._trim.start, self._trim.end
        counted = end is not None and end.frame is not None
        if start is None or start.seconds is None or counted or self._source.start_pts is None:
            return self._source.frames(self._warn)
        needed_from = self._source.start_pts + int(start.seconds / self._source.time_base)
        return self._source.frames(self._warn, needed_from)

    def _resize(self, rgb: np.ndarray, size: tuple[int, int], index: int) -> np.ndarray:
        height, width = size
        if not self._resized:
            self._resized = True
            self._warn(
                f"{self._source.path.name}: from frame {index} on the size changes, there to {rgb.shape[1]} × "
                f"{rgb.shape[0]}; such frames are resized to the first one's {width} × {height}"
            )
        return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))

    def _warn(self, line: str) -> None:
        if line not in self.warnings:
            self.warnings.append(line)
            log.warning(line)

    def _no_frame_reason(self) -> str:
        path = self._source.path
        if self._unreadable:
            return f"{path}: cannot be read ({self._unreadable[0]}); copy or export it again"
        if self._seen and (self._trim.start or self._trim.end):
            count = max(self._seen, self._source.frame_count or 0)
            length = float(Fraction(count) / self._source.frame_rate)
            return f"{path}: no frame lies in {self._trim}, it has {count} ({length:.2f} s); choose another part"
        return f"{path}: nothing in it can be decoded; check it in a player, and copy or record it again"


def _ticks(source: Source) -> int:
    """Return how many parts each tick of the source is divided into, so that a frame fits between two others."""
    coarse = source.media is not None and source.frame_rate * source.time_base > Fraction(1, _FEW_TICKS)
    return _FINER if coarse else 1


def _upright(media: MediaFile | None, transposed: bool) -> MediaFile | None:
    """Return `media` with its pixel aspect turned as the pictures are."""
    if media is None or not media.pixel_aspect or not transposed:
        return media
    return replace(media, pixel_aspect=1 / media.pixel_aspect)

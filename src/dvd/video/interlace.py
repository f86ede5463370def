"""Interlaced frames → as many whole frames at the same times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av

_SMALLEST = 4
"""The filter needs this many lines and columns; smaller frames stay as they are."""


def deinterlaced(frames: Iterable[av.VideoFrame], time_base: Fraction) -> Iterator[av.VideoFrame]:
    """Pass progressive video through; from the first interlaced frame on, filter all with FFmpeg's bwdif.

    The filter changes only frames that are marked interlaced.
    """
    bwdif: _Bwdif | None = None
    for frame in frames:
        if bwdif is None and frame.interlaced_frame and min(frame.width, frame.height) >= _SMALLEST:
            bwdif = _Bwdif(frame, time_base)
        elif bwdif is not None and not bwdif.fits(frame):
            yield from bwdif.finish()
            bwdif = _Bwdif(frame, time_base)
        if bwdif is None:
            yield frame
        else:
            yield from bwdif.push(frame)
    if bwdif is not None:
        yield from bwdif.finish()


class _Bwdif:
    """One filter graph. The filter delays frames and changes their times, so the times are kept in a queue."""

    def __init__(self, frame: av.VideoFrame, time_base: Fraction) -> None:
        self._shape = (frame.width, frame.height, frame.format.name)
        self._times: deque[tuple[int | None, int]] = deque()
        self._sent = 0
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()

    def fits(self, frame: av.VideoFrame) -> bool:
        return self._shape == (frame.width, frame.height, frame.format.name)

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        self._times.append((frame.pts, frame.duration))
        frame.pts = self._sent
        self._sent += 1
        self._graph.vpush(frame)
        yield from self._ready()

    def finish(self) -> Iterator[av.VideoFrame]:
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            frame.pts, frame.duration = self._times.popleft()
            yield frame

"""Interlaced frames → whole frames: as many, at the same times."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av

_SMALLEST = 4
"""Fewer lines or columns than the filter can look across are left as they are."""


def deinterlaced(frames: Iterable[av.VideoFrame], time_base: Fraction) -> Iterator[av.VideoFrame]:
    """Passes progressive video through untouched; from the first interlaced frame on, all go through FFmpeg's bwdif.

    The filter leaves frames alone that are not marked interlaced.
    """
    weave: _Weave | None = None
    for frame in frames:
        if weave is None and frame.interlaced_frame and min(frame.width, frame.height) >= _SMALLEST:
            weave = _Weave(frame, time_base)
        elif weave is not None and not weave.fits(frame):
            yield from weave.finish()
            weave = _Weave(frame, time_base)
        if weave is None:
            yield frame
        else:
            yield from weave.push(frame)
    if weave is not None:
        yield from weave.finish()


class _Weave:
    """One filter graph. It holds frames back and renames their times, so the times are kept beside it in order."""

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

"""Disparity as a colour-mapped or gray H.264 video: alone, or beside the RGB frames."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np

from dvd.errors import OptionError
from dvd.export.display import FixedRange, RollingRange, WholeRange, colour_levels, coloured, to_levels
from dvd.export.encode import CONTAINERS, VideoEncoder
from dvd.export.pictures import PictureWriter
from dvd.export.writer import ExportOptions, Size, Writer, resized
from dvd.media import open_for_reading
from dvd.types import VideoInfo


class VideoWriter(Writer):
    """A video whose name FFmpeg has a container for; keeps what was encoded before a failure."""

    _encoder: VideoEncoder | None = None

    def check_path(self) -> None:
        if self.path.suffix.lower() not in CONTAINERS:
            raise OptionError(f"{self.path}: a video's name must end in one of {', '.join(CONTAINERS)}")

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"sound": self._encoder.sound if self._encoder else "none"}

    def finish(self) -> None:
        if self._encoder:
            self._encoder.close()

    def salvage(self) -> bool:
        """Keep what was written in fragments before a failure: it can be played without its end."""
        if not super().salvage():
            return self._plays()
        self.frames = self._encoder.frames if self._encoder else 0
        return self.frames > 0

    def open_encoder(self, size: Size, first: Sequence[int]) -> None:
        """Open the encoder of the part. `size`: height and width; `first`: the time stamps of the first frames."""
        audio = self.options.audio and self.info.has_audio
        self._encoder = VideoEncoder(self.part, size, self.info, first, self.options.crf, audio)
        self.resources.callback(self._encoder.release)

    def _plays(self) -> bool:
        """Return whether anything of the part can be decoded; set `frames` to how much."""
        self.resources.close()
        self.frames = 0
        with suppress(OSError, av.FFmpegError, IndexError), open_for_reading(self.part) as container:
            for packet in container.demux(video=0):
                with suppress(av.FFmpegError):
                    self.frames += len(packet.decode())
        return self.frames > 0


class Mp4Writer(VideoWriter):
    """The disparity alone; for an image, a `PictureWriter`.

    With the ranges `shot` and `global`, frames wait in a spool, at the network's size, until the range is known: at the
    end of their shot or of the video.
    """

    name = "mp4"
    suffix = ".mp4"
    image_suffix = ".png"
    endings = tuple(CONTAINERS)
    reads = frozenset(("range", "fixed_range", "colormap", "grayscale", "audio", "crf"))
    _spool: Spool | None = None
    _shown: Sequence[dict[str, Any]] = ()

    @classmethod
    def open(
        cls, path: str | Path, info: VideoInfo, options: ExportOptions | None = None, network: Size | None = None
    ) -> Writer:
        if info.is_image:
            return PictureWriter(Path(path).with_suffix(cls.image_suffix), info, options, network)
        return cls(path, info, options, network)

    @property
    def size(self) -> Size:
        """The network's: frames wait at that size, and get the source's when they are encoded."""
        return self.network

    def facts(self) -> dict[str, Any]:
        """Add `shown`: from which frame on which disparities are darkest and brightest, unless the range rolls."""
        shown = {"range": self.options.range, "colormap": self.options.shown_colormap}
        return super().facts() | shown | ({"shown": self._shown} if self._shown else {})

    def start(self, _disparity: np.ndarray, pts: Sequence[int], /) -> None:
        self.open_encoder(self.source, pts)
        if self.options.range == "fixed":
            self._show(*self.options.fixed_range)

    def start_shot(self, disparity: np.ndarray, /) -> None:
        if self.options.range == "shot":
            self._encode_waiting()
        if self.options.range in ("shot", "global") and self._spool is None:
            self._spool = Spool(self.part.parent, self.network)
            self.resources.callback(self._spool.close)
            self._seen = WholeRange()
        if self.options.range == "rolling":
            self._range: FixedRange | RollingRange = RollingRange(disparity)

    def add(self, frame: np.ndarray, pts: int, /) -> None:
        if self._spool:
            self._seen.see(frame)
            self._spool.put(frame, pts)
        else:
            self._encode(frame, pts)

    def finish(self) -> None:
        self._encode_waiting()
        super().finish()

    def _encode_waiting(self) -> None:
        """Encode the frames that wait, in the range of all of them. Done once, even if it fails on the way."""
        spool, self._spool = self._spool, None
        if spool is None:
            return
        self._show(*self._seen.result())
        for frame, pts in spool.take():
            self._encode(frame, pts)
        spool.close()

    def _show(self, low: float, high: float) -> None:
        """Show the frames from here on in one range."""
        self._range = FixedRange(low, high)
        first = self._encoder.frames if self._encoder else 0
        self._shown = [*self._shown, {"from_frame": first, "range": [low, high]}]

    def _encode(self, frame: np.ndarray, pts: int) -> None:
        if self._encoder:
            low, high = self._range.of(frame, float(pts * self.info.time_base))
            levels = to_levels(resized(frame, self.source), low, high)
            self._encoder.put(colour_levels(levels, self.options.shown_colormap), pts)


class SideBySideWriter(VideoWriter):
    """Twice the source's width: RGB left, disparity right. Frames are added by `write_pairs`."""

    def write_pairs(
        self, rgb: Sequence[np.ndarray], disparity: np.ndarray, pts: Sequence[int], shown: tuple[float, float]
    ) -> None:
        """Add frames: `rgb` T of `H W 3` uint8, `disparity` `T h w` float32 of the network's size.

        `pts`: their time stamps in `info.time_base`; `shown`: the disparities that are darkest and brightest. Raise
        `OutputError` where the disk refuses, `ValueError` for another shape.
        """
        if len(rgb) != len(disparity):
            raise ValueError(f"{len(rgb)} RGB frames beside {len(disparity)} of disparity")
        self._range = shown
        for picture, frame, time in zip(rgb, disparity, pts, strict=True):
            self._rgb = picture
            self.write(frame[None], [time])

    def start(self, _disparity: np.ndarray, pts: Sequence[int], /) -> None:
        self.open_encoder((self.info.height, 2 * self.info.width), pts)

    def add(self, frame: np.ndarray, pts: int, /) -> None:
        right = coloured(frame, *self._range, self.options.shown_colormap)
        if self._encoder:
            self._encoder.put(np.concatenate([self._rgb, right], axis=1), pts)


class Spool:
    """A file of frames `h w` that wait in half precision; read back once in order.

    The file has no name: nothing is left of it, however the run ends.
    """

    def __init__(self, folder: Path, size: Size) -> None:
        """`folder`: where the file is; `size`: height and width of every frame. Raise OSError."""
        self._size = size
        self._pts: list[int] = []
        # Closed by `close`; a `with` here would end before the first frame.
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def put(self, frame: np.ndarray, pts: int) -> None:
        """Add a frame of float32."""
        self._file.write(frame.astype(np.float16).tobytes())
        self._pts.append(pts)

    def take(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield every frame as float32, with its time stamp."""
        self._file.seek(0)
        for pts in self._pts:
            frame = np.frombuffer(self._file.read(2 * self._size[0] * self._size[1]), dtype=np.float16)
            yield frame.reshape(self._size).astype(np.float32), pts

    def close(self) -> None:
        """Close the file, which removes it."""
        self._file.close()

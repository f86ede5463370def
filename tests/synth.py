"""Small synthetic videos and disparities for the tests; nothing is read, all is made here."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from dvd.types import VideoInfo

NTSC_FILM = Fraction(24000, 1001)


def picture(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """`H W 3` uint8: a ramp from left to right in red and down in green, and blue that tells the frame's number."""
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    rgb[..., 0] = np.linspace(20, 235, width, dtype=np.uint8)[None, :]
    rgb[..., 1] = np.linspace(20, 235, height, dtype=np.uint8)[:, None]
    rgb[..., 2] = (index * 8) % 256
    return rgb


def frame_number(rgb: np.ndarray) -> int:
    """Which `picture` this is, if lossy coding was kind; numbers wrap at 32."""
    return round(float(np.median(rgb[..., 2])) / 8) % 32


def disparity(frames: int, height: int = 48, width: int = 64) -> np.ndarray:
    """`T H W` float32 in [0, 1]: nearer at the bottom, with a bright square that moves to the right."""
    values = np.tile(np.linspace(0.1, 0.7, height, dtype=np.float32)[None, :, None], (frames, 1, width))
    for index, frame in enumerate(values):
        left = index % max(width - width // 4, 1)
        frame[height // 4 : height // 2, left : left + width // 4] += 0.25
    return values


def info(
    path: Path = Path("absent.mp4"),
    width: int = 64,
    height: int = 48,
    frame_rate: Fraction = Fraction(25),
    time_base: Fraction | None = None,
    **more: Any,
) -> VideoInfo:
    """A `VideoInfo` for writers, without a source behind it."""
    return VideoInfo(path.stem, path, width, height, frame_rate, time_base or 1 / frame_rate, **more)


def make_video(
    path: Path,
    frames: int | Sequence[np.ndarray] = 12,
    size: tuple[int, int] = (48, 64),
    rate: Fraction = Fraction(25),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    source_format: str = "rgb24",
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    rotation: int = 0,
    audio: str | None = None,
    audio_seconds: float | None = None,
    interlaced: bool = False,
    colour: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
) -> Path:
    """Encodes pictures (`picture(0)`, … or the arrays given, in `source_format`) and returns `path`.

    `size`: height and width; `rotation`: degrees anticlockwise in the display matrix; `audio`: the codec of a tone;
    `colour`: attributes of the codec context (`color_trc`, `colorspace` …).
    """
    arrays = [picture(index, *size) for index in range(frames)] if isinstance(frames, int) else list(frames)
    base = time_base or 1 / rate
    with av.open(str(path), "w", format=container_format) as container:
        flags = {"x264-params": "tff=1"} if interlaced else {}
        stream = container.add_stream(codec, rate=rate, options={**_quality(codec), **flags, **(options or {})})
        planar = source_format.startswith("yuv")
        stream.height, stream.width = arrays[0].shape[1:] if planar else arrays[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = stream.time_base = base
        for name, value in (colour or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        sound = container.add_stream(audio, rate=48000) if audio else None
        if sound is not None:
            sound.layout = "mono"
        for index, array in enumerate(arrays):
            frame = _frame(array, source_format, pix_fmt, colour or {})
            frame.pts, frame.time_base = (pts[index] if pts else index * round(1 / (rate * base))), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _add_tone(container, sound, audio_seconds or len(arrays) / float(rate))
    return path


def make_sound(path: Path, seconds: float = 1.0, codec: str = "aac") -> Path:
    """A file with a tone and no pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48000)
        stream.layout = "mono"
        _add_tone(container, stream, seconds)
    return path


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Time in seconds and content of every packet of the first `video` or `audio` stream."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [(each.pts * each.time_base, bytes(each)) for each in container.demux(stream) if each.size]


def damaged(path: Path, start: float, stop: float) -> Path:
    """Overwrites the bytes between two fractions of the file's length, in place."""
    content = bytearray(path.read_bytes())
    first, last = int(len(content) * start), int(len(content) * stop)
    content[first:last] = bytes((index * 37 + 11) % 256 for index in range(last - first))
    path.write_bytes(content)
    return path


def with_index_first(path: Path) -> Path:
    """Rewrites an mp4 so that its index (moov) stands in front, and a cut takes only pictures away."""
    moved = path.with_name(f"first_{path.name}")
    with av.open(str(path)) as source, av.open(str(moved), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return moved


def cut(path: Path, fraction: float) -> Path:
    """Keeps the first part of the file's bytes, in place."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return path


def deep_png(path: Path, values: np.ndarray) -> Path:
    """A 16-bit gray PNG."""
    from PIL import Image

    Image.fromarray(values.astype(np.uint16)).save(path)
    return path


def pq_signal(nits: float) -> float:
    """SMPTE ST 2084 inverse EOTF: cd/m² → signal in [0, 1]."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = (nits / 10000) ** m1
    return float(((c1 + c2 * power) / (1 + c3 * power)) ** m2)


def mp4_boxes(path: Path) -> list[str]:
    """Names of an mp4's outermost boxes."""
    content, place, names = path.read_bytes(), 0, []
    while place + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        if length == 1:
            (length,) = struct.unpack(">Q", content[place + 8 : place + 16])
        names.append(name.decode("latin1"))
        if length < 8:
            break
        place += length
    return names


def _quality(codec: str) -> dict[str, str]:
    return {"crf": "4", "preset": "ultrafast"} if codec == "libx264" else {}


def _frame(array: np.ndarray, source_format: str, pix_fmt: str, colour: dict[str, int]) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), source_format)
    if source_format == pix_fmt:
        return frame
    return frame.reformat(
        format=pix_fmt, dst_colorspace=colour.get("colorspace"), dst_color_range=colour.get("color_range")
    )


def _add_tone(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    total, size = int(seconds * 48000), 1024
    wave = (0.3 * np.sin(2 * np.pi * 440 / 48000 * np.arange(total))).astype(np.float32)
    resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48000)
    for start in range(0, total, size):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + size], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        for ready in resampler.resample(frame):
            container.mux(stream.encode(ready))
    container.mux(stream.encode(None))

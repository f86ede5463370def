"""Video files: the choice of a stream, the frame rate, unusual file names."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition
from synth import make_video, picture

from dvd.media import picture_streams
from dvd.video import open_video

DEFAULT, NONE = Disposition.default, Disposition(0)


def with_streams(path: Path, *streams: tuple[int, int, Disposition]) -> Path:
    """A video for each (height, width, disposition), in this order."""
    with av.open(str(path), "w") as out:
        encoders = []
        for height, width, disposition in streams:
            stream = out.add_stream("mpeg4", rate=25)
            stream.height, stream.width = height, width
            stream.disposition = disposition
            encoders.append(stream)
        for index in range(5):
            for stream in encoders:
                frame = av.VideoFrame.from_ndarray(picture(index, stream.height, stream.width), "rgb24")
                frame.pts = index
                out.mux(stream.encode(frame))
        for stream in encoders:
            out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["two.mkv", "two.mov"])
@pytest.mark.parametrize(
    ("streams", "size"),
    [
        (((32, 32, NONE), (48, 64, DEFAULT)), (48, 64)),
        (((32, 32, DEFAULT), (48, 64, NONE)), (32, 32)),
        (((32, 32, DEFAULT), (48, 64, DEFAULT)), (48, 64)),
        (((48, 64, DEFAULT), (32, 32, DEFAULT)), (48, 64)),
    ],
)
def test_the_stream_that_players_show_is_read_with_one_warning(tmp_path, name, streams, size):
    path = with_streams(tmp_path / name, *streams)
    with open_video(path) as video:
        assert next(video).rgb.shape[:2] == size
        assert len(list(video)) == 4
        (line,) = video.warnings
    assert line.startswith(f"{name}: holds 2 videos; stream ")
    assert f"{size[1]} × {size[0]}" in line


def test_covers_and_thumbnails_are_not_picture_streams():
    def stream(index: int, width: int, disposition: Disposition, codec: str | None = "h264") -> SimpleNamespace:
        return SimpleNamespace(index=index, width=width, height=100, disposition=disposition, codec_context=codec)

    streams = [
        stream(0, 900, Disposition.attached_pic | DEFAULT),
        stream(1, 900, Disposition.timed_thumbnails),
        stream(2, 800, DEFAULT, codec=None),
        stream(3, 200, NONE),
        stream(4, 100, DEFAULT),
        stream(5, 300, NONE),
    ]
    container = SimpleNamespace(streams=SimpleNamespace(video=streams))
    assert [stream.index for stream in picture_streams(container)] == [4, 5, 3, 2]


def test_an_impossible_frame_rate_is_measured(tmp_path):
    path = make_video(tmp_path / "clip.dv", [np.zeros((576, 720, 3), np.uint8)] * 5, codec="dvvideo")
    with open_video(path) as video:
        assert video.info.frame_rate == 25
        assert len(list(video)) == 5


def test_slow_and_fast_frame_rates_are_kept(tmp_path):
    slow = make_video(tmp_path / "slow.mp4", 4, rate=Fraction(1, 10), time_base=Fraction(1, 100))
    fast = make_video(tmp_path / "fast.mp4", 12, rate=Fraction(960))
    with open_video(slow) as video:
        assert video.info.frame_rate == Fraction(1, 10)
    with open_video(fast) as video:
        assert video.info.frame_rate == 960


@pytest.mark.parametrize(
    "name",
    [
        "12:30:05.mp4",
        "file:a.mp4",
        "C:\\clips\\a.mp4",
        "100% %03d.mp4",
        "line\nbreak.mp4",
        "shot[1]*?.mp4",
        "x" * 251 + ".mp4",
    ],
)
def test_any_file_name_can_be_read(tmp_path, name):
    path = make_video(tmp_path / "plain.mp4", 3).rename(tmp_path / name)
    with open_video(path) as video:
        assert len(list(video)) == 3


def test_a_file_name_that_is_not_utf_8_can_be_read(tmp_path):
    path = make_video(tmp_path / "plain.mp4", 3).rename(tmp_path / "caf\udce9.mp4")
    with open_video(path) as video:
        assert len(list(video)) == 3
        assert video.info.name == "caf\udce9"


def test_an_existing_file_named_like_a_pattern_is_read_as_a_file(tmp_path):
    plain = make_video(tmp_path / "plain.gif", 3, codec="gif", pix_fmt="rgb8")
    path = plain.rename(tmp_path / "shot_%03d.gif")
    with open_video(path) as video:
        assert len(list(video)) == 3

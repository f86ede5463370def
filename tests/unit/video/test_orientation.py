"""Pictures are turned and mirrored as players do, whatever the display matrix."""

from __future__ import annotations

import gc
import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import SideDataContainer
from synth import make_video, picture

from dvd.video import open_video
from dvd.video.orientation import Orientation, from_matrix

ALL_EIGHT = {
    "upright": ((1, 0, 0, 1), lambda p: p),
    "90 clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "180": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "90 anticlockwise": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down mirrored": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
    "transposed across": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).swapaxes(0, 1)),
}


def shown_with(path: Path, target: Path, abcd: tuple[float, ...]) -> Path:
    """Copies the pictures of `path` under a display matrix whose rows begin with (a, b) and (c, d)."""
    a, b, c, d = (round(65536 * value) for value in abcd)
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return target


@pytest.mark.parametrize("name", ALL_EIGHT)
def test_all_eight_orientations(tmp_path, name):
    abcd, turn = ALL_EIGHT[name]
    path = shown_with(make_video(tmp_path / "in.mp4", 2), tmp_path / "out.mp4", abcd)
    with open_video(path) as video:
        rgb = next(video).rgb
        assert (video.info.height, video.info.width) == rgb.shape[:2]
        assert video.warnings == []
    expected = turn(picture(0))
    assert rgb.shape == expected.shape
    assert rgb.flags.c_contiguous
    assert np.abs(rgb.astype(int) - expected).mean() < 6


def turned(degrees: float) -> np.ndarray:
    """A display matrix that turns clockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) * 65536


@pytest.mark.parametrize("off", [-0.03, 0.03, 1.0])
@pytest.mark.parametrize("quarter", [0, 90, 180, 270])
def test_a_little_off_a_quarter_turn_is_that_turn(quarter, off):
    assert from_matrix(turned(quarter + off)) == from_matrix(turned(quarter))
    assert not from_matrix(turned(quarter + off)).oblique


def test_an_oblique_angle_takes_the_nearest_turn_and_is_said_once(tmp_path):
    cos, sin = math.cos(math.radians(80)), math.sin(math.radians(80))
    path = shown_with(make_video(tmp_path / "in.mp4", 3), tmp_path / "out.mp4", (cos, sin, -sin, cos))
    with open_video(path) as video:
        assert next(video).rgb.shape == (64, 48, 3)
        list(video)
        assert video.warnings == ["out.mp4: is to be shown at an oblique angle; the nearest quarter turn is applied"]


def test_a_matrix_of_zeros_turns_nothing():
    assert from_matrix(np.zeros((3, 3), dtype=np.int32)) == Orientation()


@pytest.mark.parametrize(("abcd", "aspect"), [((0, 1, 1, 0), Fraction(3, 4)), ((-1, 0, 0, 1), Fraction(4, 3))])
def test_the_pixels_shape_turns_with_the_picture(tmp_path, abcd, aspect):
    path = make_video(tmp_path / "in.mp4", 2, colour={"sample_aspect_ratio": Fraction(4, 3)})
    with open_video(shown_with(path, tmp_path / "out.mp4", abcd)) as video:
        assert video.info.media.pixel_aspect == aspect


UPSIDE_DOWN = bytes.fromhex("000001062f03100009" + "80")
"""H.264 in front of a picture: a display orientation of 180°, until another one comes."""


def test_an_orientation_that_the_stream_itself_gives_lasts_until_it_changes(tmp_path):
    """The camera is turned while it records: H.264 says so once, the container does not."""
    path = make_video(tmp_path / "in.h264", 12, container_format="h264", options={"g": "4"})
    with av.open(str(path)) as source:
        contents = [bytes(packet) for packet in source.demux(video=0) if packet.size]
    picture_at = contents[4].index(bytes.fromhex("000165")) - 1
    contents[4] = contents[4][:picture_at] + UPSIDE_DOWN + contents[4][picture_at:]
    path.write_bytes(b"".join(contents))
    with open_video(path) as video:
        frames = [frame.rgb for frame in video]
    for index, rgb in enumerate(frames):
        expected = np.rot90(picture(index), 2) if 4 <= index < 8 else picture(index)
        assert np.abs(rgb.astype(int) - expected).mean() < 6, index


@pytest.mark.parametrize("rotation", [0, 90])
def test_the_matrix_of_every_frame_is_not_asked_for(tmp_path, rotation):
    """Asking makes a frame refer to itself, so that a long video would fill the memory between two collections."""
    path = make_video(tmp_path / "clip.mp4", 40, rotation=rotation)
    gc.collect()
    gc.disable()
    try:
        with open_video(path) as video:
            assert sum(1 for _ in video) == 40
        kept = [each for each in gc.get_objects() if type(each) is SideDataContainer]
    finally:
        gc.enable()
    assert len(kept) <= 4

"""Every kind of pixel becomes the right uint8 RGB, turned and mirrored as players do."""

from __future__ import annotations

import gc
import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import SideDataContainer
from synth import make_video, picture, pq_signal

from dvd.video import open_video
from dvd.video.colour import HLG, PQ, Orientation, from_matrix, sdr_from_hdr

BT709, BT601, BT2020 = 1, 5, 9
LIMITED, FULL = 1, 2


def first_rgb(path) -> np.ndarray:
    with open_video(path) as video:
        return next(video).rgb


@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", [BT709, BT601, BT2020])
def test_matrix_and_range_are_applied(tmp_path, matrix, span):
    colours = np.zeros((32, 96, 3), dtype=np.uint8)
    for index, colour in enumerate([(200, 40, 30), (30, 180, 60), (20, 50, 210)]):
        colours[:, 32 * index : 32 * index + 32] = colour
    path = make_video(
        tmp_path / "c.mkv", [colours], pix_fmt="yuv444p", colour={"colorspace": matrix, "color_range": span}
    )
    rgb = first_rgb(path).astype(int)
    for index in range(3):
        middle = 32 * index + 16
        assert np.abs(rgb[16, middle] - colours[16, middle]).max() <= 4


def test_an_unnamed_matrix_is_bt709_in_large_and_bt601_in_small_pictures(tmp_path):
    red = np.zeros((720, 1280, 3), dtype=np.uint8)
    red[..., 0] = 200
    for size, matrix, name in (((720, 1280), BT709, "large"), ((120, 160), BT601, "small")):
        array = red[: size[0], : size[1]]
        frame = _yuv(array, matrix)
        path = make_video(tmp_path / f"{name}.mkv", [frame], codec="ffv1", source_format="yuv444p", pix_fmt="yuv444p")
        assert np.abs(first_rgb(path)[5, 5].astype(int) - [200, 0, 0]).max() <= 3, name


def _yuv(rgb: np.ndarray, matrix: int) -> np.ndarray:
    """Return `3 H W` limited range by the definition of the matrix."""
    red_part, blue_part = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114)}[matrix]
    red, green, blue = np.moveaxis(rgb / 255.0, -1, 0)
    luma = red_part * red + (1 - red_part - blue_part) * green + blue_part * blue
    planes = (16 + 219 * luma, 128 + 112 * (blue - luma) / (1 - blue_part), 128 + 112 * (red - luma) / (1 - red_part))
    return np.round(np.stack(planes)).astype(np.uint8)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("ffv1", "yuv444p10le"), ("ffv1", "gbrp12le"), ("ffv1", "rgb48le"), ("libx265", "yuv420p10le")],
)
def test_more_than_eight_bits(tmp_path, codec, pix_fmt):
    options = {"x265-params": "log-level=none:crf=8:bframes=0"} if codec == "libx265" else {}
    path = make_video(tmp_path / "deep.mkv", 3, codec=codec, pix_fmt=pix_fmt, options=options)
    assert np.abs(first_rgb(path).astype(int) - picture(0)).mean() < (6 if codec == "libx265" else 1.5)


@pytest.mark.parametrize(("pix_fmt", "top"), [("gray", 255), ("gray16le", 65535), ("gray10le", 1023)])
def test_gray(tmp_path, pix_fmt, top):
    ramp = np.tile(np.linspace(0, 1, 64), (48, 1))
    values = np.round(ramp * top).astype(np.uint8 if top == 255 else np.uint16)
    path = make_video(tmp_path / "gray.mkv", [values], codec="ffv1", source_format=pix_fmt, pix_fmt=pix_fmt)
    rgb = first_rgb(path).astype(int)
    assert (rgb[..., 0] == rgb[..., 1]).all()
    assert (rgb[..., 0] == rgb[..., 2]).all()
    assert np.abs(rgb[..., 0] - ramp * 255).max() <= 1.5


@pytest.mark.parametrize(("codec", "pix_fmt"), [("qtrle", "argb"), ("prores_ks", "yuva444p10le")])
def test_transparency_is_read_over_black_with_a_warning(tmp_path, codec, pix_fmt):
    alpha = np.full((48, 64), 255, dtype=np.uint8)
    alpha[:, 32:] = 64
    frames = [np.dstack([picture(index), alpha]) for index in range(3)]
    path = make_video(tmp_path / "glass.mov", frames, codec=codec, source_format="rgba", pix_fmt=pix_fmt)
    with open_video(path) as video:
        rgb = next(video).rgb.astype(int)
        list(video)
        assert video.warnings == ["glass.mov: transparent parts are read as if over black"]
    expected = picture(0).astype(float)
    expected[:, 32:] *= 64 / 255
    assert np.abs(rgb - expected).mean() < 3


def test_opaque_alpha_is_not_mentioned(tmp_path):
    frames = [np.dstack([picture(0), np.full((48, 64), 255, dtype=np.uint8)])]
    path = make_video(tmp_path / "solid.mov", frames, codec="qtrle", source_format="rgba", pix_fmt="argb")
    with open_video(path) as video:
        np.testing.assert_array_equal(next(video).rgb, picture(0))
        assert video.warnings == []


@pytest.mark.parametrize("nits", [0.0, 20.0, 100.0, 203.0, 1000.0])
def test_pq_is_tone_mapped_to_sdr(tmp_path, nits):
    level = round(pq_signal(nits) * 65535)
    array = np.full((64, 64, 3), level, dtype=np.uint16)
    path = make_video(
        tmp_path / "hdr.mkv",
        [array, array],
        codec="ffv1",
        source_format="rgb48le",
        pix_fmt="yuv420p10le",
        colour={"colorspace": BT2020, "color_primaries": BT2020, "color_trc": PQ, "color_range": LIMITED},
    )
    light = nits / 203
    bent = light if light < 0.6 else 0.6 + 0.4 * (1 - np.exp(-(light - 0.6) / 0.4))
    expected = 255 * bent ** (1 / 2.2)
    assert np.abs(first_rgb(path)[30, 30] - expected).max() < 4


def test_hlg_and_pq_share_their_reference_white():
    hlg = np.full((1, 1, 3), round(0.75 * 65535), dtype=np.uint16)
    pq = np.full((1, 1, 3), round(pq_signal(203) * 65535), dtype=np.uint16)
    assert np.abs(sdr_from_hdr(hlg, HLG).astype(int) - sdr_from_hdr(pq, PQ)).max() <= 1


def test_hdr_is_monotonic_and_widens_bt2020_colours():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    for transfer in (PQ, HLG):
        gray = sdr_from_hdr(np.repeat(ramp[None, :, None], 3, axis=2), transfer)[0, :, 0].astype(int)
        assert (np.diff(gray) >= 0).all()
        assert gray[0] == 0
        assert gray[-1] >= 250
    muted = np.array([[[30000, 26000, 26000]]], dtype=np.uint16)
    red, green, _ = sdr_from_hdr(muted, PQ)[0, 0].astype(int)
    flat = sdr_from_hdr(np.full((1, 1, 3), 26000, dtype=np.uint16), PQ)[0, 0, 0]
    assert red > green
    assert green < flat, "BT.2020 red lies outside BT.709, so its green part falls"


# Orientation


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
    """Copy the pictures of `path` with a display matrix whose rows begin with (a, b) and (c, d)."""
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
    """Return a display matrix that turns clockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) * 65536


@pytest.mark.parametrize("off", [-0.03, 0.03, 1.0])
@pytest.mark.parametrize("quarter", [0, 90, 180, 270])
def test_an_angle_near_a_quarter_turn_is_that_turn(quarter, off):
    assert from_matrix(turned(quarter + off)) == from_matrix(turned(quarter))
    assert not from_matrix(turned(quarter + off)).oblique


def test_an_oblique_angle_takes_the_nearest_turn_with_one_warning(tmp_path):
    cos, sin = math.cos(math.radians(80)), math.sin(math.radians(80))
    path = shown_with(make_video(tmp_path / "in.mp4", 3), tmp_path / "out.mp4", (cos, sin, -sin, cos))
    with open_video(path) as video:
        assert next(video).rgb.shape == (64, 48, 3)
        list(video)
        assert video.warnings == ["out.mp4: is to be shown at an oblique angle; the nearest quarter turn is applied"]


def test_a_matrix_of_zeros_turns_nothing():
    assert from_matrix(np.zeros((3, 3), dtype=np.int32)) == Orientation()


@pytest.mark.parametrize(("abcd", "aspect"), [((0, 1, 1, 0), Fraction(3, 4)), ((-1, 0, 0, 1), Fraction(4, 3))])
def test_the_pixel_aspect_turns_with_the_picture(tmp_path, abcd, aspect):
    path = make_video(tmp_path / "in.mp4", 2, colour={"sample_aspect_ratio": Fraction(4, 3)})
    with open_video(shown_with(path, tmp_path / "out.mp4", abcd)) as video:
        assert video.info.media.pixel_aspect == aspect


UPSIDE_DOWN = bytes.fromhex("000001062f03100009" + "80")
"""H.264 in front of a picture: a display orientation of 180° until the next one."""


def test_an_orientation_in_the_stream_lasts_until_it_changes(tmp_path):
    """A camera turned while it records writes that once into H.264 and not into the container."""
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


@pytest.mark.slow
@pytest.mark.parametrize("rotation", [0, 90])
def test_the_display_matrix_is_not_read_for_every_frame(tmp_path, rotation):
    """Reading makes a frame refer to itself, so a long video would fill the memory between two collections."""
    path = make_video(tmp_path / "clip.mp4", 40, rotation=rotation)
    gc.collect()
    gc.disable()
    try:
        with open_video(path) as video:
            assert sum(1 for _ in video) == 40
        kept = [thing for thing in gc.get_objects() if type(thing) is SideDataContainer]
    finally:
        gc.enable()
    assert len(kept) <= 4

"""Every kind of pixel becomes the right uint8 RGB."""

from __future__ import annotations

import numpy as np
import pytest
from synth import make_video, picture, pq_signal

from dvd.video import open_video
from dvd.video.hdr import HLG, PQ, sdr_from_hdr

BT709, BT601, BT2020 = 1, 5, 9
LIMITED, FULL = 1, 2


def first_rgb(path) -> np.ndarray:
    with open_video(path) as video:
        return next(video).rgb


@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", [BT709, BT601, BT2020])
def test_matrix_and_range_are_respected(tmp_path, matrix, span):
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
    """`3 H W` limited range, by the definition of the matrix."""
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
def test_alpha_lies_over_black_and_is_said(tmp_path, codec, pix_fmt):
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


def test_interlaced_video_loses_its_combs(tmp_path):
    frames = [_combed(index) for index in range(10)]
    path = make_video(tmp_path / "fields.mp4", frames, interlaced=True)
    plain = make_video(tmp_path / "frames.mp4", frames)
    woven, combed = list(open_video(path)), list(open_video(plain))
    assert [frame.pts for frame in woven] == [frame.pts for frame in combed], "as many frames at the same times"
    assert _comb(woven[5].rgb) < 0.35 * _comb(combed[5].rgb)


def _combed(index: int) -> np.ndarray:
    """A bright bar that moves 6 pixels from one field to the next."""
    rgb = np.full((48, 96, 3), 40, dtype=np.uint8)
    for field in (0, 1):
        left = 6 * (2 * index + field) % 70
        rgb[field::2, left : left + 20] = 220
    return rgb


def _comb(rgb: np.ndarray) -> float:
    lines = rgb[..., 0].astype(float)
    return float(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]).mean())


@pytest.mark.parametrize("nits", [0.0, 20.0, 100.0, 203.0, 1000.0])
def test_pq_becomes_sdr(tmp_path, nits):
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


def test_hlg_puts_its_reference_white_where_pq_has_it():
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

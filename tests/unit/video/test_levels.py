"""Values of more than 8 bits: one range for all of an input, guessed only where nothing names it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dvd.video import open_video
from dvd.video.levels import Pixels, guess_scale, srgb_from_linear, to_rgb

RAMP = np.linspace(0, 1, 48 * 64).reshape(48, 64)


def guess(values) -> tuple[float, str]:
    scale = guess_scale([values])
    return scale.white, scale.note


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_in_sixteen_are_found_by_the_largest_value(bits):
    white, note = guess(np.round(RAMP * (2**bits - 1)).astype(np.uint16))
    assert white == 2**bits - 1
    assert note == f"its values reach {white}, read as {bits} bits (0 … {white})"


def test_eight_bits_shifted_into_twelve():
    assert guess((np.round(RAMP * 255) * 16).astype(np.uint16))[0] == 4095


def test_sixteen_bits_need_no_word():
    assert guess(np.round(RAMP * 65535).astype(np.uint16)) == (65535, "")
    assert guess(np.zeros((4, 4), np.uint16)) == (65535, "")


def test_a_dark_picture_of_eight_bits_stretched_to_sixteen_stays_dark():
    assert guess((np.round(RAMP * 12) * 257).astype(np.uint16)) == (65535, "")


def test_wide_integers():
    assert guess((np.round(RAMP * 255)).astype(np.uint32) * 16843009)[0] == 2**32 - 1


@pytest.mark.parametrize(
    ("top", "white"), [(1.0, 1), (1.0005, 1), (250.0, 255), (4000.0, 4095), (65535.0, 65535), (9e12, 9e12)]
)
def test_floats(top, white):
    found, note = guess((RAMP * top).astype(np.float32))
    assert found == pytest.approx(white)
    assert (note == "") == (white == 1)


def test_few_bright_floats_do_not_darken_the_rest():
    values = RAMP.astype(np.float32)
    values[0, :10] = 40
    white, note = guess(values)
    assert white == 1
    assert "reach 40, read as 0 … 1" in note


def test_floats_that_are_no_numbers():
    values = RAMP.astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    assert guess(values) == (1, "")
    rgb = to_rgb(Pixels(values[..., None], 1), 1)
    assert rgb[0, :3, 0].tolist() == [0, 255, 0]


def test_linear_light_is_shown_by_the_srgb_curve():
    light = np.array([[[0.0], [0.0021], [0.2159], [1.0], [7.0]]], dtype=np.float32)
    assert to_rgb(Pixels(light, 1, linear=True), 1)[0, :, 0].tolist() == [0, 7, 128, 255, 255]
    assert srgb_from_linear(np.array([0.5])) == pytest.approx(0.7354, abs=1e-4)


def write_deep(folder, tops) -> None:
    folder.mkdir()
    for index, top in enumerate(tops):
        Image.fromarray(np.round(RAMP * top).astype(np.uint16)).save(folder / f"{index:03d}.png")


def test_a_film_keeps_one_range_when_it_fades_in(tmp_path):
    write_deep(tmp_path / "fade", (90, 500, 1500, 4000, 4000))
    with open_video(tmp_path / "fade") as video:
        brightest = [int(frame.rgb.max()) for frame in video]
        assert video.warnings == ["fade: its values reach 4000, read as 12 bits (0 … 4095)"]
    assert brightest == [6, 31, 93, 249, 249]


def test_a_dark_beginning_of_sixteen_bits_stays_dark(tmp_path):
    write_deep(tmp_path / "dawn", (900, 9000, 60000))
    with open_video(tmp_path / "dawn") as video:
        assert [int(frame.rgb.max()) for frame in video] == [4, 35, 233]
        assert video.warnings == []


def test_a_later_frame_beyond_the_range_is_told(tmp_path):
    tops = [4000] * 40
    tops[3] = 9000
    write_deep(tmp_path / "flash", tops)
    with open_video(tmp_path / "flash") as video:
        assert int(list(video)[3].rgb.max()) == 255
        assert video.warnings[1] == "flash: some pictures hold values above 4095; there they are white"

"""Pictures of more than 8 bits: one range for an input, guessed only where no file names it; EXR, DPX and Radiance."""

from __future__ import annotations

import av
import numpy as np
import pytest
from PIL import Image

from dvd.errors import InputError
from dvd.video import deep_pictures, open_video
from dvd.video.deep_pictures import Pixels, guess_scale, srgb_from_linear, to_rgb

RAMP = np.linspace(0, 1, 48 * 64).reshape(48, 64)


def guess(values) -> tuple[float, str]:
    scale = guess_scale([values])
    return scale.white, scale.note


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_in_sixteen_are_recognised_by_the_largest_value(bits):
    white, note = guess(np.round(RAMP * (2**bits - 1)).astype(np.uint16))
    assert white == 2**bits - 1
    assert note == f"its values reach {white}, read as {bits} bits (0 … {white})"


def test_eight_bits_shifted_into_twelve_are_read_as_twelve():
    assert guess((np.round(RAMP * 255) * 16).astype(np.uint16))[0] == 4095


def test_sixteen_bits_need_no_note():
    assert guess(np.round(RAMP * 65535).astype(np.uint16)) == (65535, "")
    assert guess(np.zeros((4, 4), np.uint16)) == (65535, "")


def test_a_dark_picture_of_eight_bits_stretched_to_sixteen_stays_dark():
    assert guess((np.round(RAMP * 12) * 257).astype(np.uint16)) == (65535, "")


def test_32_bit_integers():
    assert guess((np.round(RAMP * 255)).astype(np.uint32) * 16843009)[0] == 2**32 - 1


@pytest.mark.parametrize(
    ("top", "white"), [(1.0, 1), (1.0005, 1), (250.0, 255), (4000.0, 4095), (65535.0, 65535), (9e12, 9e12)]
)
def test_white_of_floats(top, white):
    guessed, note = guess((RAMP * top).astype(np.float32))
    assert guessed == pytest.approx(white)
    assert (note == "") == (white == 1)


def test_few_bright_floats_do_not_darken_the_rest():
    values = RAMP.astype(np.float32)
    values[0, :10] = 40
    white, note = guess(values)
    assert white == 1
    assert "reach 40, read as 0 … 1" in note


def test_nan_and_infinite_floats():
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


def test_a_fade_in_keeps_one_range(tmp_path):
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


def test_a_later_frame_beyond_the_range_gives_a_warning(tmp_path):
    tops = [4000] * 40
    tops[3] = 9000
    write_deep(tmp_path / "flash", tops)
    with open_video(tmp_path / "flash") as video:
        assert int(list(video)[3].rgb.max()) == 255
        assert video.warnings[1] == "flash: some pictures hold values above 4095; there they are white"


# OpenEXR, DPX and Radiance


LINEAR = "scene-linear, shown by the sRGB curve with 1 as white"
MIDDLE, SHOWN = 0.2140, 128
"""Middle gray in linear light, and as a display shows it."""


def write_exr(path, channels, **header):
    openexr = pytest.importorskip("OpenEXR")
    head = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage, **header}
    openexr.File(head, channels).write(str(path))
    return path


def window(left: int, top: int, right: int, bottom: int):
    return np.array([left, top], np.int32), np.array([right, bottom], np.int32)


def plane(value: float, dtype=np.float32, height: int = 8, width: int = 10) -> np.ndarray:
    return np.full((height, width), value, dtype=dtype)


def first(path) -> tuple[np.ndarray, list[str]]:
    with open_video(path) as video:
        return next(video).rgb, video.warnings


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exr_is_shown_by_the_srgb_curve(tmp_path, dtype):
    path = write_exr(tmp_path / "a.exr", {"R": plane(MIDDLE, dtype), "G": plane(0, dtype), "B": plane(9, dtype)})
    rgb, warnings = first(path)
    assert rgb.shape == (8, 10, 3)
    assert np.abs(rgb.astype(int) - (SHOWN, 0, 255)).max() <= 1
    assert warnings == [f"a.exr: {LINEAR}"]


def test_exr_with_nan_and_infinite_values(tmp_path):
    red = plane(0.5)
    red[0, :3] = np.nan, np.inf, -np.inf
    rgb, _ = first(write_exr(tmp_path / "a.exr", {"R": red, "G": plane(0), "B": plane(0)}))
    assert rgb[0, :3, 0].tolist() == [0, 255, 0]


def test_exr_alpha_is_premultiplied_and_stays_as_stored(tmp_path):
    channels = {name: plane(MIDDLE) for name in "RGB"} | {"A": plane(0.3)}
    rgb, warnings = first(write_exr(tmp_path / "a.exr", channels))
    assert np.abs(rgb.astype(int) - SHOWN).max() <= 1
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("left", "top", "inside"),
    [(2, 1, (slice(1, 4), slice(2, 6))), (-2, -1, (slice(0, 2), slice(0, 2))), (90, 0, (slice(0, 0), slice(0, 0)))],
)
def test_exr_data_window_is_placed_on_the_display_window(tmp_path, left, top, inside):
    channels = {name: plane(1.0, height=3, width=4) for name in "RGB"}
    windows = {"displayWindow": window(0, 0, 9, 7), "dataWindow": window(left, top, left + 3, top + 2)}
    rgb, _ = first(write_exr(tmp_path / "a.exr", channels, **windows))
    expected = np.zeros((8, 10), dtype=bool)
    expected[inside] = True
    np.testing.assert_array_equal(rgb[..., 0] == 255, expected)
    assert rgb.shape == (8, 10, 3)


def test_exr_data_larger_than_the_display_window_are_cut(tmp_path):
    red = plane(0.0, height=12, width=14)
    red[3, 2] = 1
    channels = {"R": red, "G": plane(0, height=12, width=14), "B": plane(0, height=12, width=14)}
    windows = {"displayWindow": window(0, 0, 9, 7), "dataWindow": window(-2, -2, 11, 9)}
    rgb, _ = first(write_exr(tmp_path / "a.exr", channels, **windows))
    assert rgb.shape == (8, 10, 3)
    assert np.argwhere(rgb[..., 0] == 255).tolist() == [[1, 0]]


def test_exr_gray(tmp_path):
    rgb, _ = first(write_exr(tmp_path / "a.exr", {"Y": plane(MIDDLE)}))
    assert np.abs(rgb.astype(int) - SHOWN).max() <= 1


def test_exr_prefers_plain_colours_to_layers(tmp_path):
    layer = {f"albedo.{name}": plane(0) for name in "RGB"}
    rgb, warnings = first(write_exr(tmp_path / "a.exr", {**layer, **{name: plane(1) for name in "RGB"}}))
    assert (rgb == 255).all()
    assert len(warnings) == 1


def test_exr_layer_in_a_later_part_is_named(tmp_path):
    openexr = pytest.importorskip("OpenEXR")
    parts = [
        openexr.Part({"name": "depth", "type": openexr.scanlineimage}, {"Z": plane(7)}),
        openexr.Part(
            {"name": "colour", "type": openexr.scanlineimage},
            {f"beauty.{name}": plane(value) for name, value in (("R", 1), ("G", 0), ("B", 0))},
        ),
    ]
    openexr.File(parts).write(str(tmp_path / "a.exr"))
    rgb, warnings = first(tmp_path / "a.exr")
    assert rgb[0, 0].tolist() == [255, 0, 0]
    assert warnings == [f"a.exr: {LINEAR}", "a.exr: its layer 'beauty' is read"]


def test_exr_without_colours_is_refused(tmp_path):
    with pytest.raises(InputError, match="without the channels R, G, B or Y; it has Z"):
        open_video(write_exr(tmp_path / "a.exr", {"Z": plane(1)}))


def test_exr_cut_off_is_refused(tmp_path):
    values = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    path = write_exr(tmp_path / "a.exr", dict.fromkeys("RGB", values))
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="cannot be read"):
        open_video(path)


def test_exr_folder_and_pattern(tmp_path):
    for number in (1001, 1002, 1004):
        write_exr(tmp_path / f"plate.{number}.exr", {name: plane(1) for name in "RGB"})
    for source in (tmp_path, tmp_path / "plate.%04d.exr", tmp_path / "plate.*.exr"):
        with open_video(source) as video:
            assert [frame.pts for frame in video] == [0, 1, 3]
            assert video.info.numbers.facts()["missing"] == [[1003, 1003]]
            assert [LINEAR in line for line in video.warnings] == [False, True], "warned once"


def test_exr_without_its_library_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(deep_pictures, "find_spec", lambda _: None)
    (tmp_path / "a.exr").write_bytes(b"\x76\x2f\x31\x01" + bytes(100))
    for source in (tmp_path / "a.exr", tmp_path):
        with pytest.raises(InputError, match=r"need the OpenEXR library; pip install 'dvd-depth\[exr\]'"):
            open_video(source)


def write_dpx(path, codes: np.ndarray, transfer: int):
    """Write a gray DPX of `H W` 10-bit codes."""
    values = np.repeat((codes * 64).astype(np.uint16)[..., None], 3, axis=2)
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("dpx", rate=1)
        stream.height, stream.width = codes.shape
        stream.pix_fmt = "gbrp10be"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(values, "rgb48le").reformat(format="gbrp10be")))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    content[801] = transfer
    path.write_bytes(content)
    return path


CODES = np.tile(np.array([[95, 470, 685, 1000]], dtype=np.uint16), (6, 4))


@pytest.mark.parametrize("transfer", [1, 3])
def test_logarithmic_dpx_is_read_by_the_cineon_curve_with_a_warning(tmp_path, transfer):
    rgb, warnings = first(write_dpx(tmp_path / "a.dpx", CODES, transfer))
    # Code 470 is 18 % gray on film: 0.18 in light, 118 on a display.
    assert np.abs(rgb[0, :4, 0].astype(int) - (0, 118, 255, 255)).max() <= 3
    assert warnings == [f"a.dpx: logarithmic, read by the Cineon curve (95 black, 685 white); {LINEAR}"]


def test_linear_dpx(tmp_path):
    rgb, warnings = first(write_dpx(tmp_path / "a.dpx", np.full((6, 8), round(MIDDLE * 1023), np.uint16), 2))
    assert np.abs(rgb.astype(int) - SHOWN).max() <= 1
    assert warnings == [f"a.dpx: {LINEAR}"]


@pytest.mark.parametrize("transfer", [0, 6, 255])
def test_video_dpx_is_shown_unchanged(tmp_path, transfer):
    rgb, warnings = first(write_dpx(tmp_path / "a.dpx", CODES, transfer))
    assert np.abs(rgb[0, :4, 0] - CODES[0, :4] / 1023 * 255).max() <= 1
    assert warnings == []


def test_dpx_folder(tmp_path):
    for number in range(3):
        write_dpx(tmp_path / f"{number:04d}.dpx", CODES, 0)
    with open_video(tmp_path) as video:
        assert len(list(video)) == 3


def test_radiance(tmp_path):
    values = np.full((16, 16, 3), MIDDLE, dtype=np.float32)
    path = tmp_path / "a.hdr"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("hdr", rate=1)
        stream.height = stream.width = 16
        stream.pix_fmt = "gbrpf32le"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(values, "gbrpf32le")))
        container.mux(stream.encode(None))
    rgb, warnings = first(path)
    assert np.abs(rgb.astype(int) - SHOWN).max() <= 1
    assert warnings == [f"a.hdr: {LINEAR}"]

"""Plates of film and of renderers."""

from __future__ import annotations

import av
import numpy as np
import pytest

from dvd.errors import InputError
from dvd.video import open_video, plates

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


def test_exr_values_that_are_no_numbers(tmp_path):
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
def test_exr_data_lie_where_their_window_says(tmp_path, left, top, inside):
    channels = {name: plane(1.0, height=3, width=4) for name in "RGB"}
    windows = {"displayWindow": window(0, 0, 9, 7), "dataWindow": window(left, top, left + 3, top + 2)}
    rgb, _ = first(write_exr(tmp_path / "a.exr", channels, **windows))
    expected = np.zeros((8, 10), dtype=bool)
    expected[inside] = True
    np.testing.assert_array_equal(rgb[..., 0] == 255, expected)
    assert rgb.shape == (8, 10, 3)


def test_exr_data_larger_than_the_display_are_cut_to_it(tmp_path):
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


def test_exr_plain_colours_come_before_layers(tmp_path):
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
            assert [LINEAR in line for line in video.warnings] == [False, True], "said once"


def test_exr_without_its_library_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(plates, "find_spec", lambda _: None)
    (tmp_path / "a.exr").write_bytes(b"\x76\x2f\x31\x01" + bytes(100))
    for source in (tmp_path / "a.exr", tmp_path):
        with pytest.raises(InputError, match=r"need the OpenEXR library; pip install 'dvd-depth\[exr\]'"):
            open_video(source)


def write_dpx(path, codes: np.ndarray, transfer: int):
    """`H W` codes of 10 bits, gray."""
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
def test_logarithmic_dpx_is_read_by_the_cineon_curve_and_said(tmp_path, transfer):
    rgb, warnings = first(write_dpx(tmp_path / "a.dpx", CODES, transfer))
    # Code 470 is 18 % gray on film: 0.18 in light, 118 on a display.
    assert np.abs(rgb[0, :4, 0].astype(int) - (0, 118, 255, 255)).max() <= 3
    assert warnings == [f"a.dpx: logarithmic, read by the Cineon curve (95 black, 685 white); {LINEAR}"]


def test_linear_dpx(tmp_path):
    rgb, warnings = first(write_dpx(tmp_path / "a.dpx", np.full((6, 8), round(MIDDLE * 1023), np.uint16), 2))
    assert np.abs(rgb.astype(int) - SHOWN).max() <= 1
    assert warnings == [f"a.dpx: {LINEAR}"]


@pytest.mark.parametrize("transfer", [0, 6, 255])
def test_video_dpx_is_shown_as_it_is(tmp_path, transfer):
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

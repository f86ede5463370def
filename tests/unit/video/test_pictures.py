"""Picture files of every kind are read whole, with all frames, upright and in the right brightness."""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features
from synth import cut, frame_number, make_video, picture

from dvd.errors import InputError
from dvd.video import open_video
from dvd.video.picture_files import picture_kind

GRAY = picture(0)[..., 0]


def only_frame(path) -> np.ndarray:
    with open_video(path) as video:
        assert video.info.is_image
        (frame,) = list(video)
    return frame.rgb


def difference(path, expected: np.ndarray) -> int:
    rgb = only_frame(path)
    expected = np.repeat(expected[..., None], 3, axis=2) if expected.ndim == 2 else expected
    assert rgb.shape == expected.shape
    return int(np.abs(rgb.astype(int) - expected).max())


def encode(path: Path, codec: str, values: np.ndarray, form: str, stored: str) -> Path:
    """Write one picture through FFmpeg, for formats that Pillow cannot write."""
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream(codec, rate=1)
        stream.height, stream.width = values.shape[:2]
        stream.pix_fmt = stored
        frame = av.VideoFrame.from_ndarray(values, form)
        container.mux(stream.encode(frame if form == stored else frame.reformat(format=stored)))
        container.mux(stream.encode(None))
    return path


def tiff(path: Path, pages: list[np.ndarray], order: str = "<", **tags: int) -> Path:
    """Write an uncompressed TIFF of pages `H W` or `H W C`; `tags`, such as t274=6, override or add."""
    content = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    link = 4
    for values in pages:
        data = values.astype(values.dtype.newbyteorder(order)).tobytes()
        start = len(content)
        content += data + bytes(len(data) % 2)
        channels = values.shape[2] if values.ndim == 3 else 1
        bits_at = len(content)
        content += struct.pack(f"{order}{channels}H", *[8 * values.dtype.itemsize] * channels)
        form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
        forms_at = len(content)
        content += struct.pack(f"{order}{channels}H", *[form] * channels)
        values_by_tag = {256: values.shape[1], 257: values.shape[0], 259: 1, 262: 2 if channels == 3 else 1, 273: start}
        values_by_tag |= {277: channels, 278: values.shape[0], 279: len(data)}
        values_by_tag |= {int(name[1:]): value for name, value in tags.items()}
        content += bytes(len(content) % 2)
        struct.pack_into(f"{order}I", content, link, len(content))
        entries = {tag: (4, 1, struct.pack(f"{order}I", value)) for tag, value in values_by_tag.items()}
        for tag, at, value in ((258, bits_at, 8 * values.dtype.itemsize), (339, forms_at, form)):
            inline = struct.pack(f"{order}H2x", value) if channels == 1 else struct.pack(f"{order}I", at)
            entries[tag] = (3, channels, inline)
        content += struct.pack(f"{order}H", len(entries))
        for tag, (kind, count, value) in sorted(entries.items()):
            content += struct.pack(f"{order}HHI", tag, kind, count) + value
        link = len(content)
        content += bytes(4)
    path.write_bytes(content)
    return path


# Photos in containers


needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


@needs_avif
@pytest.mark.parametrize("name", ["photo.avif", "photo.heic", "photo", "photo.mp4"])
def test_avif_is_recognised_by_its_content(tmp_path, name):
    Image.fromarray(picture(0, 64, 96)).save(tmp_path / name, format="AVIF", quality=95)
    assert picture_kind(tmp_path / name) == "avif"
    assert difference(tmp_path / name, picture(0, 64, 96)) < 20


def heif(path: Path, major: bytes, *brands: bytes) -> Path:
    box = b"ftyp" + major + bytes(4) + b"".join(brands)
    path.write_bytes(struct.pack(">I", len(box) + 4) + box + bytes(200))
    return path


@pytest.mark.parametrize("name", ["photo.heic", "photo.heif", "photo.jpg", "photo.mp4"])
@pytest.mark.parametrize("brands", [(b"heic", b"mif1", b"heic"), (b"mif1", b"miaf", b"heic"), (b"msf1", b"hevc")])
def test_heic_is_refused_under_any_name_instead_of_being_read_in_tiles(tmp_path, monkeypatch, name, brands):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr("dvd.video.picture_files.find_spec", lambda _: None)
    with pytest.raises(InputError) as caught:
        open_video(heif(tmp_path / name, *brands))
    assert "HEIC pictures need the package pillow-heif: pip install pillow-heif; or convert them" in str(caught.value)


def test_a_heic_in_a_folder_gives_the_same_hint(tmp_path, monkeypatch):
    monkeypatch.setattr("dvd.video.picture_files.find_spec", lambda _: None)
    heif(tmp_path / "1.heic", b"heic", b"mif1")
    heif(tmp_path / "2.heic", b"heic", b"mif1")
    with pytest.raises(InputError, match="pip install pillow-heif"):
        open_video(tmp_path)


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path, monkeypatch):
    class Opener:
        @staticmethod
        def register_heif_opener() -> None:
            Image.register_open("TEST_HEIF", lambda fp, name: Image.fromarray(picture(3)), lambda head: b"heic" in head)

    monkeypatch.setitem(sys.modules, "pillow_heif", Opener)
    monkeypatch.setattr("dvd.video.picture_files.find_spec", lambda _: True)
    try:
        assert difference(heif(tmp_path / "photo.heic", b"heic", b"mif1"), picture(3)) == 0
    finally:
        Image.OPEN.pop("TEST_HEIF", None)
        if "TEST_HEIF" in Image.ID:
            Image.ID.remove("TEST_HEIF")


@needs_avif
def test_avif_is_refused_where_pillow_is_too_old(tmp_path, monkeypatch):
    Image.fromarray(picture(0)).save(tmp_path / "a.avif")
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(InputError, match=r"AVIF needs Pillow 11\.3 or newer: pip install -U pillow"):
        open_video(tmp_path / "a.avif")


def test_a_video_is_not_read_as_a_photo(tmp_path):
    assert picture_kind(make_video(tmp_path / "clip.mp4", 2)) is None
    with pytest.raises(InputError, match="not an image but a video; rename it"):
        open_video(make_video(tmp_path / "clip.mp4", 2).rename(tmp_path / "clip.png"))


def test_the_video_of_a_motion_photo_is_left_out_with_a_warning(tmp_path):
    path = tmp_path / "PXL_1.MP.jpg"
    Image.fromarray(picture(0)).save(path, quality=95, xmp=b'<x:xmpmeta GCamera:MotionPhoto="1"/>')
    with path.open("ab") as file:
        file.write(make_video(tmp_path / "clip.mp4", 3).read_bytes())
    with open_video(path) as video:
        assert len(list(video)) == 1
        assert video.warnings == ["PXL_1.MP.jpg: a motion photo; the still picture is read, its video is left out"]


def test_raw_photos_are_refused_because_their_first_picture_is_a_thumbnail(tmp_path):
    with pytest.raises(InputError, match="camera's raw photo; develop it"):
        open_video(tiff(tmp_path / "DSC1.dng", [GRAY]))


# Several pictures in one file


DURATIONS_MS = [100, 40, 60, 200]


def save_film(path: Path, **options: object) -> Path:
    pictures = [Image.fromarray(picture(index)) for index in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.webp", {"lossless": True}),
        ("a.png", {}),
        ("a.apng", {"format": "PNG"}),
        ("renamed.jpg", {"format": "WEBP", "lossless": True}),
        ("nameless", {"format": "PNG"}),
        pytest.param("a.avif", {"quality": 95}, marks=needs_avif),
    ],
)
def test_animations_are_films_with_their_own_times(tmp_path, name, options):
    path = save_film(tmp_path / name, duration=DURATIONS_MS, **options)
    with open_video(path) as video:
        info = video.info
        frames = list(video)
        assert video.warnings == []
    assert not info.is_image
    assert (info.frame_count, info.time_base, info.frame_rate) == (4, Fraction(1, 1000), 10)
    assert [frame.pts for frame in frames] == [0, 100, 140, 200]
    assert [frame_number(frame.rgb) for frame in frames] == [0, 1, 2, 3]
    late = list(open_video(path, start=0.1, end=0.2))
    assert [frame.pts for frame in late] == [100, 140]
    assert [frame_number(frame.rgb) for frame in late] == [1, 2]


def test_gif_times_are_right_and_a_gif_of_one_picture_is_an_image(tmp_path):
    with open_video(save_film(tmp_path / "a.gif", duration=DURATIONS_MS)) as video:
        assert [frame.pts * video.info.time_base * 1000 for frame in video] == [0, 100, 140, 200]
    Image.fromarray(picture(0)).quantize(256).save(tmp_path / "one.gif")
    assert only_frame(tmp_path / "one.gif").shape == (48, 64, 3)


def test_gif_frames_that_change_only_a_part_are_whole(tmp_path):
    canvas = Image.new("P", (64, 48), 0)
    canvas.putpalette([40, 40, 40, 250, 250, 250])
    pictures = []
    for index in range(3):
        moved = canvas.copy()
        moved.paste(1, (20 * index, 10, 20 * index + 10, 20))
        pictures.append(moved)
    pictures[0].save(tmp_path / "box.gif", save_all=True, append_images=pictures[1:], duration=100, disposal=2)
    with open_video(tmp_path / "box.gif") as video:
        for index, frame in enumerate(video):
            assert (frame.rgb[15, 20 * index + 5] > 240).all()
            assert (frame.rgb[..., 0] > 200).sum() == 100, "the box of the frame before is gone"


@pytest.mark.parametrize(("duration", "rate"), [(1000 / 24, 24), (1001 / 24, Fraction(24000, 1001)), (0, 10)])
def test_even_durations_give_an_exact_rate_and_no_drift(tmp_path, duration, rate):
    path = tmp_path / "even.png"
    pictures = [Image.fromarray(picture(index, 8, 8)) for index in range(30)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration)
    with open_video(path) as video:
        assert video.info.frame_rate == rate
        assert [frame.pts for frame in video] == [round(index * 1000 / rate) for index in range(30)]


def test_the_default_picture_of_an_apng_is_not_a_frame(tmp_path):
    path = save_film(tmp_path / "a.png", default_image=True, duration=50)
    assert [frame_number(frame.rgb) for frame in open_video(path)] == [1, 2, 3]


def test_animations_of_one_picture_are_images(tmp_path):
    Image.fromarray(picture(0)).save(tmp_path / "one.webp", lossless=True)
    assert difference(tmp_path / "one.webp", picture(0)) == 0


def test_tiff_pages_of_one_size_are_a_film(tmp_path):
    path = save_film(tmp_path / "stack.tiff")
    with open_video(path) as video:
        assert (video.info.frame_count, video.info.frame_rate, video.info.is_image) == (4, 25, False)
        assert [frame_number(frame.rgb) for frame in video] == [0, 1, 2, 3]
        assert video.warnings == []


def test_tiff_pages_of_several_sizes_are_one_image(tmp_path):
    path = tiff(tmp_path / "pyramid.tif", [GRAY, GRAY[::2, ::2].copy(), GRAY[::4, ::4].copy()])
    assert difference(path, GRAY) == 0
    with open_video(path) as video:
        assert video.warnings == ["pyramid.tif: its 3 pages differ in size; one is read, of 64 × 48 pixels"]


def test_tiff_thumbnails_are_left_out(tmp_path):
    full, small = Image.fromarray(picture(0)), Image.fromarray(picture(0, 12, 16))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    full.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    with open_video(tmp_path / "a.tif") as video:
        assert video.info.is_image
        assert video.warnings == ["a.tif: 1 of its 2 pages are thumbnails or masks and are left out"]


def test_further_views_of_an_mpo_are_not_frames(tmp_path):
    for name in ("stereo.mpo", "phone.jpg"):
        path = tmp_path / name
        view = Image.fromarray(picture(0))
        view.save(path, format="MPO", save_all=True, append_images=[Image.fromarray(picture(9))], quality=95)
        with open_video(path) as video:
            (frame,) = list(video)
            assert video.info.is_image
            assert frame_number(frame.rgb) == 0
            assert video.warnings == [f"{name}: it holds 2 pictures (MPO); the main one is read"]


def test_animations_in_a_folder_give_their_first_pictures_with_a_warning(tmp_path):
    folder = tmp_path / "shot"
    folder.mkdir()
    for index in range(3):
        save_film(folder / f"{index}.webp", lossless=True)
    with open_video(folder) as video:
        assert [frame_number(frame.rgb) for frame in video] == [0, 0, 0]
        assert video.warnings == ["shot: some files hold several pictures; the first of each is read"]


# Modes and depths


@pytest.mark.parametrize(
    ("name", "codec", "stored"),
    [("a.png", "png", "rgb48be"), ("a.tif", "tiff", "rgb48le"), ("a.jp2", "jpeg2000", "rgb48le")],
)
def test_twelve_bits_in_sixteen_bit_colours_are_not_black(tmp_path, name, codec, stored):
    path = encode(tmp_path / name, codec, picture(3).astype(np.uint16) * 16, "rgb48le", stored)
    assert difference(path, picture(3)) <= (1 if codec != "jpeg2000" else 12)
    with open_video(path) as video:
        assert "read as 12 bits" in video.warnings[0]


def test_sixteen_bit_transparency_is_read_over_black(tmp_path):
    alpha = np.full((48, 64, 1), 51)
    alpha[:, :32] = 255
    for name, factor, guesses in (("a.png", 257, 0), ("twelve.png", 16, 1)):
        rgba = np.dstack([picture(3), alpha]).astype(np.uint16) * factor
        path = encode(tmp_path / name, "png", rgba, "rgba64le", "rgba64be")
        assert difference(path, picture(3) * (alpha / 255)) <= 2
        with open_video(path) as video:
            assert video.warnings[0] == f"{name}: transparent parts are read as if over black"
            assert len(video.warnings) == 1 + guesses


@pytest.mark.parametrize("factor", [257, 16])
def test_opaque_sixteen_bit_alpha_is_not_mentioned(tmp_path, factor):
    rgba = np.dstack([picture(3), np.full((48, 64), 255)]).astype(np.uint16) * factor
    rgba[..., 3] = 65535 if factor == 257 else 4095
    path = encode(tmp_path / "a.png", "png", rgba, "rgba64le", "rgba64be")
    assert difference(path, picture(3)) <= 1
    with open_video(path) as video:
        assert not any("transparent" in line for line in video.warnings)


def test_every_page_of_a_sixteen_bit_colour_tiff_keeps_its_bits(tmp_path):
    pages = [picture(index).astype(np.uint16) * 4 for index in range(3)]
    with open_video(tiff(tmp_path / "stack.tif", pages)) as video:
        assert [frame_number(frame.rgb) for frame in video] == [0, 1, 2]
        assert "read as 10 bits" in video.warnings[0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_tiff_of_both_byte_orders(tmp_path, order, channels):
    values = picture(0) if channels == 3 else GRAY
    assert difference(tiff(tmp_path / "a.tif", [values.astype(np.uint16) * 257], order), values) == 0


def test_tiff_with_zero_as_white(tmp_path):
    values = 65535 - GRAY.astype(np.uint16) * 257
    assert difference(tiff(tmp_path / "a.tif", [values], t262=0), GRAY) == 0


@pytest.mark.parametrize(
    "values",
    [
        GRAY.astype(np.uint32) * 16843009,
        GRAY.astype(np.int16) * 16,
        GRAY.astype(np.float32),
        GRAY.astype(np.float32) / 255,
        picture(0).astype(np.float32) / 255,
    ],
    ids=["uint32", "int16", "float to 255", "float to 1", "float colour"],
)
def test_tiff_of_other_number_types(tmp_path, values):
    expected = picture(0) if values.ndim == 3 else GRAY
    assert difference(tiff(tmp_path / "a.tif", [values]), expected) <= 1


def test_half_floats_in_a_tiff_are_refused_instead_of_being_read_as_integers(tmp_path):
    with pytest.raises(InputError, match="half floats; save it with 32 bits"):
        open_video(tiff(tmp_path / "a.tif", [(GRAY / 255).astype(np.float16)]))


@pytest.mark.parametrize(("magic", "values"), [(b"P5", GRAY), (b"P6", picture(0))])
def test_the_white_named_by_a_pnm_is_used(tmp_path, magic, values):
    for name, white, shift, warnings in (("a.pnm", 1023, 4, 0), ("b.pnm", 65535, 16, 1), ("c.pnm", 65535, 257, 0)):
        stored = (values.astype(np.uint16) * shift).astype(">u2")
        path = tmp_path / name
        path.write_bytes(magic + b" # by a camera\n64 48\n%d\n" % white + stored.tobytes())
        assert difference(path, values) <= 1
        with open_video(path) as video:
            assert len(video.warnings) == warnings


def test_the_bit_depth_named_by_a_jpeg2000_is_used(tmp_path):
    path = encode(tmp_path / "a.jp2", "jpeg2000", GRAY.astype(np.uint16) * 4, "gray12le", "gray12le")
    assert only_frame(path).max() < 70, "it is dark, and its header names 12 bits"
    with open_video(path) as video:
        assert video.warnings == []


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_other_colour_spaces(tmp_path, mode):
    path = tmp_path / "a.tif"
    Image.fromarray(picture(8)).convert(mode).save(path)
    assert np.abs(only_frame(path).astype(int) - picture(8)).mean() < 3


def test_one_bit(tmp_path):
    Image.fromarray(GRAY > 128).save(tmp_path / "a.png")
    assert difference(tmp_path / "a.png", np.where(GRAY > 128, 255, 0)) == 0


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_transparency_of_gray_and_of_palettes(tmp_path, mode):
    path = tmp_path / "a.png"
    if mode == "LA":
        Image.fromarray(np.dstack([GRAY, np.full_like(GRAY, 51)])).save(path)
        assert difference(path, GRAY * 0.2) <= 1
    else:
        values = (GRAY > 128).astype(np.uint8)
        paletted = Image.fromarray(values, "L").convert("P")
        paletted.putpalette([200, 10, 10, 10, 200, 10])
        paletted.save(path, transparency=0)
        assert (only_frame(path)[values == 0] == 0).all()
        assert (only_frame(path)[values == 1] == (10, 200, 10)).all()


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_fully_transparent_picture_gives_a_warning(tmp_path, depth):
    values = np.dstack([picture(0), np.zeros((48, 64))]).astype(depth)
    path = tmp_path / "clear.png"
    if depth is np.uint8:
        Image.fromarray(values).save(path)
    else:
        encode(path, "png", values, "rgba64le", "rgba64be")
    with open_video(path) as video:
        assert next(video).rgb.max() == 0
        assert video.warnings == ["clear.png: the picture is fully transparent, and so it is read as black"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_orientation_of_a_tiff(tmp_path, orientation, depth, channels):
    upright = picture(0, 20, 30)
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
    stored = upright[:, ::-1] if orientation in (2, 4, 5, 7) else upright
    stored = np.ascontiguousarray(np.rot90(stored, turns))
    values = (stored if channels == 3 else stored[..., 0]).astype(depth) * (257 if depth is np.uint16 else 1)
    expected = upright if channels == 3 else upright[..., 0]
    assert difference(tiff(tmp_path / "a.tif", [values], t274=orientation), expected) == 0


def test_orientation_of_a_sixteen_bit_png(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GRAY.astype(np.uint16) * 257).save(tmp_path / "a.png", exif=exif)
    assert difference(tmp_path / "a.png", np.rot90(GRAY, -1)) == 0


@pytest.mark.parametrize("name", ["a.tif", "a.webp", "a.jp2", "a.png"])
def test_cut_off_files_are_refused(tmp_path, name):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        open_video(cut(tmp_path / name, 0.4))

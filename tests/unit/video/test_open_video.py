"""Frames, times and sizes of every kind of undamaged input."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from synth import NTSC_FILM, deep_png, frame_number, make_video, picture

from dvd.errors import InputError
from dvd.types import Frame
from dvd.video import open_video, probe


def test_streams_upright_uint8_frames_with_their_times(tmp_path):
    path = make_video(tmp_path / "clip.mp4", 12, rate=NTSC_FILM, time_base=Fraction(1, 24000), audio="aac")
    with open_video(path) as video:
        info = video.info
        frames = list(video)
        assert video.warnings == []
    assert (info.name, info.path, info.width, info.height) == ("clip", path, 64, 48)
    assert (info.frame_rate, info.time_base, info.frame_count) == (NTSC_FILM, Fraction(1, 24000), 12)
    assert info.has_audio
    assert not info.is_image
    assert [frame.pts for frame in frames] == [1001 * index for index in range(12)]
    assert [frame_number(frame.rgb) for frame in frames] == list(range(12))
    assert all(isinstance(frame, Frame) for frame in frames)
    first = frames[0].rgb
    assert first.shape == (48, 64, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert np.abs(first.astype(int) - picture(0)).mean() < 6


def test_frames_are_read_once_and_on_demand(tmp_path):
    path = make_video(tmp_path / "clip.mp4", 5)
    video = open_video(str(path))
    assert frame_number(next(video).rgb) == 0
    assert [frame_number(frame.rgb) for frame in video] == [1, 2, 3, 4]
    assert list(video) == []
    video = open_video(path)
    video.close()
    assert list(video) == []


def test_probe_equals_the_open_videos_info(tmp_path):
    path = make_video(tmp_path / "clip.mkv", 3)
    with open_video(path) as video:
        assert probe(path) == video.info


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (-90, -1), (180, 2)])
def test_rotation_is_applied(tmp_path, degrees, turns):
    path = make_video(tmp_path / "phone.mp4", 3, rotation=degrees)
    with open_video(path) as video:
        rgb = next(video).rgb
        assert (video.info.height, video.info.width) == rgb.shape[:2]
    expected = np.rot90(picture(0), turns)
    assert rgb.shape == expected.shape
    assert np.abs(rgb.astype(int) - expected).mean() < 6


def test_variable_frame_rate_keeps_its_time_stamps(tmp_path):
    times_ms = [0, 40, 85, 200, 230, 300, 301, 500]
    path = make_video(tmp_path / "vfr.mp4", 8, time_base=Fraction(1, 1000), pts=times_ms)
    with open_video(path) as video:
        assert [frame.pts * video.info.time_base * 1000 for frame in video] == times_ms


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (1, 9), (47, 63), (48, 64)])
def test_every_size_is_read(tmp_path, size):
    path = make_video(tmp_path / "odd.mkv", 3, size=size, codec="ffv1", pix_fmt="bgr0")
    with open_video(path) as video:
        frames = list(video)
        assert (video.info.height, video.info.width) == size
    assert len(frames) == 3
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.rgb, picture(index, *size))


@pytest.mark.parametrize("count", [1, 2])
def test_very_short_videos_are_read(tmp_path, count):
    path = make_video(tmp_path / "short.mp4", count)
    assert len(list(open_video(path))) == count


def test_missing_time_stamps_follow_the_frame_rate(tmp_path):
    path = make_video(tmp_path / "raw.h264", 6, container_format="h264")
    with open_video(path) as video:
        step = 1 / (video.info.frame_rate * video.info.time_base)
        assert [frame.pts for frame in video] == [index * step for index in range(6)]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"), [("a.avi", "mpeg4", "yuv420p"), ("a.webm", "libvpx-vp9", "yuv420p")]
)
def test_other_containers_are_read(tmp_path, name, codec, pix_fmt):
    path = make_video(tmp_path / name, 6, codec=codec, pix_fmt=pix_fmt)
    assert len(list(open_video(path))) == 6


@pytest.mark.parametrize(
    ("start", "end", "numbers"),
    [
        (3, None, range(3, 30)),
        (None, 4, range(4)),
        (3, 5, (3, 4)),
        (0.1, "0.2s", (3, 4)),
        ("0:00.8", None, range(20, 30)),
        (0.8, 22, (20, 21)),
        (20, 0.88, (20, 21)),
        (25, 999, range(25, 30)),
    ],
)
def test_start_and_end_bound_the_frames(tmp_path, start, end, numbers):
    path = make_video(tmp_path / "clip.mp4", 30, options={"g": "7"})
    with open_video(path, start, end) as video:
        frames = list(video)
        assert video.info.frame_count == len(numbers)
    assert [frame_number(frame.rgb) for frame in frames] == list(numbers)
    assert [frame.pts * video.info.time_base * 25 for frame in frames] == list(numbers), "time stamps stay the source's"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_a_start_in_seconds_gives_the_same_frames_in_every_container(tmp_path, name):
    path = make_video(tmp_path / name, 30, options={"g": "5", "bf": "2"})
    whole = list(open_video(path))
    part = list(open_video(path, start=0.52))
    assert [frame.pts for frame in part] == [frame.pts for frame in whole[13:]]
    for frame, expected in zip(part, whole[13:], strict=True):
        np.testing.assert_array_equal(frame.rgb, expected.rgb)


@pytest.mark.parametrize("start", [99, 99.0])
def test_a_start_beyond_the_end_is_refused(tmp_path, start):
    path = make_video(tmp_path / "clip.mp4", 12)
    with pytest.raises(InputError, match=r"no frame lies in --start .* it has 12 \(0.48 s\)"):
        open_video(path, start=start)


def test_a_single_image_is_read(tmp_path):
    path = tmp_path / "cat.png"
    Image.fromarray(picture(0)).save(path)
    with open_video(path) as video:
        (frame,) = list(video)
        assert video.info.is_image
        assert video.info.name == "cat"
        assert video.info.frame_count == 1
    np.testing.assert_array_equal(frame.rgb, picture(0))


def test_an_image_without_an_ending(tmp_path):
    path = tmp_path / "cat"
    Image.fromarray(picture(0)).save(path, format="PNG")
    with open_video(path) as video:
        assert video.info.is_image
        np.testing.assert_array_equal(next(video).rgb, picture(0))


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(0)).save(tmp_path / "phone.png", exif=exif)
    np.testing.assert_array_equal(next(open_video(tmp_path / "phone.png")).rgb, np.rot90(picture(0), -1))


def test_a_folder_is_read_in_natural_order_without_other_files(tmp_path):
    folder = tmp_path / "shot"
    folder.mkdir()
    for index in range(12):
        Image.fromarray(picture(index)).save(folder / f"frame{index}.png")
    (folder / "notes.txt").write_text("not a frame")
    (folder / ".hidden.png").write_bytes(b"not a frame")
    (folder / "sub.png").mkdir()
    with open_video(folder) as video:
        frames = list(video)
        assert (video.info.name, video.info.frame_count, video.info.is_image) == ("shot", 12, False)
        assert video.warnings == []
    assert [frame_number(frame.rgb) for frame in frames] == list(range(12))
    assert [frame.pts for frame in frames] == list(range(12))
    assert [frame_number(frame.rgb) for frame in open_video(folder, 5, 7)] == [5, 6]
    assert [frame_number(frame.rgb) for frame in open_video(folder, 0.2, 0.28)] == [5, 6]


@pytest.mark.parametrize(("pattern", "numbers"), [("shot_%03d.png", [0, 1, 2, 12]), ("shot_*.png", [0, 1, 2, 12])])
def test_patterns_choose_frames(tmp_path, pattern, numbers):
    folder = tmp_path / "odd [name]"
    folder.mkdir()
    for index in numbers:
        Image.fromarray(picture(index)).save(folder / f"shot_{index:03d}.png")
    Image.fromarray(picture(20)).save(folder / "other.png")
    source = folder / pattern if "%" in pattern else str(tmp_path / "odd*" / pattern)
    with open_video(source) as video:
        assert [frame_number(frame.rgb) for frame in video] == numbers
        assert video.info.name == "shot"


def test_sixteen_bit_and_transparent_images(tmp_path):
    deep = np.linspace(0, 65535, 48 * 64).reshape(48, 64)
    rgb = next(open_video(deep_png(tmp_path / "deep.png", deep))).rgb
    assert np.abs(rgb[..., 0] - deep / 257).max() <= 1
    rgba = np.dstack([picture(0), np.full((48, 64), 128, dtype=np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "glass.png")
    with open_video(tmp_path / "glass.png") as video:
        assert np.abs(next(video).rgb - picture(0) * (128 / 255)).max() <= 1
        assert video.warnings == ["glass.png: transparent parts are read as if over black"]


def test_a_size_that_changes_is_fitted_to_the_first(tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for index, size in enumerate([(48, 64), (48, 64), (96, 128), (30, 30)]):
        Image.fromarray(picture(index, *size)).save(folder / f"{index}.png")
    with open_video(folder) as video:
        frames = list(video)
        assert len(video.warnings) == 1
        assert "mixed: from frame 2 on the size changes, there to 128 × 96" in video.warnings[0]
        assert "64 × 48" in video.warnings[0]
    assert {frame.rgb.shape for frame in frames} == {(48, 64, 3)}
    assert [frame_number(frame.rgb) for frame in frames] == [0, 1, 2, 3]
    assert np.abs(frames[2].rgb.astype(int) - picture(2)).mean() < 3


def test_frames_of_a_video_with_changing_size_are_resized(tmp_path):
    small = make_video(tmp_path / "1.h264", 4, container_format="h264")
    large = make_video(tmp_path / "2.h264", 4, size=(96, 128), container_format="h264")
    path = tmp_path / "both.h264"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with open_video(path) as video:
        assert {frame.rgb.shape for frame in video} == {(48, 64, 3)}
        assert "from frame 4 on" in video.warnings[0]

"""The video: size, times, rate, sound and colours of the result."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from synth import NTSC_FILM, disparity, info, make_video, mp4_boxes, packets

from dvd.export import ExportOptions, open_writer
from dvd.export.display import coloured
from dvd.export.video import SideBySideWriter
from dvd.resize import to_source_size
from dvd.video import open_video


def convert(source: Path, target: Path, options: ExportOptions | None = None, chunk: int = 5, **trim) -> int:
    """Write a made-up disparity for every frame of `source`; return how many."""
    with open_video(source, **trim) as video, open_writer("mp4", target, video.info, options) as writer:
        pts: list[int] = []
        for frame in video:
            pts.append(frame.pts)
            if len(pts) == chunk:
                writer.write(disparity(len(pts), video.info.height, video.info.width), pts)
                pts = []
        writer.write(disparity(len(pts), video.info.height, video.info.width), pts)
    return writer.frames


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


@pytest.mark.parametrize("rate", [Fraction(24), NTSC_FILM, Fraction(30000, 1001), Fraction(25, 2), Fraction(1)])
def test_frame_rate_and_time_base_stay_exact(tmp_path, rate):
    base = Fraction(1, 24000) if rate == NTSC_FILM else Fraction(1, rate.numerator)
    source = make_video(tmp_path / "in.mp4", 12, rate=rate, time_base=base)
    assert convert(source, tmp_path / "out.mp4") == 12
    with av.open(str(source)) as one, av.open(str(tmp_path / "out.mp4")) as other:
        before, after = one.streams.video[0], other.streams.video[0]
        assert after.average_rate == before.average_rate == rate
        assert after.time_base == before.time_base
        assert after.frames == 12
        assert after.duration * after.time_base == 12 / rate
    assert times(tmp_path / "out.mp4") == times(source)


@pytest.mark.parametrize("rate", [NTSC_FILM, Fraction(30000, 1001), Fraction(60000, 1001), Fraction(30)])
def test_milliseconds_of_matroska_do_not_change_the_rate(tmp_path, rate):
    source = make_video(tmp_path / "in.mkv", 40, rate=rate)
    convert(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == rate
    assert times(tmp_path / "out.mp4") == [index / rate for index in range(40)]


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
def test_variable_frame_rate_is_kept_in_time(tmp_path, name):
    times_ms = [0, 33, 85, 200, 230, 300, 301, 500, 540, 577, 620, 700]
    source = make_video(tmp_path / name, 12, rate=Fraction(30), time_base=Fraction(1, 1000), pts=times_ms)
    convert(source, tmp_path / "out.mp4")
    assert [time * 1000 for time in times(tmp_path / "out.mp4")] == times_ms


def duration(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.duration * stream.time_base


def test_the_last_picture_stays_as_long_as_in_the_source(tmp_path):
    """A slide that is shown for two seconds, at the end of a faster video."""
    source = make_video(tmp_path / "in.mp4", 6, time_base=Fraction(1, 1000), pts=[0, 40, 80, 120, 160, 2160])
    held = tmp_path / "held.mp4"
    with av.open(str(source)) as one, av.open(str(held), "w") as out:
        stream = out.add_stream_from_template(one.streams.video[0])
        for packet in (each for each in one.demux(video=0) if each.size):
            packet.duration = round(2 / packet.time_base) if packet.pts * packet.time_base > 2 else packet.duration
            packet.stream = stream
            out.mux(packet)
    convert(held, tmp_path / "out.mp4")
    assert duration(tmp_path / "out.mp4") == duration(held) == Fraction(416, 100)


def test_the_last_picture_of_a_trimmed_video_stays_until_the_next_would_follow(tmp_path):
    times_ms = [0, 40, 80, 580, 620]
    source = make_video(tmp_path / "in.mp4", 5, time_base=Fraction(1, 1000), pts=times_ms)
    convert(source, tmp_path / "out.mp4", end=3)
    assert duration(tmp_path / "out.mp4") == Fraction(580, 1000)


def test_rounded_durations_do_not_change_the_end(tmp_path):
    source = make_video(tmp_path / "in.mkv", 24, rate=NTSC_FILM)
    convert(source, tmp_path / "out.mp4")
    assert duration(tmp_path / "out.mp4") == 24 / NTSC_FILM


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_other_containers(tmp_path, suffix):
    source = make_video(tmp_path / "in.mp4", 12, rate=NTSC_FILM, time_base=Fraction(1, 24000))
    convert(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.video[0].average_rate == NTSC_FILM
    for before, after in zip(times(source), times(tmp_path / f"out{suffix}"), strict=True):
        assert abs(after - before) <= (Fraction(1, 1000) if suffix == ".mkv" else 0)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("size", [(48, 64), (5, 7), (1, 1), (47, 64), (48, 63), (1, 9), (17, 1)])
def test_size_is_kept_odd_sides_too(tmp_path, size, suffix):
    values = disparity(3, *size)
    path = tmp_path / f"out{suffix}"
    with open_writer("mp4", path, info(height=size[0], width=size[1])) as writer:
        writer.write(values, [0, 1, 2])
    with open_video(path) as video:
        assert (video.info.height, video.info.width) == size
        assert video.info.frame_rate == 25
        assert len(list(video)) == 3
    with av.open(str(path)) as container:
        assert container.streams.video[0].pix_fmt == ("yuv444p" if size == (1, 1) else "yuv420p")


def test_odd_sides_keep_colours_times_and_pixel_shape(tmp_path):
    source = make_video(
        tmp_path / "in.mp4",
        12,
        size=(95, 127),
        rate=NTSC_FILM,
        time_base=Fraction(1, 24000),
        pix_fmt="yuv444p",
        colour={"sample_aspect_ratio": Fraction(4, 3)},
        audio="aac",
    )
    convert(source, tmp_path / "out.mp4", ExportOptions(range="fixed"))
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.profile) == (127, 95, "High")
        assert (stream.average_rate, stream.sample_aspect_ratio) == (NTSC_FILM, Fraction(4, 3))
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
    assert times(tmp_path / "out.mp4") == [index / NTSC_FILM for index in range(12)]
    with open_video(tmp_path / "out.mp4") as video:
        rgb = next(video).rgb.astype(int)
    assert np.abs(rgb - coloured(disparity(1, 95, 127)[0], 0, 1, "turbo")).mean() < 4


def test_the_result_is_an_ordinary_file_tagged_bt709(tmp_path):
    convert(make_video(tmp_path / "in.mp4", 60), tmp_path / "out.mp4")
    assert "moof" not in mp4_boxes(tmp_path / "out.mp4")
    assert "moov" in mp4_boxes(tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert context.name == "h264"
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


@pytest.mark.parametrize("colormap", ["turbo", "viridis", "spectral"])
def test_colours_are_those_of_the_map(tmp_path, colormap):
    values = disparity(5, 96, 128)
    options = ExportOptions(range="fixed", colormap=colormap)
    before = values.copy()
    with open_writer("mp4", tmp_path / "out.mp4", info(height=96, width=128), options) as writer:
        writer.write(values, range(5))
    np.testing.assert_array_equal(values, before)
    with open_video(tmp_path / "out.mp4") as video:
        shown = np.stack([frame.rgb for frame in video]).astype(int)
    assert np.abs(shown - coloured(values, 0, 1, colormap)).mean() < 4


def test_grayscale_is_gray_and_brighter_is_nearer(tmp_path):
    options = ExportOptions(range="fixed", grayscale=True, colormap="turbo")
    with open_writer("mp4", tmp_path / "out.mp4", info(), options) as writer:
        writer.write(disparity(3), range(3))
    with open_video(tmp_path / "out.mp4") as video:
        rgb = next(video).rgb.astype(int)
    assert np.ptp(rgb, axis=2).max() <= 2
    assert np.abs(rgb[..., 0] - 255 * disparity(1)[0]).max() < 12
    assert rgb[-1].mean() > rgb[0].mean() + 100


def test_global_range_covers_the_whole_video(tmp_path):
    values = np.stack([np.full((48, 64), level, dtype=np.float32) for level in np.linspace(2, 4, 30)])
    options = ExportOptions(range="global", grayscale=True)
    with open_writer("mp4", tmp_path / "out.mp4", info(), options) as writer:
        for start in range(0, 30, 10):
            writer.write(values[start : start + 10], range(start, start + 10))
    assert [each.name for each in tmp_path.iterdir()] == ["out.mp4"], "the spool is gone"
    ((low, high),) = (each["range"] for each in writer.facts()["shown"])
    assert (low, high) == pytest.approx((2.0, 4.0), abs=0.1)
    with open_video(tmp_path / "out.mp4") as video:
        gray = np.array([frame.rgb.mean() for frame in video])
    assert gray == pytest.approx(255 * np.clip((np.linspace(2, 4, 30) - low) / (high - low), 0, 1), abs=3)


def test_every_shot_has_one_range_of_its_own(tmp_path):
    levels = np.concatenate([np.linspace(0.1, 0.3, 20), np.linspace(0.5, 0.9, 25)]).astype(np.float32)
    values = np.broadcast_to(levels[:, None, None], (45, 48, 64))
    with open_writer("mp4", tmp_path / "out.mp4", info(), ExportOptions(grayscale=True)) as writer:
        writer.write(values[:12], range(12))
        writer.write(values[12:20], range(12, 20))
        writer.begin_shot()
        writer.write(values[20:], range(20, 45))
    first, second = writer.facts()["shown"]
    assert (first["from_frame"], second["from_frame"]) == (0, 20)
    assert first["range"] == pytest.approx([0.1, 0.3], abs=0.02)
    assert second["range"] == pytest.approx([0.5, 0.9], abs=0.03)
    with open_video(tmp_path / "out.mp4") as video:
        gray = np.array([frame.rgb.mean() for frame in video])
    assert len(gray) == 45
    expected = np.concatenate([np.linspace(0, 255, 20), np.linspace(0, 255, 25)])
    assert np.abs(gray - expected).max() < 8


def test_still_pixels_keep_their_colour_within_a_shot(tmp_path):
    """A near object appears and leaves; behind it nothing changes, so nothing may change in the video."""
    values = np.full((60, 48, 64), 0.2, dtype=np.float32)
    values[20:40, :, 40:] = 0.9
    with open_writer("mp4", tmp_path / "out.mp4", info(), ExportOptions(grayscale=True)) as writer:
        writer.write(values, range(60))
    with open_video(tmp_path / "out.mp4") as video:
        still = np.array([frame.rgb[:, :24].mean() for frame in video])
    assert np.ptp(still) < 2


def test_frames_of_the_networks_size_are_shown_at_the_sources(tmp_path):
    values = disparity(3, 24, 32)
    options = ExportOptions(range="fixed", grayscale=True)
    with open_writer("mp4", tmp_path / "out.mp4", info(), options, network=(24, 32)) as writer:
        writer.write(values, range(3))
    with open_video(tmp_path / "out.mp4") as video:
        gray = next(video).rgb[..., 0]
    expected = 255 * to_source_size(values[:1], (48, 64))[0]
    assert np.abs(gray - expected).mean() < 6


@pytest.mark.parametrize("container", ["in.mp4", "in.mkv"])
def test_sound_is_copied_bit_by_bit(tmp_path, container):
    source = make_video(tmp_path / container, 50, audio="aac")
    convert(source, tmp_path / "out.mp4")
    before, after = packets(source, "audio"), packets(tmp_path / "out.mp4", "audio")
    contents = [content for _, content in before]
    kept = [content for _, content in after]
    first = contents.index(kept[0])
    assert kept == contents[first : first + len(kept)]
    assert len(before) - len(after) <= 2
    for (earlier, _), (later, _) in zip(before[first:], after, strict=False):
        assert abs(later - earlier) <= Fraction(1, 1000)


def test_sound_that_outlasts_the_pictures_is_kept_whole(tmp_path):
    source = make_video(tmp_path / "in.mp4", 25, audio="aac", audio_seconds=2.0)
    convert(source, tmp_path / "out.mp4")
    assert packets(tmp_path / "out.mp4", "audio")[-1][0] == pytest.approx(packets(source, "audio")[-1][0], abs=1e-3)


@pytest.mark.slow
def test_sound_is_trimmed_with_the_pictures(tmp_path):
    source = make_video(tmp_path / "in.mp4", 100, audio="aac")
    convert(source, tmp_path / "out.mp4", start=1.0, end=3.0)
    assert times(tmp_path / "out.mp4") == [Fraction(index, 25) for index in range(50)]
    sound = packets(tmp_path / "out.mp4", "audio")
    assert 0 <= sound[0][0] < 0.03
    assert 1.95 < sound[-1][0] < 2.0
    originals = {content: time for time, content in packets(source, "audio")}
    assert originals[sound[10][1]] - sound[10][0] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.slow
def test_sound_a_container_cannot_hold_becomes_aac(tmp_path):
    source = make_video(tmp_path / "in.mkv", 50, audio="pcm_s16le")
    convert(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        wave = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(wave) == pytest.approx(2 * 48000, abs=3000)
    spectrum = np.abs(np.fft.rfft(wave[12000:60000]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=2)
    convert(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.audio[0].codec_context.name == "pcm_s16le"


def test_sound_can_be_left_out(tmp_path):
    source = make_video(tmp_path / "in.mp4", 10, audio="aac")
    convert(source, tmp_path / "out.mp4", ExportOptions(audio=False))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


def test_pixel_shape_is_kept_and_turned_with_the_picture(tmp_path):
    for rotation, expected in ((0, Fraction(4, 3)), (90, Fraction(3, 4))):
        source = tmp_path / f"in{rotation}.mp4"
        make_video(source, 3, rotation=rotation, colour={"sample_aspect_ratio": Fraction(4, 3)})
        convert(source, tmp_path / f"out{rotation}.mp4")
        with av.open(str(tmp_path / f"out{rotation}.mp4")) as container:
            assert container.streams.video[0].sample_aspect_ratio == expected


def test_a_cover_in_front_changes_nothing(tmp_path):
    """The cover's square pixels and its time base are not taken for the film's."""
    source = make_video(tmp_path / "in.mov", 6, colour={"sample_aspect_ratio": Fraction(4, 3)}, audio="aac")
    cover = tmp_path / "cover.mov"
    with av.open(str(source)) as one, av.open(str(cover), "w") as out:
        picture = out.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        picture.disposition = av.stream.Disposition(0)
        streams = {each.index: out.add_stream_from_template(each) for each in one.streams}
        streams[0].disposition = av.stream.Disposition.default
        out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        out.mux(picture.encode(None))
        for packet in (each for each in one.demux() if each.size):
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    assert convert(cover, tmp_path / "out.mp4") == 6
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        assert container.streams.audio
    assert times(tmp_path / "out.mp4") == [Fraction(index, 25) for index in range(6)]


@pytest.mark.parametrize("folder", ["12:30 %03d", "file:a", "caf\udce9", "line\nbreak", "a[1]*?"])
def test_results_go_into_any_folder(tmp_path, folder):
    (tmp_path / folder).mkdir()
    source = make_video(tmp_path / "in.mp4", 3, audio="aac")
    convert(source, tmp_path / folder / "12:30.mp4")
    assert len(times(tmp_path / "in.mp4")) == 3
    with open_video(tmp_path / folder / "12:30.mp4") as video:
        assert len(list(video)) == 3


@pytest.mark.slow
def test_a_start_that_is_not_zero_keeps_pictures_and_sound_together(tmp_path):
    source = make_video(tmp_path / "in.ts", 40, audio="aac", pts=[13 + index for index in range(40)])
    convert(source, tmp_path / "out.mp4")
    apart_before = packets(source, "video")[0][0] - packets(source, "audio")[0][0]
    apart_after = packets(tmp_path / "out.mp4", "video")[0][0] - packets(tmp_path / "out.mp4", "audio")[0][0]
    assert apart_before > 0.4
    assert abs(apart_after - apart_before) < Fraction(1, 500)


def test_side_by_side(tmp_path):
    rgb = [np.full((48, 64, 3), (200, 30, 60), dtype=np.uint8)] * 5
    with SideBySideWriter(tmp_path / "both.mp4", info(), ExportOptions(grayscale=True)) as writer:
        writer.write_pairs(rgb[:2], disparity(2), [0, 1], shown=(0.0, 1.0))
        writer.write_pairs(rgb[2:], disparity(5)[2:], [2, 3, 4], shown=(0.0, 2.0))
    with open_video(tmp_path / "both.mp4") as video:
        assert (video.info.height, video.info.width) == (48, 128)
        frames = list(video)
    assert len(frames) == 5
    assert np.abs(frames[1].rgb[:, 4:60].astype(int) - (200, 30, 60)).mean() < 5
    assert np.abs(frames[1].rgb[:, 68:, 0] - 255 * disparity(5)[1][:, 4:]).mean() < 6
    assert np.abs(frames[4].rgb[:, 68:, 0] - 255 / 2 * disparity(5)[4][:, 4:]).mean() < 6

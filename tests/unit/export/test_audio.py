"""Sound never costs pictures, is copied where it can be, and stays in step."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from synth import disparity, make_video, packets

from dvd.export import open_writer
from dvd.video import open_video


def convert(source: Path, target: Path, **trim) -> dict:
    """Write a made-up disparity for every frame of `source`; return the writer's facts."""
    with open_video(source, **trim) as video, open_writer("mp4", target, video.info) as writer:
        for frame in video:
            writer.write(disparity(1, video.info.height, video.info.width), [frame.pts])
    return writer.facts()


def times(path: Path, kind: str) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(**{kind: 0})]


def rewritten(path: Path, target: Path, change: Callable[[int, av.Packet], av.Packet | None]) -> Path:
    """Copy a file; `change` gets the index of each sound packet and may return another packet or None."""
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        streams = {each.index: out.add_stream_from_template(each) for each in source.streams}
        count = 0
        for packet in source.demux():
            if not packet.size:
                continue
            index, kept = packet.stream.index, packet
            if packet.stream.type == "audio":
                kept = change(count, packet)
                count += 1
            if kept is not None:
                kept.stream = streams[index]
                out.mux(kept)
    return target


def broken(packet: av.Packet) -> av.Packet:
    """Return a packet of the same length with other bytes."""
    other = av.Packet(bytes((37 * index + 11) % 256 for index in range(packet.size)))
    other.pts, other.dts, other.duration, other.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    return other


def unknown_codec(path: Path) -> Path:
    """Rename the codec of an mp4's or mov's sound, in place."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"mp4a", b"zpac").replace(b"esds", b"zsds"))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_an_unknown_codec_is_left_out_and_logged_once(tmp_path, caplog, suffix):
    source = unknown_codec(make_video(tmp_path / "in.mov", 10, audio="aac"))
    with caplog.at_level(logging.WARNING, logger="dvd.export"):
        facts = convert(source, tmp_path / f"out{suffix}")
    assert facts["sound"] == "none"
    assert len(times(tmp_path / f"out{suffix}", "video")) == 10
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "in.mov: its sound is left out, the pictures are not (track 1: its codec is unknown to this FFmpeg)"


def test_another_track_is_used_where_the_first_cannot_be(tmp_path, caplog):
    source = tmp_path / "in.mkv"
    with av.open(str(make_video(tmp_path / "one.mov", 25, audio="ac3"))) as one, av.open(str(source), "w") as out:
        kept = [one.streams.video[0], one.streams.audio[0]]
        picture, bad = out.add_stream_from_template(kept[0]), out.add_stream("aac", rate=48000)
        good = out.add_stream_from_template(kept[1])
        for packet in one.demux(*kept):
            if packet.size:
                packet.stream = picture if packet.stream.type == "video" else good
                out.mux(packet)
    assert bad.index == 1
    source.write_bytes(source.read_bytes().replace(b"A_AAC", b"A_ZZZ"))
    with caplog.at_level(logging.WARNING, logger="dvd.export"):
        facts = convert(source, tmp_path / "out.mp4")
    assert facts["sound"] == "copied"
    assert any("the sound of track 2 is used" in record.getMessage() for record in caplog.records)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "ac3"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codec", "ways"),
    [
        ("in.mkv", "flac", {".mp4": "copied", ".mov": "AAC", ".mkv": "copied"}),
        ("in.mkv", "libopus", {".mp4": "copied", ".mov": "AAC", ".mkv": "copied"}),
        ("in.avi", "adpcm_ms", {".mp4": "AAC", ".mov": "AAC", ".mkv": "AAC"}),
        ("in.mov", "pcm_s24le", {".mp4": "AAC", ".mov": "copied", ".mkv": "copied"}),
        ("in.mkv", "eac3", {".mp4": "copied", ".mov": "copied", ".mkv": "copied"}),
    ],
)
def test_codecs_are_copied_where_the_container_holds_them(tmp_path, name, codec, ways):
    source = make_video(tmp_path / name, 25, codec="mpeg4" if name == "in.avi" else "libx264", audio=codec)
    for suffix, way in ways.items():
        facts = convert(source, tmp_path / f"out{suffix}")
        assert (suffix, facts["sound"], facts["frames"]) == (suffix, way, 25)
        heard = times(tmp_path / f"out{suffix}", "audio")
        assert heard[0] == pytest.approx(0, abs=0.03)
        assert heard[-1] == pytest.approx(0.98, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codec"), [("in.mkv", "eac3"), ("in.mkv", "ac3"), ("in.ts", "aac"), ("in.mkv", "aac"), ("in.mkv", "flac")]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_damaged_sound_costs_no_pictures(tmp_path, name, codec, suffix):
    whole = make_video(tmp_path / f"whole{name}", 60, audio=codec)
    source = rewritten(whole, tmp_path / name, lambda n, packet: broken(packet) if 5 <= n < 12 else packet)
    facts = convert(source, tmp_path / f"out{suffix}")
    assert facts["frames"] == len(times(tmp_path / f"out{suffix}", "video")) == 60
    kept = packets(tmp_path / f"out{suffix}", "audio")
    assert kept[-1][0] == pytest.approx(2.4, abs=0.15), "the sound behind the damage is where it was"


def test_sound_that_cannot_be_decoded_anywhere_is_left_out(tmp_path):
    whole = make_video(tmp_path / "whole.mkv", 10, audio="flac")
    source = rewritten(whole, tmp_path / "in.mkv", lambda _, packet: broken(packet))
    assert convert(source, tmp_path / "out.mov")["sound"] == "none"
    assert len(times(tmp_path / "out.mov", "video")) == 10


@pytest.mark.slow
def test_a_gap_stays_a_gap_when_sound_is_encoded_again(tmp_path):
    whole = make_video(tmp_path / "whole.mkv", 100, audio="flac")
    source = rewritten(whole, tmp_path / "in.mkv", lambda n, packet: None if 10 <= n < 25 else packet)
    convert(source, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as container:
        wave = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    loud = np.abs(wave).reshape(-1, 1024).max(axis=1) > 0.05
    silence = np.flatnonzero(~loud[5:-5]) + 5
    assert silence[0] * 1024 / 48000 == pytest.approx(10 * 4608 / 48000, abs=0.05)
    assert silence[-1] * 1024 / 48000 == pytest.approx(25 * 4608 / 48000, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("late", ["sound", "pictures"])
@pytest.mark.parametrize("name", ["in.mkv", "in.mov", "in.ts"])
def test_a_stream_that_begins_later_does_so_in_the_result(tmp_path, name, late):
    whole = make_video(tmp_path / f"whole{name}", 40, audio="aac")

    def later(_: int, packet: av.Packet) -> av.Packet:
        shift = round((Fraction(1, 2) if late == "sound" else -Fraction(1, 4)) / packet.time_base)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
        return packet

    if late == "pictures":
        whole = make_video(tmp_path / f"later{name}", 40, audio="aac", pts=[10 + index for index in range(40)])
        source = whole
    else:
        source = rewritten(whole, tmp_path / name, later)
    convert(source, tmp_path / "out.mp4")
    before = packets(source, "video")[0][0] - packets(source, "audio")[0][0]
    after = packets(tmp_path / "out.mp4", "video")[0][0] - packets(tmp_path / "out.mp4", "audio")[0][0]
    assert abs(before) > 0.3
    assert after == pytest.approx(before, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more"), [("part.ts", {}), ("part.mpg", {"container_format": "vob"})])
def test_joined_streams_stay_in_step(tmp_path, name, more):
    codec, audio = ("mpeg2video", "mp2") if name == "part.mpg" else ("libx264", "aac")
    part = make_video(tmp_path / name, 50, codec=codec, audio=audio, **more)
    path = tmp_path / f"joined{part.suffix}"
    path.write_bytes(part.read_bytes() * 3)
    facts = convert(path, tmp_path / "out.mp4")
    shown, heard = times(tmp_path / "out.mp4", "video"), times(tmp_path / "out.mp4", "audio")
    assert facts["frames"] == len(shown) == 150
    steps = np.diff(shown)
    assert steps.min() == pytest.approx(0.04, abs=1e-3)
    assert steps.max() == pytest.approx(0.04, abs=1e-3)
    assert np.diff(heard).max() < 0.1
    assert heard[-1] == pytest.approx(shown[-1], abs=0.15)


def test_no_writer_leaves_a_file_open(tmp_path):
    source = make_video(tmp_path / "in.mkv", 10, audio="flac")
    open_before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    convert(source, tmp_path / "out.mov")
    if open_before is not None:
        assert len(os.listdir("/proc/self/fd")) == open_before

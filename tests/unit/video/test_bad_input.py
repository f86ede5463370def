"""Unreadable inputs raise one line that names the file and the remedy; the readable part of damaged ones is kept."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image
from synth import cut, damaged, frame_number, make_sound, make_video, picture, with_index_first

from dvd.errors import InputError
from dvd.video import open_video, probe


def refusal(source) -> str:
    with pytest.raises(InputError) as caught:
        open_video(source)
    line = str(caught.value)
    assert "\n" not in line
    assert str(source) in line
    assert "; " in line, "the remedy follows the fault"
    return line


def test_a_missing_file_is_refused_with_a_suggestion(tmp_path):
    assert "no such file; check the path" in refusal(tmp_path / "absent.mp4")
    make_video(tmp_path / "holiday.mp4", 2)
    assert "did you mean holiday.mp4?" in refusal(tmp_path / "holidays.mp4")
    assert "is a URL, which is not read; download the file first" in refusal("https://example.org/clip.mp4")


def test_folders_and_patterns_without_frames_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert "no images in this folder" in refusal(tmp_path)
    assert "no image matches" in refusal(tmp_path / "frame_%05d.png")
    assert "no image matches" in refusal(tmp_path / "*.png")
    (tmp_path / "clip.mp4").touch()
    assert "matches videos (clip.mp4); give each as an input of its own" in refusal(tmp_path / "*.mp4")
    assert "holds videos (clip.mp4), not frames" in refusal(tmp_path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert "the file is empty" in refusal(tmp_path / "empty.mp4")


@pytest.mark.parametrize("name", ["text.mp4", "text.txt", "text.png"])
def test_text_is_refused(tmp_path, name):
    (tmp_path / name).write_text("these are words, not frames\n" * 50)
    refusal(tmp_path / name)


def test_noise_is_refused(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    assert "not a video or image that FFmpeg can read" in refusal(tmp_path / "noise.mp4")


@pytest.mark.parametrize(("name", "codec"), [("sound.mp4", "aac"), ("sound.mp3", "mp3")])
def test_sound_without_pictures_is_refused(tmp_path, name, codec):
    assert "has sound but no pictures" in refusal(make_sound(tmp_path / name, codec=codec))


def test_cover_art_is_not_a_video(tmp_path):
    import av

    Image.fromarray(picture(0)).save(tmp_path / "cover.png")
    path = tmp_path / "song.mp4"
    sound = make_sound(tmp_path / "sound.mp4")
    with av.open(str(sound)) as source, av.open(str(path), "w") as target:
        track = target.add_stream_from_template(source.streams.audio[0])
        cover = target.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        target.mux(cover.encode(av.VideoFrame.from_ndarray(picture(0), "rgb24")))
        target.mux(cover.encode(None))
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = track
                target.mux(packet)
    assert "has sound but no pictures" in refusal(path)


def test_a_file_without_decodable_frames_is_refused(tmp_path):
    path = with_index_first(make_video(tmp_path / "clip.mp4", 20))
    content = path.read_bytes()
    pictures = content.index(b"mdat") + 4
    path.write_bytes(content[:pictures] + bytes(len(content) - pictures))
    assert "nothing in it can be decoded" in refusal(path)


def test_a_file_cut_before_its_index_is_refused(tmp_path):
    assert "cut off before its index" in refusal(cut(make_video(tmp_path / "clip.mp4", 40), 0.5))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_truncated_video_is_decoded_as_far_as_it_goes(tmp_path, caplog, name):
    path = make_video(tmp_path / name, 60)
    path = cut(with_index_first(path) if name.endswith("mp4") else path, 0.5)
    with caplog.at_level(logging.WARNING, logger="dvd.video"), open_video(path) as video:
        frames = list(video)
    assert 15 < len(frames) < 50
    assert [frame_number(frame.rgb) for frame in frames] == [index % 32 for index in range(len(frames))]
    assert len(video.warnings) == 1
    assert f"{path.name}: decoding stopped after {len(frames)} of 60 frames" in video.warnings[0]
    assert [record.getMessage() for record in caplog.records] == video.warnings


def test_damaged_packets_are_left_out_and_counted(tmp_path):
    path = damaged(with_index_first(make_video(tmp_path / "clip.mp4", 60, options={"g": "10"})), 0.4, 0.5)
    with open_video(path) as video:
        frames = list(video)
    assert 40 < len(frames) < 60
    (line,) = video.warnings
    assert f"{path.name}: damaged packets left out: {60 - len(frames)};" in line
    pts = [frame.pts for frame in frames]
    assert pts == sorted(set(pts))
    assert pts[-1] == 59 * 512, "the frames after the damage keep their times"


def test_an_undamaged_video_has_no_warnings(tmp_path):
    for name in ("a.mp4", "a.mkv", "a.ts", "a.avi"):
        path = make_video(tmp_path / name, 30, codec="mpeg4" if name == "a.avi" else "libx264")
        with open_video(path) as video:
            assert len(list(video)) == 30
            assert video.warnings == []


def test_damaged_images_in_a_folder_are_left_out(tmp_path):
    folder = tmp_path / "shot"
    folder.mkdir()
    for index in range(4):
        Image.fromarray(picture(index)).save(folder / f"{index}.png")
    (folder / "0.png").write_bytes(b"not a picture")
    cut(folder / "2.png", 0.5)
    with open_video(folder) as video:
        assert [frame_number(frame.rgb) for frame in video] == [1, 3]
        assert "shot: 2 frames could not be read and were left out" in video.warnings[0]


def test_a_damaged_image_is_refused(tmp_path):
    path = tmp_path / "cat.png"
    Image.fromarray(picture(0)).save(path)
    assert "cannot be read" in refusal(cut(path, 0.5))
    with pytest.raises(InputError):
        probe(path)

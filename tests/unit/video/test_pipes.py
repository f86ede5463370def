"""Inputs that can be read only once work and never hang; sockets and devices are refused at once."""

from __future__ import annotations

import gc
import io
import os
import socket
import tempfile
from pathlib import Path
from threading import Thread

import pytest
from synth import frame_number, make_video

from dvd.errors import InputError
from dvd.video import open_video, pipes, readable_again


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """Return the folder of temporary copies."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def pipe_from(content: bytes, path: Path) -> Path:
    os.mkfifo(path)
    Thread(target=path.write_bytes, args=(content,), daemon=True).start()
    return path


@pytest.mark.slow
def test_a_named_pipe_is_read_and_its_copy_removed(tmp_path, temporary):
    pipe = pipe_from(make_video(tmp_path / "clip.mkv", 5).read_bytes(), tmp_path / "pipe.mkv")
    with open_video(pipe) as video:
        assert [frame_number(frame.rgb) for frame in video] == [0, 1, 2, 3, 4]
        assert (video.info.name, video.info.path) == ("pipe", pipe)
    del video
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_a_copy_can_be_read_several_times(tmp_path):
    again = readable_again(pipe_from(make_video(tmp_path / "clip.mkv", 5).read_bytes(), tmp_path / "pipe.mkv"))
    for _ in range(2):
        with open_video(again) as video:
            assert len(list(video)) == 5


def test_standard_input_is_named_stdin(tmp_path, monkeypatch):
    content = make_video(tmp_path / "clip.mkv", 3).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    with open_video("-") as video:
        assert video.info.name == "stdin"
        assert len(list(video)) == 3


def test_a_pipe_that_nobody_writes_into_is_refused(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr(pipes, "_PATIENCE_S", 0.1)
    os.mkfifo(tmp_path / "pipe.mkv")
    with pytest.raises(InputError, match="nobody wrote into this pipe"):
        open_video(tmp_path / "pipe.mkv")
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_a_pipe_without_a_video_is_refused(tmp_path, temporary):
    with pytest.raises(InputError, match="nothing came out of it"):
        open_video(pipe_from(b"", tmp_path / "empty"))
    with pytest.raises(InputError, match=r"words.*: not a video"):
        open_video(pipe_from(b"these are words\n" * 50, tmp_path / "words"))
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_devices_sockets_and_terminals_are_refused_at_once(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is a device"):
        open_video("/dev/zero")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.mkv")
        with pytest.raises(InputError, match="is a socket"):
            open_video("socket.mkv")
    terminal = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin", terminal)
    with pytest.raises(InputError, match="standard input: is a terminal"):
        open_video("-")

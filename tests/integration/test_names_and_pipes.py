"""Inputs of any name, and those that can be read only once, through the command."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path
from threading import Thread

import pytest
from synth import make_video

from .conftest import SMALL, Run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "out"


@pytest.mark.slow
def test_a_file_name_that_is_not_utf_8_is_predicted_printed_and_recorded(command: Path, tmp_path: Path) -> None:
    source = make_video(tmp_path / "plain.mp4", 3, size=(32, 48)).rename(tmp_path / "caf\udce9.mp4")
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [command, "predict", *SMALL, source, "-o", tmp_path / "out"], capture_output=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert rb"caf\udce9.mp4: 3 frames" in done.stdout
    assert (tmp_path / "out" / "caf\udce9.mp4").is_file()
    record = json.loads((tmp_path / "out" / "caf\udce9.json").read_text(encoding="utf-8"))
    assert os.fsencode(record["source"]) == os.fsencode(source)


def test_a_file_name_of_the_greatest_length(predict: Run, tmp_path: Path) -> None:
    source = make_video(tmp_path / "plain.mp4", 3, size=(32, 48)).rename(tmp_path / ("x" * 251 + ".mp4"))
    done = predict(source, "-o", tmp_path / "out", "--format", "mp4,npz,png16")
    assert done.status == 0, done.err
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_a_named_pipe_is_copied_once_with_a_notice(predict: Run, tmp_path: Path, out: Path) -> None:
    content = make_video(tmp_path / "clip.mkv", 3, size=(32, 48), audio="aac").read_bytes()
    os.mkfifo(tmp_path / "pipe.mkv")
    Thread(target=(tmp_path / "pipe.mkv").write_bytes, args=(content,), daemon=True).start()
    done = predict(tmp_path / "pipe.mkv", "-o", out)
    assert done.status == 0, done.err
    assert done.out.count("is read to its end into a temporary file first") == 1
    record = json.loads((out / "pipe.json").read_text())
    assert record["source"] == str(tmp_path / "pipe.mkv")
    assert record["outputs"][0]["sound"] == "copied"


def test_standard_input(predict: Run, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = make_video(tmp_path / "clip.mkv", 3, size=(32, 48)).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    done = predict("-", "-o", out)
    assert done.status == 0, done.err
    assert (out / "stdin.mp4").is_file()
    assert json.loads((out / "stdin.json").read_text())["source"] == "stdin"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("https://example.org/a.mp4", "is a URL, which is not read; download the file first"),
        ("/dev/zero", "is a device"),
    ],
)
def test_an_input_that_is_not_a_file_is_refused_in_one_line(predict: Run, out: Path, source: str, said: str) -> None:
    done = predict(source, "-o", out)
    assert done.status == 2
    (line,) = done.errors
    assert said in line
    assert not out.exists()


def test_an_end_of_zero_is_reported_as_the_end(predict: Run, tmp_path: Path, out: Path) -> None:
    done = predict(make_video(tmp_path / "clip.mp4", 3, size=(32, 48)), "-o", out, "--end", "0")
    assert done.status == 2
    assert done.errors == ["dvd: --end 0 leaves no frame; give a frame number or a time after 0"]

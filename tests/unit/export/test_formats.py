"""Formats are found by name and by ending, and other packages can add some."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from synth import disparity, info

from dvd.errors import OptionError
from dvd.export import (
    Writer,
    find_writer,
    format_of,
    formats,
    formats_reading,
    open_writer,
    register_format,
    suffix,
    writers,
)
from dvd.names import FORMATS
from dvd.plugins import Plugins


class MeansWriter(Writer):
    """A toy format: the mean of every frame, one a line."""

    name = "means"
    suffix = image_suffix = "_means.txt"
    endings = (".txt",)
    reads = frozenset(("half",))

    def add(self, frame: np.ndarray, pts: int, /) -> None:
        with self.part.open("a") as file:
            file.write(f"{pts} {frame.mean():.6f}\n")


@pytest.fixture
def only_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget formats that a test adds."""
    monkeypatch.setattr(formats, "_FORMATS", Plugins("format", FORMATS, "dvd.formats"))


def test_writers_have_the_names_under_which_they_are_listed() -> None:
    assert {name: writers()[name].name for name in FORMATS} == {name: name for name in FORMATS}


def test_every_format_has_its_endings():
    assert [suffix(name) for name in FORMATS] == [".mp4", ".npz", "_png16", "_exr"]
    assert [suffix(name, is_image=True) for name in FORMATS] == [".png", ".npz", "_png16.png", ".exr"]
    assert format_of("a.MP4") == format_of(Path("b/a.mov")) == format_of("a.mkv") == "mp4"
    assert (format_of("a.npz"), format_of("a.png"), format_of("a.exr")) == ("npz", "png16", "exr")
    assert format_of("results") is None
    with pytest.raises(OptionError, match=r"\.avi is not written"):
        format_of("a.avi")
    with pytest.raises(OptionError, match="did you mean png16"):
        open_writer("png", "a.png", info())
    with pytest.raises(OptionError, match=r"must end in one of \.mp4"):
        open_writer("mp4", "a.txt", info())


def test_exr_without_its_library_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("dvd.export.writer.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'dvd-depth\[exr\]'"):
        open_writer("exr", tmp_path / "out_exr", info())


def test_a_format_says_which_options_it_reads() -> None:
    assert formats_reading("values_at") == ["npz", "png16", "exr"]
    assert formats_reading("half") == ["npz", "exr"]
    assert formats_reading("compress") == ["npz"]


@pytest.mark.slow
def test_formats_are_asked_without_torch() -> None:
    code = (
        "import sys; from dvd.export import format_of, formats_reading, suffix;"
        "format_of('a.npz'), formats_reading('half'), suffix('exr'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.usefixtures("only_built_in")
def test_a_format_is_registered_from_outside(tmp_path: Path) -> None:
    assert format_of("clip.txt") is None
    register_format(MeansWriter)
    assert register_format(MeansWriter) is MeansWriter, "twice is no conflict"
    assert format_of("clip.TXT") == "means"
    assert suffix("means") == "_means.txt"
    assert formats_reading("half") == ["npz", "exr", "means"]
    values = disparity(3)
    with open_writer("means", tmp_path / "clip.txt", info()) as writer:
        writer.write(values, [0, 1, 2])
    means = [float(line.split()[1]) for line in (tmp_path / "clip.txt").read_text().splitlines()]
    assert means == pytest.approx(values.mean(axis=(1, 2)), abs=1e-5)


@pytest.mark.usefixtures("only_built_in")
def test_a_name_is_given_to_one_format_only() -> None:
    class Other(MeansWriter):
        name = "npz"

    with pytest.raises(OptionError, match="format 'npz' exists already; choose another name"):
        register_format(Other)


@pytest.mark.usefixtures("only_built_in")
def test_a_broken_format_of_another_package_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def entry_points(group: str) -> list[metadata.EntryPoint]:
        assert group == "dvd.formats"
        made = [("means", f"{__name__}:MeansWriter"), ("npz", "no.such:Writer"), ("lost", "no.such:Writer")]
        return [metadata.EntryPoint(name, value, group) for name, value in made]

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)(__name__))
    monkeypatch.setattr(sys.modules[__name__], "MeansWriter", MeansWriter, raising=False)
    monkeypatch.setattr("dvd.plugins.entry_points", entry_points)
    assert find_writer("means") is MeansWriter
    assert list(writers())[: len(FORMATS)] == list(FORMATS)
    assert "format 'lost' of no.such:Writer cannot be loaded" in caplog.text
    with pytest.raises(OptionError, match="unknown format 'mean'; did you mean means"):
        find_writer("mean")

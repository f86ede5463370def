"""Things by name: lazily loaded, extended by other packages and by hand."""

import sys
from pathlib import Path

import pytest

from dvd.errors import OptionError
from dvd.plugins import Plugins


def test_a_home_is_imported_when_its_name_is_first_asked_for() -> None:
    things: Plugins[type] = Plugins("toy", {"fraction": "fractions:Fraction", "number": int}, "dvd.toys")
    assert list(things) == ["fraction", "number"]
    assert things["fraction"].__name__ == "Fraction"
    assert things["number"] is int


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="unknown toy 'nmber'; did you mean number"):
        Plugins("toy", {"number": int}, "dvd.toys")["nmber"]


def test_a_name_is_registered_once() -> None:
    things: Plugins[type] = Plugins("toy", {"number": int}, "dvd.toys")
    things.register("text", str)
    things.register("text", str)
    assert things.loaded() == {"number": int, "text": str}
    with pytest.raises(OptionError, match="toy 'number' exists already"):
        things.register("number", float)


def test_a_home_that_cannot_be_imported_is_reported() -> None:
    things: Plugins[type] = Plugins("toy", {}, "dvd.toys")
    things.register("ball", "no.such:Ball")
    with pytest.raises(OptionError, match=r"toy 'ball' of no\.such:Ball cannot be loaded"):
        things["ball"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that brings two toys, one of which cannot be imported."""
    (tmp_path / "toys.py").write_text("class Ball: ...")
    folder = tmp_path / "toys-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[dvd.toys]\nball = toys:Ball\nbroken = toys:Missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("toys", None)


@pytest.mark.usefixtures("package")
def test_an_installed_package_adds_names(caplog: pytest.LogCaptureFixture) -> None:
    things: Plugins[type] = Plugins("toy", {"number": int}, "dvd.toys")
    assert set(things) == {"number", "ball", "broken"}
    assert things["ball"].__name__ == "Ball"
    with pytest.raises(OptionError, match="toy 'broken' of toys:Missing cannot be loaded"):
        things["broken"]
    assert set(things.loaded()) == {"number", "ball"}
    assert "broken" in caplog.text

"""`dvd train` refuses what it cannot run, in one line."""

from pathlib import Path

import pytest

from dvd.apps.cli import main


def test_an_unknown_recipe_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "dvd-mnii"]) == 2
    assert capsys.readouterr().err.startswith("dvd: unknown recipe 'dvd-mnii'; did you mean dvd-mini")


def test_a_missing_folder_of_textures_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "smoke", "--textures", str(tmp_path / "none")]) == 2
    assert "none is not a folder of textures" in capsys.readouterr().err


def test_a_field_before_the_recipe_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--adapt.steps", "5", "smoke"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("dvd: unknown recipe '5'; ")
    assert told.endswith("; the recipe comes first, then its fields\n")

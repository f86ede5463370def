"""A run's folder belongs to one run and one recipe."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.errors import OptionError, OutputError
from dvd.files import Claim
from dvd.train.loop import claimed, record, train
from dvd.train.recipes import SMOKE


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "run")
    with pytest.raises(OutputError, match="run: another run is writing there; wait for it, or choose another output"):
        train(SMOKE, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    claim.release()
    with claimed(tmp_path / "run"):
        pass


def test_only_the_first_process_of_a_run_claims_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claimed(tmp_path / "run"):
        monkeypatch.setenv("RANK", "1")
        with claimed(tmp_path / "run"):
            pass


def test_a_run_of_another_recipe_is_refused_and_resumable_fields_may_change(tmp_path: Path) -> None:
    record(SMOKE, tmp_path)
    with pytest.raises(OptionError, match=r"was begun with another recipe \(seed: 0 there, 3 now\)"):
        record(replace(SMOKE, seed=3), tmp_path)
    record(replace(SMOKE, keep=5), tmp_path)
    assert json.loads((tmp_path / "recipe.json").read_text())["keep"] == 5


def test_a_recipe_from_before_the_field_sizes_is_resumed(tmp_path: Path) -> None:
    record(SMOKE, tmp_path)
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    del recipe["model"]["sizes"]
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    record(SMOKE, tmp_path)

"""A data set that another package describes is one `Layout`: it is listed, checked, evaluated and trained on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dvd.apps.cli import main
from dvd.data import Layout, layouts, register_layout
from dvd.errors import OptionError
from dvd.train.recipes import RECIPES
from dvd.train.settings import SourceSettings
from dvd.train.sources import open_one

PLUGIN = """
from dvd.data import Framing, Layout, Patterns
from dvd.data.formats import read_npy

TOY = Layout(
    name="toy",
    summary="five frames of a ramp",
    paths=Patterns(rgb="{scene}/{frame}.png", depth="{scene}/{frame}.npy", scene="{scene}", sequence="{scene}"),
    example=("ramp/0.png", "ramp/0.npy"),
    read=read_npy,
    per_metre=2,
    range_m=(0.1, 10.0),
    outside="uncounted",
    framing=Framing(crop=(16, 24)),
    licence="public domain",
    source="this test",
)
"""
"""A module of another package."""


@pytest.fixture
def toy() -> Iterator[Layout]:
    """Register the toy data set for one test."""
    module: dict[str, Any] = {}
    exec(PLUGIN, module)
    layout = module["TOY"]
    register_layout(layout)
    yield layout
    del layouts.LAYOUTS._things["toy"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Write the toy data set: depth falls from 5 m in the first row to 1 m in the last."""
    folder = tmp_path / "toy" / "ramp"
    folder.mkdir(parents=True)
    depth_m = np.linspace(5, 1, 20, dtype=np.float32)[:, None].repeat(24, axis=1)
    for index in range(5):
        Image.new("RGB", (24, 20), (40 * index,) * 3).save(folder / f"{index}.png")
        np.save(folder / f"{index}.npy", depth_m * 2)
    return tmp_path / "toy"


def test_it_is_checked_and_listed(toy: Layout, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "toy", str(root)]) == 0
    assert "toy: usable and whole; 5 frames in 1 sequence" in capsys.readouterr().out
    assert main(["data", "list"]) == 0
    assert f"toy: {toy.summary}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
def test_it_is_evaluated(root: Path, tmp_path: Path) -> None:
    assert main(["eval", f"toy={root}", "--model", "row", "-o", str(tmp_path / "out")]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    [sequence] = results["sequences"]
    assert (sequence["dataset"], sequence["name"], sequence["frames"]) == ("toy", "ramp", 5)
    assert 0 < sequence["metrics"]["abs_rel"] < 0.2, "disparity is nearly linear in the row"


@pytest.mark.usefixtures("toy")
def test_it_is_opened_for_training(root: Path) -> None:
    recipe = replace(RECIPES["smoke"], data=root.parent)
    source = open_one(recipe, SourceSettings("toy-clips", "toy", "video"), root / "scenes")
    assert source.count(3) == 3
    clip = source.clip(1, 3)
    assert clip.rgb.shape == (3, 16, 24, 3)
    assert clip.rgb[:, 0, 0, 0].tolist() == [40, 80, 120]
    np.testing.assert_allclose(clip.disparity[:, -1], 1)


def test_a_name_that_is_taken_is_refused(toy: Layout) -> None:
    register_layout(toy)
    with pytest.raises(OptionError, match="data set 'toy' exists already; choose another name"):
        register_layout(replace(toy, per_metre=1000))


@pytest.mark.slow
def test_an_installed_package_offers_its_layouts_as_entry_points(root: Path, tmp_path: Path) -> None:
    package = tmp_path / "site"
    metadata = package / "toy_data-1.0.dist-info"
    metadata.mkdir(parents=True)
    (package / "toy_data.py").write_text(PLUGIN)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[dvd.layouts]\ntoy = toy_data:TOY\n")
    paths = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "dvd", "data", "check", "toy", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=True)
    assert "toy: usable and whole; 5 frames in 1 sequence" in done.stdout

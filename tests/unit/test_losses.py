"""Latent manifold rectification: its limits, and the paper's form against a direct sum."""

import pytest
import torch

from dvd.losses import RectificationWeights, lmr_loss


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

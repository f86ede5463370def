"""Latent manifold rectification (Eq. 6–7): a point term for geometry, first differences for edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Form = Literal["release", "paper"]


@dataclass(frozen=True)
class RectificationWeights:
    """λ_sp and λ_temp of Eq. 7, and whether the terms are averaged as the release does or summed as the paper writes.

    `release`: mean squared error, and the mean absolute error of each first difference over its own elements.
    `paper`: Euclidean norm per sample, and first differences divided by F · Ω and (F − 1) · Ω (Eq. 6), Ω = c · h · w.
    """

    spatial: float = 0.5
    temporal: float = 0.5
    form: Form = "release"


def lmr_loss(
    predicted: Tensor, target: Tensor, weights: RectificationWeights | None = None
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The training objective of Eq. 7 on depth latents.

    `predicted`, `target`: `B C T H W`, normalised latents. Returns the scalar total and its terms by name
    (`point`, `temporal`, `height`, `width`); the temporal term of single images is zero.
    """
    weights = weights or RectificationWeights()
    error = predicted - target
    terms = {
        "point": _point(error, weights.form),
        "temporal": _first_difference(error, 2, weights.form),
        "height": _first_difference(error, 3, weights.form),
        "width": _first_difference(error, 4, weights.form),
    }
    total = terms["point"] + weights.temporal * terms["temporal"] + weights.spatial * (terms["height"] + terms["width"])
    return total, terms


def _point(error: Tensor, form: Form) -> Tensor:
    if form == "release":
        return error.square().mean()
    return error.flatten(1).norm(dim=1).mean()


def _first_difference(error: Tensor, dim: int, form: Form) -> Tensor:
    """Mean |∂ẑ − ∂z| along one axis; the difference of differences is the difference of the error."""
    if error.shape[dim] < 2:
        return error.new_zeros(())
    difference = error.diff(dim=dim).abs()
    if form == "release":
        return difference.mean()
    batch, channels, frames, height, width = error.shape
    counted_frames = frames - 1 if dim == 2 else frames
    return difference.sum() / (batch * counted_frames * channels * height * width)

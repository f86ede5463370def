"""Training objectives of the regression: latent manifold rectification (Eq. 6–7) and the alternatives of Table 8.

All of them act on normalised latents, so that nothing is decoded while training: the paper defines LMR "directly in the
VAE latent space" and says that the variants share everything else. Each is a point term for geometry plus one
regulariser, and a mean over the samples of the batch: the loss of a batch is the mean over its equal parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from dvd.errors import OptionError, unknown

if TYPE_CHECKING:
    from torch import Tensor

Form = Literal["release", "paper"]
ObjectiveName = Literal["lmr", "l2", "l2+rgb", "l2+smoothness", "l2+gradients"]

SCALES = 4
"""K of multi-scale gradient matching."""


@dataclass(frozen=True)
class RectificationWeights:
    """λ_sp and λ_temp of Eq. 7, and whether terms are averaged as in the release or summed as in the paper.

    `release`: mean squared error, and the mean absolute error of each first difference over its own elements.
    `paper`: Euclidean norm per sample, and first differences divided by F · Ω and (F − 1) · Ω (Eq. 6). The paper does
    not say what Ω counts; here it is the elements of a latent frame, c · h · w.
    """

    spatial: float = 0.5
    temporal: float = 0.5
    form: Form = "release"


@dataclass(frozen=True)
class Objective:
    """A training objective by its row in Table 8; with R = ẑ − z, I the RGB latent, ∂ the first differences in h and w.

    - `lmr`: Eq. 7, ‖R‖ + λ_sp Σ|∂R| + λ_temp |∂_t R|, weighted by `rectification`.
    - `l2`: ‖R‖ alone.
    - `l2+rgb`: + ‖Î − I‖, RGB reconstruction. The paper does not say where Î comes from. Here the same network predicts
      it in a second pass at another fixed timestep, in place of the switch of Lotus' detail preserver (He et al. 2024).
    - `l2+smoothness`: + Σ |∂ẑ| exp(−|∂I|), edge-aware (Godard et al. 2017, C_ds, at one scale). Smoothness and edges
      are those of the latents, |∂I| the mean over channels, where the source has disparity and image.
    - `l2+gradients`: + Σ_k |∂R_k|, R_k every 2^k-th row and column of R, k = 0 … 3: multi-scale gradient matching
      (Ranftl et al. 2020, L_reg). Every scale is a mean over its own elements.

    ‖·‖ and the means take the form of `rectification`. `weight` multiplies the regulariser of the last three; the paper
    gives none. 0.5 is the λ of Eq. 7 and the α of Ranftl et al.; Godard et al. have 0.1. Raise OptionError if a weight
    is negative.
    """

    name: ObjectiveName = "lmr"
    rectification: RectificationWeights = field(default_factory=RectificationWeights)
    weight: float = 0.5

    def __post_init__(self) -> None:
        if self.name not in get_args(ObjectiveName):
            raise OptionError(unknown("objective", self.name, get_args(ObjectiveName)))
        weights = (self.weight, self.rectification.spatial, self.rectification.temporal)
        if not all(weight >= 0 for weight in weights):
            raise OptionError(f"objective {self.name}: its weights are {weights}, one below 0; 0.5 is usual")


def objective_loss(
    objective: Objective,
    predicted: Tensor,
    target: Tensor,
    rgb_latent: Tensor | None = None,
    predicted_rgb: Tensor | None = None,
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Return the scalar loss and its unweighted terms by name, `point` first.

    All arguments are normalised latents `B C T H W`: the `predicted` depth latent and its `target`, the `rgb_latent`
    and the `predicted_rgb`. Raise OptionError if the objective needs one that is missing or has another shape.
    """
    if objective.name == "lmr":
        return lmr_loss(predicted, target, objective.rectification)
    form, error = objective.rectification.form, predicted - target
    terms = {"point": _point(error, form)}
    if objective.name == "l2":
        return terms["point"], terms
    if objective.name == "l2+rgb":
        guide = _needed("RGB latent", rgb_latent, objective)
        answer = _needed("network's RGB latent", predicted_rgb, objective)
        if answer.shape != guide.shape:
            raise OptionError(f"RGB latents are {tuple(guide.shape)} but the network gives {tuple(answer.shape)}")
        terms["rgb"] = _point(answer - guide, form)
    elif objective.name == "l2+smoothness":
        guide = _needed("RGB latent", rgb_latent, objective)
        if guide.shape[2:] != predicted.shape[2:]:
            raise OptionError(f"RGB latents are {tuple(guide.shape)} but depth latents {tuple(predicted.shape)}")
        terms["smoothness"] = _edge_aware_smoothness(predicted, guide, form)
    else:
        terms["gradients"] = _gradient_matching(error, form)
    regulariser = next(reversed(terms.values()))
    return terms["point"] + objective.weight * regulariser, terms


def lmr_loss(
    predicted: Tensor, target: Tensor, weights: RectificationWeights | None = None
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Return the training objective of Eq. 7 on depth latents: the scalar total and its terms by name.

    `predicted`, `target`: `B C T H W`, normalised latents. The terms are `point`, `temporal`, `height` and `width`; the
    temporal term of single images is zero.
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


def _first_difference(x: Tensor, dim: int, form: Form, weight: Tensor | None = None) -> Tensor:
    """Return the mean of |∂x| · `weight` along one axis; for an error this is |∂ẑ − ∂z|, because ∂ is linear."""
    if x.shape[dim] < 2:
        return x.new_zeros(())
    difference = x.diff(dim=dim).abs()
    if weight is not None:
        difference = difference * weight
    if form == "release":
        return difference.mean()
    batch, channels, frames, height, width = x.shape
    counted_frames = frames - 1 if dim == 2 else frames
    return difference.sum() / (batch * counted_frames * channels * height * width)


def _edge_aware_smoothness(predicted: Tensor, guide: Tensor, form: Form) -> Tensor:
    """Return the smoothness term, in which differences cost little where the guide has an edge too."""
    along = {dim: guide.diff(dim=dim).abs().mean(dim=1, keepdim=True).neg().exp() for dim in (3, 4)}
    return _first_difference(predicted, 3, form, along[3]) + _first_difference(predicted, 4, form, along[4])


def _gradient_matching(error: Tensor, form: Form) -> Tensor:
    """Return the gradient term; a scale at which a side is one element adds nothing along that side."""
    total = error.new_zeros(())
    for scale in range(SCALES):
        coarse = error[..., :: 2**scale, :: 2**scale]
        total = total + _first_difference(coarse, 3, form) + _first_difference(coarse, 4, form)
    return total


def _needed(name: str, latent: Tensor | None, objective: Objective) -> Tensor:
    """Return the latent; raise OptionError if it is missing."""
    if latent is None:
        raise OptionError(
            f"objective {objective.name} needs the {name}, which is missing; choose l2, lmr or l2+gradients"
        )
    return latent

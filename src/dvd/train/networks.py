"""The networks that the phases of a run train in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dvd.backbones.blueprint import blueprint
from dvd.backbones.trainable import Codec, Trainable
from dvd.train.adapters import inject
from dvd.train.engine import precision
from dvd.train.settings import Adaptation, Recipe


@dataclass
class Networks:
    """A network, the autoencoder of its depth latent, and how both are trained."""

    backbone: Trainable
    network: nn.Module
    """RGB latent, or pixels → depth latent."""
    vae: Any
    """A `WanVAE` for the backbones of the package, and for every phase that trains it."""
    adaptation: Adaptation
    base_dtype: torch.dtype
    is_adapted: bool = False

    def codec(self) -> Codec:
        """Return the frozen autoencoder as the backbone uses it."""
        return self.backbone.codec(self.vae)

    def adapt(self, as_flow: bool = False) -> None:
        """Make the network ready to learn depth, before the first phase that does; `as_flow` for a depth flow."""
        if not self.is_adapted:
            self.backbone.adapt(self.network, self.adaptation, inject, self.base_dtype)
            if as_flow:
                self.network = self.backbone.as_flow(self.network, conditioned=True)
            self.is_adapted = True


def build(recipe: Recipe, download: bool = True) -> Networks:
    """Return the recipe's networks with the values they start from, the same in every process.

    ModelError where weights are unknown, missing or damaged.
    """
    torch.manual_seed(recipe.seed)
    backbone = recipe.model.backbone
    return Networks(backbone, *backbone.build(recipe.model, download), recipe.adaptation, base_dtype(recipe))


def outline(recipe: Recipe) -> Networks:
    """Return the same networks without memory or files, ready to learn depth: to be counted."""
    backbone = recipe.model.backbone
    networks = Networks(backbone, *backbone.outline(recipe.model), recipe.adaptation, base_dtype(recipe))
    with blueprint():
        networks.adapt()
    return networks


def refuse_unfit_weights(recipe: Recipe) -> None:
    """Raise ModelError for weights that are unknown or do not fit the phases, before anything long begins."""
    card = recipe.model.backbone.starting_card(recipe.model)
    if card is not None:
        for phase in recipe.phases:
            phase.check_start(recipe, card)


def base_dtype(recipe: Recipe) -> torch.dtype:
    """Return the dtype of the frozen base beside LoRA: bfloat16 where autocast would round it anyway at every use."""
    return torch.bfloat16 if recipe.adaptation.kind == "lora" and precision(recipe) == "bf16" else torch.float32

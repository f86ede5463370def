"""A backbone from outside the package, in one file: a few hundred parameters, and a latent of its own.

Every frame by itself: its latent is the disparity at an eighth of the size, which a small convolution predicts.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from dvd.backbones.base import Backbone, ModelCard, card_of, read_config
from dvd.backbones.settings import ModelSettings
from dvd.backbones.trainable import Trainable

STRIDE = 8


class ToyNetwork(nn.Module):
    """RGB `B 3 T H W` → depth latent `B 1 T H/8 W/8`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, rgb: Tensor, timestep: float) -> Tensor:
        small = F.avg_pool2d(rgb.transpose(1, 2).flatten(0, 1), STRIDE)
        return self.body(small).unflatten(0, (len(rgb), rgb.shape[2])).transpose(1, 2)


class ToyCodec(nn.Module):
    """The latent codec: disparity in [-1, 1], averaged over 8 × 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("anchor", torch.zeros(()))

    @property
    def device(self) -> torch.device:
        return self.anchor.device

    def inputs(self, rgb: Tensor) -> Tensor:
        return rgb.to(self.device)

    def target(self, disparity: Tensor) -> Tensor:
        return F.avg_pool3d(disparity.to(self.device) * 2 - 1, (1, STRIDE, STRIDE))

    def decode(self, latent: Tensor) -> Tensor:
        return (F.interpolate(latent, scale_factor=(1, STRIDE, STRIDE)) + 1) / 2


class ToyBackbone(Backbone):
    """The toy for inference."""

    time_factor = 1
    side_multiple = STRIDE

    def __init__(self, network: ToyNetwork, card: ModelCard) -> None:
        self.network, self.codec, self.card = network.eval(), ToyCodec(), card

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> ToyBackbone:
        self.network.to(device=device, dtype=dtype)
        self.codec.to(device=device)
        return self

    def encode(self, rgb: Tensor) -> Tensor:
        return rgb

    def forward(self, latent: Tensor, timestep: float) -> Tensor:
        return self.network(latent, timestep)

    def decode(self, latent: Tensor) -> Tensor:
        return self.codec.decode(latent) * 2 - 1


class ToyTraining(Trainable):
    """How the toy is trained: whole, from nothing, `width` channels wide."""

    name = "toy"
    time_factor = 1
    side_multiple = STRIDE

    def build(self, model: ModelSettings, download: bool = True) -> tuple[ToyNetwork, ToyCodec]:
        return ToyNetwork(dict(model.sizes).get("width", 8)), ToyCodec()

    def outline(self, model: ModelSettings) -> tuple[ToyNetwork, ToyCodec]:
        with torch.device("meta"):
            return self.build(model)

    def codec(self, vae: ToyCodec) -> ToyCodec:
        return vae

    def save(self, folder: Path, network: nn.Module, vae: Any, card: ModelCard, sampler_steps: int | None) -> None:
        assert isinstance(network, ToyNetwork)
        config = {"backbone": "toy", "width": network.body[0].out_channels, "card": asdict(card)}
        (folder / "config.json").write_text(json.dumps(config))
        save_file(network.state_dict(), str(folder / "toy.safetensors"))


def load(path: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> ToyBackbone:
    """Open a folder that `ToyTraining.save` wrote."""
    config = read_config(path)
    network = ToyNetwork(config["width"])
    network.load_state_dict(load_file(str(path / "toy.safetensors")))
    return ToyBackbone(network, card_of(path, config)).to(device, dtype)


def trainable() -> Trainable:
    """Return how the toy is trained."""
    return ToyTraining()

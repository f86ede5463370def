"""Wan2.1 as DVD uses it: the video autoencoder's RGB latent → one pass of the transformer → its depth latent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dvd.backbones.base import ModelCard
from dvd.backbones.cards import card_of
from dvd.backbones.wan.checkpoints import load_transformer, load_vae
from dvd.backbones.wan.fold import FoldedTransformer, fold
from dvd.backbones.wan.folder import find
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.errors import ModelError

if TYPE_CHECKING:
    from dvd.backbones.trainable import Trainable

GIB = 2**30
PAST_COPIES, CHUNK_COPIES = 12, 6
"""What the autoencoder holds between chunks, and per latent frame of a chunk, in multiples of the frames that one
latent frame becomes at the level of the video's own size; measured, rounded up."""


class WanBackbone:
    """The transformer, folded at the timestep it is asked for, between the two halves of its autoencoder.

    `transformer` stays as it was loaded; call `forget` after changing it. `vae_memory` is how many bytes the
    autoencoder's activations may take: a window that needs more goes through it in chunks, to the same numbers.
    """

    def __init__(self, transformer: WanTransformer, vae: WanVAE, card: ModelCard) -> None:
        self.card = card
        self.transformer = transformer.eval().requires_grad_(False)
        self.vae = vae.eval().requires_grad_(False)
        self.time_factor = vae.config.time_factor
        self.side_multiple = vae.config.spatial_factor * max(transformer.config.patch_size[1:])
        self._folded: tuple[float, FoldedTransformer] | None = None
        self._settle()
        self.vae_memory = vae_memory(self.device)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> WanBackbone:
        """Moves or converts all of it in place."""
        self.transformer.to(device=device, dtype=dtype)
        self.vae.to(device=device, dtype=dtype)
        self._settle()
        return self

    def encode(self, rgb: Tensor) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1] → normalised posterior mean `B 16 t h w` (Eq. 1)."""
        batch, _, frames, height, width = rgb.shape
        chunk = self._chunk(batch, frames // self.time_factor + 1, height, width)
        return self.vae.encode(rgb.to(self.device, self.dtype), chunk)

    def forward(self, latent: Tensor, timestep: float) -> Tensor:
        """Latent → depth latent, both `B 16 t h w`, in one pass at `timestep` = 1000 τ (Eq. 5)."""
        return self.folded(timestep)(latent.to(self.device, self.dtype))

    def decode(self, latent: Tensor) -> Tensor:
        """Depth latent `B 16 t h w` → `B 3 T H W`, nominally in [-1, 1]; the mean over C is the disparity."""
        batch, _, frames, *sides = latent.shape
        height, width = (side * self.vae.config.spatial_factor for side in sides)
        return self.vae.decode(latent.to(self.device, self.dtype), self._chunk(batch, frames, height, width))

    def folded(self, timestep: float) -> FoldedTransformer:
        """The transformer folded at `timestep`; kept until another timestep is asked for."""
        if self._folded is None or self._folded[0] != timestep:
            self.forget()  # before the next is made: two would be too much at the real size
            self._folded = (timestep, fold(self.transformer, timestep))
        return self._folded[1]

    def forget(self) -> None:
        """Drops the folded transformer, so that the next pass folds anew."""
        self._folded = None

    def _settle(self) -> None:
        parameter = next(self.transformer.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.forget()

    def _chunk(self, batch: int, frames: int, height: int, width: int) -> int | None:
        chunk = chunk_that_fits(self.vae.config, batch, height, width, self.dtype.itemsize, self.vae_memory)
        return None if chunk >= frames else chunk


def load(
    path: Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    vae: Path | None = None,
    card: ModelCard | None = None,
) -> WanBackbone:
    """Opens a model folder, or a transformer's file with its autoencoder beside it or at `vae`.

    ModelError names the file and what is missing, unknown or damaged in it. Without `card` the folder's config.json
    describes the model.
    """
    files = find(path, vae)
    config = files.config
    transformer = load_transformer(files.transformer, config["transformer"], config["lora"], device, dtype)
    autoencoder = load_vae(files.vae, config["vae"], device, dtype)
    if {transformer.config.in_dim, transformer.config.out_dim} != {autoencoder.config.z_dim}:
        raise ModelError(
            f"{files.vae.path}: its latent has {autoencoder.config.z_dim} channels, the transformer takes "
            f"{transformer.config.in_dim} and gives {transformer.config.out_dim}; use the one it was trained with"
        )
    return WanBackbone(transformer, autoencoder, card or card_of(path, config))


def chunk_that_fits(config: VAEConfig, batch: int, height: int, width: int, itemsize: int, memory: int) -> int:
    """Latent frames that pass the autoencoder at once in `memory` bytes, at least one.

    Its memory goes into the level of the video's own height and width, where one latent frame is `time_factor` frames
    of `dim` channels.
    """
    frame = config.dim * config.dim_mult[0] * height * width // config.patch**2 * itemsize
    return max(1, (memory // (batch * config.time_factor * frame) - PAST_COPIES) // CHUNK_COPIES)


def vae_memory(device: torch.device) -> int:
    """A quarter of a GPU's memory; 2 GiB elsewhere."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory // 4
    return 2 * GIB


def trainable() -> Trainable:
    """Return how Wan2.1 is trained."""
    from dvd.backbones.wan.training import WanTraining

    return WanTraining()

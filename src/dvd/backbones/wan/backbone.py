"""Wan2.1 as DVD uses it: the video autoencoder's RGB latent → one pass of the transformer → its depth latent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dvd.backbones.base import Backbone, ModelCard, card_of
from dvd.backbones.wan.checkpoints import load_transformer, load_vae
from dvd.backbones.wan.fold import FoldedTransformer, fold
from dvd.backbones.wan.transformer import WanTransformer
from dvd.backbones.wan.vae import WanVAE
from dvd.backbones.wan.weights import find_model
from dvd.errors import ModelError
from dvd.memory import ModelMemory, chunk_that_fits, parameter_count, vae_budget, wan_memory

if TYPE_CHECKING:
    from dvd.backbones.trainable import Trainable


class WanBackbone(Backbone):
    """Encode a window, pass its latent once through the transformer folded at the anchor, decode.

    `transformer` stays as it was loaded; call `forget` after changing it. The autoencoder's activations may take
    `vae_memory` bytes: a window that needs more passes in chunks, with equal results.
    """

    def __init__(self, transformer: WanTransformer, vae: WanVAE, card: ModelCard) -> None:
        self.card = card
        self.transformer = transformer.eval().requires_grad_(False)
        self.vae = vae.eval().requires_grad_(False)
        self.time_factor = vae.config.time_factor
        self.side_multiple = vae.config.spatial_factor * max(transformer.config.patch_size[1:])
        self._folded: tuple[float, FoldedTransformer] | None = None
        self.vae_memory = vae_budget(self.device)

    @property
    def device(self) -> torch.device:
        return next(self.transformer.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.transformer.parameters()).dtype

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> WanBackbone:
        """Move or convert both networks in place."""
        self.transformer.to(device=device, dtype=dtype)
        self.vae.to(device=device, dtype=dtype)
        self.forget()
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

    def memory(self, size: tuple[int, int], window: int, dtype: torch.dtype, device: torch.device) -> ModelMemory:
        """Return the bytes that windows of `window` frames at `size` (height, width) need in `dtype` on `device`."""
        parameters = parameter_count(self.transformer, self.vae)
        return wan_memory(self.transformer.config, self.vae.config, parameters, size, window, dtype, device)

    def folded(self, timestep: float) -> FoldedTransformer:
        """Return the transformer folded at `timestep`; it is kept until another timestep is needed."""
        if self._folded is None or self._folded[0] != timestep:
            self.forget()  # first, because two folded transformers would not fit at the real size
            self._folded = (timestep, fold(self.transformer, timestep))
        return self._folded[1]

    def forget(self) -> None:
        """Drop the folded transformer, so that the next pass folds again."""
        self._folded = None

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
    """Open a model folder, or a transformer's file with its autoencoder beside it or at `vae`.

    Without `card` the folder's config.json describes the model. Raise ModelError with the file and what is missing,
    unknown or damaged in it.
    """
    files = find_model(path, vae)
    config = files.config
    transformer = load_transformer(files.transformer, config["transformer"], config["lora"], device, dtype)
    autoencoder = load_vae(files.vae, config["vae"], device, dtype)
    if {transformer.config.in_dim, transformer.config.out_dim} != {autoencoder.config.z_dim}:
        raise ModelError(
            f"{files.vae.path}: its latent has {autoencoder.config.z_dim} channels, the transformer takes "
            f"{transformer.config.in_dim} and gives {transformer.config.out_dim}; use the one it was trained with"
        )
    return WanBackbone(transformer, autoencoder, card or card_of(path, config))


def trainable() -> Trainable:
    """Return how Wan2.1 is trained."""
    from dvd.backbones.wan.training import WanTraining

    return WanTraining()

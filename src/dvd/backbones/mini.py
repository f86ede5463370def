"""dvd-mini: an ImageNet encoder → the Wan transformer at the anchor → the causal VAE's decoder.

Where the 1.3B model inherits a video prior through the VAE's RGB latent, this one inherits ImageNet: features of every
frame, four frames to one latent frame (the first alone, as the causal VAE counts), stand in for that latent. The
transformer, the depth latent, the loss and the decoder are those of the 1.3B model, small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvd.backbones.base import Backbone, ModelCard
from dvd.backbones.blueprint import blueprint
from dvd.backbones.efficientnet import CHANNELS, EfficientNetLite0
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.backbones.wan.weights import Shape, open_weights
from dvd.errors import ModelError
from dvd.memory import ModelMemory, mini_memory, parameter_count

if TYPE_CHECKING:
    from dvd.backbones.trainable import Trainable
    from dvd.backbones.wan.fold import FoldedTransformer

TIME_FACTOR = 4
STRIDE = 8
"""Pixels per side of one latent element."""


@dataclass(frozen=True)
class MiniConfig:
    """Sizes of the embedded model; `feature_channels` are kept of each frame at stride 8."""

    feature_channels: int = 64
    refine_channels: int = 96
    transformer: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(
            dim=256, in_dim=256, ffn_dim=1024, text_dim=64, num_heads=4, num_layers=8
        )
    )
    vae: VAEConfig = field(
        default_factory=lambda: VAEConfig(
            dim=32,
            dim_mult=(1, 2, 3),
            num_res_blocks=1,
            temporal_downsample=(True, True),
            patch=2,
            channels=1,
            latents_mean=(0.0,) * 16,
            latents_std=(1.0,) * 16,
        )
    )

    def __post_init__(self) -> None:
        folded = TIME_FACTOR * self.feature_channels
        if self.transformer.in_dim != folded:
            raise ModelError(
                f"the transformer takes {self.transformer.in_dim} channels but four frames of "
                f"{self.feature_channels} features make {folded}; make the two agree"
            )
        if self.transformer.out_dim != self.vae.z_dim:
            raise ModelError(
                f"the transformer gives {self.transformer.out_dim} channels but the VAE's latent has "
                f"{self.vae.z_dim}; make the two agree"
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MiniConfig:
        """Return the configuration that `to_json` wrote."""
        return cls(
            feature_channels=values["feature_channels"],
            refine_channels=values["refine_channels"],
            transformer=TransformerConfig(**_tuples(values["transformer"])),
            vae=VAEConfig(**_tuples(values["vae"])),
        )

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary for `config.json`."""
        return asdict(self)


class FeaturePyramid(nn.Module):
    """Feature maps at strides 4 … 32 → one map `N C h w` at stride 8."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        fine, *coarse = CHANNELS
        self.fine = nn.Conv2d(4 * fine, channels, 1)
        self.coarse = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in coarse)
        self.smooth = nn.ModuleList(_separable(channels) for _ in coarse)

    def forward(self, maps: list[Tensor]) -> Tensor:
        fine, *coarse = maps
        merged: Tensor | None = None
        for lateral, smooth, level in zip(reversed(self.coarse), reversed(self.smooth), reversed(coarse), strict=True):
            side = lateral(level)
            if merged is not None:
                side = side + F.interpolate(merged, size=side.shape[-2:], mode="bilinear", align_corners=False)
            merged = side + smooth(side)
        assert merged is not None
        return merged + self.fine(F.pixel_unshuffle(fine, 2))


class LatentRefinement(nn.Module):
    """Corrects the depth latent where tokens of 16 × 16 pixels are too coarse, from the features at stride 8."""

    def __init__(self, features: int, latent: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(features + latent, channels, 1)
        self.filter = nn.Conv2d(channels, channels, 3, padding=1)
        self.correct = nn.Conv2d(channels, latent, 3, padding=1)
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """`N C h w` features and `N c h w` depth latent → corrected depth latent."""
        x = F.gelu(self.mix(torch.cat([features, latent], dim=1)), approximate="tanh")
        x = F.gelu(self.filter(x), approximate="tanh")
        return latent + self.correct(x)


class MiniNetwork(nn.Module):
    """RGB window → normalised depth latent: everything of dvd-mini that its regression trains."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = EfficientNetLite0()
        self.pyramid = FeaturePyramid(config.feature_channels)
        self.transformer = WanTransformer(config.transformer)
        self.refinement = LatentRefinement(config.transformer.in_dim, config.vae.z_dim, config.refine_channels)

    def lay_out_for_convolutions(self) -> None:
        """Keep the channels of the 2D convolutions innermost, which processors multiply fastest."""
        for part in (self.encoder, self.pyramid, self.refinement):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, rgb: Tensor) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1] → features `B 4C t h w`, four frames to one after the first."""
        batch, _, frames = rgb.shape[:3]
        images = rgb.transpose(1, 2).flatten(0, 1)
        features = self.pyramid(self.encoder(images))
        return fold_time(features.unflatten(0, (batch, frames)))

    def forward(self, rgb: Tensor, timestep: float) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1] → depth latent `B c t h w`, unfolded: the path that training takes."""
        features = self.encode(rgb)
        return self.refine(features, self.transformer(features, timestep))

    def refine(self, features: Tensor, latent: Tensor) -> Tensor:
        """Apply the refinement to every latent frame by itself."""
        batch, _, time = latent.shape[:3]
        corrected = self.refinement(*(x.transpose(1, 2).flatten(0, 1) for x in (features, latent)))
        return corrected.unflatten(0, (batch, time)).transpose(1, 2)


class MiniBackbone(Backbone):
    """dvd-mini for inference: batch norms folded, the transformer folded at its timestep, the VAE's decoder alone."""

    time_factor = TIME_FACTOR
    side_multiple = 2 * STRIDE

    def __init__(self, network: MiniNetwork, vae: WanVAE, card: ModelCard) -> None:
        self.card = card
        self.network = network.eval().requires_grad_(False)
        self.network.encoder.fold()
        self.network.lay_out_for_convolutions()
        self.vae = vae.eval().requires_grad_(False)
        self._folded: tuple[float, FoldedTransformer] | None = None

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> MiniBackbone:
        """Move or convert the whole backbone in place."""
        self.network.to(device=device, dtype=dtype)
        self.vae.to(device=device, dtype=dtype)
        self._folded = None
        return self

    def encode(self, rgb: Tensor) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1] → ImageNet features `B 4C t h w`, where the 1.3B model has its RGB latent."""
        images = rgb.to(self.device, self.dtype)
        return self.network.encode(images)

    def forward(self, latent: Tensor, timestep: float) -> Tensor:
        """Features → depth latent `B c t h w` in one pass at `timestep`."""
        return self.network.refine(latent, self._at(timestep)(latent))

    def decode(self, latent: Tensor) -> Tensor:
        """Depth latent → disparity `B 1 T H W`, nominally in [-1, 1]."""
        return self.vae.decode(latent)

    def memory(self, size: tuple[int, int], window: int, dtype: torch.dtype, device: torch.device) -> ModelMemory:  # noqa: ARG002
        """Return the bytes that windows of `window` frames at `size` (height, width) need in `dtype`, on any device."""
        parameters = parameter_count(self.network, self.vae)
        return mini_memory(self.network.transformer.config, parameters, size, window, dtype)

    def _at(self, timestep: float) -> FoldedTransformer:
        from dvd.backbones.wan.fold import fold

        if self._folded is None or self._folded[0] != timestep:
            self._folded = (timestep, fold(self.network.transformer, timestep))
        return self._folded[1]


def fold_time(features: Tensor) -> Tensor:
    """`B T C h w` with T = 4n + 1 → `B 4C n+1 h w`: the first frame makes a whole group, as in the causal VAE."""
    batch, frames, channels, height, width = features.shape
    padded = torch.cat([features[:, :1].expand(-1, TIME_FACTOR - 1, -1, -1, -1), features], dim=1)
    groups = padded.reshape(batch, (frames + TIME_FACTOR - 1) // TIME_FACTOR, TIME_FACTOR * channels, height, width)
    return groups.transpose(1, 2)


def save(folder: Path, network: MiniNetwork, vae: WanVAE, card: ModelCard, dtype: torch.dtype = torch.float16) -> None:
    """Write a model folder: `config.json`, `network.safetensors` and the VAE's decoder, `vae.safetensors`."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = {"backbone": "mini", "card": asdict(card), **replace(network.config, vae=vae.config).to_json()}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    decoder = {name: value for name, value in vae.state_dict().items() if name.startswith(("decoder.", "conv2."))}
    for file, state in (("network.safetensors", network.state_dict()), ("vae.safetensors", decoder)):
        save_file({name: _half(value, dtype) for name, value in state.items()}, str(folder / file))


def load(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> MiniBackbone:
    """Open a folder that `save` wrote. ModelError names what is missing, unknown or damaged in it."""
    if folder.is_file():
        raise ModelError(f"{folder}: a mini model is opened by its folder; give {folder.parent}")
    _, card = read_config(folder)
    networks = read_networks(folder, values=torch.device(device).type != "meta")
    return MiniBackbone(*networks, card).to(device, dtype)


def read_networks(folder: Path, values: bool = True) -> tuple[MiniNetwork, WanVAE]:
    """Return the network as it was trained, batch norms unfolded, and the decoding half of its VAE; errors as `load`.

    Without `values` only names and shapes are read, and the values are arbitrary.
    """
    config, _ = read_config(folder)
    with blueprint():
        network, vae = MiniNetwork(config), WanVAE(config.vae, encoder=False)
    for module, path in ((network, folder / "network.safetensors"), (vae, folder / "vae.safetensors")):
        if values:
            _fill(module, path)
        else:
            _check_shapes(module, path, open_weights(path).shapes)
            # Not left on the meta device: what is computed there imports torch's compiler, 1 s and 70 MB.
            empty = {name: torch.empty(value.shape, dtype=value.dtype) for name, value in module.state_dict().items()}
            module.load_state_dict(empty, assign=True)
    return network, vae


def read_config(folder: Path) -> tuple[MiniConfig, ModelCard]:
    """Return the sizes and the card in `config.json`."""
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        card = ModelCard(**_tuples(values["card"]))
        return MiniConfig.from_json(values), card
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not the configuration of a mini model ({error}); export the model again") from error


def trainable() -> Trainable:
    """Return how dvd-mini is trained."""
    from dvd.backbones.mini_training import MiniTraining

    return MiniTraining()


def _fill(module: nn.Module, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); export or copy the model again") from error
    _check_shapes(module, path, {name: tuple(value.shape) for name, value in state.items()})
    broken = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise ModelError(f"{path}: not finite in {', '.join(broken[:4])}; export or copy the model again")
    module.load_state_dict({name: value.float() for name, value in state.items()}, strict=True, assign=True)


def _check_shapes(module: nn.Module, path: Path, shapes: Mapping[str, Shape]) -> None:
    wanted = module.state_dict()
    wrong = sorted(set(wanted) ^ set(shapes)) or [
        name for name, shape in shapes.items() if shape != tuple(wanted[name].shape)
    ]
    if wrong:
        raise ModelError(
            f"{path}: keys missing, unknown or of another shape: {', '.join(wrong[:4])}; use the folder's own files"
        )


def _half(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype).contiguous() if value.is_floating_point() else value.contiguous()


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Conv2d(channels, channels, 1)
    )


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn JSON's lists into tuples, which frozen configurations need."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}

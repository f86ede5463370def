"""Wan2.1 in training: built from sizes or weights, its autoencoder as a codec, and the model folder that a run leaves.

LoRA is written with alpha / rank in B, so that alpha is the rank, as the release's loader takes for granted.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from dvd.backbones.base import ModelCard, read_json
from dvd.backbones.blueprint import blueprint
from dvd.backbones.hub import HubFile, fetch
from dvd.backbones.registry import WAN_VAE
from dvd.backbones.settings import Adaptation, ModelSettings
from dvd.backbones.trainable import Inject, Measures, Trainable
from dvd.backbones.wan.backbone import load
from dvd.backbones.wan.checkpoints import Adapters, locate, save_release
from dvd.backbones.wan.lora import adapt, adapters_of, base_state, merged_state, release_adapters
from dvd.backbones.wan.sizes import transformer_config, vae_config
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.backbones.wan.weights import Shape, Weights, find_model
from dvd.errors import ModelError, OptionError, unknown
from dvd.files import writing
from dvd.memory import chunk_that_fits, vae_budget
from dvd.names import CHECKPOINT_LAYOUTS, CheckpointLayout

TRANSFORMER, VAE = "model.safetensors", "Wan2.1_VAE.pth"
"""The names of the files on the hub."""
MERGED = "merged"
"""The folder beside an unmerged model that holds it merged."""


@dataclass(frozen=True)
class Base:
    """A video model to start from: its files on the hub, and their sizes."""

    files: tuple[HubFile, HubFile]
    transformer: TransformerConfig
    vae: VAEConfig


BASES = {
    "wan2.1-t2v-1.3b": Base(
        (HubFile("Wan-AI/Wan2.1-T2V-1.3B", "diffusion_pytorch_model.safetensors", "Apache-2.0"), WAN_VAE),
        TransformerConfig(),
        VAEConfig(),
    )
}


class WanCodec:
    """The Wan VAE, for RGB and for disparity alike."""

    def __init__(self, vae: WanVAE) -> None:
        self.vae = vae.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return next(self.vae.parameters()).device

    @torch.no_grad()
    def inputs(self, rgb: Tensor) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1] → its normalised latent `B c t h w`, float32."""
        return self._encode(rgb)

    @torch.no_grad()
    def target(self, disparity: Tensor) -> Tensor:
        """Disparity `B 1 T H W` in [0, 1], repeated to the VAE's channels → its normalised latent, float32."""
        return self._encode((disparity * 2 - 1).expand(-1, self.vae.config.channels, -1, -1, -1))

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Depth latent → disparity `B 1 T H W`, the mean over channels."""
        return (self.vae.decode(latent).float().clamp(-1, 1).mean(dim=1, keepdim=True) + 1) / 2

    def _encode(self, video: Tensor) -> Tensor:
        """Encode in chunks where the whole clip would take too much memory; to the same numbers."""
        batch, _, frames, height, width = video.shape
        chunk = chunk_that_fits(self.vae.config, batch, height, width, 4, vae_budget(self.device))
        fits = chunk > frames // self.vae.config.time_factor
        return self.vae.encode(video.to(self.device), None if fits else chunk).float()


class WanTraining(Trainable):
    """The transformer learns, by LoRA or whole; the autoencoder makes RGB and depth latents alike."""

    name = "wan"
    sees = "latents"
    fits = ("lora", "full")

    def check_model(self, model: ModelSettings) -> None:
        """Raise OptionError unless the model has weights or sizes to start from."""
        if model.weights is None and (model.transformer is None or model.vae is None):
            raise OptionError(
                "a wan model starts from weights, or from the sizes of its transformer and vae; give either"
            )
        if model.mini is not None or model.sizes:
            raise OptionError("a wan model has its sizes in model.transformer and model.vae; leave the others out")

    def build(self, model: ModelSettings, download: bool = True) -> tuple[WanTransformer, WanVAE]:
        """Return the transformer and the autoencoder."""
        if model.weights is None:
            transformer_sizes, vae_sizes = sizes(model)
            transformer, vae = WanTransformer(replace(transformer_sizes, time=model.time)), WanVAE(vae_sizes)
        else:
            transformer, vae = _load(model.weights, download)
            if model.time != transformer.config.time:
                transformer = with_time(transformer, model)
        transformer.gradient_checkpointing = model.gradient_checkpointing
        return transformer, vae

    def outline(self, model: ModelSettings) -> tuple[WanTransformer, WanVAE]:
        """Return both on the meta device."""
        transformer, vae = sizes(model)
        with blueprint():
            return WanTransformer(replace(transformer, time=model.time)), WanVAE(vae).requires_grad_(False)

    def codec(self, vae: WanVAE) -> WanCodec:
        """Return the frozen autoencoder."""
        return WanCodec(vae)

    def adapt(self, network: nn.Module, adaptation: Adaptation, inject: Inject, base_dtype: torch.dtype) -> None:
        """Adapt the transformer as `dvd.backbones.wan.lora.adapt` does."""
        adapt(cast("WanTransformer", network), adaptation, inject, base_dtype)

    def as_flow(self, network: nn.Module, conditioned: bool) -> WanTransformer:
        """Return the transformer itself as the prior of RGB latents, or widened by the RGB latent as a depth flow."""
        transformer = cast("WanTransformer", network)
        if conditioned:
            return widen(transformer)
        transformer.freeze_unreached()
        return transformer

    def save(self, folder: Path, network: nn.Module, vae: WanVAE, card: ModelCard, sampler_steps: int | None) -> None:
        """Write the model in the hub's form; if it has LoRA, that stays unmerged and `merged/` holds it merged."""
        transformer = cast("WanTransformer", network)
        kind = {"backbone": "wan"} if sampler_steps is None else {"backbone": "generative", "steps": sampler_steps}
        _write_folder(folder, transformer, vae, card, kind, "release")
        if adapters_of(transformer):
            _write_folder(folder / MERGED, transformer, vae, card, kind, "merged")

    def measures(self, network: nn.Module, vae: WanVAE) -> Measures:
        """Return the sizes of both."""
        return Measures(cast("WanTransformer", network).config, vae.config)


def sizes(model: ModelSettings) -> tuple[TransformerConfig, VAEConfig]:
    """Return the sizes of the transformer and of the VAE, without reading any weights."""
    if model.weights is None:
        assert model.transformer is not None
        assert model.vae is not None
        return model.transformer, model.vae
    if model.weights in BASES:
        base = BASES[model.weights]
        return base.transformer, base.vae
    path = _existing(model.weights)
    files = find_model(path)
    transformer = transformer_config(_shapes(files.transformer, "transformer"), files.config["transformer"], path)
    return transformer, vae_config(_shapes(files.vae, "vae"), files.config["vae"], path)


def with_time(network: WanTransformer, model: ModelSettings) -> WanTransformer:
    """Return the same weights under another τ mode; parameters that the mode adds start at random."""
    other = WanTransformer(replace(network.config, time=model.time))
    other.load_state_dict(network.state_dict(), strict=False)
    return other


def widen(transformer: WanTransformer) -> WanTransformer:
    """Return a copy that takes a condition of as many channels below the noised latent, and at first ignores it.

    The weights of the new channels are zero, so the copy begins as the flow that `transformer` is. The patch embedding
    is trainable whatever else is frozen: it alone can learn to look. Adapters already injected are copied too.
    """
    wide = copy.deepcopy(transformer)
    wide.config = replace(transformer.config, in_dim=2 * transformer.config.in_dim)
    embedding = wide.patch_embedding
    weight = embedding.weight.detach()  # dim C pt ph pw
    embedding.weight = nn.Parameter(torch.cat([weight, torch.zeros_like(weight)], dim=1))
    embedding.in_channels = wide.config.in_dim
    embedding.requires_grad_(True)
    return wide


def write_transformer(path: Path, transformer: WanTransformer, layout: CheckpointLayout) -> None:
    """Write the transformer alone, every name under `pipe.dit.`.

    - `release`: LoRA unmerged and in every place where the release has it; what was not adapted has B = 0. Without
      LoRA, the weights.
    - `default`: LoRA unmerged where there is any.
    - `merged`: weights with LoRA merged in float32.

    A learned time basis is one name more. Raise OutputError if the file cannot be written, OptionError if a
    config.json beside it would misstate the alpha.
    """
    if layout not in CHECKPOINT_LAYOUTS:
        raise OptionError(unknown("layout", layout, CHECKPOINT_LAYOUTS))
    if layout == "merged":
        save_release(merged_state(transformer), path)
        return
    lora = release_adapters(transformer) if layout == "release" else adapters_of(transformer)
    _check_alpha(path, lora)
    save_release(base_state(transformer), path, lora)


def release_config(transformer: WanTransformer, tau: float) -> str | None:
    """Return the hub's `model_config.yaml`, by which the release's own code opens the weights.

    None where it could not: for networks of another size, without LoRA, or without the sinusoidal time.
    """
    lora = adapters_of(transformer)
    if transformer.config != TransformerConfig() or not lora:
        return None
    base = "Wan-AI/Wan2.1-T2V-1.3B"
    fields = {
        "model_id_with_origin_paths": f"{base}:diffusion_pytorch_model*.safetensors,{base}:{VAE}",
        "trainable_models": "dit",
        "mode": "regression",
        "denoise_step": tau,
        "training_target": "x",
        "lora_base_model": "dit",
        "lora_rank": _rank(lora),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _load(weights: str, download: bool) -> tuple[WanTransformer, WanVAE]:
    if weights in BASES:
        path, autoencoder = fetch(*BASES[weights].files, download=download)
        backbone = load(path, vae=autoencoder)
    else:
        backbone = load(_existing(weights))
    return backbone.transformer.requires_grad_(True).train(), backbone.vae


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise ModelError(f"{unknown('base', text, BASES)}; or give the path of a model folder or checkpoint")
    return path


def _shapes(weights: Weights, part: str) -> dict[str, Shape]:
    """Return the shape of every parameter by our names, LoRA aside."""
    stored = locate(weights, part)
    return {name: weights.shapes[entry.base[0]] for name, entry in stored.items() if entry.base}


def _write_folder(
    folder: Path,
    transformer: WanTransformer,
    vae: WanVAE,
    card: ModelCard,
    kind: Mapping[str, Any],
    layout: CheckpointLayout,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_transformer(folder / TRANSFORMER, transformer, layout)
    _save_vae(folder / VAE, vae)
    config = {
        **kind,
        "card": asdict(card),
        "transformer": asdict(transformer.config),
        "vae": asdict(vae.config),
    }
    lora = adapters_of(transformer) if layout != "merged" else {}
    if lora:
        config["lora"] = {"rank": _rank(lora), "alpha": _rank(lora)}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    text = release_config(transformer, card.tau) if lora else None
    if text is not None:
        (folder / "model_config.yaml").write_text(text, encoding="utf-8")


def _save_vae(path: Path, vae: WanVAE) -> None:
    """Write the autoencoder in the layout of `Wan2.1_VAE.pth`."""
    state = {name: value.detach().cpu() for name, value in vae.state_dict().items()}
    with writing(path):
        torch.save(state, path)


def _rank(lora: Adapters) -> int:
    return len(next(iter(lora.values()))[0])


def _check_alpha(path: Path, lora: Adapters) -> None:
    """Raise OptionError if a config.json in the file's folder gives its LoRA another alpha."""
    known = read_json(path.parent / "config.json").get("lora", {})
    if lora and isinstance(known, dict) and known.get("alpha", _rank(lora)) != _rank(lora):
        raise OptionError(
            f"{path}: LoRA is written with alpha = rank = {_rank(lora)}, but the config.json there says alpha = "
            f"{known['alpha']}; write to another folder"
        )

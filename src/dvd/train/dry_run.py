"""What a recipe would do: parameters, data, steps and memory, without training anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from dvd.errors import DVDError, InputError
from dvd.train.adapt import transformer_of
from dvd.train.config import flat
from dvd.train.engine import precision
from dvd.train.feeds import is_rendered, open_one, shapes, sources_of
from dvd.train.mixture import samples_per_step
from dvd.train.networks import Networks, outline
from dvd.train.settings import DecoderPhase, EncoderPhase, FlowPhase, Phase, Recipe, Size, SourceSettings, VAEPhase
from dvd.train.vae import decoding_half

GIB = 2**30
ONE_MACHINE = 8
"""GPUs of the machine that a dry run also speaks of; the paper has eight."""
PROGRAM = 0.55 * GIB
"""Python, torch, Accelerate and PEFT; on a GPU the context takes about as much there."""
ENCODING = {2: 14, 4: 20}
"""Bytes per value of all frames at the VAE's own size and width while it encodes, by the bytes of its arithmetic."""
KEPT_BY_VAE = 20
"""Values kept for the backward pass, per residual block of the VAE's first level, and what that pass needs itself."""
KEPT_BY_ENCODER = 1500
"""Bytes per pixel that dvd-mini's ImageNet encoder keeps."""


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
    arithmetic = {"no": "fp32"}.get(precision(recipe), precision(recipe))
    for count in sorted({processes, ONE_MACHINE}):
        if count == processes or _divides(recipe, count):
            worst = max(recipe.phases, key=lambda phase: memory(recipe, phase, networks, count))
            estimate = memory(recipe, worst, networks, count) / GIB
            yield (
                f"memory      about {estimate:.1f} GiB per process at its most (phase {worst.name}; an estimate), "
                f"{count} process{'es' if count > 1 else ''}, {arithmetic} arithmetic"
            )


def _divides(recipe: Recipe, processes: int) -> bool:
    """Whether every batch can be shared by so many processes."""
    return not any(
        batch % (phase.accumulate * processes)
        for phase in recipe.phases
        for batch in (phase.mixture.video_batch, phase.mixture.image_batch)
    )


def counts(module: nn.Module) -> str:
    """How many parameters are trained and how many are frozen."""
    trained = sum(value.numel() for value in module.parameters() if value.requires_grad)
    total = sum(value.numel() for value in module.parameters())
    return f"{total / 1e6:.1f} M parameters: {trained / 1e6:.1f} M trainable, {(total - trained) / 1e6:.1f} M frozen"


def found(recipe: Recipe, settings: SourceSettings, folder: Path) -> str:
    """How many clips a source holds, or what is missing of it."""
    what = settings.scenes
    here = folder / "scenes" / settings.name
    if what is not None and is_rendered(recipe, settings) and not any(here.glob("shard_*")):
        return f"{what.scenes * (what.views if what.frames == 1 else 1)} clips of {what.frames} frames, to be rendered"
    if recipe.validation is not None and settings is recipe.validation.source:
        frames = recipe.validation.frames
    else:
        frames = max(shapes(recipe, settings)[1])
    try:
        count = open_one(recipe, settings, folder / "scenes").count(frames)
    except DVDError as error:
        return f"MISSING: {error}"
    return f"{count:,} {settings.kind} clips" if count else f"MISSING: holds no clip of {frames} frames"


def refuse_missing_data(recipe: Recipe, folder: Path) -> None:
    """InputError that names every source whose data cannot be found, before anything long begins."""
    if recipe.textures is not None and not recipe.textures.is_dir():
        raise InputError(f"{recipe.textures} is not a folder of textures; give another, or leave textures out")
    missing = []
    for settings in sources_of(recipe):
        if not is_rendered(recipe, settings):
            try:
                open_one(recipe, settings, folder / "scenes")
            except DVDError as error:
                missing.append(str(error))
    if missing:
        raise InputError("; ".join(dict.fromkeys(missing)))


def memory(recipe: Recipe, phase: Phase, networks: Networks, processes: int) -> float:
    """Bytes that a process needs at most while it trains `phase`: program, weights, optimiser and activations.

    An estimate, its constants measured on a CPU: peaks of whole runs, and what autograd keeps of networks of several
    sizes. Kernels' own caches come on top, and splitting by FSDP or DeepSpeed is not counted.
    """
    weights = sum(value.nbytes for part in (networks.network, networks.vae) for value in part.parameters())
    trained = 4 * _trained(phase, networks)
    copies = 1 + 2 + (phase.average > 0) + (processes > 1)  # gradients, AdamW's moments, average, buckets of gradients
    rounded = trained / 2 if precision(recipe) != "no" else 0  # what autocast makes of the weights, once a step
    working = max(activations(recipe, phase, networks, part) for part in _parts(recipe, phase, processes))
    return PROGRAM + weights + trained * copies + max(rounded + working, trained)  # AdamW needs once more, later


@dataclass(frozen=True)
class _Part:
    """A micro-batch of one process."""

    clips: int
    frames: int
    size: Size

    @property
    def pixels(self) -> int:
        return self.clips * self.frames * self.size[0] * self.size[1]

    @property
    def tokens(self) -> int:
        return self.clips * (self.frames // 4 + 1) * (self.size[0] // 16) * (self.size[1] // 16)


def activations(recipe: Recipe, phase: Phase, networks: Networks, part: _Part) -> float:
    """Bytes that a micro-batch needs on its way forth and back, at the network's or at the VAE's worst."""
    itemsize = 2 if precision(recipe) != "no" else 4
    vae = networks.vae.config
    level = part.pixels * vae.dim * vae.dim_mult[0] / vae.patch**2  # values of all frames at the VAE's own size
    if isinstance(phase, VAEPhase | EncoderPhase):
        contents = len(phase.content) if isinstance(phase, VAEPhase) else 1
        return KEPT_BY_VAE * (2 * vae.num_res_blocks + 1) * level * itemsize * contents
    if isinstance(phase, DecoderPhase):
        return KEPT_BY_VAE * (vae.num_res_blocks + 1) * level * itemsize
    encoding = ENCODING[itemsize] * level if recipe.latents is None else 0.0
    learning = _kept_by_transformer(recipe, networks, part.tokens, itemsize)
    return max(encoding, learning + (KEPT_BY_ENCODER * part.pixels if recipe.model.kind == "mini" else 0))


def _kept_by_transformer(recipe: Recipe, networks: Networks, tokens: int, itemsize: int) -> float:
    """With checkpointing every block keeps its input, and one block at a time the rest."""
    config, how = transformer_of(networks.network).config, recipe.adaptation
    per_token = 34 * config.dim + 2.2 * itemsize * config.ffn_dim
    per_token += itemsize * (8 * how.rank if how.kind == "lora" else 6 * config.dim)
    if recipe.model.gradient_checkpointing:
        return tokens * (per_token + 4 * config.num_layers * config.dim)
    return tokens * per_token * config.num_layers


def _trained(phase: Phase, networks: Networks) -> int:
    """How many parameters the phase changes."""
    vae, network = networks.vae, networks.network
    whole = sum(value.numel() for value in vae.parameters())
    decoding = sum(value.numel() for part in decoding_half(vae) for value in part.parameters())
    if isinstance(phase, VAEPhase):
        return whole
    if isinstance(phase, EncoderPhase):
        return whole - decoding
    if isinstance(phase, DecoderPhase):
        return decoding
    everything = isinstance(phase, FlowPhase) and phase.content == "rgb"
    return sum(value.numel() for value in network.parameters() if everything or value.requires_grad)


def _parts(recipe: Recipe, phase: Phase, processes: int) -> list[_Part]:
    """The largest micro-batch of either kind that the phase draws."""
    mixture, pieces = phase.mixture, phase.accumulate * processes
    sources = [source for source in recipe.sources if source.weight and source.kind in mixture.kinds]
    clips = {"video": mixture.video_batch, "image": mixture.image_batch}
    frames = {"video": mixture.frames, "image": 1}
    return [
        _Part(clips[source.kind] // pieces, frames[source.kind], size)
        for source in sources
        for size in ((source.size,) if source.size else mixture.sizes)
    ]

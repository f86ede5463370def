"""A dry run: the parameters, data, steps and memory of a recipe, without training anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from dvd.errors import DVDError, InputError
from dvd.memory import GIB, encoding_bytes, kept_by_transformer, kept_by_vae, training_bytes
from dvd.train.config import flat
from dvd.train.engine import precision
from dvd.train.mixture import samples_per_step
from dvd.train.networks import Networks, outline
from dvd.train.settings import Phase, Recipe, Size, SourceSettings
from dvd.train.sources import is_rendered, open_one, shapes, sources_of

ONE_MACHINE = 8
"""GPUs of a machine whose memory is estimated too; the paper has eight."""


def describe_run(recipe: Recipe, folder: Path, processes: int = 1) -> Iterator[str]:
    """Yield the lines of `--dry-run`: every field, then networks, data, phases and memory."""
    for path, value in flat(recipe).items():
        yield f"{path} = {value}"
    networks = outline(recipe)
    yield ""
    yield f"network     {counts(networks.network)}"
    yield f"autoencoder {counts(networks.vae)}, frozen while depth is learned"
    for settings in sources_of(recipe):
        yield f"data        {settings.name}: {data_line(recipe, settings, folder)}"
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
    """Return whether every batch can be shared by so many processes."""
    return not any(
        batch % (phase.accumulate * processes)
        for phase in recipe.phases
        for batch in (phase.mixture.video_batch, phase.mixture.image_batch)
    )


def counts(module: nn.Module) -> str:
    """Say how many parameters are trained and how many are frozen."""
    trained = sum(value.numel() for value in module.parameters() if value.requires_grad)
    total = sum(value.numel() for value in module.parameters())
    return f"{total / 1e6:.1f} M parameters: {trained / 1e6:.1f} M trainable, {(total - trained) / 1e6:.1f} M frozen"


def data_line(recipe: Recipe, settings: SourceSettings, folder: Path) -> str:
    """Say how many clips a source holds, or what is missing."""
    scenes = settings.scenes
    shards = (folder / "scenes" / settings.name).glob("shard_*")
    if scenes is not None and is_rendered(recipe, settings) and not any(shards):
        clips = scenes.scenes * (scenes.views if scenes.frames == 1 else 1)
        return f"{clips} clips of {scenes.frames} frames, to be rendered"
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
    """Raise InputError that names every source whose data cannot be found, before anything long begins."""
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
    """Return the bytes that a process needs at most while it trains `phase`: an estimate, by `dvd.memory`."""
    return training_bytes(
        sum(value.nbytes for part in (networks.network, networks.vae) for value in part.parameters()),
        sum(value.numel() for value in phase.trained(networks)),
        max(activations(recipe, phase, networks, part) for part in _parts(recipe, phase, processes)),
        mixed=precision(recipe) != "no",
        averaged=phase.average > 0,
        distributed=processes > 1,
    )


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
    """Return the bytes that a micro-batch needs on its way forth and back, at the network's or at the VAE's worst."""
    itemsize = 2 if precision(recipe) != "no" else 4
    sizes = networks.backbone.measures(networks.network, networks.vae)
    encoding, learning = 0.0, 0.0
    if sizes.vae is not None:
        if blocks := phase.vae_blocks(sizes.vae.num_res_blocks):
            return kept_by_vae(sizes.vae, part.pixels, itemsize, blocks)
        encoding = encoding_bytes(sizes.vae, part.pixels, itemsize) if recipe.latents is None else 0
    if sizes.transformer is not None:
        rank = recipe.adaptation.rank if recipe.adaptation.kind == "lora" else None
        checkpointing = recipe.model.gradient_checkpointing
        learning = kept_by_transformer(sizes.transformer, part.tokens, itemsize, rank, checkpointing)
    return max(encoding, learning + sizes.encoder_bytes * part.pixels)


def _parts(recipe: Recipe, phase: Phase, processes: int) -> list[_Part]:
    """Return the largest micro-batches of either kind that the phase draws."""
    mixture, pieces = phase.mixture, phase.accumulate * processes
    sources = [source for source in recipe.sources if source.weight and source.kind in mixture.kinds]
    clips = {"video": mixture.video_batch, "image": mixture.image_batch}
    frames = {"video": mixture.frames, "image": 1}
    return [
        _Part(clips[source.kind] // pieces, frames[source.kind], size)
        for source in sources
        for size in ((source.size,) if source.size else mixture.sizes)
    ]

"""Image–video joint batches (Eq. 10): which clips make a step, and this process's share of them.

Everything is a function of (seed, step, micro-batch, index in the batch) alone. So a resumed run sees what an
uninterrupted one would have seen, and two processes see the two halves of what one would.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvd.data.latents import LatentClip
from dvd.data.sequences import see
from dvd.data.sources import BadSample, RawClip, Source
from dvd.errors import InputError, OptionError
from dvd.files import writing
from dvd.train.settings import Kind, Phase, Size, SourceSettings

log = logging.getLogger(__name__)

KINDS: tuple[Kind, ...] = ("image", "video")
ATTEMPTS = 20
"""The number of unreadable draws in a row that ends a run; fewer never do, whatever their share."""


@dataclass(frozen=True)
class Share:
    """This process's rank among `world` processes."""

    rank: int = 0
    world: int = 1

    def of(self, batch: int) -> range:
        """Return this process's indices in a batch of `batch`."""
        own = batch // self.world
        return range(self.rank * own, (self.rank + 1) * own)


@dataclass(frozen=True)
class Batch:
    """One micro-batch of one kind, of this process.

    Pixels: `rgb` `B 3 T h w` in [-1, 1] and `disparity` `B 1 T h w` in [0, 1]. Out of a latent cache instead: `rgb`
    and `disparity` are the normalised latents of either, `B c t h w`. `seeds` is one number per sample, from which
    all its random choices follow; `weight` multiplies its loss in the step.
    """

    kind: Kind
    source: str
    rgb: Tensor
    disparity: Tensor
    seeds: tuple[int, ...]
    weight: float = 1.0
    latent: bool = False


@dataclass
class Skipped:
    """Counts the samples that could not be read, and reports them; too many are an error."""

    share: float
    path: Path | None = None
    drawn: int = 0
    bad: Counter[str] = field(default_factory=Counter)

    def note(self, error: BadSample) -> None:
        """Report a bad sample once, in the log and in `path`.

        InputError where they are more than `share` of those drawn, and more than `ATTEMPTS`.
        """
        self.bad[error.where] += 1
        if self.bad[error.where] == 1:
            log.warning("skipped %s (%d skipped of %d drawn)", error, self.bad.total(), self.drawn)
            if self.path is not None:
                with writing(self.path), self.path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(f"{error}\n")
        if self.bad.total() > max(self.share * self.drawn, ATTEMPTS):
            listed = f"; {self.path} lists them" if self.path else ""
            raise InputError(
                f"{self.bad.total()} of {self.drawn} samples could not be read, the last being {error}{listed}; "
                "repair the data set (dvd data check says what is broken)"
            )


@dataclass(frozen=True)
class Feed:
    """A source that has been opened, with its settings."""

    settings: SourceSettings
    source: Source


@dataclass(frozen=True)
class Part:
    """A micro-batch to draw: its kind, its clips over all processes, and the weight of its loss."""

    kind: Kind
    batch: int
    weight: float
    feed: Feed
    size: Size


class Mixer:
    """Draws this process's micro-batches of every step of one phase."""

    def __init__(self, phase: Phase, feeds: Sequence[Feed], seed: int, share: Share, skipped: Skipped) -> None:
        self.phase, self.mixture, self.seed, self.share, self.skipped = phase, phase.mixture, seed, share, skipped
        self.feeds = {
            kind: [feed for feed in feeds if feed.settings.kind == kind and feed.settings.weight > 0] for kind in KINDS
        }
        self._check_batches()

    def batches(self, step: int) -> list[Batch]:
        """Return all micro-batches of a step, in order."""
        return [
            self._draw(part, self._key(step, micro, index))
            for micro in range(self.phase.accumulate)
            for index, part in enumerate(self.parts(step, micro))
        ]

    def parts(self, step: int, micro: int) -> list[Part]:
        """Return the parts of a micro-batch; the weights of all parts of a step add up to those of the joint loss."""
        random = np.random.default_rng(self._key(step, micro, 99))
        size = self.mixture.sizes[int(random.integers(len(self.mixture.sizes)))]
        each = 1 / self.phase.accumulate
        mode = self.mixture.mode
        if mode == "sequential":
            mode = "image" if step < self.mixture.sequential * self.phase.steps else "video"
        if mode == "weighted":
            every = [*self.feeds["image"], *self.feeds["video"]]
            return [self._part(_choose(every, random), each, size)]
        joint: dict[Kind, float] = {"video": 1.0, "image": self.mixture.image_weight if mode == "paired" else 1.0}
        return [
            self._part(_choose(self.feeds[kind], random), weight * each, size)
            for kind, weight in joint.items()
            if mode in ("paired", kind)
        ]

    def _part(self, feed: Feed, weight: float, size: Size) -> Part:
        kind = feed.settings.kind
        batch = (self.mixture.video_batch if kind == "video" else self.mixture.image_batch) // self.phase.accumulate
        return Part(kind, batch, weight, feed, feed.settings.size or size)

    def _draw(self, part: Part, key: list[int]) -> Batch:
        frames = self.mixture.frames if part.kind == "video" else 1
        seeds = [int(np.random.SeedSequence([*key, index]).generate_state(1)[0]) for index in self.share.of(part.batch)]
        samples = [self._sample(part, frames, seed) for seed in seeds]
        rgb, disparity = (torch.stack(halves) for halves in zip(*[sample[:2] for sample in samples], strict=True))
        return Batch(
            part.kind, part.feed.settings.name, rgb, disparity, tuple(seeds), part.weight, latent=samples[0][2]
        )

    def _sample(self, part: Part, frames: int, seed: int) -> tuple[Tensor, Tensor, bool]:
        """Return the clip of `seed`, or the next that the same seed leads to if it cannot be read."""
        choose = np.random.default_rng(seed)
        source, how = part.feed.source, part.feed.settings.view
        for _ in range(ATTEMPTS):
            self.skipped.drawn += 1
            index, view = int(choose.integers(source.count(frames))), int(choose.integers(2**62))
            try:
                clip: RawClip | LatentClip = source.clip(index, frames)
            except BadSample as error:
                self.skipped.note(error)
                continue
            random = torch.Generator().manual_seed(view)
            if isinstance(clip, LatentClip):
                return *clip.see(how, random), True
            sample = see(clip, part.size, how, random)
            return sample.rgb, sample.disparity, False
        raise InputError(
            f"{ATTEMPTS} samples of {part.feed.settings.name} in a row could not be read; repair the data set"
        )

    def _key(self, *indices: int) -> list[int]:
        return [self.seed, *indices]

    def _check_batches(self) -> None:
        pieces = self.share.world * self.phase.accumulate
        if not any(self.feeds[kind] for kind in self.mixture.kinds):
            raise OptionError(f"phase {self.phase.name} has no source to draw from; give one a weight above 0")
        batches: dict[Kind, int] = {"image": self.mixture.image_batch, "video": self.mixture.video_batch}
        for kind, batch in batches.items():
            if kind not in self.mixture.kinds or not self.feeds[kind]:
                continue
            if batch % pieces:
                raise OptionError(
                    f"phase {self.phase.name}: a {kind} batch of {batch} does not divide over {self.share.world} "
                    f"processes × {self.phase.accumulate} micro-batches; make it a multiple of {pieces}, or change "
                    "accumulate"
                )
            frames = self.mixture.frames if kind == "video" else 1
            for feed in self.feeds[kind]:
                if not feed.source.count(frames):
                    raise InputError(
                        f"source {feed.settings.name} holds no clip of {frames} frames; add data or lower frames"
                    )


def _choose(feeds: Sequence[Feed], random: np.random.Generator) -> Feed:
    weights = np.array([feed.settings.weight for feed in feeds])
    return feeds[int(random.choice(len(feeds), p=weights / weights.sum()))]


def samples_per_step(phase: Phase, sources: Sequence[SourceSettings]) -> int:
    """Return the clips of a step over all processes, the mean where steps differ (modes weighted and sequential)."""
    mixture = phase.mixture
    batch = {"image": mixture.image_batch, "video": mixture.video_batch}
    if mixture.mode == "sequential":
        return round(mixture.sequential * batch["image"] + (1 - mixture.sequential) * batch["video"])
    if mixture.mode == "weighted":
        total = sum(settings.weight for settings in sources)
        return round(sum(settings.weight / total * batch[settings.kind] for settings in sources))
    return batch.get(mixture.mode, sum(batch.values()))

"""Frames in, chunks of finished disparity out, and never more than a window in between."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from dvd.arguments import check_antialias, check_size, check_tau, shown
from dvd.backbones.base import ModelCard
from dvd.errors import InputError, OptionError
from dvd.frames import check_frames, checked_frame
from dvd.regressor import Regressor
from dvd.resize import ToModelSize, model_size, to_source_size
from dvd.shots import by_shot, mark_cuts
from dvd.stitch import Stitcher, StitchRule, choose_rule
from dvd.threads import Ahead
from dvd.types import DisparityChunk, Seam, Shot, Window
from dvd.windows import choose as choose_windows
from dvd.windows import plan, round_window

log = logging.getLogger(__name__)

CHUNK_BYTES = 32 * 2**20
"""Disparity goes back to the source's size in pieces of about this much, whatever that size is."""

Size = tuple[int, int] | Literal["source"] | None


@dataclass(frozen=True)
class Settings:
    """How frames are put through a model.

    `target` is the smallest height and width that frames are resized to, None for their own size up to a multiple of
    16; `tau` the anchor in [0, 1]; `antialias` None chooses it where frames shrink to less than half.
    """

    target: tuple[int, int] | None
    window: int
    overlap: int
    tau: float
    rule: StitchRule
    antialias: bool | None = None

    @classmethod
    def choose(
        cls,
        card: ModelCard,
        time_factor: int,
        size: Size = None,
        window: int | None = None,
        overlap: int | None = None,
        tau: float | None = None,
        stitch: str | StitchRule = "default",
        antialias: bool | None = None,
    ) -> Settings:
        """The model's own settings where None is given.

        A window is rounded up to `time_factor · n + 1`, with a warning in the log: a logger warns through Python's
        last handler where a program has set up none, and the command line shows it as it shows every other one.
        Raises OptionError where a value is of the wrong type, outside its range, or two contradict each other.
        """
        wanted, shared = choose_windows(window, overlap, card.window, card.overlap)
        length = round_window(wanted, time_factor)
        settings = cls(
            _target(size, card),
            length,
            shared,
            card.tau if tau is None else check_tau(tau),
            _rule(stitch),
            check_antialias(antialias),
        )
        if length != wanted:
            log.warning("window of %d frames rounded up to %d, as the model needs", wanted, length)
        return settings


@dataclass
class _Sizes:
    """Height and width of the frames and of what the network sees, once the first frame is there."""

    source: tuple[int, int] | None = None
    model: tuple[int, int] | None = None


class Stream:
    """Iterates once over chunks of finished disparity, `T H W` float32 at the frames' own size.

    Frames are decoded and resized in a thread of their own while the network runs. `seams` lists the joints, `cuts` the
    first frames of new shots and `shots` how far the scale of each went, so far; `source_size` and `model_size`
    (height, width) are known once the first chunk is.
    """

    def __init__(self, regressor: Regressor, frames: Iterable[Any], settings: Settings) -> None:
        """InputError where `frames` are clearly none; each is looked at when its turn comes."""
        self.settings = settings
        self.cuts: list[int] = []
        self._sizes = _Sizes()
        self._regressor = regressor
        self._frames = check_frames(frames)
        self._stitcher = Stitcher(settings.rule)
        # The iterator runs on a copy that shares all of the above: if it held the stream that holds it, a stream that
        # is dropped would keep its thread until Python looks for circles. So state is changed in place, never set anew.
        self._chunks = copy(self)._at_source_size()

    @property
    def source_size(self) -> tuple[int, int] | None:
        return self._sizes.source

    @property
    def model_size(self) -> tuple[int, int] | None:
        return self._sizes.model

    @property
    def seams(self) -> list[Seam]:
        return self._stitcher.seams

    @property
    def shots(self) -> list[Shot]:
        return self._stitcher.shots

    def __iter__(self) -> Iterator[DisparityChunk]:
        return self

    def __next__(self) -> DisparityChunk:
        return next(self._chunks)

    def close(self) -> None:
        """Stops early: the thread ends and nothing more is read. A stream that is dropped does the same."""
        self._chunks.close()

    def at_model_size(self) -> Iterator[DisparityChunk]:
        """The same chunks before they are resized, `T h w`; iterate over these or over the stream itself, once."""
        settings = self.settings
        # The thread holds the frames and their sizes, not the stream: it ends when the stream is dropped.
        ahead = _prepared(self._frames, settings, self._regressor.backbone.side_multiple, self._sizes)
        with Ahead(ahead, depth=settings.window - settings.overlap) as prepared:
            for shot, window, frames in self._windows(prepared):
                rgb = torch.stack(frames, dim=1)[None]  # 1 3 T h w
                disparity = self._regressor(rgb, settings.tau)[0].transpose(0, 1)  # T C h w
                settled = self._stitcher.push(window, disparity.cpu().numpy())
                yield DisparityChunk(window.start, settled.mean(axis=1), shot)

    def _windows(self, prepared: Iterable[Tensor]) -> Iterator[tuple[int, Window, list[Tensor]]]:
        """The first frame of a shot with each of its windows and their frames, numbered through the whole video."""
        settings = self.settings
        if settings.rule.cuts:
            marked = mark_cuts(prepared, lambda rgb: rgb.numpy())
        else:
            marked = ((rgb, False) for rgb in prepared)
        for first, shot in by_shot(marked):
            if first:
                self.cuts.append(first)
            for window, frames in plan(shot, settings.window, settings.overlap, settings.rule.last):
                yield first, window.later(first), frames

    def _at_source_size(self) -> Generator[DisparityChunk, None, None]:
        for chunk in self.at_model_size():
            yield from self.at_source_size(chunk)

    def at_source_size(self, chunk: DisparityChunk) -> Iterator[DisparityChunk]:
        """A chunk at the model's size → the same frames at the source's size, in pieces of bounded memory."""
        assert self.source_size is not None
        height, width = self.source_size
        step = max(1, CHUNK_BYTES // (4 * height * width))
        for first in range(0, len(chunk.disparity), step):
            piece = chunk.disparity[first : first + step]
            yield DisparityChunk(chunk.start + first, to_source_size(piece, self.source_size), chunk.shot)


def _target(size: Size, card: ModelCard) -> tuple[int, int] | None:
    chosen = check_size(size)
    if chosen is None:
        return card.size
    return None if isinstance(chosen, str) else chosen


def _rule(stitch: str | StitchRule) -> StitchRule:
    if not isinstance(stitch, str | StitchRule):
        raise OptionError(f"stitch is {shown(stitch)} but must be the name of a rule, such as 'default'")
    return choose_rule(stitch)


def _prepared(frames: Iterable[Any], settings: Settings, multiple: int, sizes: _Sizes) -> Generator[Tensor, None, None]:
    """Each frame `3 h w` float32 in [0, 1] at the model's size; fills in `sizes` at the first."""
    for index, frame in enumerate(frames):
        rgb = checked_frame(frame, index)
        size = (rgb.shape[0], rgb.shape[1])
        if sizes.source is None:
            sizes.model = model_size(*size, settings.target, multiple)
            sizes.source = size
            resize = ToModelSize(sizes.model, settings.antialias)
        if size != sizes.source:
            raise InputError(
                f"frame {index} is {size[0]}x{size[1]} but those before it are "
                f"{sizes.source[0]}x{sizes.source[1]}; resize or split the input"
            )
        yield resize(rgb)
    if sizes.source is None:
        raise InputError("there are no frames; give at least one")

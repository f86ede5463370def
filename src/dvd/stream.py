"""Frames in, chunks of finished disparity out, and never more than a window in between."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvd.backbones.base import ModelCard
from dvd.errors import InputError, OptionError
from dvd.regressor import Regressor, check_tau
from dvd.resize import ToModelSize, model_size, to_source_size
from dvd.shots import by_shot, mark_cuts
from dvd.stitch import Stitcher, StitchRule, choose_rule
from dvd.threads import Ahead
from dvd.types import DepthChunk, Seam, Shot, Window
from dvd.windows import check as check_windows
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
        """The model's own settings where None is given; a window is rounded up to `time_factor · n + 1`, and logged.

        Raises OptionError where a value is outside its range or two contradict each other.
        """
        wanted = card.window if window is None else window
        shared = overlap if overlap is not None else max(1, min(card.overlap, wanted // 2))
        check_windows(wanted, shared)
        length = round_window(wanted, time_factor)
        if length != wanted:
            log.info("window of %d frames rounded up to %d, as the model needs", wanted, length)
        anchor = card.tau if tau is None else tau
        check_tau(anchor)
        return cls(_target(size, card), length, shared, anchor, choose_rule(stitch), antialias)


class Stream:
    """Iterates once over chunks of finished disparity, `T H W` float32 at the frames' own size.

    Frames are decoded and resized in a thread of their own while the network runs. `seams` lists the joints, `cuts` the
    first frames of new shots and `shots` how far the scale of each went, so far; `source_size` and `model_size`
    (height, width) are known once the first chunk is.
    """

    def __init__(self, regressor: Regressor, frames: Iterable[NDArray[np.generic]], settings: Settings) -> None:
        self.settings = settings
        self.source_size: tuple[int, int] | None = None
        self.model_size: tuple[int, int] | None = None
        self.cuts: list[int] = []
        self._regressor = regressor
        self._frames = frames
        self._stitcher = Stitcher(settings.rule)
        self._chunks = self._at_source_size()

    @property
    def seams(self) -> list[Seam]:
        return self._stitcher.seams

    @property
    def shots(self) -> list[Shot]:
        return self._stitcher.shots

    def __iter__(self) -> Iterator[DepthChunk]:
        return self

    def __next__(self) -> DepthChunk:
        return next(self._chunks)

    def close(self) -> None:
        """Stops early."""
        self._chunks.close()

    def at_model_size(self) -> Iterator[DepthChunk]:
        """The same chunks before they are resized, `T h w`; iterate over these or over the stream itself, once."""
        settings = self.settings
        with Ahead(self._prepared(), depth=settings.window - settings.overlap) as prepared:
            for window, frames in self._windows(prepared):
                rgb = torch.stack(frames, dim=1)[None]  # 1 3 T h w
                disparity = self._regressor(rgb, settings.tau)[0].transpose(0, 1)  # T C h w
                settled = self._stitcher.push(window, disparity.cpu().numpy())
                yield DepthChunk(window.start, settled.mean(axis=1))

    def _windows(self, prepared: Iterable[Tensor]) -> Iterator[tuple[Window, list[Tensor]]]:
        """Windows of one shot after another, numbered through the whole video."""
        settings = self.settings
        if settings.rule.cuts:
            marked = mark_cuts(prepared, lambda rgb: rgb.numpy())
        else:
            marked = ((rgb, False) for rgb in prepared)
        for first, shot in by_shot(marked):
            if first:
                self.cuts.append(first)
            for window, frames in plan(shot, settings.window, settings.overlap, settings.rule.last):
                yield window.later(first), frames

    def _at_source_size(self) -> Generator[DepthChunk, None, None]:
        for chunk in self.at_model_size():
            yield from self.at_source_size(chunk)

    def at_source_size(self, chunk: DepthChunk) -> Iterator[DepthChunk]:
        """A chunk at the model's size → the same frames at the source's size, in pieces of bounded memory."""
        assert self.source_size is not None
        height, width = self.source_size
        step = max(1, CHUNK_BYTES // (4 * height * width))
        for first in range(0, len(chunk.disparity), step):
            piece = chunk.disparity[first : first + step]
            yield DepthChunk(chunk.start + first, to_source_size(piece, self.source_size))

    def _prepared(self) -> Iterator[Tensor]:
        """Each frame `3 h w` float32 in [0, 1] at the model's size."""
        for index, frame in enumerate(self._frames):
            rgb = checked_frame(frame, index)
            size = (rgb.shape[0], rgb.shape[1])
            if self.source_size is None:
                self.model_size = model_size(*size, self.settings.target, self._regressor.backbone.side_multiple)
                self.source_size = size
                resize = ToModelSize(self.model_size, self.settings.antialias)
            if size != self.source_size:
                raise InputError(
                    f"frame {index} is {size[0]}x{size[1]} but those before it are "
                    f"{self.source_size[0]}x{self.source_size[1]}; resize or split the input"
                )
            yield resize(rgb)
        if self.source_size is None:
            raise InputError("there are no frames; give at least one")


def checked_frame(frame: NDArray[np.generic], index: int) -> NDArray[np.generic]:
    """The frame as `H W 3` uint8 or float32 in [0, 1]; InputError says what else it is."""
    rgb = np.asarray(frame)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise InputError(f"frame {index} has shape {rgb.shape}; frames are H W 3, red, green and blue")
    if rgb.dtype == np.uint8:
        return rgb
    if not np.issubdtype(rgb.dtype, np.floating):
        raise InputError(f"frame {index} is {rgb.dtype}; frames are uint8, or floating point in [0, 1]")
    if not (rgb.min() >= 0 and rgb.max() <= 1):
        raise InputError(
            f"frame {index} has values from {rgb.min():.4g} to {rgb.max():.4g}; floating-point frames lie in [0, 1], "
            "so divide by 255 or give uint8"
        )
    return rgb.astype(np.float32, copy=False)


def _target(size: Size, card: ModelCard) -> tuple[int, int] | None:
    if size is None:
        return card.size
    if size == "source":
        return None
    if isinstance(size, str) or len(size) != 2 or min(size) < 1:
        given = size if isinstance(size, str) else "x".join(map(str, size))
        raise OptionError(f"size is {given} but must be a height and a width in pixels, such as 480x640, or 'source'")
    return int(size[0]), int(size[1])

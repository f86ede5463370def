"""Frames in, chunks of finished disparity out, and never more than a window in between."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

from dvd.arguments import check_antialias, check_name, check_size, check_tau, shown
from dvd.backbones.base import ModelCard
from dvd.errors import InputError, OptionError, unknown
from dvd.frames import check_frames, checked_frame
from dvd.names import VALUES_AT, ValuesAt
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
"""Disparity is resized to the source's size in pieces of about this many bytes, however large that size is."""

Size = tuple[int, int] | Literal["source"] | None


@dataclass(frozen=True)
class StreamOptions:
    """How frames pass through a model; None keeps the model's own value.

    `size`: the least height and width that the network sees, (height, width) in pixels, or "source" for the frames' own
    size, rounded up to a multiple of 16. `window`, `overlap`: in frames. `tau`: the anchor in [0, 1]. `stitch`: a name
    in `dvd.names.STITCHES`, or a rule. `antialias`: None smooths frames that shrink to less than half; the release
    never smooths. `values_at`: whether disparity has the frames' own size ("source") or that of the network
    ("network"). Raise OptionError for a value of the wrong type or outside its range.
    """

    size: Size = None
    window: int | None = None
    overlap: int | None = None
    tau: float | None = None
    stitch: str | StitchRule = "default"
    antialias: bool | None = None
    values_at: ValuesAt = "source"

    def __post_init__(self) -> None:
        plain: dict[str, Any] = {"size": check_size(self.size), "antialias": check_antialias(self.antialias)}
        if self.tau is not None:
            plain["tau"] = check_tau(self.tau)
        for name, value in plain.items():  # plain numbers where NumPy's were given
            object.__setattr__(self, name, value)
        if not isinstance(self.stitch, str | StitchRule):
            raise OptionError(f"stitch is {shown(self.stitch)} but must be the name of a rule, such as 'default'")
        choose_rule(self.stitch)
        check_name("size of values", self.values_at, VALUES_AT)

    def but(self, **changes: Any) -> StreamOptions:
        """Return the options with some fields changed. Raise OptionError for an unknown field."""
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise OptionError(unknown("option", name, known))
        return replace(self, **changes)

    def settle(self, card: ModelCard, time_factor: int) -> Settings:
        """Fill in the model's own values and round the window up to `time_factor · n + 1` frames.

        Rounding logs a warning: a logger warns through Python's last handler if a program has set up none, and the
        command line shows it like every other warning. Raise OptionError if two values contradict each other.
        """
        wanted, overlap = choose_windows(self.window, self.overlap, card.window, card.overlap)
        window = round_window(wanted, time_factor)
        if window != wanted:
            log.warning("window of %d frames rounded up to %d, as the model needs", wanted, window)
        return Settings(
            self._least_size(card),
            window,
            overlap,
            card.tau if self.tau is None else self.tau,
            choose_rule(self.stitch),
            self.antialias,
            self.values_at,
        )

    def _least_size(self, card: ModelCard) -> tuple[int, int] | None:
        if self.size is None:
            return card.size
        return None if isinstance(self.size, str) else self.size


@dataclass(frozen=True)
class Settings:
    """The settled values of `StreamOptions` for one model.

    `least_size` is the smallest height and width that frames are resized to, None for their own size rounded up to a
    multiple of 16; `tau` is the anchor in [0, 1]; `antialias` None smooths frames that shrink to less than half.
    """

    least_size: tuple[int, int] | None
    window: int
    overlap: int
    tau: float
    rule: StitchRule
    antialias: bool | None = None
    values_at: ValuesAt = "source"


@dataclass
class _Sizes:
    """Height and width of the frames and of what the network sees, once the first frame is there."""

    source: tuple[int, int] | None = None
    model: tuple[int, int] | None = None


class Stream:
    """Iterate once over chunks of finished disparity, `T H W` float32 at the size that `settings.values_at` names.

    Frames are decoded and resized in a thread of their own while the network runs. `seams` lists the joints so far,
    `cuts` the first frames of new shots, and `shots` how far the scale of each shot went. `source_size` and
    `model_size` (height, width) are known once the first chunk is.
    """

    def __init__(self, regressor: Regressor, frames: Iterable[Any], settings: Settings) -> None:
        """Raise InputError if `frames` cannot hold frames; each frame is checked when its turn comes."""
        self.settings = settings
        self.cuts: list[int] = []
        self._sizes = _Sizes()
        self._regressor = regressor
        self._frames = check_frames(frames)
        self._stitcher = Stitcher(settings.rule)
        # The generator runs on a copy that shares all of the above. A generator that held the stream which holds the
        # generator would keep the thread of a dropped stream alive until Python collects cycles. So the state is
        # changed in place and never replaced.
        self._chunks = copy(self)._finished_chunks()

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
        """Stop early: the thread ends and no further frame is read. Dropping the stream does the same."""
        self._chunks.close()

    def _finished_chunks(self) -> Generator[DisparityChunk, None, None]:
        settings = self.settings
        # The thread holds the frames and their sizes but not the stream, so it ends when the stream is dropped.
        ahead = _prepared(self._frames, settings, self._regressor.backbone.side_multiple, self._sizes)
        with Ahead(ahead, depth=settings.window - settings.overlap) as prepared:
            for shot, window, frames in self._windows(prepared):
                rgb = torch.stack(frames, dim=1)[None]  # 1 3 T h w
                disparity = self._regressor(rgb, settings.tau)[0].transpose(0, 1)  # T C h w
                settled = self._stitcher.push(window, disparity.cpu().numpy())
                chunk = DisparityChunk(window.start, settled.mean(axis=1), shot)  # T h w
                if settings.values_at == "network":
                    yield chunk
                else:
                    assert self.source_size is not None
                    yield from resized_pieces(chunk, self.source_size)

    def _windows(self, prepared: Iterable[Tensor]) -> Iterator[tuple[int, Window, list[Tensor]]]:
        """Yield each window with the first frame of its shot and its own frames, numbered through the whole video."""
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


def resized_pieces(chunk: DisparityChunk, size: tuple[int, int]) -> Iterator[DisparityChunk]:
    """Resize a chunk `T h w` to `size` (height, width), in pieces of about `CHUNK_BYTES`."""
    height, width = size
    step = max(1, CHUNK_BYTES // (4 * height * width))
    for first in range(0, len(chunk.disparity), step):
        piece = chunk.disparity[first : first + step]
        yield DisparityChunk(chunk.start + first, to_source_size(piece, size), chunk.shot)


def _prepared(frames: Iterable[Any], settings: Settings, multiple: int, sizes: _Sizes) -> Generator[Tensor, None, None]:
    """Yield each frame as `3 h w` float32 in [0, 1] at the model's size; fill in `sizes` at the first frame."""
    for index, frame in enumerate(frames):
        rgb = checked_frame(frame, index)
        size = (rgb.shape[0], rgb.shape[1])
        if sizes.source is None:
            sizes.model = model_size(*size, settings.least_size, multiple)
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

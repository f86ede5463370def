"""What `dvd bench` measures: a model opened in every dtype that races, and whether the machine can hold all of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dvd.errors import OptionError

if TYPE_CHECKING:
    import torch

    from dvd.backbones.base import Backbone, ModelCard
    from dvd.evaluate.speed.memory import Need
    from dvd.pipeline import Pipeline
    from dvd.stream import Settings, Size

MINI, RANDOM_WAN = "dvd-mini", "wan-1.3b"
LARGE = 200 * 10**6
"""Bytes of weights above which a model is repeated less often."""
DRAWN = (480, 640)
"""The clip that is drawn for a model that sees the source's own size, and the least height of any that is drawn."""


@dataclass(frozen=True)
class Asked:
    """What the command line says of the run; None where it says nothing."""

    dtype: str | None
    size: Size
    window: int | None
    overlap: int | None
    clip: Path | None
    most_frames: int | None
    """Of a window that was not asked for."""

    def settings(self, card: ModelCard, time_factor: int) -> Settings:
        """The model's own where nothing is said; scene cuts are not looked for. OptionError as `StreamOptions`."""
        from dvd.evaluate.speed.file_stages import RULE
        from dvd.stream import StreamOptions

        window = min(card.window, self.most_frames or card.window) if self.window is None else self.window
        return StreamOptions(self.size, window, self.overlap, stitch=RULE).settle(card, time_factor)


@dataclass(frozen=True)
class Opened:
    """A model ready to race: `pipeline` as `dvd predict` would run it, its network in the dtypes of `backbones`."""

    pipeline: Pipeline
    backbones: Sequence[Backbone]
    settings: Settings
    source_size: tuple[int, int]
    weights: str
    opened_s: float

    @property
    def repeats(self) -> int:
        """Enough for a median that holds, in minutes."""
        from dvd.evaluate.speed.twins import weight_bytes

        return 3 if weight_bytes(self.backbones[0]) > LARGE else 9


def open_model(name: str, device: torch.device, asked: Asked) -> Opened:
    """A model by name or folder, or the 1.3B model's sizes with random weights.

    Raises ModelError, InputError and OptionError as opening model and clip do, and OptionError before a machine that is
    too small is filled.
    """
    if name == RANDOM_WAN:
        return _open_random(device, asked)
    from dvd.backbones.mini import MiniBackbone
    from dvd.backbones.wan.backbone import WanBackbone
    from dvd.evaluate.speed.memory import need_of
    from dvd.evaluate.speed.twins import in_dtype, weight_bytes
    from dvd.hardware import choose_dtype
    from dvd.pipeline import Pipeline, load

    started = time.perf_counter()
    loaded = load(name, str(device), asked.dtype or "float32")
    opened = time.perf_counter() - started
    settings = asked.settings(loaded.card, loaded.backbone.time_factor)
    source_size = _source_size(asked, settings)
    size = _model_size(source_size, settings)
    dtypes = _dtypes(loaded.backbone.dtype if asked.dtype else None)
    if isinstance(loaded.backbone, MiniBackbone | WanBackbone):
        needs = [need_of(loaded.backbone, size, settings.window, settings.overlap, dtype) for dtype in dtypes]
        _check_memory(name, device, needs, weight_bytes(loaded.backbone))
    backbones = [in_dtype(loaded.backbone, dtype) for dtype in dtypes]
    product, reason = choose_dtype(asked.dtype or "auto", device, loaded.card)
    pipeline = Pipeline(_of_dtype(backbones, product), reason)
    return Opened(pipeline, backbones, settings, source_size, "its own weights", opened)


def _open_random(device: torch.device, asked: Asked) -> Opened:
    """On a CPU a small window by default, because 1.4 billion parameters take their time there."""
    from dvd.backbones.base import ModelCard
    from dvd.evaluate.speed.memory import wan_need
    from dvd.evaluate.speed.twins import in_dtype, random_wan
    from dvd.hardware import choose_dtype
    from dvd.pipeline import Pipeline

    small = device.type == "cpu"
    card = ModelCard(RANDOM_WAN, "none", (128, 160) if small else (480, 640), 9 if small else 45)
    settings = asked.settings(card, time_factor=4)
    source_size = _source_size(asked, settings)
    product, reason = choose_dtype(asked.dtype or "auto", device, card)
    dtypes = _dtypes(product if asked.dtype else None)
    size = _model_size(source_size, settings)
    _check_memory(
        RANDOM_WAN, device, [wan_need(size, settings.window, settings.overlap, dtype, device) for dtype in dtypes]
    )
    started = time.perf_counter()
    widest = random_wan(device, dtypes[0], card)
    opened = time.perf_counter() - started
    backbones = [in_dtype(widest, dtype) for dtype in dtypes]
    pipeline = Pipeline(_of_dtype(backbones, product), reason)
    return Opened(pipeline, backbones, settings, source_size, "random weights", opened)


def _dtypes(only: torch.dtype | None) -> list[torch.dtype]:
    """Those that race, the widest first."""
    import torch

    return [torch.float32, torch.bfloat16] if only is None else [only]


def _of_dtype(backbones: Sequence[Backbone], dtype: torch.dtype) -> Backbone:
    return next(backbone for backbone in backbones if backbone.dtype == dtype)


def _source_size(asked: Asked, settings: Settings) -> tuple[int, int]:
    """Of the clip, which is opened here for a first look, or of the one to be drawn: the model's ratio, even sides."""
    from dvd.video import probe

    if asked.clip is not None:
        info = probe(asked.clip)
        return info.height, info.width
    height, width = settings.least_size or DRAWN
    scale = max(1.0, DRAWN[0] / height)
    return 2 * round(height * scale / 2), 2 * round(width * scale / 2)


def _model_size(source_size: tuple[int, int], settings: Settings) -> tuple[int, int]:
    from dvd.resize import model_size

    return model_size(*source_size, settings.least_size)


def _check_memory(name: str, device: torch.device, needs: Sequence[Need], held: int = 0) -> None:
    """Before the copies are made: an OptionError says what all of them need beside what is `held` already."""
    from dvd.evaluate.speed.memory import at_once
    from dvd.hardware import available_memory

    needed, free = at_once(needs), available_memory(device)
    if free is not None and needed - held > free:
        raise OptionError(
            f"{name} needs about {needed / 1e9:.0f} GB of memory and {(free + held) / 1e9:.1f} GB are free; "
            "free some, take one --dtype alone, a smaller --size or --window, or another --model"
        )

"""The speed of one model, stage by stage and whole, and of the same work unfolded and by diffusers' classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dvd.backbones.base import Backbone
from dvd.evaluate.speed.contenders import (
    DIFFUSERS,
    ENCODE,
    OURS,
    TRANSFORMER,
    Way,
    Ways,
    dtype_name,
    window_ways,
)
from dvd.evaluate.speed.file_stages import RULE, ClipWork
from dvd.evaluate.speed.race import Timing, race
from dvd.evaluate.speed.stage_rows import END_TO_END, FIRST_FRAME, Row, per_window, ratios, rows_of, sums
from dvd.evaluate.speed.twins import has_diffusers, weight_bytes
from dvd.pipeline import Pipeline
from dvd.regressor import TIMESTEPS
from dvd.stream import Settings


@dataclass(frozen=True)
class Conditions:
    """How a model was measured: `windows` of `window` frames, `overlap` of them shared, are `frames` of the clip."""

    frames: int
    windows: int
    window: int
    overlap: int
    source_size: tuple[int, int]
    size: tuple[int, int]
    device: str
    dtype: str
    """Of the stages' sum and of the run end to end: what `dvd predict` would take."""
    dtype_reason: str
    stitch: str
    repeats: int
    weight_bytes: Mapping[str, int]
    """Of our model, folded and as loaded, by dtype."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Speed:
    """What was measured of one model; `ratios` say how many times as fast, and over which stages."""

    conditions: Conditions
    rows: tuple[Row, ...]
    ratios: Mapping[str, float]
    relative_difference: Mapping[str, float]
    """How far two independent implementations are apart on the same weights: proof that they do the same work."""

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [asdict(row) for row in self.rows]
        return {**asdict(self.conditions), "rows": rows, "ratios": dict(self.ratios)} | {
            "relative_difference": dict(self.relative_difference)
        }


def measure(
    pipeline: Pipeline,
    backbones: Sequence[Backbone],
    settings: Settings,
    clip: Path,
    frames: int,
    folder: Path,
    repeats: int,
) -> Speed:
    """Times everything on the first `frames` frames of `clip`.

    `backbones` are the model in each dtype whose network races; `pipeline` holds one of them and runs end to end, with
    `settings`. Results are written to `folder` and overwritten. Raises InputError where the clip cannot be read,
    OptionError where it is shorter than a window.
    """
    work = ClipWork(clip, frames, pipeline, settings, folder)
    ways: Ways = {}
    for backbone in backbones:
        ways |= window_ways(backbone, work.rgb, TIMESTEPS * settings.tau)
    product = pipeline.dtype
    file_ways = {"decode": work.decode, "stitch": work.stitch, "write": work.write, END_TO_END: work.end_to_end}
    whole = {Way(stage, OURS, product if stage == END_TO_END else ""): done for stage, done in file_ways.items()}
    timings = race({**ways, **whole}, repeats, pipeline.device)
    timings = {way: per_window(timing, work.windows if way in whole else 1) for way, timing in timings.items()}
    timings |= sums(timings, product)
    timings[Way(FIRST_FRAME, OURS, product)] = Timing(tuple(work.first_frame[-repeats:]), 0)
    rows = rows_of(timings, work.frames / work.windows)
    conditions = Conditions(
        work.frames,
        work.windows,
        settings.window,
        settings.overlap,
        work.source_size,
        work.size,
        str(pipeline.device),
        product,
        pipeline.dtype_reason,
        RULE.name,
        repeats,
        {dtype_name(backbone.dtype): weight_bytes(backbone) for backbone in backbones},
        tuple(_notes(pipeline.backbone, ways)),
    )
    return Speed(conditions, rows, ratios(rows), _differences(ways))


@torch.inference_mode()
def _differences(ways: Ways) -> dict[str, float]:
    pairs = ((way, way._replace(by=DIFFUSERS)) for way in ways if way.stage == TRANSFORMER and way.by == OURS)
    return {
        f"transformer, {way.dtype}, ours to diffusers": _difference(ways[way](), ways[rival]())
        for way, rival in pairs
        if rival in ways
    }


def _difference(ours: object, theirs: object) -> float:
    assert isinstance(ours, torch.Tensor)
    assert isinstance(theirs, torch.Tensor)
    return float((ours - theirs).norm() / theirs.norm())


def _notes(backbone: Backbone, ways: Ways) -> Iterable[str]:
    """Why a way is missing where one might look for it."""
    if not has_diffusers():
        yield 'diffusers is not installed, so its side is missing: pip install "dvd-depth[diffusers]"'
        return
    theirs = {way.stage for way in ways if way.by == DIFFUSERS}
    if TRANSFORMER not in theirs:
        yield f"diffusers has no counterpart of {backbone.card.name}'s transformer"
    elif ENCODE not in theirs:
        yield f"diffusers has no counterpart of {backbone.card.name}'s encoder: its window is counted with ours"

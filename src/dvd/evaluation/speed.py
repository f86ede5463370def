"""The speed of one model, stage by stage and whole, and of the same work unfolded and by diffusers' classes.

Times are per window of the stream: a stage that works on the whole clip counts its share of one window, so that a
column adds up. Frames per second are of the video: frames that two windows share count once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dvd.backbones.base import Backbone
from dvd.evaluation.race import Peak, Timing, race
from dvd.evaluation.stages import RULE, ClipWork
from dvd.evaluation.twins import (
    DECODE,
    DIFFUSERS,
    ENCODE,
    NETWORK_STAGES,
    OURS,
    TRANSFORMER,
    UNFOLDED,
    Way,
    Ways,
    dtype_name,
    has_diffusers,
    weight_bytes,
    window_ways,
)
from dvd.pipeline import DVD
from dvd.regressor import TIMESTEPS
from dvd.stream import Settings

FILE_STAGES = ("decode", "stitch", "write")
WINDOW, ONE_BY_ONE, END_TO_END, FIRST_FRAME = "window", "one by one", "end to end", "first frame"
ORDER = ("decode", ENCODE, TRANSFORMER, DECODE, "stitch", "write", WINDOW, ONE_BY_ONE, END_TO_END, FIRST_FRAME)


@dataclass(frozen=True)
class StageTime:
    """The time of one stage done in one way.

    `times` are the seconds per window of every repeat, `seconds` their median, `spread` half their range as a fraction
    of the median. The peaks are bytes above those held before (weights, the program), None where unknown. `speedup` is
    against diffusers in the same dtype, None where it has no counterpart.
    """

    stage: str
    by: str
    dtype: str
    seconds: float
    spread: float
    frames_per_second: float | None
    peak_host_bytes: int | None
    peak_device_bytes: int | None
    gflop: float
    gflops: float
    speedup: float | None
    times: tuple[float, ...]

    @property
    def peak_bytes(self) -> int | None:
        """The accelerator's bytes if the work used it, else the machine's."""
        return Peak(self.peak_host_bytes, self.peak_device_bytes).shown


@dataclass(frozen=True)
class Speed:
    """The times of one model and their conditions; plain values, ready for JSON by `asdict`.

    The clip's first `frames` frames were predicted in `windows` windows of `window` frames, `overlap` of them shared.
    `dtype` is that of the sum of stages and of the run end to end: the one that `dvd predict` would take.
    """

    frames: int
    windows: int
    window: int
    overlap: int
    source_size: tuple[int, int]
    size: tuple[int, int]
    device: str
    dtype: str
    dtype_reason: str
    stitch: str
    repeats: int
    weight_bytes: Mapping[str, int]
    """Bytes of our model's weights, folded and as loaded, by dtype."""
    notes: tuple[str, ...]
    rows: tuple[StageTime, ...]
    ratios: Mapping[str, float]
    """How many times as fast, and over which stages."""
    relative_difference: Mapping[str, float]
    """How far two independent implementations are apart on the same weights: proof that they do the same work."""


def measure(
    pipeline: DVD,
    backbones: Sequence[Backbone],
    settings: Settings,
    clip: Path,
    frames: int,
    folder: Path,
    repeats: int,
) -> Speed:
    """Time everything on the first `frames` frames of `clip`.

    `backbones` are the model in each dtype to time; `pipeline` holds one of them and runs end to end with `settings`.
    Results are written to `folder` and overwritten. Raise InputError if the clip cannot be read, OptionError if it is
    shorter than a window.
    """
    work = ClipWork(clip, frames, pipeline, settings, folder)
    ways: Ways = {}
    for backbone in backbones:
        ways |= window_ways(backbone, work.rgb, TIMESTEPS * settings.tau)
    product = pipeline.dtype
    clip_ways: Ways = {
        Way("decode", OURS, ""): work.decode,
        Way("stitch", OURS, ""): work.stitch,
        Way("write", OURS, ""): work.write,
        Way(END_TO_END, OURS, product): work.end_to_end,
    }
    timings = race({**ways, **clip_ways}, repeats, pipeline.device)
    timings = {way: per_window(timing, work.windows if way in clip_ways else 1) for way, timing in timings.items()}
    timings |= sums(timings, product)
    timings[Way(FIRST_FRAME, OURS, product)] = Timing(tuple(work.first_frame[-repeats:]), 0)
    rows = stage_times(timings, work.frames / work.windows)
    return Speed(
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
        rows,
        ratios(rows),
        _differences(ways),
    )


def per_window(timing: Timing, windows: int) -> Timing:
    """Return the share of one window in work on all of them; the peak is not divided."""
    return Timing(tuple(seconds / windows for seconds in timing.seconds), timing.flops // windows, timing.peak)


def sums(timings: Mapping[Way, Timing], product: str) -> dict[Way, Timing]:
    """Return the time of a window through the network in every way, and of the product's six stages one after another.

    Times are added turn by turn, so that the spread is that of the sum. A stage that a way lacks is counted with ours.
    """
    added: dict[Way, Timing] = {}
    for by, dtype in dict.fromkeys((way.by, way.dtype) for way in timings if way.stage == TRANSFORMER):
        parts = [timings.get(Way(stage, by, dtype), timings[Way(stage, OURS, dtype)]) for stage in NETWORK_STAGES]
        added[Way(WINDOW, by, dtype)] = _sum(parts)
    around = [timings[Way(stage, OURS, "")] for stage in FILE_STAGES]
    return added | {Way(ONE_BY_ONE, OURS, product): _sum([*around, added[Way(WINDOW, OURS, product)]])}


def _sum(parts: Sequence[Timing]) -> Timing:
    seconds = tuple(sum(turn) for turn in zip(*(part.seconds for part in parts), strict=True))
    peak = Peak(_highest(part.peak.host for part in parts), _highest(part.peak.device for part in parts))
    return Timing(seconds, sum(part.flops for part in parts), peak)


def _highest(peaks: Iterable[int | None]) -> int | None:
    known = list(peaks)
    return None if None in known else max(peak for peak in known if peak is not None)


def stage_times(timings: Mapping[Way, Timing], frames: float) -> tuple[StageTime, ...]:
    """Return the timings in the order of the stream; `frames` frames of the video are new in a window."""
    rows = []
    for way in sorted(timings, key=lambda way: ORDER.index(way.stage)):
        timing = timings[way]
        rival = timings.get(way._replace(by=DIFFUSERS)) if way.by != DIFFUSERS else None
        row = StageTime(
            *way,
            seconds=timing.median,
            spread=timing.spread,
            frames_per_second=None if way.stage == FIRST_FRAME else frames / timing.median,
            peak_host_bytes=timing.peak.host,
            peak_device_bytes=timing.peak.device,
            gflop=timing.flops / 1e9,
            gflops=timing.gflops,
            speedup=rival.median / timing.median if rival else None,
            times=timing.seconds,
        )
        rows.append(row)
    return tuple(rows)


def ratios(rows: Collection[StageTime]) -> dict[str, float]:
    """Return how many times as fast we are, at the median: over the network's stages that both sides have, and whole.

    The whole compares the stages in parallel threads with the stages one after another.
    """
    seconds = {Way(row.stage, row.by, row.dtype): row.seconds for row in rows}
    dtypes = dict.fromkeys(way.dtype for way in seconds if way.stage in NETWORK_STAGES)
    pairs = {
        f"{OURS} against {by}, {dtype}": ((OURS, dtype), (by, dtype))
        for by in (UNFOLDED, DIFFUSERS)
        for dtype in dtypes
    }
    pairs["bfloat16 against float32, ours"] = (OURS, "bfloat16"), (OURS, "float32")
    pairs["ours in bfloat16 against diffusers in float32"] = (OURS, "bfloat16"), (DIFFUSERS, "float32")
    result = {}
    for name, (fast, slow) in pairs.items():
        both = [stage for stage in NETWORK_STAGES if {Way(stage, *fast), Way(stage, *slow)} <= seconds.keys()]
        if both:
            quick, long = (sum(seconds[Way(stage, *side)] for stage in both) for side in (fast, slow))
            result[f"{name} ({' + '.join(both)})"] = long / quick
    whole = {way.stage: value for way, value in seconds.items()}
    if {ONE_BY_ONE, END_TO_END} <= whole.keys():
        result["stages side by side in threads against one by one"] = whole[ONE_BY_ONE] / whole[END_TO_END]
    return result


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
    """Say why a way that a reader might look for is missing."""
    if not has_diffusers():
        yield 'diffusers is not installed, so its side is missing: pip install "dvd-depth[diffusers]"'
        return
    theirs = {way.stage for way in ways if way.by == DIFFUSERS}
    if TRANSFORMER not in theirs:
        yield f"diffusers has no counterpart of {backbone.card.name}'s transformer"
    elif ENCODE not in theirs:
        yield f"diffusers has no counterpart of {backbone.card.name}'s encoder: its window is counted with ours"

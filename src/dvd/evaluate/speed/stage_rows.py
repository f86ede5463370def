"""Timings of stages → rows that can be read together: per window of the stream, with sums and ratios.

A stage that works on the whole clip counts its share of one window, so that a column adds up. `frames_per_second` is of
the video: frames that two windows share count once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dvd.evaluate.speed.contenders import DIFFUSERS, NETWORK_STAGES, OURS, TRANSFORMER, UNFOLDED, Way
from dvd.evaluate.speed.peak import Peak
from dvd.evaluate.speed.race import Timing

FILE_STAGES = ("decode", "stitch", "write")
WINDOW, ONE_BY_ONE, END_TO_END, FIRST_FRAME = "window", "one by one", "end to end", "first frame"


@dataclass(frozen=True)
class Row:
    """One way through one stage.

    `times` are the seconds per window of every repeat, `seconds` their median, `spread` half their range as a fraction
    of it. The peaks are bytes above what was held before (weights, the program), None where they cannot be told.
    `speedup` is against diffusers in the same dtype, None where it has no counterpart.
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
        """The accelerator's where the work used it, else the machine's."""
        return Peak(self.peak_host_bytes, self.peak_device_bytes).shown


def per_window(timing: Timing, windows: int) -> Timing:
    """The share of one window in work on all of them; the peak is not shared."""
    return Timing(tuple(seconds / windows for seconds in timing.seconds), timing.flops // windows, timing.peak)


def sums(timings: Mapping[Way, Timing], product: str) -> dict[Way, Timing]:
    """A window through the network, every way that there is, and the product's six stages one after another.

    Added turn by turn, so that the spread is that of the sum. What a way cannot do itself, our own does for it.
    """
    added: dict[Way, Timing] = {}
    for by, dtype in dict.fromkeys((way.by, way.dtype) for way in timings if way.stage == TRANSFORMER):
        parts = [timings.get(Way(stage, by, dtype), timings[Way(stage, OURS, dtype)]) for stage in NETWORK_STAGES]
        added[Way(WINDOW, by, dtype)] = _sum(parts)
    around = [timings[Way(stage, OURS, "")] for stage in FILE_STAGES]
    return added | {Way(ONE_BY_ONE, OURS, product): _sum([*around, added[Way(WINDOW, OURS, product)]])}


def _sum(parts: Sequence[Timing]) -> Timing:
    seconds = tuple(sum(turn) for turn in zip(*(part.seconds for part in parts), strict=True))
    peak = Peak(_most(part.peak.host for part in parts), _most(part.peak.device for part in parts))
    return Timing(seconds, sum(part.flops for part in parts), peak)


def _most(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else max(value for value in known if value is not None)


def rows_of(timings: Mapping[Way, Timing], frames: float) -> tuple[Row, ...]:
    """In the order of the stream; `frames` of the video are new in a window."""
    order = ("decode", *NETWORK_STAGES, "stitch", "write", WINDOW, ONE_BY_ONE, END_TO_END, FIRST_FRAME)
    rows = []
    for way in sorted(timings, key=lambda way: order.index(way.stage)):
        timing = timings[way]
        rival = timings.get(way._replace(by=DIFFUSERS)) if way.by != DIFFUSERS else None
        rate = None if way.stage == FIRST_FRAME else frames / timing.median
        speedup = rival.median / timing.median if rival else None
        row = Row(
            *way,
            seconds=timing.median,
            spread=timing.spread,
            frames_per_second=rate,
            peak_host_bytes=timing.peak.host,
            peak_device_bytes=timing.peak.device,
            gflop=timing.flops / 1e9,
            gflops=timing.gflops,
            speedup=speedup,
            times=timing.seconds,
        )
        rows.append(row)
    return tuple(rows)


def ratios(rows: Collection[Row]) -> dict[str, float]:
    """How many times as fast, at the median: each over the network's stages that both sides have, and the overlap."""
    seconds = {Way(row.stage, row.by, row.dtype): row.seconds for row in rows}
    dtypes = dict.fromkeys(way.dtype for way in seconds if way.stage in NETWORK_STAGES)
    pairs = {
        f"{OURS} against {by}, {dtype}": ((OURS, dtype), (by, dtype))
        for by in (UNFOLDED, DIFFUSERS)
        for dtype in dtypes
    }
    pairs["bfloat16 against float32, ours"] = (OURS, "bfloat16"), (OURS, "float32")
    pairs["ours in bfloat16 against diffusers in float32"] = (OURS, "bfloat16"), (DIFFUSERS, "float32")
    found = {}
    for name, (fast, slow) in pairs.items():
        both = [stage for stage in NETWORK_STAGES if {Way(stage, *fast), Way(stage, *slow)} <= seconds.keys()]
        if both:
            quick, long = (sum(seconds[Way(stage, *side)] for stage in both) for side in (fast, slow))
            found[f"{name} ({' + '.join(both)})"] = long / quick
    whole = {way.stage: value for way, value in seconds.items()}
    if {ONE_BY_ONE, END_TO_END} <= whole.keys():
        found["stages side by side in threads against one by one"] = whole[ONE_BY_ONE] / whole[END_TO_END]
    return found

"""One model's speed as a table for the console: a line per stage and way, then what it amounts to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dvd.evaluate.speed.stage_rows import Row


def table(result: Mapping[str, Any]) -> str:
    """What `dvd bench` measured of one model, as it stands in the JSON, in lines of about 100 characters."""
    return "\n".join((*_head(result), *_lines(result), *_conclusions(result)))


def _head(result: Mapping[str, Any]) -> Iterator[str]:
    size, source = ("x".join(map(str, result[key])) for key in ("size", "source_size"))
    weights = ", ".join(f"{count / 1e6:.0f} MB in {dtype}" for dtype, count in result["weight_bytes"].items())
    yield (
        f"{result['model']}, {result['weights']} ({weights}, opened in {result['opened_s']:.1f} s); "
        f"{result['clip']} {source}, seen at {size}"
    )
    yield (
        f"{result['frames']} frames in {result['windows']} windows of {result['window']}, {result['overlap']} shared; "
        f"median of {result['repeats']} after warm-up, ± half the range"
    )
    yield "seconds per window (first frame: since the start); frames/s of the video; MB at the peak above weights"
    yield (
        f"{'stage':<14} {'by':<9} {'dtype':<8} {'seconds':>8} {'±':>4} {'frames/s':>8} {'MB':>6} {'GFLOP/s':>7}"
        "  times diffusers'"
    )


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    for row in (Row(**values) for values in result["rows"]):
        spread = f"{row.spread:4.0%}" if len(row.times) > 1 else "    "
        rate = "" if row.frames_per_second is None else f"{row.frames_per_second:.1f}"
        peak = "" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}"
        gflops = f"{row.gflops:.0f}" if row.gflop else ""
        speedup = "" if row.speedup is None else f"{row.speedup:.2f}"
        yield (
            f"{row.stage:<14} {row.by:<9} {row.dtype:<8} {row.seconds:8.4f} {spread} {rate:>8} {peak:>6} {gflops:>7}"
            f"  {speedup}"
        ).rstrip()


def _conclusions(result: Mapping[str, Any]) -> Iterator[str]:
    for name, value in result["ratios"].items():
        yield f"{value:6.2f}x {name}"
    for name, value in result["relative_difference"].items():
        yield f"{value:7.0e} relative difference: {name}"
    yield from result["notes"]

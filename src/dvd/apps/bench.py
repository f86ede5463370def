"""`dvd bench`: time and memory of every stage, ours, unfolded and by diffusers, and end to end from file to file."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvd.apps.console import hushed
from dvd.apps.options import add_window_arguments, one_of
from dvd.errors import DVDError, ModelError, OptionError, unknown

if TYPE_CHECKING:
    import torch

    from dvd.backbones.base import Backbone, ModelCard
    from dvd.memory import ModelMemory
    from dvd.pipeline import DVD
    from dvd.stream import Settings

MINI, RANDOM_WAN, ALL = "dvd-mini", "wan-1.3b", "all"
SHORT_NAMES = {"mini": MINI}
QUICK_WINDOW = 9
WINDOWS, QUICK_WINDOWS = 3, 2
"""Windows that are timed end to end: each but the first has a seam."""
LARGE_BYTES = 200 * 10**6
"""Bytes of weights above which a model is repeated less often."""
DRAWN_SIZE = (480, 640)
"""Size of the clip that is drawn for a model that sees the source's own size; no drawn clip is lower."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dvd bench`."""
    from dvd.names import DTYPES

    parser.add_argument(
        "--model",
        help=f"a name that `dvd models` lists, a model folder, {RANDOM_WAN} (random weights) or {ALL}, which is "
        f"{MINI} and {RANDOM_WAN} and the default",
    )
    parser.add_argument("--clip", type=Path, metavar="VIDEO", help="the video to predict; by default a clip is drawn")
    add_window_arguments(parser)
    parser.add_argument(
        "--dtype",
        type=one_of("dtype", DTYPES),
        help=f"{', '.join(DTYPES)} (default: the network in float32 and bfloat16, the whole as `dvd predict` would)",
    )
    parser.add_argument("--repeats", type=int, metavar="N", help="timed turns after the warm-up (default: 9, or 3)")
    parser.add_argument(
        "--quick", action="store_true", help=f"one repeat of a short window in one dtype, only {MINI} by default"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def run(args: argparse.Namespace) -> int:
    """Measure every model; report one of several that cannot be measured, and return exit status 2 then."""
    from dvd.evaluation.race import conditions
    from dvd.hardware import choose_device

    if args.repeats is not None and args.repeats < 1:
        raise OptionError(f"repeats is {args.repeats} but must be at least 1")
    names, device = _chosen(args), choose_device(args.device)
    stated = conditions(device)
    if not args.json:
        print(", ".join(f"{name} {value}" for name, value in stated.items()))
    results, failed = [], False
    for name in names:
        try:
            results.append(_measured(name, device, args))
        except DVDError as error:
            if len(names) == 1:
                raise
            failed = True
            print(f"dvd: {error}", file=sys.stderr)
            continue
        if not args.json:
            print(f"\n{table(results[-1])}", flush=True)
    if args.json:
        print(json.dumps({"conditions": stated, "results": results}, indent=1))
    return 2 if failed else 0


def _chosen(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the names or folders of the models; raise ModelError for an unknown name."""
    from dvd.backbones import registry

    model = args.model or (MINI if args.quick else ALL)
    if model == ALL:
        return MINI, RANDOM_WAN
    name = SHORT_NAMES.get(model, model)
    known = (*registry.names(), RANDOM_WAN, ALL)
    is_word = len(Path(name).parts) == 1 and not name.startswith((".", "~"))
    if is_word and name not in known and not Path(name).exists():
        raise ModelError(f"{unknown('model', name, known)}; or give the path of a model folder")
    return (name,)


def _measured(name: str, device: torch.device, args: argparse.Namespace) -> dict[str, Any]:
    """Return one model's results as plain values."""
    from dvd.evaluation.speed import measure
    from dvd.evaluation.stages import draw_clip
    from dvd.evaluation.twins import weight_bytes

    with hushed(), _memory_runs_out(name), tempfile.TemporaryDirectory(prefix="dvd-bench-") as folder:
        model = _open(name, device, args)
        settings, seams = model.settings, (QUICK_WINDOWS if args.quick else WINDOWS) - 1
        frames = settings.window + seams * (settings.window - settings.overlap)
        clip = args.clip or draw_clip(Path(folder, "drawn.mp4"), frames, model.source_size)
        usual = 3 if weight_bytes(model.backbones[0]) > LARGE_BYTES else 9  # enough for a steady median, in minutes
        repeats = args.repeats or (1 if args.quick else usual)
        speed = measure(model.pipeline, model.backbones, settings, clip, frames, Path(folder), repeats)
    weights = "random weights" if name == RANDOM_WAN else "its own weights"
    about = {"model": name, "weights": weights, "clip": str(args.clip or "drawn"), "opened_s": model.opened_s}
    return {**about, **asdict(speed)}


@dataclass(frozen=True)
class _Opened:
    """A model ready to be timed: `pipeline` as `dvd predict` would run it, `backbones` in each dtype to time."""

    pipeline: DVD
    backbones: list[Backbone]
    settings: Settings
    source_size: tuple[int, int]
    opened_s: float


def _open(name: str, device: torch.device, args: argparse.Namespace) -> _Opened:
    """Open a model by name or folder, or build the 1.3B model's sizes with random weights.

    Raise ModelError, InputError and OptionError as opening model and clip do, and OptionError before a machine that is
    too small is filled. Window and overlap are checked before any weight is read.
    """
    import torch

    from dvd.backbones import registry
    from dvd.evaluation.stages import RULE
    from dvd.evaluation.twins import in_dtype, random_wan, wan_blueprint
    from dvd.hardware import choose_dtype
    from dvd.memory import waiting_bytes
    from dvd.pipeline import DVD
    from dvd.resize import model_size
    from dvd.stream import StreamOptions
    from dvd.windows import choose

    is_random = name == RANDOM_WAN
    card = _random_card(device) if is_random else registry.card(name)
    window = min(card.window, QUICK_WINDOW) if args.quick and args.window is None else args.window
    choose(window, args.overlap, card.window, card.overlap)
    product, reason = choose_dtype(args.dtype or "auto", device, card)
    dtypes = [product] if args.dtype or args.quick else [torch.float32, torch.bfloat16]  # the widest first

    outline = wan_blueprint(card) if is_random else registry.load(name, "meta")
    settings = StreamOptions(args.size, window, args.overlap, stitch=RULE).settle(card, outline.time_factor)
    source_size = _source_size(args.clip, settings)
    size = model_size(*source_size, settings.least_size, outline.side_multiple)
    needs = [outline.memory(size, settings.window, dtype, device) for dtype in dtypes]
    _check_memory(name, device, needs, waiting_bytes(size, settings.window, settings.overlap))

    started = time.perf_counter()
    widest = random_wan(device, dtypes[0], card) if is_random else registry.load(name, device, dtypes[0])
    opened_s = time.perf_counter() - started
    backbones = [in_dtype(widest, dtype) for dtype in dtypes]
    pipeline = DVD(backbones[dtypes.index(product)], reason)
    return _Opened(pipeline, backbones, settings, source_size, opened_s)


def _random_card(device: torch.device) -> ModelCard:
    """Return a card with a small window on a CPU, which is slow with 1.4 billion parameters."""
    from dvd.backbones.base import ModelCard

    small = device.type == "cpu"
    return ModelCard(RANDOM_WAN, "none", (128, 160) if small else (480, 640), 9 if small else 45)


def _source_size(clip: Path | None, settings: Settings) -> tuple[int, int]:
    """Return the clip's height and width, or those of one to draw: the model's ratio, even sides."""
    from dvd.video import probe

    if clip is not None:
        info = probe(clip)
        return info.height, info.width
    height, width = settings.least_size or DRAWN_SIZE
    scale = max(1.0, DRAWN_SIZE[0] / height)
    return 2 * round(height * scale / 2), 2 * round(width * scale / 2)


def _check_memory(name: str, device: torch.device, needs: Sequence[ModelMemory | None], waiting: int) -> None:
    """Raise OptionError if the model in all its dtypes at once needs more memory than is free."""
    from dvd.hardware import available_memory
    from dvd.memory import total_bytes

    known = [need for need in needs if need is not None]
    free = available_memory(device)
    if not known or free is None:
        return
    needed = total_bytes(known, waiting)
    if needed > free:
        raise OptionError(
            f"{name} needs about {needed / 1e9:.0f} GB of memory and {free / 1e9:.1f} GB are free; "
            "free some, take one --dtype alone, a smaller --size or --window, or another --model"
        )


@contextmanager
def _memory_runs_out(name: str) -> Iterator[None]:
    """Raise OptionError when memory runs out inside."""
    import torch

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise OptionError(
            f"memory ran out while {name} was measured; take a smaller --size or --window, or one --dtype alone"
        ) from error


def table(result: Mapping[str, Any]) -> str:
    """Return one model's result, as in the JSON, as a table: a line of about 100 characters per stage and way."""
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
    from dvd.evaluation.speed import StageTime

    for row in (StageTime(**values) for values in result["rows"]):
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

"""`dvd bench`: time and memory of every stage, ours, unfolded and by diffusers, and end to end from file to file."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvd.apps.bench_models import MINI, RANDOM_WAN, Asked
from dvd.apps.console import hushed
from dvd.apps.options import add_window_arguments, one_of
from dvd.errors import DVDError, ModelError, OptionError, unknown

if TYPE_CHECKING:
    import torch

ALL = "all"
SHORT_NAMES = {"mini": MINI}
QUICK_WINDOW = 9
WINDOWS, QUICK_WINDOWS = 3, 2
"""Windows that are timed end to end: each but the first has a seam."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dvd bench`."""
    from dvd.names import DTYPES

    parser.add_argument(
        "--model",
        help=f"a name that `dvd models` lists, a model folder, {RANDOM_WAN} (random weights) or {ALL}, which is "
        f"{MINI} and {RANDOM_WAN} and the default",
    )
    parser.add_argument("--clip", type=Path, metavar="VIDEO", help="what is predicted; by default a clip drawn for it")
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
    """Measures every model; one of several that cannot be is reported. Exit status 2 if there was one."""
    from dvd.apps.bench_table import table
    from dvd.evaluate.speed.race import conditions
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
    """One model's results as plain values."""
    from dvd.apps.bench_models import open_model
    from dvd.evaluate.speed.drawn_clip import draw_clip
    from dvd.evaluate.speed.stages import measure

    dtype = args.dtype or ("auto" if args.quick else None)
    asked = Asked(dtype, args.size, args.window, args.overlap, args.clip, QUICK_WINDOW if args.quick else None)
    with hushed(), _memory_runs_out(name), tempfile.TemporaryDirectory(prefix="dvd-bench-") as place:
        model = open_model(name, device, asked)
        settings, more = model.settings, (QUICK_WINDOWS if args.quick else WINDOWS) - 1
        frames = settings.window + more * (settings.window - settings.overlap)
        clip = args.clip or draw_clip(Path(place, "drawn.mp4"), frames, model.source_size)
        repeats = args.repeats or (1 if args.quick else model.repeats)
        speed = measure(model.pipeline, model.backbones, settings, clip, frames, Path(place), repeats)
    about = {"model": name, "weights": model.weights, "clip": str(args.clip or "drawn"), "opened_s": model.opened_s}
    return {**about, **speed.facts()}


@contextmanager
def _memory_runs_out(name: str) -> Iterator[None]:
    import torch

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise OptionError(
            f"memory ran out while {name} was measured; take a smaller --size or --window, or one --dtype alone"
        ) from error

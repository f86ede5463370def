"""`dvd bench`: time each stage of a window, ours folded and unfolded against diffusers', float32 and bfloat16."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dvd.apps.options import one_of

if TYPE_CHECKING:
    import torch

    from dvd.evaluate.contenders import Shape, Ways

STAGES = ("encode", "transformer", "decode")
MODELS = ("mini", "wan-1.3b", "all")
WAN_BYTES = 18 * 10**9
"""What the widest stage of wan-1.3b holds: float32 whole and folded, bfloat16 folded and diffusers'."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=one_of("model", MODELS), default=None, metavar="|".join(MODELS))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--quick", action="store_true", help="one repeat, and only mini unless --model says otherwise")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


@dataclass(frozen=True)
class Row:
    """One way through one stage. `speedup` is against diffusers in the same dtype, None where it has no counterpart."""

    stage: str
    by: str
    dtype: str
    seconds: float
    spread: float
    gflop: float
    gflops: float
    speedup: float | None


def run(args: argparse.Namespace) -> int:
    from dvd.evaluate.speed import conditions
    from dvd.hardware import choose_device

    device = choose_device(args.device)
    stated = conditions(device)
    if not args.json:
        print(", ".join(f"{name} {value}" for name, value in stated.items()))
    results = []
    for name in _chosen(args):
        shape = _shape(name, device)
        result = {"model": name, **asdict(shape), **_measure(name, shape, device, _repeats(name, args))}
        results.append(result)
        if not args.json:
            _print(result)
    if args.json:
        print(json.dumps({"conditions": stated, "results": results}, indent=1))
    return 0


def _chosen(args: argparse.Namespace) -> tuple[str, ...]:
    model = args.model or ("mini" if args.quick else "all")
    return ("mini", "wan-1.3b") if model == "all" else (model,)


def _repeats(name: str, args: argparse.Namespace) -> int:
    if args.quick:
        return 1
    return 9 if name == "mini" else 3


def _shape(name: str, device: torch.device) -> Shape:
    """The model's own window where that is quick enough, and a small one for 1.4 billion parameters on a CPU."""
    from dvd.evaluate.contenders import Shape

    if name == "mini":
        return Shape(17, 192, 256)
    return Shape(9, 128, 160) if device.type == "cpu" else Shape(45, 480, 640)


def _measure(name: str, shape: Shape, device: torch.device, repeats: int) -> dict[str, Any]:
    from dvd.evaluate.speed import race

    rows: list[Row] = []
    difference = {}
    for stage, ways in _stages(name, shape, device):
        timings = race(ways, repeats, device)
        for way, timing in timings.items():
            rival = timings.get(way._replace(by="diffusers"))
            speedup = rival.median / timing.median if rival and rival is not timing else None
            rows.append(Row(stage, *way, timing.median, timing.spread, timing.flops / 1e9, timing.gflops, speedup))
        if stage == "transformer":
            difference["transformer, float32, folded to diffusers"] = _difference(ways)
    return {
        "repeats": repeats,
        "rows": [asdict(row) for row in rows],
        "relative_difference": difference,
        "ratios": ratios(rows),
    }


def _stages(name: str, shape: Shape, device: torch.device) -> Iterator[tuple[str, Ways]]:
    from dvd.errors import OptionError
    from dvd.evaluate.contenders import mini_stages, wan_stages
    from dvd.hardware import available_memory

    if name == "mini":
        from dvd.backbones.base import ModelCard
        from dvd.backbones.mini import MiniBackbone, MiniConfig, MiniNetwork
        from dvd.backbones.wan.vae import WanVAE

        config = MiniConfig()
        card = ModelCard("mini", "random weights")
        return mini_stages(shape, MiniBackbone(MiniNetwork(config), WanVAE(config.vae), card).to(device))
    free = available_memory(device)
    if free is not None and free < WAN_BYTES:
        raise OptionError(
            f"wan-1.3b needs about {WAN_BYTES / 1e9:.0f} GB of memory and {free / 1e9:.1f} GB are free; "
            "free some or use --model mini"
        )
    return wan_stages(shape, device)


def _difference(ways: Ways) -> float:
    """How far two independent implementations are apart on the same weights: proof that they do the same work."""
    import torch

    from dvd.evaluate.contenders import Way

    with torch.inference_mode():
        ours, theirs = (ways[Way(by, "float32")]() for by in ("folded", "diffusers"))
        return float((ours - theirs).norm() / theirs.norm())


def ratios(rows: Collection[Row]) -> dict[str, float]:
    """How many times as fast: each over the stages that both sides have, at the median."""
    ours, theirs = {"folded", "ours"}, {"diffusers"}
    pairs = {
        "folded against unfolded, float32": (({"folded"}, "float32"), ({"unfolded"}, "float32")),
        "bfloat16 against float32, ours": ((ours, "bfloat16"), (ours, "float32")),
        "ours against diffusers, float32": ((ours, "float32"), (theirs, "float32")),
        "ours against diffusers, bfloat16": ((ours, "bfloat16"), (theirs, "bfloat16")),
        "ours in bfloat16 against diffusers in float32": ((ours, "bfloat16"), (theirs, "float32")),
    }
    found = {}
    for name, sides in pairs.items():
        fast, slow = ({row.stage: row.seconds for row in rows if row.by in by and row.dtype == d} for by, d in sides)
        both = sorted(fast.keys() & slow.keys())
        if both:
            label = f"{name} ({' + '.join(stage for stage in STAGES if stage in both)})"
            found[label] = sum(slow[stage] for stage in both) / sum(fast[stage] for stage in both)
    return found


def _print(result: dict[str, Any]) -> None:
    where = f"{result['frames']} frames at {result['height']}x{result['width']}"
    print(f"\n{result['model']}, random weights, {where}; median of {result['repeats']}, ± half the range")
    print(
        f"{'stage':<12} {'by':<10} {'dtype':<9} {'seconds':>9} {'±':>5} {'GFLOP':>9} {'GFLOP/s':>8}  times diffusers'"
    )
    for row in (Row(**values) for values in result["rows"]):
        speedup = "" if row.speedup is None else f"{row.speedup:.2f}"
        print(
            f"{row.stage:<12} {row.by:<10} {row.dtype:<9} {row.seconds:9.4f} {row.spread:5.0%} {row.gflop:9.1f} "
            f"{row.gflops:8.0f}  {speedup}"
        )
    for name, value in result["ratios"].items():
        print(f"{value:6.2f}x {name}")
    for name, value in result["relative_difference"].items():
        print(f"{value:7.0e} relative difference: {name}")

"""`dvd doctor`: what this machine can do, what would run on it, its memory, and how to solve each problem."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dvd.apps.options import add_model_arguments
from dvd.errors import DVDError

if TYPE_CHECKING:
    import torch

    from dvd.backbones.base import Backbone

DECODERS = ("h264", "hevc", "vp9", "av1", "prores", "mpeg4", "mjpeg")
ENCODERS = {"libx264": "H.264", "aac": "AAC"}
BYTES_PER_GB = 1e9
USUAL_SOURCE, UPRIGHT_SOURCE = (1080, 1920), (1920, 1080)
"""Height and width that are assumed of the video, which is not known yet."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dvd doctor`: those of the run that it checks."""
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the findings; return exit status 2 if the run with these options would fail."""
    problems: list[str] = []
    for topic, finding in _findings(args, problems):
        print(f"{topic:<11}{finding}", flush=True)
    for problem in problems:
        print(f"{'problem':<11}{problem}")
    print(f"problems: {len(problems)}" if problems else "no problems")
    return 2 if problems else 0


def _findings(args: argparse.Namespace, problems: list[str]) -> Iterator[tuple[str, str]]:
    # Findings that need no torch come first, because importing it takes longer than all the rest.
    yield "system", platform.platform(terse=True)
    yield "video", _video(problems)
    yield "extras", _extras()

    import torch

    from dvd.hardware import available_memory, choose_device
    from dvd.record import versions

    yield "packages", ", ".join(f"{name} {version}" for name, version in versions().items())
    yield "processor", _processor()
    yield "GPU", _gpu()
    try:
        device = choose_device(args.device)
    except DVDError as error:
        problems.append(str(error))
        device = torch.device("cpu")
    free = available_memory(device)
    yield "memory", "unknown" if free is None else f"{_gb(free)} free on {device}"
    try:
        yield from _planned_run(args, device, free, problems)
    except DVDError as error:
        problems.append(str(error))


def _planned_run(
    args: argparse.Namespace, device: torch.device, free: int | None, problems: list[str]
) -> Iterator[tuple[str, str]]:
    from dvd.hardware import choose_dtype
    from dvd.memory import PROGRAM_BYTES, total_bytes, waiting_bytes
    from dvd.resize import model_size
    from dvd.stream import StreamOptions

    state, backbone = _look_into(args.model)
    card = backbone.card
    yield "model", f"{card.name}: {state}; licence {card.licence}"
    dtype, reason = choose_dtype(args.dtype, device, card)
    settings = StreamOptions(args.size, args.window, args.overlap).settle(card, backbone.time_factor)

    def seen(source: tuple[int, int]) -> tuple[int, int]:
        return model_size(*source, settings.least_size, backbone.side_multiple)

    def waiting(source: tuple[int, int]) -> int:
        return waiting_bytes(seen(source), settings.window, settings.overlap, source)

    height, width = seen(USUAL_SOURCE)
    yield (
        "would run",
        f"{card.name} on {device} in {str(dtype).removeprefix('torch.')} ({reason}), "
        f"{settings.window} frames at a time, {settings.overlap} shared, at {height} × {width} for a 16:9 video",
    )
    need, upright = (
        backbone.memory(seen(source), settings.window, dtype, device) for source in (USUAL_SOURCE, UPRIGHT_SOURCE)
    )
    if need is None or upright is None:
        yield "would need", "an unknown amount of memory: nobody has measured this kind of model"
        return
    total = total_bytes([need], waiting(USUAL_SOURCE))
    yield (
        "would need",
        f"about {_gb(total)}: program and weights {_gb(PROGRAM_BYTES + need.weights)}, "
        f"activations {_gb(need.activations)}, frames {_gb(waiting(USUAL_SOURCE))} of a 1920 × 1080 video, "
        f"whatever its length; {_gb(total_bytes([upright], waiting(UPRIGHT_SOURCE)))} if it is upright",
    )
    if free is not None and total > free:
        problems.append(
            f"the run needs about {_gb(total)} and {_gb(free)} are free on {device}; "
            "take a smaller --size or --window, or close other programs"
        )


def _look_into(name: str) -> tuple[str, Backbone]:
    """Return where a model is, and the model without values; a release has the sizes of Wan2.1 1.3B."""
    from dvd.backbones import registry

    entry = registry.find(name) if name in registry.names() else None
    if entry is None or entry.folder is not None:
        return "here and complete", registry.load(name, "meta")

    from dvd.evaluation.twins import wan_blueprint

    state = "here" if registry.is_here(entry) else "not here, `dvd predict` would download it"
    return state, wan_blueprint(registry.card(name))


def _processor() -> str:
    import torch

    from dvd.hardware import cpu_flags, cpu_name, fast_bfloat16

    shown = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
    flags = cpu_flags()
    has = "vector instructions unknown"
    if flags is not None:
        has = ", ".join(flag for flag in shown if flag in flags) or "none of the vector instructions that matter"
    half = {
        True: "multiplies bfloat16 fast",
        False: "does not multiply bfloat16 fast",
        None: "unknown whether it multiplies bfloat16 fast",
    }[fast_bfloat16(torch.device("cpu"))]
    return f"{cpu_name()}, {os.cpu_count()} threads ({torch.get_num_threads()} used): {has}; {half}"


def _gpu() -> str:
    import torch

    from dvd.hardware import fast_bfloat16

    gpus = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        half = "fast" if fast_bfloat16(torch.device("cuda", index)) else "slow"
        gpus.append(f"cuda:{index} {properties.name}, {_gb(properties.total_memory)}, bfloat16 {half}")
    if torch.backends.mps.is_available():
        gpus.append("mps, Apple's GPU")
    if not gpus and torch.version.cuda is None and os.path.exists("/dev/nvidia0"):
        return "an NVIDIA GPU is there, but this torch is built without CUDA; install another build from pytorch.org"
    return "; ".join(gpus) or "none"


def _video(problems: list[str]) -> str:
    import av
    from av.codec.codec import UnknownCodecError

    def has(name: str, mode: Any) -> bool:
        try:
            return bool(av.codec.Codec(name, mode).name)
        except UnknownCodecError:
            return False

    reads = [name for name in DECODERS if has(name, "r")]
    missing = [word for name, word in ENCODERS.items() if not has(name, "w")]
    if missing:
        problems.append(f"this PyAV cannot write {' and '.join(missing)}; pip install --force-reinstall av")
    writes = [word for name, word in ENCODERS.items() if word not in missing]
    version = getattr(av, "ffmpeg_version_info", "of an unknown version")
    return f"FFmpeg {version}: reads {', '.join(reads)} …; writes {', '.join(writes) or 'nothing'}"


def _extras() -> str:
    from importlib import metadata

    from dvd.apps.demo import bundled_clip

    def version(package: str, extra: str) -> str:
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            return f'no {package} (pip install "dvd-depth[{extra}]")'

    try:
        clip = f"demo clip {bundled_clip().name}"
    except DVDError:
        clip = 'no demo clip (pip install "dvd-depth[demo]")'
    return ", ".join((version("OpenEXR", "exr"), clip, version("peft", "train"), version("diffusers", "diffusers")))


def _gb(count: int) -> str:
    return f"{count / BYTES_PER_GB:.1f} GB"

"""`dvd doctor`: what this machine can do, what would run on it, what memory that needs; each problem with its mend."""

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

    from dvd.evaluate.speed.memory import Need
    from dvd.stream import Settings

DECODERS = ("h264", "hevc", "vp9", "av1", "prores", "mpeg4", "mjpeg")
ENCODERS = {"libx264": "H.264", "aac": "AAC"}
BYTES_PER_GB = 1e9
USUAL_SOURCE, UPRIGHT_SOURCE = (1080, 1920), (1920, 1080)
"""What is assumed of the video, which is not known yet."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `dvd doctor`: what a run would be asked for."""
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what there is; exit status 2 where the run that was asked for would fail."""
    problems: list[str] = []
    for topic, finding in _findings(args, problems):
        print(f"{topic:<11}{finding}", flush=True)
    for problem in problems:
        print(f"{'problem':<11}{problem}")
    print("nothing stands in the way" if not problems else f"to mend: {len(problems)}")
    return 2 if problems else 0


def _findings(args: argparse.Namespace, problems: list[str]) -> Iterator[tuple[str, str]]:
    # What needs no torch comes first: importing it takes longer than all the rest.
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
    yield "memory", "not told by the system" if free is None else f"{_gb(free)} free on {device}"
    try:
        yield from _run_asked_for(args, device, free, problems)
    except DVDError as error:
        problems.append(str(error))


def _run_asked_for(
    args: argparse.Namespace, device: torch.device, free: int | None, problems: list[str]
) -> Iterator[tuple[str, str]]:
    from dvd.hardware import choose_dtype
    from dvd.resize import model_size
    from dvd.stream import StreamOptions

    model = _Model(args.model, device)
    yield "model", f"{model.card.name}: {model.state}; licence {model.card.licence}"
    if model.problem:
        problems.append(model.problem)
    dtype, reason = choose_dtype(args.dtype, device, model.card)
    settings = StreamOptions(args.size, args.window, args.overlap).settle(model.card, model.time_factor)
    height, width = model_size(*USUAL_SOURCE, settings.least_size, 16)
    yield (
        "would run",
        f"{model.card.name} on {device} in {str(dtype).removeprefix('torch.')} ({reason}), "
        f"{settings.window} frames at a time, {settings.overlap} shared, at {height} × {width} for a 16:9 video",
    )
    need = model.need((height, width), settings, dtype)
    upright = model.need(model_size(*UPRIGHT_SOURCE, settings.least_size, 16), settings, dtype)
    yield (
        "would need",
        f"about {_gb(need.total)}: program and weights {_gb(need.weights)}, activations {_gb(need.activations)}, "
        f"frames {_gb(need.frames)} of a 1920 × 1080 video, whatever its length; {_gb(upright.total)} if it is upright",
    )
    if free is not None and need.total > free:
        problems.append(
            f"the run needs about {_gb(need.total)} and {_gb(free)} are free on {device}; "
            "take a smaller --size or --window, or close other programs"
        )


class _Model:
    """A model by name or folder: its files are looked into if they are here, else it is known by its name's sizes."""

    def __init__(self, name: str, device: torch.device) -> None:
        from dvd.backbones import registry
        from dvd.backbones.base import ModelCard

        self.backbone: Any = None
        self.problem = ""
        entry = registry.find(name) if name in registry.names() else None
        if entry is None or (entry.folder is not None and registry.is_here(entry)):
            self.backbone = registry.load(name, "meta")
            self.card, self.state = self.backbone.card, "here and complete"
        else:
            self.card = ModelCard(entry.name, entry.licence)
            self.state = "here" if registry.is_here(entry) else "not here"
            if entry.folder is not None:
                self.problem = f"the weights of {name} are not in this installation; install dvd-depth again"
            elif not registry.is_here(entry):
                self.state += ", `dvd predict` would download it"
        self._device = device
        self.is_mini = entry is not None and entry.folder is not None
        self.time_factor = 4 if self.backbone is None else self.backbone.time_factor

    def need(self, size: tuple[int, int], settings: Settings, dtype: torch.dtype) -> Need:
        from dvd.evaluate.speed.memory import mini_need, need_of, wan_need

        if self.backbone is not None:
            return need_of(self.backbone, size, settings.window, settings.overlap, dtype, USUAL_SOURCE, self._device)
        if self.is_mini:
            return mini_need(size, settings.window, settings.overlap, dtype, USUAL_SOURCE)
        import torch

        device = torch.device("cpu")
        return wan_need(size, settings.window, settings.overlap, dtype, device, source=USUAL_SOURCE)


def _processor() -> str:
    import torch

    from dvd.hardware import cpu_flags, cpu_name, fast_bfloat16

    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
    flags = cpu_flags()
    has = "vector instructions unknown"
    if flags is not None:
        has = ", ".join(flag for flag in wanted if flag in flags) or "none of the vector instructions that matter"
    half = {
        True: "multiplies bfloat16 fast",
        False: "does not multiply bfloat16 fast",
        None: "unknown whether it multiplies bfloat16 fast",
    }[fast_bfloat16(torch.device("cpu"))]
    return f"{cpu_name()}, {os.cpu_count()} threads ({torch.get_num_threads()} used): {has}; {half}"


def _gpu() -> str:
    import torch

    from dvd.hardware import fast_bfloat16

    found = []
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        half = "fast" if fast_bfloat16(torch.device("cuda", index)) else "slow"
        found.append(f"cuda:{index} {about.name}, {_gb(about.total_memory)}, bfloat16 {half}")
    if torch.backends.mps.is_available():
        found.append("mps, Apple's GPU")
    if not found and torch.version.cuda is None and os.path.exists("/dev/nvidia0"):
        return "an NVIDIA GPU is there, but this torch is built without CUDA; install another build from pytorch.org"
    return "; ".join(found) or "none"


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

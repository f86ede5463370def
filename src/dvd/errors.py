"""Errors that a user can correct; every message names what was wrong and how to correct it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class DVDError(Exception):
    """An error that the user can correct. The command line prints its one line and exits with status 2."""


class InputError(DVDError):
    """A video, image or folder that cannot be read."""


class OutputError(DVDError):
    """A file or folder that cannot be written, or that already exists."""


class ModelError(DVDError):
    """A model that is unknown, incomplete, damaged or not what it claims to be."""


class OptionError(DVDError):
    """A value outside its range, or two values that contradict each other."""


ALSO_CALLED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "device": {
        **dict.fromkeys(("gpu", "nvidia", "cuda gpu", "rocm", "amd"), ("cuda", "auto")),
        **dict.fromkeys(("metal", "apple", "mac"), ("mps", "auto")),
        **dict.fromkeys(("processor", "x86", "arm"), ("cpu", "auto")),
    },
    "dtype": {
        **dict.fromkeys(("half", "fp16", "f16"), ("float16", "bfloat16")),
        **dict.fromkeys(("bf16", "brain", "bfloat"), ("bfloat16",)),
        **dict.fromkeys(("float", "single", "full", "fp32", "f32", "double", "float64", "fp64"), ("float32",)),
    },
    "format": {
        **dict.fromkeys(("numpy", "npy", "raw"), ("npz",)),
        **dict.fromkeys(("png", "image", "images", "png8"), ("png16",)),
        **dict.fromkeys(("exr16", "exr32", "openexr"), ("exr",)),
        **dict.fromkeys(("video", "mov", "mkv", "avi", "webm", "h264"), ("mp4",)),
    },
    "model": {"mini": ("dvd-mini",), "small": ("dvd-mini",), "dvd": ("dvd-mini", "dvd-1.0", "dvd-1.1")},
}
"""Names used elsewhere → ours; by spelling alone, "gpu" would lead to "cpu"."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return one line that names an unknown `kind` (model, format, device …) and offers the nearest known names."""
    names = sorted(known)
    also = ALSO_CALLED.get(kind, {}).get(name.lower().partition(":")[0], ())  # gpu:0 too
    lowered = {known_name.lower(): known_name for known_name in names}
    near = [other for other in also if other in names] or [
        lowered[match] for match in get_close_matches(name.lower(), lowered, n=3, cutoff=0.4)
    ]
    offer = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
    return f"unknown {kind} '{name}'; {offer}"


def first_line(error: BaseException) -> str:
    """Return the first line of a library's message, or the name of the error where it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__

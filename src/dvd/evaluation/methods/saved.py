"""Saved predictions of any method, as a method: found by the sequence's name, checked, resized to its frames."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import InputError, OptionError, unknown
from dvd.evaluation.methods.saved_forms import VIDEOS, Form, form_name, open_form
from dvd.evaluation.sequences import EvalSequence
from dvd.names import SPACES, Space
from dvd.resize import to_source_size
from dvd.stream import CHUNK_BYTES

log = logging.getLogger(__name__)

MARKS = ("", "_depths", "_depth", "_disparity", "_pred", "_depths_exr")
"""Endings that methods append to the name of their input video."""

RANK = ("npz", "npy", "exr folder", "npy folder", "16-bit png folder", "video")
"""Forms of a prediction, the most exact first; of several forms the first is taken."""

ASPECT_TOLERANCE = 0.02


@dataclass
class SavedPredictions:
    """The predictions in `path`: a folder with a file or folder for each sequence, named after it, or one of these.

    A sequence `scene/left` is searched as `scene/left` and as `scene_left`, with or without the data set's name as a
    folder above, and with the endings of the compared methods (`MARKS`). `space`: "disparity" or "depth", which no file
    says. `key`: the array of an archive or the channel of exr files, where it is not obvious. `offset`: added to every
    value, because only positive predictions are aligned. `note`: how they were made, for the report. Predictions of
    another size are resized, bilinear, and reported; another number of frames is refused, unless it is that of the
    whole sequence, which a protocol cuts short.
    """

    path: Path
    space: Space
    name: str = ""
    key: str | None = None
    offset: float = 0.0
    note: str = ""
    _forms: dict[str, Form] = field(default_factory=dict, init=False, repr=False)
    _resized: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise OptionError if `space` is neither disparity nor depth, InputError if `path` does not exist."""
        self.path = Path(self.path).expanduser()
        if self.space not in SPACES:
            raise OptionError(unknown("space of predictions", self.space, SPACES))
        if not self.path.exists():
            raise InputError(f"{self.path}: no such file or folder of predictions; check the path")
        self.name = self.name or _stem(self.path)

    def describe(self) -> dict[str, Any]:
        """Return path and options; forms, bits and resized sizes of the sequences read so far."""
        bits = {form.bits for form in self._forms.values()}
        return {
            "kind": "saved predictions",
            "path": str(self.path),
            "space": self.space,
            "key": self.key,
            "offset": self.offset,
            "note": self.note,
            "forms": sorted({form.kind for form in self._forms.values()}),
            "bits": min(bits) if bits else None,
            "limit": "8 bits per value: fine steps of depth are lost" if min(bits, default=32) == 8 else None,
            "resized": dict(self._resized),
        }

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        """Yield chunks `T H W` float32 of the sequence's size, about `CHUNK_BYTES` each.

        Raise InputError if there is no prediction of this name, or two, if the number of frames differs (known only at
        the end of a video), or if a file is damaged.
        """
        form = open_form(self.find(sequence), self.key)
        self._forms[f"{sequence.dataset}/{sequence.name}"] = form
        if form.count is not None:
            _check_count(form, form.count, sequence)
        return self._chunks(form, sequence)

    def find(self, sequence: EvalSequence) -> Path:
        """Return the file or folder of the sequence's prediction; the most exact one if there are several forms."""
        stems = (sequence.name, sequence.name.replace("/", "_"))
        names = {f"{stem}{mark}" for stem in stems for mark in MARKS}
        if _stem(self.path) in names and form_name(self.path):
            return self.path
        if not self.path.is_dir():
            raise InputError(
                f"{self.path} is not named after the sequence '{sequence.name}'; "
                f"call it {stems[1]}{self.path.suffix}, or give the folder of all predictions"
            )
        candidates = [path for folder in (self.path / sequence.dataset, self.path) for path in _named(folder, names)]
        if not candidates:
            raise InputError(f"{self.path} has no prediction of '{sequence.name}'; {self._advice(stems[1])}")
        best = min(RANK.index(str(form_name(path))) for path in candidates)
        equal = [path for path in candidates if form_name(path) == RANK[best]]
        if len(equal) > 1:
            raise InputError(f"{equal[0]} and {equal[1]} both are predictions of '{sequence.name}'; leave only one")
        return equal[0]

    def _chunks(self, form: Form, sequence: EvalSequence) -> Iterator[NDArray[np.float32]]:
        stored, given = form.frames(), 0
        first = list(islice(stored, 1))
        stored = chain(first, stored)
        largest = max(math.prod(sequence.size), *(frame.size for frame in first), 1)
        step = max(1, CHUNK_BYTES // (4 * largest))
        while held := list(islice(stored, min(step, sequence.count - given))):
            given += len(held)
            other = next((frame.shape for frame in held if frame.shape != first[0].shape), None)
            if other is not None:
                raise InputError(f"{form.path}: frames of {first[0].shape} and of {other}; all must have one size")
            yield self._at_size(np.stack(held), sequence) + np.float32(self.offset)
        if form.count is None:
            _check_count(form, given + sum(1 for _ in stored), sequence)

    def _at_size(self, stack: NDArray[np.float32], sequence: EvalSequence) -> NDArray[np.float32]:
        """`T h w` → `T H W`; each pair of sizes is noted once, as there may be thousands of single images."""
        (h, w), (height, width) = stack.shape[1:], sequence.size
        if (h, w) == (height, width):
            return stack
        sizes = f"{h}x{w} -> {height}x{width}"
        if sizes not in self._resized:
            self._resized[sizes] = "bilinear"
            if abs(w * height / (h * width) - 1) > ASPECT_TOLERANCE:
                log.warning(
                    "%s: predictions of %s are %d × %d and its frames %d × %d, of another shape: were they made from "
                    "frames that were cropped otherwise?",
                    self.name, f"{sequence.dataset} {sequence.name}", w, h, width, height,
                )  # fmt: skip
        return to_source_size(stack, (height, width))

    def _advice(self, name: str) -> str:
        names = sorted(_stem(path) for path in self.path.iterdir() if not path.name.startswith("."))
        near = get_close_matches(name, names, n=3, cutoff=0.4)
        if near:
            return f"did you mean {' or '.join(near)}? Files and folders are named after their sequence"
        return f"it holds {', '.join(names[:5]) or 'nothing'}; name files and folders after their sequence"


def _named(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return the files and folders with predictions under one of the names; slashes in names are folders."""
    paths = [folder / f"{name}{ending}" for name in sorted(names) for ending in ("", ".npz", ".npy", *VIDEOS)]
    return [path for path in paths if path.exists() and form_name(path)]


def _stem(path: Path) -> str:
    """Return the name without the ending of its form; names of folders may contain dots."""
    return path.name if path.is_dir() else path.stem


def _check_count(form: Form, count: int, sequence: EvalSequence) -> None:
    """Raise InputError unless all frames of the sequence, or of the whole one that it is cut from, are predicted."""
    whole: EvalSequence = getattr(sequence, "whole", sequence)
    if count not in (sequence.count, whole.count):
        cut = "" if whole.count == sequence.count else f", of which the first {sequence.count} are evaluated"
        raise InputError(
            f"{form.path} holds {count} frames and the sequence '{sequence.name}' of {sequence.dataset} "
            f"{whole.count}{cut}; predict all of its frames, at its own frame rate"
        )

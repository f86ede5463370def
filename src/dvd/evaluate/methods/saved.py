"""Predictions that any method saved, as a method: found by the sequence's name, checked, brought to its size."""

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
from dvd.evaluate.methods.saved_forms import VIDEOS, Form, form_name, open_form
from dvd.evaluate.sequences import EvalSequence
from dvd.names import SPACES, Space
from dvd.resize import to_source_size
from dvd.stream import CHUNK_BYTES

log = logging.getLogger(__name__)

MARKS = ("", "_depths", "_depth", "_disparity", "_pred", "_depths_exr")
"""What methods append to the name of the video that they were given."""

RANK = ("npz", "npy", "exr folder", "npy folder", "16-bit png folder", "video")
"""Which of several forms of the same prediction is taken: the most exact."""

ASPECT_TOLERANCE = 0.02


@dataclass
class SavedPredictions:
    """Predictions in `path`: a file or folder for each sequence, named after it; or that of one sequence itself.

    A sequence `scene/left` is looked for as `scene/left` and as `scene_left`, with or without the data set's name as a
    folder above and with what the compared methods append (`MARKS`). `space` says what the values are, which no file
    does. `key` names the array of an archive or the channel of exr files where it cannot be guessed. `offset` is added
    to every value: only positive predictions are aligned, so one for values around 0. `note` goes into the report: how
    they were made. Sizes other than the sequence's are resized, bilinear, and reported; other counts
    are refused, but of a sequence that a protocol cuts short the whole may have been predicted.
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
        """OptionError where `space` is neither disparity nor depth, InputError where `path` does not exist."""
        self.path = Path(self.path).expanduser()
        if self.space not in SPACES:
            raise OptionError(unknown("space of predictions", self.space, SPACES))
        if not self.path.exists():
            raise InputError(f"{self.path}: no such file or folder of predictions; check the path")
        self.name = self.name or _stem(self.path)

    def describe(self) -> dict[str, Any]:
        """Where they are and how they are read; forms, bits and resized sizes of the sequences read so far."""
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
        """Chunks `T H W` float32 of the sequence's size, about `CHUNK_BYTES` each.

        InputError where there is no prediction of this name, or two, where the number of frames differs (of a video
        this is known only at its end), or where a file is damaged.
        """
        form = open_form(self.find(sequence), self.key)
        self._forms[f"{sequence.dataset}/{sequence.name}"] = form
        if form.count is not None:
            _check_count(form, form.count, sequence)
        return self._chunks(form, sequence)

    def find(self, sequence: EvalSequence) -> Path:
        """The file or folder that holds the sequence's prediction; of several forms the most exact."""
        stems = (sequence.name, sequence.name.replace("/", "_"))
        wanted = {f"{stem}{mark}" for stem in stems for mark in MARKS}
        if _stem(self.path) in wanted and form_name(self.path):
            return self.path
        if not self.path.is_dir():
            raise InputError(
                f"{self.path} is not named after the sequence '{sequence.name}'; "
                f"call it {stems[1]}{self.path.suffix}, or give the folder of all predictions"
            )
        found = [path for folder in (self.path / sequence.dataset, self.path) for path in _named(folder, wanted)]
        if not found:
            raise InputError(f"{self.path} has no prediction of '{sequence.name}'; {self._offer(stems[1])}")
        best = min(RANK.index(str(form_name(path))) for path in found)
        equal = [path for path in found if form_name(path) == RANK[best]]
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
        """`T h w` → `T H W`; notes which sizes are resized, once each: there may be thousands of single images."""
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

    def _offer(self, name: str) -> str:
        here = sorted(_stem(path) for path in self.path.iterdir() if not path.name.startswith("."))
        near = get_close_matches(name, here, n=3, cutoff=0.4)
        if near:
            return f"did you mean {' or '.join(near)}? Files and folders are named after their sequence"
        return f"it holds {', '.join(here[:5]) or 'nothing'}; name files and folders after their sequence"


def _named(folder: Path, wanted: Iterable[str]) -> list[Path]:
    """What holds predictions under one of the names, whose slashes are folders."""
    places = [folder / f"{name}{ending}" for name in sorted(wanted) for ending in ("", ".npz", ".npy", *VIDEOS)]
    return [place for place in places if place.exists() and form_name(place)]


def _stem(path: Path) -> str:
    """The name without the ending that says the form; names of folders may hold dots."""
    return path.name if path.is_dir() else path.stem


def _check_count(form: Form, count: int, sequence: EvalSequence) -> None:
    """InputError unless all frames are predicted; of a sequence cut short, those of the whole one may be."""
    whole: EvalSequence = getattr(sequence, "whole", sequence)
    if count not in (sequence.count, whole.count):
        cut = "" if whole.count == sequence.count else f", of which the first {sequence.count} are evaluated"
        raise InputError(
            f"{form.path} holds {count} frames and the sequence '{sequence.name}' of {sequence.dataset} "
            f"{whole.count}{cut}; predict all of its frames, at its own frame rate"
        )

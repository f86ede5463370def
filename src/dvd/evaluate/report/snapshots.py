"""The frames of an evaluation that are worth a look, kept beside its results: the worst, and usual ones.

They lie in `frames/DATASET/SEQUENCE/NUMBER.npz` as they were measured, no wider than a page shows them. However many
sequences there are, only so many are kept: `prune` leaves those that `worth_a_look` names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dvd.data.formats import SPOILT
from dvd.errors import InputError
from dvd.evaluate.report.labels import label
from dvd.evaluate.report.pictures import WIDEST, Frames
from dvd.evaluate.results import Results
from dvd.files import replacing

FRAMES = "frames"
WORST, USUAL = 8, 12
"""So many of the worst frames are kept, one of a sequence, and the usual frame of so many sequences."""

Values = Sequence[float | None]


class Worst(NamedTuple):
    """A frame worth looking at, and its value of the metric."""

    dataset: str
    sequence: str
    frame: int
    value: float


def worst_frames(results: Results, metric: str = "abs_rel", count: int = WORST, per_sequence: int = 1) -> list[Worst]:
    """The worst frames of the sequences that count, so many of each at most, worst first."""
    sign = -1 if label(metric).better == "higher" else 1
    chosen: list[Worst] = []
    for sequence in results.sequences:
        if sequence.skipped is None:
            known = [
                Worst(sequence.dataset, sequence.name, index, value)
                for index, value in _known(sequence.per_frame.get(metric, ()))
            ]
            chosen += sorted(known, key=lambda worst: -sign * worst.value)[:per_sequence]
    return sorted(chosen, key=lambda worst: -sign * worst.value)[:count]


def usual_frame(values: Values) -> int | None:
    """The frame whose value is the median of those that are known (the lower of two); None where none is."""
    known = sorted(_known(values), key=lambda pair: pair[1])
    return known[(len(known) - 1) // 2][0] if known else None


def candidates(values: Values) -> list[int]:
    """The frames of one sequence that may be worth a look, by their AbsRel: the usual and the worst."""
    worst = max(_known(values), key=lambda pair: pair[1], default=(None, 0))[0]
    return sorted({frame for frame in (usual_frame(values), worst) if frame is not None})


def worth_a_look(results: Results) -> dict[tuple[str, str, int], str]:
    """(data set, sequence, frame) → why, in the order in which a page shows them; by AbsRel."""
    found = {(w.dataset, w.sequence, w.frame): "the worst frame of its sequence" for w in worst_frames(results)}
    videos = [one for one in results.sequences if one.skipped is None and one.frames > 1]
    for sequence in videos[:USUAL]:
        frame = usual_frame(sequence.per_frame.get("abs_rel", ()))
        if frame is not None:
            found.setdefault((sequence.dataset, sequence.name, frame), "the median frame of its sequence")
    return found


def keep(folder: Path, frames: Frames) -> None:
    """Writes one frame; OutputError where that cannot be done."""
    step = math.ceil(frames.truth.shape[1] / WIDEST)
    with replacing(_path(folder, frames.dataset, frames.sequence, frames.frame)) as file:
        np.savez_compressed(
            file,
            rgb=frames.rgb[::step, ::step],
            predicted=_stored(frames.predicted[::step, ::step]),
            truth=_stored(frames.truth[::step, ::step]),
            abs_rel=np.float64(math.nan if frames.abs_rel is None else frames.abs_rel),
        )


def prune(folder: Path, results: Results) -> None:
    """Removes the frames that are no longer worth a look."""
    wanted = {_path(folder, *where) for where in worth_a_look(results)}
    for path in (folder / FRAMES).rglob("*.npz"):
        if path not in wanted:
            path.unlink()


def load(folder: Path, results: Results) -> Iterator[Frames]:
    """What is worth a look and was kept in the folder of these results, in order; InputError for a damaged file."""
    for (dataset, sequence, frame), why in worth_a_look(results).items():
        path = _path(folder, dataset, sequence, frame)
        if path.exists():
            try:
                with np.load(path) as stored:
                    rgb, predicted, truth = (stored[name] for name in ("rgb", "predicted", "truth"))
                    value = float(stored["abs_rel"])
            except SPOILT as error:
                raise InputError(f"{path}: cannot be read ({error}); remove it, and the page goes without") from error
            yield Frames(rgb, predicted, truth, dataset, sequence, frame, results.method, why, value)


def _path(folder: Path, dataset: str, sequence: str, frame: int) -> Path:
    return folder / FRAMES / dataset / sequence / f"{frame}.npz"


def _known(values: Values | Mapping[int, float]) -> list[tuple[int, float]]:
    return [(index, value) for index, value in enumerate(values) if value is not None and math.isfinite(value)]


def _stored(depth_m: NDArray) -> NDArray[np.float32]:
    """Metres with eleven bits of precision, which compress to half: more than a picture shows."""
    mantissa, exponent = np.frexp(depth_m.astype(np.float32))
    return np.ldexp(np.round(mantissa * 2048) / 2048, exponent).astype(np.float32)

"""The frames of an evaluation that are worth a look, the worst and the median ones: kept with the results, and drawn.

They are kept in `frames/DATASET/SEQUENCE/FRAME.npz` as they were scored, no wider than a page shows them. However many
sequences there are, `prune` leaves only those that `worth_a_look` names.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dvd.data.formats import SPOILT
from dvd.errors import InputError
from dvd.evaluation.report.labels import label
from dvd.evaluation.results import Results
from dvd.export.display import table, to_levels
from dvd.files import replacing

FRAMES = "frames"
WORST, USUAL = 8, 12
"""How many worst frames are kept, at most one of a sequence, and how many sequences' median frames."""
WIDEST = 400
"""The greatest width of a picture, in pixels."""
DEPTH_MAP, ERROR_MAP = "turbo", "inferno"
WORST_ERROR = 0.3
"""Relative errors from here on have one colour, the same on every page, so that error maps can be compared."""
UNKNOWN = 0.45
"""The gray, in [0, 1], of pixels without a measured depth."""

Values = Sequence[float | None]


@dataclass(frozen=True)
class Snapshot:
    """One frame of a sequence as it was scored.

    `rgb` `H W 3` uint8; `predicted`, after alignment, and `truth` `H W` metres of one size, NaN or not positive at
    pixels that are unknown or do not count. `why` says why the frame is shown; `abs_rel` is the measured AbsRel, None
    to compute it from the arrays.
    """

    rgb: NDArray
    predicted: NDArray
    truth: NDArray
    dataset: str
    sequence: str
    frame: int
    method: str = ""
    why: str = ""
    abs_rel: float | None = None


@dataclass(frozen=True)
class Strip:
    """The pictures of one frame as `data:` addresses, with their mean relative error and the ends of their scale."""

    rgb: str
    predicted: str
    truth: str
    error: str
    abs_rel: float
    nearest_m: float
    farthest_m: float


class Worst(NamedTuple):
    """One of the worst frames, with its value of the metric."""

    dataset: str
    sequence: str
    frame: int
    value: float


def worst_frames(results: Results, metric: str = "abs_rel", count: int = WORST, per_sequence: int = 1) -> list[Worst]:
    """Return the `count` worst frames, at most `per_sequence` of each sequence that counts, worst first."""
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
    """Return the index of the frame with the median of the known values (the lower of two); None if none is known."""
    known = sorted(_known(values), key=lambda pair: pair[1])
    return known[(len(known) - 1) // 2][0] if known else None


def candidates(values: Values) -> list[int]:
    """Return the frames of one sequence that may be worth a look, the median and the worst by AbsRel."""
    worst = max(_known(values), key=lambda pair: pair[1], default=(None, 0))[0]
    return sorted({frame for frame in (usual_frame(values), worst) if frame is not None})


def worth_a_look(results: Results) -> dict[tuple[str, str, int], str]:
    """Map (data set, sequence, frame) to why the frame is worth a look, in the order of the page; by AbsRel."""
    reasons = {(w.dataset, w.sequence, w.frame): "the worst frame of its sequence" for w in worst_frames(results)}
    videos = [sequence for sequence in results.sequences if sequence.skipped is None and sequence.frames > 1]
    for sequence in videos[:USUAL]:
        frame = usual_frame(sequence.per_frame.get("abs_rel", ()))
        if frame is not None:
            reasons.setdefault((sequence.dataset, sequence.name, frame), "the median frame of its sequence")
    return reasons


def keep(folder: Path, snapshot: Snapshot) -> None:
    """Write one frame. Raise OutputError if the disk refuses."""
    step = math.ceil(snapshot.truth.shape[1] / WIDEST)
    with replacing(_path(folder, snapshot.dataset, snapshot.sequence, snapshot.frame)) as file:
        np.savez_compressed(
            file,
            rgb=snapshot.rgb[::step, ::step],
            predicted=_stored(snapshot.predicted[::step, ::step]),
            truth=_stored(snapshot.truth[::step, ::step]),
            abs_rel=np.float64(math.nan if snapshot.abs_rel is None else snapshot.abs_rel),
        )


def prune(folder: Path, results: Results) -> None:
    """Remove the frames that are no longer worth a look."""
    wanted = {_path(folder, *frame) for frame in worth_a_look(results)}
    for path in (folder / FRAMES).rglob("*.npz"):
        if path not in wanted:
            path.unlink()


def load(folder: Path, results: Results) -> Iterator[Snapshot]:
    """Read the kept frames that are worth a look, in the order of the page. Raise InputError for a damaged file."""
    for (dataset, sequence, frame), why in worth_a_look(results).items():
        path = _path(folder, dataset, sequence, frame)
        if path.exists():
            try:
                with np.load(path) as stored:
                    rgb, predicted, truth = (stored[name] for name in ("rgb", "predicted", "truth"))
                    value = float(stored["abs_rel"])
            except SPOILT as error:
                raise InputError(f"{path}: cannot be read ({error}); remove it; the page is made without it") from error
            yield Snapshot(rgb, predicted, truth, dataset, sequence, frame, results.method, why, value)


def strip(snapshot: Snapshot) -> Strip:
    """Draw a frame: image, predicted depth, measured depth and relative error.

    Both depths share one scale, from the 2 % to the 98 % quantile of the measured disparity; near is red. Raise
    ValueError if the arrays differ in size or no pixel has a measured depth.
    """
    predicted, truth = np.asarray(snapshot.predicted, np.float64), np.asarray(snapshot.truth, np.float64)
    known = np.isfinite(truth) & (truth > 0)
    if predicted.shape != truth.shape or truth.ndim != 2 or not known.any():
        raise ValueError(f"prediction {predicted.shape} and truth {truth.shape} must be H W, with a measured depth")
    both = known & np.isfinite(predicted)
    error = np.where(both, np.abs(predicted - truth) / np.where(known, truth, 1), np.nan)
    low, high = np.quantile(1 / truth[known], (0.02, 0.98)).tolist()
    high = max(high, low * (1 + 1e-6))
    abs_rel = snapshot.abs_rel
    if abs_rel is None:
        abs_rel = float(np.nanmean(error)) if both.any() else float("nan")
    return Strip(
        rgb=_address(_smaller(Image.fromarray(np.ascontiguousarray(snapshot.rgb)), Image.Resampling.BILINEAR)),
        predicted=_coloured(_disparity(predicted), low, high, DEPTH_MAP),
        truth=_coloured(_disparity(np.where(known, truth, np.nan)), low, high, DEPTH_MAP),
        error=_coloured(error, 0, WORST_ERROR, ERROR_MAP),
        abs_rel=abs_rel,
        nearest_m=1 / high,
        farthest_m=1 / low,
    )


def gradient(colormap: str, stops: int = 12) -> str:
    """Return a colour map, low to high, as a CSS background."""
    colours = table(colormap)[np.linspace(0, 255, stops).round().astype(int)]
    return f"linear-gradient(to right,{','.join('#' + bytes(colour.tolist()).hex() for colour in colours)})"


def _path(folder: Path, dataset: str, sequence: str, frame: int) -> Path:
    return folder / FRAMES / dataset / sequence / f"{frame}.npz"


def _known(values: Values | Mapping[int, float]) -> list[tuple[int, float]]:
    return [(index, value) for index, value in enumerate(values) if value is not None and math.isfinite(value)]


def _stored(depth_m: NDArray) -> NDArray[np.float32]:
    """Round metres to eleven bits, which compress to half; a picture shows less."""
    mantissa, exponent = np.frexp(depth_m.astype(np.float32))
    return np.ldexp(np.round(mantissa * 2048) / 2048, exponent).astype(np.float32)


def _disparity(depth_m: NDArray) -> NDArray:
    valid = np.isfinite(depth_m) & (depth_m > 0)
    return np.where(valid, 1 / np.where(valid, depth_m, 1), np.nan)


def _coloured(values: NDArray, low: float, high: float, colormap: str) -> str:
    """Draw a palette picture, a third of the size of a true-colour one; unknown values are gray."""
    # The last entry of the palette is the gray, so the map has 255: level 255 becomes 254, a step nobody sees.
    levels = np.minimum(to_levels(values, low, high), 254)
    levels[~np.isfinite(values)] = 255
    palette = table(colormap).copy()
    palette[255] = round(255 * UNKNOWN)
    picture = Image.fromarray(levels)
    picture.putpalette(palette.tobytes())
    return _address(_smaller(picture, Image.Resampling.NEAREST))


def _smaller(picture: Image.Image, by: Image.Resampling) -> Image.Image:
    if picture.width <= WIDEST:
        return picture
    return picture.resize((WIDEST, max(1, round(picture.height * WIDEST / picture.width))), by)


def _address(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"

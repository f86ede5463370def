"""The evaluation story: predict every sequence, align it, measure it frame by frame, and write the results.

A sequence's predictions wait on the disk while running sums gather its alignment; then it is read a second time and
measured, so memory does not depend on its length. Results are written after each sequence, and an interrupted run
continues with the next.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvd.errors import InputError, OptionError, OutputError
from dvd.evaluation import results
from dvd.evaluation.methods.base import Method
from dvd.evaluation.predictions import PredictionFile
from dvd.evaluation.protocol import Protocol
from dvd.evaluation.report import snapshots
from dvd.evaluation.report.snapshots import Snapshot
from dvd.evaluation.results import Results, SequenceResult
from dvd.evaluation.scoring import Fits, SequenceScores, counted, in_space
from dvd.evaluation.sequences import EvalFrame, EvalSequence
from dvd.types import Seam

log = logging.getLogger(__name__)

RESULTS = "results.json"
PREDICTIONS = "predictions"
"""The folder of kept predictions: data set / sequence.npy, `T H W` float32 as the method gave them."""

LEARNT = "learnt from the data"
"""The name of the conditions that are known only while a method runs; two evaluations may differ in them."""

Progress = Callable[[EvalSequence, int], None]
"""Called with a sequence and how many of its frames were predicted or measured; at its end, twice its count."""


def evaluate(
    method: Method,
    sequences: Sequence[EvalSequence],
    protocol: Protocol,
    folder: Path,
    conditions: dict[str, Any] | None = None,
    keep: bool = False,
    progress: Progress | None = None,
) -> Results:
    """Measure a method on sequences, in order, under a protocol; the results are in `folder`/results.json too.

    `conditions` are stated with the results, beside the method's description of itself. The frames that are worth a
    look (`snapshots`) stay in `folder`, with `keep` the predictions too. A sequence that the protocol skips is in the
    results with the reason. Earlier results in `folder` stay, and the call continues after them.

    Raise OptionError if the folder holds another evaluation, or one without the predictions that `keep` asks for;
    InputError if a sequence or a prediction cannot be used; OutputError if the disk refuses.
    """
    stated = {**method.describe(), **(conditions or {})}
    earlier = _earlier_results(folder, Results(method.name, stated, asdict(protocol)))
    done = {(result.dataset, result.name) for result in earlier.sequences}
    if keep:
        _check_kept(folder, earlier)
    growing = _GrowingResults(folder, earlier)
    try:
        for sequence in chosen(sequences, protocol):
            if (sequence.dataset, sequence.name) in done:
                continue
            result = _measure(method, sequence, protocol, folder, keep, progress or (lambda *_: None))
            growing.add(result, method.describe())
    finally:
        growing.write()
    return growing.results


class _GrowingResults:
    """The results so far, written after a sequence, but not after each of very many short ones.

    A file that grows with every image would take longer to write than the next image to measure, so writing takes at
    most a twentieth of the time.
    """

    SHARE = 0.05

    def __init__(self, folder: Path, earlier: Results) -> None:
        self.results = earlier
        self._folder, self._written = folder, earlier
        self._cost, self._ended = 0.0, -math.inf

    def add(self, result: SequenceResult, described: dict[str, Any]) -> None:
        conditions = _with_learnt(self.results.conditions, described)
        self.results = replace(self.results, conditions=conditions, sequences=(*self.results.sequences, result))
        if self._cost <= self.SHARE * (time.monotonic() - self._ended):
            self.write()

    def write(self) -> None:
        """Write the results if the file does not have them yet."""
        if self._written is self.results:
            return
        started = time.monotonic()
        results.write(self.results, self._folder / RESULTS)
        snapshots.prune(self._folder, self.results)
        self._written, self._ended = self.results, time.monotonic()
        self._cost = self._ended - started


def chosen(sequences: Sequence[EvalSequence], protocol: Protocol) -> list[EvalSequence]:
    """Return the sequences that the protocol takes, each cut to the frames that it takes."""
    counts: Counter[str] = Counter()
    taken = []
    for sequence in sequences:
        counts[sequence.dataset] += 1
        if protocol.sequences is None or counts[sequence.dataset] <= protocol.sequences:
            longer = protocol.frames is not None and sequence.count > protocol.frames
            taken.append(FirstFrames(sequence, protocol.frames) if longer and protocol.frames else sequence)
    return taken


class FirstFrames(EvalSequence):
    """The first `count` frames of a sequence, as a sequence of its own."""

    def __init__(self, whole: EvalSequence, count: int) -> None:
        self.whole, self.count = whole, count
        self.name, self.dataset, self.fps, self.range_m = whole.name, whole.dataset, whole.fps, whole.range_m

    @cached_property
    def size(self) -> tuple[int, int]:
        return self.whole.size

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[EvalFrame]:
        stop = self.count if stop is None else stop
        if not 0 <= start <= stop <= self.count:
            raise OptionError(f"{self.name} is cut to {self.count} frames; [{start}, {stop}) are not among them")
        return self.whole.frames(start, stop)

    def explain(self, frame: EvalFrame) -> str:
        return self.whole.explain(frame)


def _measure(
    method: Method, sequence: EvalSequence, protocol: Protocol, folder: Path, keep: bool, progress: Progress
) -> SequenceResult:
    """Predict and fit one sequence, then measure it."""
    result = SequenceResult(sequence.name, sequence.dataset, sequence.count)
    kept = _kept(folder, sequence) if keep else None
    clock = _Clock()
    with closing(PredictionFile(folder, sequence.count, sequence.size, kept)) as file:
        fits = Fits(protocol)
        with closing(_predictions(method, sequence, file, clock)) as predictions:
            for index, (frame, prediction) in enumerate(predictions):
                mask = counted(frame, protocol)
                if mask.any():
                    with _naming(method, sequence, f", frame {frame.name}"):
                        fits.add(in_space(prediction, method.space, protocol), frame, mask)
                elif protocol.skip == "sequence":
                    return _skipped(result, _skip_reason(sequence, frame, protocol))
                progress(sequence, index + 1)
        if not fits.frames:
            return _skipped(result, "no frame has a valid pixel")
        with _naming(method, sequence):
            clip_fit, scope_fit = fits.clip(), fits.scope()
        if clip_fit.scale < 0 and method.describe().get("kind") == "saved predictions":
            log.warning(
                "%s on %s decreases where the truth increases, the fitted scale is negative; is it really %s?",
                method.name, _title(sequence), method.space,
            )  # fmt: skip
        scores = SequenceScores(protocol, protocol.range_m or sequence.range_m, clip_fit, scope_fit)
        for index, frame in enumerate(sequence.frames()):
            prediction = in_space(file.frame(index), method.space, protocol)
            scores.add(prediction, frame, counted(frame, protocol))
            progress(sequence, sequence.count + index + 1)
        for index in snapshots.candidates(scores.per_frame.get("abs_rel", ())):
            snapshots.keep(folder, _snapshot(method, sequence, scores, file, index))
        file.keep()
    seams = [_seam_values(seam) for seam in getattr(method, "seams", ())]
    cuts = list(getattr(method, "cuts", ()))
    return replace(
        result,
        scale=None if scope_fit is None else scope_fit.scale,
        shift=None if scope_fit is None else scope_fit.shift,
        metrics=scores.means() | _seam_means(seams),
        per_frame=scores.per_frame,
        seams=seams,
        cuts=cuts,
        seconds=clock.seconds,
    )


def _predictions(
    method: Method, sequence: EvalSequence, file: PredictionFile, clock: _Clock
) -> Generator[tuple[EvalFrame, NDArray]]:
    """Yield every frame with its prediction `H W`, and write it to the file; raise InputError if they do not fit."""
    frames, chunks = sequence.frames(), method.predict(sequence)
    try:
        for chunk in clock.timing(chunks):
            if chunk.shape[1:] != sequence.size:
                (height, width), predicted = sequence.size, " × ".join(map(str, chunk.shape[:0:-1]))
                raise InputError(
                    f"{method.name} on {_title(sequence)}: the prediction is {predicted}, the frames {width} × {height}"
                )
            if file.written + len(chunk) > sequence.count:
                raise InputError(_miscounted(method, sequence, f"more than {sequence.count}"))
            file.append(chunk)
            yield from zip(islice(frames, len(chunk)), chunk, strict=True)
    finally:
        # If it stops early, the method's generator lets go of its threads and files now.
        getattr(chunks, "close", lambda: None)()
    if file.written < sequence.count:
        raise InputError(_miscounted(method, sequence, f"{file.written}"))


def _snapshot(
    method: Method, sequence: EvalSequence, scores: SequenceScores, file: PredictionFile, index: int
) -> Snapshot:
    """Return one frame as it was measured; pixels that do not count have no truth."""
    frame = next(iter(sequence.frames(index, index + 1)))
    mask = counted(frame, scores.protocol)
    depth_m = scores.depth_m(in_space(file.frame(index), method.space, scores.protocol), frame, mask)
    truth_m = np.where(mask, frame.depth_m, np.nan)
    abs_rel = scores.per_frame["abs_rel"][index]
    return Snapshot(frame.rgb, depth_m, truth_m, sequence.dataset, sequence.name, index, abs_rel=abs_rel)


def _earlier_results(folder: Path, fresh: Results) -> Results:
    """Return the results of an earlier run with the same conditions, or `fresh` if there was none."""
    path = folder / RESULTS
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another output folder") from error
        return fresh
    earlier = results.read(path)
    then, now = (json.loads(json.dumps(asdict(replace(run, sequences=())), default=str)) for run in (earlier, fresh))
    learnt = then["conditions"].pop(LEARNT, {})
    unlike = [
        f"{name} {then[part].get(name)!r} then, {now[part].get(name)!r} now"
        for part in ("protocol", "conditions")
        for name in dict.fromkeys([*then[part], *now[part]])
        if then[part].get(name) != now[part].get(name)
    ]
    if then["method"] != now["method"] or unlike:
        raise OptionError(
            f"{path} holds another evaluation ({'; '.join(unlike) or then['method']}); choose another output folder, "
            "or remove that file"
        )
    return replace(fresh, conditions={**fresh.conditions, LEARNT: learnt}, sequences=earlier.sequences)


def _kept(folder: Path, sequence: EvalSequence | SequenceResult) -> Path:
    """Return the file in which the predictions of a sequence are kept."""
    return folder / PREDICTIONS / sequence.dataset / f"{sequence.name}.npy"


def _check_kept(folder: Path, earlier: Results) -> None:
    gone = [result for result in earlier.sequences if result.skipped is None and not _kept(folder, result).exists()]
    if gone:
        raise OptionError(
            f"{folder / RESULTS} has {len(gone)} sequences whose predictions were not kept, such as {gone[0].name}; "
            "choose another output folder, or do not ask for them"
        )


def _with_learnt(conditions: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """Add, under `LEARNT`, what a method knows of itself only once it has seen the data, such as sizes."""
    learnt = dict(conditions.get(LEARNT, {}))
    for name, value in described.items():
        if conditions.get(name) != value:
            learnt[name] = {**learnt.get(name, {}), **value} if isinstance(value, dict) else value
    return {**conditions, LEARNT: learnt} if learnt else conditions


def _skipped(result: SequenceResult, reason: str) -> SequenceResult:
    log.warning("%s %s is skipped: %s", result.dataset, result.name, reason)
    return replace(result, skipped=reason)


def _skip_reason(sequence: EvalSequence, frame: EvalFrame, protocol: Protocol) -> str:
    if protocol.range_m is not None and frame.mask.any():
        return f"frame {frame.name} has no depth in {protocol.range_m[0]:g} … {protocol.range_m[1]:g} m"
    return f"frame {frame.name} {sequence.explain(frame)}"


def _title(sequence: EvalSequence) -> str:
    return f"{sequence.dataset} {sequence.name}"


def _miscounted(method: Method, sequence: EvalSequence, predicted: str) -> str:
    return (
        f"{method.name} on {_title(sequence)}: {predicted} frames are predicted, and the sequence has {sequence.count}"
    )


@contextmanager
def _naming(method: Method, sequence: EvalSequence, where: str = "") -> Iterator[None]:
    """Name the method and the sequence in an InputError about a prediction."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{method.name} on {_title(sequence)}{where}: {error}") from error


def _seam_values(seam: Seam) -> dict[str, float]:
    """Return the finite values of a seam, such as its error before and after alignment (Fig. 6)."""
    values = {
        **{"start": seam.start, "stop": seam.stop, "scale": seam.scale, "shift": seam.shift, "r2": seam.r2},
        "change": seam.change,
        **{"error_before": seam.error_before, "error_after": seam.error_after, "trusted": float(seam.trusted)},
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _seam_means(seams: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the seam errors before and after alignment, each the mean over the seams that have it (Fig. 6)."""
    known = {name: [seam[name] for seam in seams if name in seam] for name in ("error_before", "error_after")}
    return {f"seam_{name}": float(np.mean(values)) for name, values in known.items() if values}


class _Clock:
    """Adds up the seconds that a method takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timing(self, chunks: Iterable[NDArray]) -> Iterator[NDArray]:
        iterator = iter(chunks)
        while True:
            start = time.perf_counter()
            chunk = next(iterator, None)
            self.seconds += time.perf_counter() - start
            if chunk is None:
                return
            yield chunk

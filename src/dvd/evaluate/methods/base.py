"""One interface for everything that predicts depth: ours, other people's, predictions on disk, and trivial priors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from numpy.typing import NDArray

from dvd.evaluate.sequences import EvalSequence
from dvd.names import Space


class Method(Protocol):
    """Predicts a sequence, chunk by chunk, in bounded memory."""

    name: str
    space: Space
    """Whether `predict` gives disparity (larger is nearer) or depth."""

    def describe(self) -> dict[str, Any]:
        """What a report must state of it: model, commit or version, device, dtype, size, window, overlap, τ …"""
        ...

    def predict(self, sequence: EvalSequence) -> Iterator[NDArray]:
        """Chunks `T H W` float32 in order, of the size of the sequence's frames, all frames exactly once.

        InputError where the prediction does not fit the sequence: frame count, size.
        """
        ...

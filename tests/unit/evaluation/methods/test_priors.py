"""After alignment, a prior is the best of its kind."""

from pathlib import Path

import numpy as np
import pytest
from eval_tree import SIZE, depth_mm, write_recording

from dvd.errors import OptionError
from dvd.evaluation.benchmark import evaluate
from dvd.evaluation.methods.priors import Prior
from dvd.evaluation.protocol import Protocol
from dvd.evaluation.sequences import open_sequences


def truth_m(frames: int) -> np.ndarray:
    """Depth of all rows but the last, which is unknown."""
    return np.stack([depth_mm(frame)[:-1] / 1000 for frame in range(frames)])


@pytest.mark.parametrize("name", ["constant", "row"])
def test_a_prior_is_the_best_of_its_kind(tmp_path: Path, name: str) -> None:
    sequences = open_sequences("rgbd", write_recording(tmp_path / "data", frames=5))
    found = evaluate(Prior(name), sequences, Protocol("p", metrics=("abs_rel",)), tmp_path / "run").sequences[0]
    truth = truth_m(5)
    rows = np.broadcast_to(np.arange(SIZE[0] - 1.0)[:, None], truth.shape[1:])
    source = np.broadcast_to(rows if name == "row" else np.zeros_like(rows), truth.shape)
    design = np.stack([source.ravel(), np.ones(source.size)], axis=1)
    best = np.linalg.lstsq(design, 1 / truth.ravel(), rcond=None)[0]
    depth = np.clip(1 / np.maximum(design @ best, 1e-3), 1e-3, 80).reshape(truth.shape)
    assert found.metrics["abs_rel"] == pytest.approx(np.mean(np.abs(depth - truth) / truth), rel=1e-5)


def test_chunks_are_small_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvd.evaluation.methods.priors.CHUNK_BYTES", 2 * 4 * SIZE[0] * SIZE[1])
    sequence = open_sequences("rgbd", write_recording(tmp_path, frames=5))[0]
    chunks = list(Prior("row").predict(sequence))
    assert [len(chunk) for chunk in chunks] == [2, 2, 1]
    assert all(chunk.dtype == np.float32 and (np.diff(chunk, axis=1) > 0).all() for chunk in chunks)


def test_an_unknown_prior_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="did you mean row"):
        Prior("rows")

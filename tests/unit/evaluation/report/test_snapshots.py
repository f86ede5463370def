"""Frames that are worth a look: which, how they are kept, and their pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eval_tree import Known, depth_mm, write_recording
from PIL import Image

from dvd.errors import InputError, OutputError
from dvd.evaluation.benchmark import evaluate
from dvd.evaluation.protocol import Protocol
from dvd.evaluation.report import snapshots
from dvd.evaluation.report.snapshots import (
    ERROR_MAP,
    UNKNOWN,
    WIDEST,
    Snapshot,
    Worst,
    candidates,
    gradient,
    strip,
    usual_frame,
    worst_frames,
    worth_a_look,
)
from dvd.evaluation.results import Results, SequenceResult
from dvd.evaluation.sequences import open_sequences
from dvd.export.display import table


def scored(name: str, values: list[float | None], metric: str = "abs_rel") -> SequenceResult:
    return SequenceResult(name, "bonn", len(values), per_frame={metric: values})


def results(*sequences: SequenceResult) -> Results:
    return Results("ours", {}, {}, sequences)


def test_the_worst_frames_by_hand() -> None:
    skipped = replace(scored("c", [5.0, 5.0]), skipped="no depth")
    found = results(scored("a", [0.1, 0.9, None, 0.8]), scored("b", [0.2, 0.3]), skipped)
    assert worst_frames(found) == [Worst("bonn", "a", 1, 0.9), Worst("bonn", "b", 1, 0.3)]
    assert [(w.sequence, w.frame) for w in worst_frames(found, count=3, per_sequence=2)] == [
        ("a", 1),
        ("a", 3),
        ("b", 1),
    ]
    better_high = results(scored("a", [0.9, 0.4], "delta1"), scored("b", [0.3, 0.5], "delta1"))
    assert [w.value for w in worst_frames(better_high, "delta1")] == [0.3, 0.4]


def test_the_usual_frame_has_the_median_of_the_known_values() -> None:
    assert usual_frame([0.9, None, 0.1, 0.2]) == 3
    assert usual_frame([0.4, 0.3, float("nan"), 0.2, 0.1]) == 3
    assert usual_frame([None, None]) is None
    assert candidates([0.9, None, 0.1, 0.2]) == [0, 3]
    assert candidates([0.5]) == [0]
    assert candidates([]) == []


def test_the_worst_come_first_and_single_images_have_no_usual_frame() -> None:
    found = results(scored("a", [0.1, 0.2, 0.3]), scored("b", [0.9]), scored("c", [0.4, 0.5, 0.6]))
    assert list(worth_a_look(found)) == [
        ("bonn", "b", 0),
        ("bonn", "c", 2),
        ("bonn", "a", 2),
        ("bonn", "a", 1),
        ("bonn", "c", 1),
    ]


@pytest.mark.slow
def test_an_evaluation_keeps_only_frames_that_are_worth_a_look(tmp_path: Path) -> None:
    def worse(depth_m: np.ndarray, frame: int) -> np.ndarray:
        noise = np.random.default_rng(frame).uniform(0.9 - frame / 10, 1.1 + frame / 10, depth_m.shape)
        return noise / depth_m

    data = tmp_path / "data"
    for number in range(10):
        write_recording(data, f"s{number}", frames=3)
    protocol = Protocol("p", metrics=("abs_rel",), range_m=(1, 5))
    found = evaluate(Known(worse), open_sequences("rgbd", data), protocol, tmp_path / "run")
    kept = list(snapshots.load(tmp_path / "run", found))
    assert len(kept) == len(worth_a_look(found)) == len(list((tmp_path / "run").rglob("*.npz")))
    assert [snapshot.frame for snapshot in kept] == [2] * 8 + [1] * 10
    first = kept[0]
    assert first.abs_rel == pytest.approx(max(one.metrics["abs_rel"] for one in found.sequences), rel=0.5)
    truth = depth_mm(2) / 1000
    counts = (truth >= 1) & (truth <= 5)
    counts[-1] = False
    np.testing.assert_array_equal(np.isfinite(first.truth), counts)
    np.testing.assert_allclose(first.truth[counts], truth[counts], rtol=5e-4)
    shown = np.mean(np.abs(first.predicted - first.truth)[counts] / first.truth[counts])
    assert first.abs_rel == pytest.approx(shown, rel=1e-3)


def test_large_frames_are_kept_as_wide_as_a_page_shows_them(tmp_path: Path) -> None:
    wide = np.linspace(1, 2, 3 * WIDEST, dtype=np.float32)[None].repeat(6, 0)
    rgb = np.zeros((*wide.shape, 3), np.uint8)
    snapshots.keep(tmp_path, Snapshot(rgb, wide, wide, "bonn", "scene/1", 0, abs_rel=0.25))
    (kept,) = snapshots.load(tmp_path, results(scored("scene/1", [0.25])))
    assert kept.truth.shape == kept.rgb.shape[:2] == (2, WIDEST)
    assert (kept.abs_rel, kept.sequence, kept.method) == (0.25, "scene/1", "ours")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "frames").write_text("a file in the way")
    ones = np.ones((2, 2), np.float32)
    with pytest.raises(OutputError, match="frames"):
        snapshots.keep(tmp_path, Snapshot(np.zeros((2, 2, 3), np.uint8), ones, ones, "bonn", "a", 0))


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    ones = np.ones((2, 2), np.float32)
    snapshots.keep(tmp_path, Snapshot(np.zeros((2, 2, 3), np.uint8), ones, ones, "bonn", "a", 0))
    (path,) = tmp_path.rglob("*.npz")
    whole = path.read_bytes()
    for part in (b"", b"x", whole[: len(whole) // 2]):
        path.write_bytes(part)
        with pytest.raises(InputError, match=r"0\.npz: cannot be read .* remove it"):
            list(snapshots.load(tmp_path, results(scored("a", [0.25]))))


def opened(address: str) -> np.ndarray:
    kind, _, data = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def snapshot(predicted: np.ndarray, truth: np.ndarray) -> Snapshot:
    return Snapshot(np.full((*truth.shape, 3), 7, np.uint8), predicted, truth, "bonn", "x", 0)


def test_errors_are_relative_and_their_mean_is_over_known_pixels() -> None:
    truth = np.array([[1.0, 2.0, np.nan, 4.0]])
    s = strip(snapshot(np.array([[1.1, 2.0, 5.0, 5.2]]), truth))
    assert s.abs_rel == pytest.approx((0.1 + 0 + 0.3) / 3)
    error = opened(s.error)[0]
    colours = table(ERROR_MAP)
    assert error[0].tolist() == colours[85].tolist()
    assert error[1].tolist() == colours[0].tolist()
    assert error[2].tolist() == [round(255 * UNKNOWN)] * 3
    assert error[3].tolist() == colours[254].tolist()


def test_prediction_and_truth_share_one_scale() -> None:
    truth = np.linspace(1, 5, 400).reshape(20, 20)
    same = strip(snapshot(truth.copy(), truth))
    assert np.array_equal(opened(same.predicted), opened(same.truth))
    assert not np.array_equal(opened(strip(snapshot(truth * 2, truth)).predicted), opened(same.truth))
    assert 1 < same.nearest_m < same.farthest_m < 5


def test_zero_is_an_unknown_depth() -> None:
    truth = np.ones((2, 2))
    truth[0, 0] = 0
    s = strip(snapshot(np.ones((2, 2)), truth))
    assert opened(s.truth)[0, 0].tolist() == [round(255 * UNKNOWN)] * 3
    assert s.abs_rel == 0


def test_large_frames_are_made_smaller_in_proportion() -> None:
    truth = np.ones((300, 1000))
    s = strip(snapshot(truth, truth))
    assert {opened(each).shape for each in (s.rgb, s.predicted, s.truth, s.error)} == {(120, WIDEST, 3)}
    assert (opened(s.rgb) == 7).all()


def test_arrays_of_different_sizes_or_without_truth_are_refused() -> None:
    with pytest.raises(ValueError, match="must be H W"):
        strip(snapshot(np.ones((2, 3)), np.ones((2, 2))))
    with pytest.raises(ValueError, match="measured depth"):
        strip(snapshot(np.ones((2, 2)), np.full((2, 2), np.nan)))


def test_a_gradient_runs_from_low_to_high() -> None:
    text = gradient(ERROR_MAP)
    ends = ["#" + bytes(colour.tolist()).hex() for colour in table(ERROR_MAP)[[0, 255]]]
    assert text.startswith(f"linear-gradient(to right,{ends[0]}")
    assert text.endswith(f"{ends[1]})")

"""The story end to end on tiny recordings whose answer is known: fits, wander, time, skipping, resuming, bad input."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from eval_tree import SIZE, Answer, Known, depth_mm, write_mask, write_recording, write_sintel

from dvd import metrics
from dvd.errors import InputError, OptionError
from dvd.evaluation import benchmark
from dvd.evaluation.benchmark import PREDICTIONS, RESULTS, evaluate
from dvd.evaluation.protocol import Protocol
from dvd.evaluation.report.snapshots import FRAMES
from dvd.evaluation.results import SequenceResult, read
from dvd.evaluation.sequences import EvalSequence, open_sequences
from dvd.types import Seam

PAPER = Protocol("paper")
ABS_REL = Protocol("p", metrics=("abs_rel", "delta1"))


def exact(depth_m: np.ndarray, frame: int) -> np.ndarray:
    """Affine disparity of the truth: one scale and shift for all frames bring it back."""
    return 0.5 / depth_m + 0.3


def drifting(depth_m: np.ndarray, frame: int) -> np.ndarray:
    """Perfect in each frame, of another scale in each."""
    return exact(depth_m, frame) * (1 + 0.2 * frame)


def noisy(depth_m: np.ndarray, frame: int) -> np.ndarray:
    return exact(depth_m, frame) * np.random.default_rng(frame).uniform(0.7, 1.4, depth_m.shape)


def truth(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Depth `T H W` in metres, and where it is known."""
    depth = np.stack([depth_mm(frame) / 1000 for frame in range(frames)]).astype(np.float32)
    mask = np.ones(depth.shape, bool)
    mask[:, -1] = False
    return depth, mask


def run(tmp_path: Path, method: Known, protocol: Protocol = ABS_REL, frames: int = 4, **options: Any):
    sequences = open_sequences("rgbd", write_recording(tmp_path / "data", frames=frames))
    return evaluate(method, sequences, protocol, tmp_path / "run", **options)


def test_an_affine_prediction_is_recovered_by_one_scale_and_shift(tmp_path: Path) -> None:
    found = run(tmp_path, Known(exact), PAPER).sequences[0]
    assert (found.scale, found.shift) == pytest.approx((2.0, -0.6), rel=1e-4)
    assert found.metrics["abs_rel"] < 1e-5
    assert found.metrics["delta1"] == 1
    assert found.metrics["si_boundary_f1"] == pytest.approx(1, abs=1e-3)
    assert found.metrics["relative_temporal_difference"] < 1e-3
    assert "temporal_alignment_error" not in found.metrics, "there are no poses"
    assert "flow_warping_error" not in found.metrics, "there is no flow"
    assert found.frames == 4
    assert all(len(values) == 4 for values in found.per_frame.values())
    assert found.per_frame["relative_temporal_difference"][0] is None


def test_every_metric_equals_that_of_the_whole_clip(tmp_path: Path) -> None:
    """Frame by frame from the disk, or all at once in memory: the same numbers."""
    found = run(tmp_path, Known(noisy), PAPER, frames=5).sequences[0].metrics
    depth, mask = truth(5)
    disparity = np.stack([noisy(np.where(m, d, 1), i) for i, (d, m) in enumerate(zip(depth, mask, strict=True))])
    aligned = metrics.align(disparity.astype(np.float32), depth, mask, (1e-3, 80))
    for name in metrics.ACCURACY:
        assert found[name] == pytest.approx(getattr(metrics, name)(aligned, depth, mask), rel=1e-6), name
    rgb = np.stack([np.random.default_rng(i).integers(0, 255, (*SIZE, 3)).astype(np.uint8) for i in range(5)])
    for name, value in metrics.rgb_boundary(aligned.astype(np.float32), rgb, mask).items():
        assert found[f"rgb_boundary_{name}"] == pytest.approx(value), name
    difference = metrics.relative_temporal_difference(aligned, depth, mask)
    assert found["relative_temporal_difference"] == pytest.approx(difference, rel=1e-6)


def test_wander_is_abs_rel_per_clip_over_abs_rel_per_frame(tmp_path: Path) -> None:
    steady, wandering = (run(tmp_path / n, Known(a)).sequences[0] for n, a in (("a", noisy), ("b", drifting)))
    assert steady.metrics["wander"] == pytest.approx(1, abs=0.02)
    assert wandering.metrics["wander"] > 1e3
    assert wandering.metrics["abs_rel_per_frame"] < 1e-5
    assert wandering.metrics["abs_rel_per_clip"] == wandering.metrics["abs_rel"] > 0.05
    ratios = np.array(wandering.per_frame["frame_scale"]) * (1 + 0.2 * np.arange(4))
    np.testing.assert_allclose(ratios, 2, rtol=1e-4)


def test_the_scope_decides_which_fit_counts(tmp_path: Path) -> None:
    results = {
        scope: run(tmp_path / scope, Known(drifting), replace(ABS_REL, scope=scope, window=1)).sequences[0]
        for scope in ("clip", "frame", "first-window")
    }
    assert results["frame"].metrics["abs_rel"] < 1e-5
    assert (results["frame"].scale, results["frame"].shift) == (None, None)
    first = results["first-window"]
    assert (first.scale, first.shift) == pytest.approx((2.0, -0.6), rel=1e-4)
    assert first.per_frame["abs_rel"][0] < 1e-5 < 0.05 < first.per_frame["abs_rel"][3]
    assert results["clip"].metrics["abs_rel"] < first.metrics["abs_rel"]


@pytest.mark.parametrize("fit", ["scale", "median"])
def test_a_fit_of_scale_alone_leaves_a_shift(tmp_path: Path, fit: str) -> None:
    pure = run(tmp_path / "a", Known(lambda d, _: 0.5 / d), replace(ABS_REL, fit=fit)).sequences[0]
    shifted = run(tmp_path / "b", Known(exact), replace(ABS_REL, fit=fit)).sequences[0]
    assert pure.metrics["abs_rel"] < 1e-4
    assert (pure.scale, pure.shift) == pytest.approx((2.0, 0), rel=1e-4)
    assert shifted.metrics["abs_rel"] > 0.05


def test_predictions_of_the_other_space_are_inverted(tmp_path: Path) -> None:
    for space, protocol_space in (("depth", "disparity"), ("disparity", "depth")):
        method = Known(lambda d, _: 3 * d if space == "depth" else 3 / d, space=space)  # noqa: B023
        found = run(tmp_path / space, method, replace(ABS_REL, space=protocol_space)).sequences[0]
        assert found.metrics["abs_rel"] < 1e-5, space
    depth = run(tmp_path / "c", Known(lambda d, _: 3 * d + 1, space="depth"), replace(ABS_REL, space="depth"))
    assert depth.sequences[0].metrics["abs_rel"] < 1e-5


def test_a_sequence_with_an_empty_frame_is_skipped_or_only_that_frame(tmp_path: Path) -> None:
    data = write_recording(tmp_path / "data", "a", frames=7, empty=(4,))
    sequences = open_sequences("rgbd", write_recording(data, "b", frames=3))
    found = evaluate(Known(exact), sequences, ABS_REL, tmp_path / "run").sequences
    assert [one.skipped for one in found] == ["frame 00004 has no pixel of known depth", None]
    assert found[0].metrics == {}
    lenient = evaluate(Known(exact), sequences, replace(ABS_REL, skip="frame"), tmp_path / "lenient").sequences[0]
    assert lenient.skipped is None
    assert lenient.metrics["abs_rel"] < 1e-5
    assert [value is None for value in lenient.per_frame["abs_rel"]] == [False] * 4 + [True] + [False] * 2


def test_wrong_units_are_named_with_the_likely_ones(tmp_path: Path) -> None:
    data = write_recording(tmp_path / "data")
    sequences = open_sequences("rgbd", data, per_metre=1)
    found = evaluate(Known(exact), sequences, ABS_REL, tmp_path / "run").sequences[0]
    assert found.skipped is not None
    assert "is it stored in 1000 units a metre, not 1?" in found.skipped
    narrowed = replace(ABS_REL, range_m=(20.0, 30.0))
    found = evaluate(Known(exact), open_sequences("rgbd", data), narrowed, tmp_path / "narrow").sequences[0]
    assert found.skipped == "frame 00000 has no depth in 20 … 30 m"


def test_a_narrower_range_leaves_out_pixels(tmp_path: Path) -> None:
    found = run(tmp_path, Known(noisy), replace(ABS_REL, range_m=(1.0, 3.0)))
    depth, mask = truth(4)
    disparity = np.stack([noisy(np.where(m, d, 1), i) for i, (d, m) in enumerate(zip(depth, mask, strict=True))])
    mask &= (depth >= 1) & (depth <= 3)
    aligned = metrics.align(disparity.astype(np.float32), depth, mask, (1, 3))
    assert found.sequences[0].metrics["abs_rel"] == pytest.approx(metrics.abs_rel(aligned, depth, mask), rel=1e-6)


def test_only_the_first_frames_and_sequences_count(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("a", "b", "c"):
        write_recording(data, name, frames=5, empty=(3,))
    found = evaluate(
        Known(exact), open_sequences("rgbd", data), replace(ABS_REL, frames=2, sequences=2), tmp_path / "run"
    )
    assert [(one.name, one.frames, one.skipped) for one in found.sequences] == [("a", 2, None), ("b", 2, None)]


def test_an_interrupted_run_continues(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("a", "b", "c"):
        write_recording(data, name)
    sequences = open_sequences("rgbd", data)

    def broken(depth_m: np.ndarray, frame: int) -> np.ndarray:
        if len(method.asked) == 2 and frame == 3:
            raise KeyboardInterrupt
        return exact(depth_m, frame)

    method = Known(broken)
    with pytest.raises(KeyboardInterrupt):
        evaluate(method, sequences, ABS_REL, tmp_path / "run")
    assert [one.name for one in read(tmp_path / "run" / RESULTS).sequences] == ["a"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [FRAMES, RESULTS]
    method = Known(exact)
    resumed = evaluate(method, sequences, ABS_REL, tmp_path / "run")
    assert method.asked == ["b", "c"]
    whole = evaluate(Known(exact), sequences, ABS_REL, tmp_path / "whole")
    assert [replace(one, seconds=0) for one in resumed.sequences] == [replace(o, seconds=0) for o in whole.sequences]
    assert read(tmp_path / "run" / RESULTS) == replace(resumed, protocol=read(tmp_path / "run" / RESULTS).protocol)


def test_a_folder_with_another_evaluation_is_refused(tmp_path: Path) -> None:
    run(tmp_path, Known(exact))
    with pytest.raises(OptionError, match="scope 'clip' then, 'frame' now\\); choose another output folder"):
        run(tmp_path, Known(exact), replace(ABS_REL, scope="frame"))
    with pytest.raises(OptionError, match="commit None then, 'b' now"):
        run(tmp_path, Known(exact), conditions={"commit": "b"})
    with pytest.raises(OptionError, match="holds another evaluation"):
        run(tmp_path, Known(exact, name="other"))


def test_a_run_resumes_though_its_method_learnt_conditions_from_the_data(tmp_path: Path) -> None:
    data = write_recording(write_recording(tmp_path / "data", "a"), "b")
    sequences = open_sequences("rgbd", data)
    for last in (1, 2):
        method = Known(exact)
        method.stated["resized"] = {}

        def tell(depth_m: np.ndarray, frame: int, method: Known = method) -> np.ndarray:
            method.stated["resized"] = {method.asked[-1]: "24x32"}
            return exact(depth_m, frame)

        method.answer = tell
        found = evaluate(method, sequences[:last], ABS_REL, tmp_path / "run")
    assert found.conditions["resized"] == {}
    assert found.conditions["learnt from the data"] == {"resized": {"a": "24x32", "b": "24x32"}}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda d, i: np.where(d > 2, np.nan, d), "known on rgbd office, frame 00000: the prediction is not finite"),
        (lambda d, i: np.full_like(d, np.inf) if i == 2 else d, "frame 00002: the prediction is not finite"),
        (lambda d, i: d[:, :20], "the prediction is 20 × 24, the frames 32 × 24"),
        (lambda d, i: np.zeros_like(d), "known on rgbd office: no pixel has both"),
        (lambda d, i: d[0], "the prediction is 32, the frames 32 × 24"),
    ],
)
def test_a_prediction_that_cannot_be_measured_is_named(tmp_path: Path, answer: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        run(tmp_path, Known(answer))
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "run").iterdir()) == []


def test_other_numbers_of_frames_are_refused(tmp_path: Path) -> None:
    class Cut(Known):
        def predict(self, sequence):
            yield from list(super().predict(sequence))[:-1]

    class Long(Known):
        def predict(self, sequence):
            yield from super().predict(sequence)
            yield np.ones((2, *SIZE), np.float32)

    with pytest.raises(InputError, match="3 frames are predicted, and the sequence has 4"):
        run(tmp_path / "a", Cut(exact))
    with pytest.raises(InputError, match="more than 4 frames are predicted"):
        run(tmp_path / "b", Long(exact))


def test_nan_predictions_without_truth_are_ignored(tmp_path: Path) -> None:
    def answer(depth_m: np.ndarray, frame: int) -> np.ndarray:
        predicted = exact(depth_m, frame)
        predicted[-1] = np.nan
        return predicted

    assert run(tmp_path, Known(answer), PAPER).sequences[0].metrics["abs_rel"] < 1e-5


def test_kept_predictions_equal_the_predictions(tmp_path: Path) -> None:
    run(tmp_path, Known(exact), keep=True)
    kept = np.load(tmp_path / "run" / PREDICTIONS / "rgbd" / "office.npy")
    depth, mask = truth(4)
    np.testing.assert_allclose(kept[mask], exact(depth, 0)[mask], rtol=1e-6)
    assert kept.dtype == np.float32
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [FRAMES, PREDICTIONS, RESULTS]


def test_poses_give_the_temporal_alignment_error(tmp_path: Path) -> None:
    """Virtual flights have poses: without motion, an error is what the depth itself changes."""
    data = tmp_path / "room" / "Easy" / "P000"
    for frame in range(3):
        (data / "image_left").mkdir(parents=True, exist_ok=True)
        (data / "depth_left").mkdir(parents=True, exist_ok=True)
        from PIL import Image

        Image.new("RGB", SIZE[::-1], (frame, 0, 0)).save(data / "image_left" / f"{frame:06d}_left.png")
        depth = np.linspace(2, 4, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
        np.save(data / "depth_left" / f"{frame:06d}_left_depth.npy", depth)
    (data / "pose_left.txt").write_text("0 0 0 0 0 0 1\n" * 3)
    sequences = open_sequences("tartanair", tmp_path)
    protocol = Protocol("p", metrics=("temporal_alignment_error",), scope="first-window", window=1)
    steady = evaluate(Known(exact), sequences, protocol, tmp_path / "a").sequences[0]
    assert steady.metrics["temporal_alignment_error"] < 1e-6
    pulsing = Known(lambda d, i: 1 / (d * (1.1 if i == 1 else 1)))
    found = evaluate(pulsing, sequences, protocol, tmp_path / "b").sequences[0]
    both_ways = (0.1 + (1 - 1 / 1.1)) / 2
    assert found.per_frame["temporal_alignment_error"][1:] == pytest.approx([both_ways] * 2, rel=1e-4)


OPW = Protocol("p", metrics=("flow_warping_error",), scope="first-window", window=1)


def warped(root: Path, answer: Answer = exact) -> SequenceResult:
    return evaluate(Known(answer), open_sequences("sintel", root), OPW, root / "run").sequences[0]


@pytest.mark.slow
def test_flow_gives_the_warping_error(tmp_path: Path) -> None:
    """Depth that stays where it is while flow says (3, −2) changes by 3 × 0.01 − 2 × 0.02 m along it."""
    y, x = np.mgrid[:240, :320]
    ramp = 5 + 0.01 * x + 0.02 * y
    ahead, hidden = np.where(y < 100, ramp - 1, ramp), y < 100
    training = write_sintel(tmp_path, [ramp, ahead, ramp], np.full((240, 320, 2), (3.0, -2.0)))
    found = warped(tmp_path)
    assert found.per_frame["flow_warping_error"][0] is None
    assert found.metrics["flow_warping_error"] > 0.3
    for number in (1, 2):
        write_mask(training / "occlusions" / "alley_1" / f"frame_{number:04d}.png", hidden | (y < 102))
    (tmp_path / "run" / RESULTS).unlink()
    assert warped(tmp_path).per_frame["flow_warping_error"] == [None, *[pytest.approx(0.01, rel=1e-3)] * 2]


@pytest.mark.slow
def test_the_warping_error_is_that_of_the_prediction(tmp_path: Path) -> None:
    write_sintel(tmp_path, [np.linspace(3.9, 4.1, 24 * 32).reshape(24, 32)] * 3, np.zeros((24, 32, 2)))
    found = warped(tmp_path, lambda d, i: 1 / (d * (1.1 if i == 1 else 1)))
    assert found.per_frame["flow_warping_error"] == [None, *[pytest.approx(0.4, rel=1e-3)] * 2]
    assert found.metrics["flow_warping_error"] == pytest.approx(0.4, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "most"), [((480, 640), 1e-4), ((240, 320), 5e-3)])
def test_a_slanted_wall_that_a_camera_passes_does_not_err(size: tuple[int, int], most: float, tmp_path: Path) -> None:
    """The camera moves along its own image plane, so every point keeps its depth and goes by −f · step / depth.

    Where the frame is resized, a pixel's depth is that of up to half a stored pixel beside it.
    """
    focal, step = 0.9 * size[1], np.array([0.11, -0.06])
    rays = (np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), -1) - [size[1] / 2, size[0] / 2]) / focal
    slope = np.array([-0.4, 0.3])
    first, second = ((4 + slope @ place) / (1 - rays @ slope) for place in (0 * step, step))
    flow = -focal * step / first[..., None]
    write_sintel(tmp_path / "right", [first, second], flow)
    write_sintel(tmp_path / "wrong", [first, second], -flow)
    error = warped(tmp_path / "right").metrics["flow_warping_error"]
    assert error < most
    assert warped(tmp_path / "wrong").metrics["flow_warping_error"] > 10 * error


def test_seams_keep_their_finite_values(tmp_path: Path) -> None:
    class Seamed(Known):
        seams = (
            Seam(3, 5, 0.9, 0.01, 0.98, 0.02, error_before=0.05, error_after=4e-4),
            Seam(6, 8, 0.9, 0.01, math.nan, math.nan, 0.3, 0.2, trusted=False, note="no fit"),
        )

    run(tmp_path, Seamed(exact))
    placed = {"scale": 0.9, "shift": 0.01, "change": 1.0}
    assert read(tmp_path / "run" / RESULTS).sequences[0].seams == [
        {"start": 3, "stop": 5, **placed, "r2": 0.98, "error_before": 0.05, "error_after": 4e-4, "trusted": 1},
        {"start": 6, "stop": 8, **placed, "error_before": 0.3, "error_after": 0.2, "trusted": 0},
    ]


def test_cuts_are_recorded(tmp_path: Path) -> None:
    class Cut(Known):
        cuts = (2,)

    run(tmp_path / "cut", Cut(exact))
    run(tmp_path / "whole", Known(exact))
    cuts = [read(tmp_path / name / "run" / RESULTS).sequences[0].cuts for name in ("cut", "whole")]
    assert cuts == [[2], []]


def test_progress_counts_both_passes(tmp_path: Path) -> None:
    told: list[int] = []
    run(tmp_path, Known(exact), progress=lambda _, done: told.append(done))
    assert told == list(range(1, 9))


def test_asking_later_for_predictions_that_were_not_kept_is_refused(tmp_path: Path) -> None:
    run(tmp_path, Known(exact))
    with pytest.raises(OptionError, match="1 sequences whose predictions were not kept, such as office"):
        run(tmp_path, Known(exact), keep=True)
    run(tmp_path / "other", Known(exact), keep=True)
    method = Known(exact)
    run(tmp_path / "other", method, keep=True)
    assert method.asked == []


def test_a_negative_scale_of_saved_predictions_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No file says what it holds, and depth that is taken for disparity fits too, with the sign turned."""
    run(tmp_path / "right", Known(exact, stated={"kind": "saved predictions"}))
    assert not caplog.records
    run(tmp_path / "wrong", Known(lambda d, i: d, stated={"kind": "saved predictions"}))
    assert "known on rgbd office decreases where the truth increases, the fitted scale is negative" in caplog.text
    caplog.clear()
    run(tmp_path / "prior", Known(lambda d, i: d, stated={"kind": "prior"}))
    assert not caplog.records


def test_results_are_not_written_after_every_short_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing that takes as long as ten sequences is done after every two hundred, and at the end in any case."""
    moment, asked = [0.0], list[int]()
    monkeypatch.setattr(benchmark.time, "monotonic", lambda: moment[0])
    monkeypatch.setattr(benchmark.results, "write", lambda found, _: (asked.append(len(found.sequences)), pass_(10)))
    monkeypatch.setattr(benchmark.snapshots, "prune", lambda *_: None)

    def pass_(seconds: float) -> None:
        moment[0] += seconds

    def measure(_method: Known, sequence: EvalSequence, *_: Any) -> SequenceResult:
        pass_(1)
        if sequence.name == "last":
            raise KeyboardInterrupt
        return SequenceResult(sequence.name, sequence.dataset, 1)

    monkeypatch.setattr(benchmark, "_measure", measure)
    sequences = [SimpleNamespace(name=str(i), dataset="d", count=1) for i in range(450)]
    sequences.append(SimpleNamespace(name="last", dataset="d", count=1))
    with pytest.raises(KeyboardInterrupt):
        evaluate(Known(exact), sequences, ABS_REL, tmp_path / "run")  # type: ignore[arg-type]
    assert asked == [1, 201, 401, 450]

"""Paired differences by hand, intervals whose distribution is known, and what is refused."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from dvd.errors import OptionError
from dvd.evaluation.protocol import PROTOCOLS
from dvd.evaluation.report.compare import bootstrap_means, by_dataset, compare, describe
from dvd.evaluation.results import Results, SequenceResult, read, write


def sequence(name: str, frames: list[float | None], dataset: str = "bonn", metric: str = "abs_rel") -> SequenceResult:
    known = [value for value in frames if value is not None]
    return SequenceResult(
        name, dataset, len(frames), metrics={metric: sum(known) / len(known)}, per_frame={metric: frames}
    )


def results(*sequences: SequenceResult, method: str = "a", **conditions: object) -> Results:
    return Results(method, {"size": (192, 256), **conditions}, asdict(PROTOCOLS["paper"]), sequences)


A = results(sequence("x", [0.1, 0.3]), sequence("y", [0.2, 0.2, 0.2, 0.2]), sequence("only a", [0.5]))
B = results(sequence("x", [0.2, 0.6]), sequence("y", [0.2, 0.2, 0.2, 0.1]), sequence("only b", [0.5]), method="b")


def test_differences_and_wins_by_hand() -> None:
    found = compare(A, B)
    assert [(sequence.name, sequence.difference) for sequence in found.shared] == [
        ("x", pytest.approx(0.2)),
        ("y", pytest.approx(-0.025)),
    ]
    assert found.shared[0].frames == pytest.approx((0.1, 0.3))
    assert found.sequences.mean == pytest.approx(0.0875)
    assert (found.sequences.better_a, found.sequences.better_b, found.sequences.equal) == (1, 1, 0)
    assert found.frames is not None
    assert found.frames.mean == pytest.approx((0.1 + 0.3 - 0.1) / 6)
    assert (found.frames.count, found.frames.better_a, found.frames.better_b, found.frames.equal) == (6, 2, 1, 3)
    assert found.left_out == 2


def test_the_other_way_round_is_the_negative() -> None:
    one, other = compare(A, B).sequences, compare(B, A).sequences
    assert other.mean == pytest.approx(-one.mean)
    assert (other.low, other.high) == (pytest.approx(-one.high), pytest.approx(-one.low))
    assert (other.better_a, other.better_b) == (one.better_b, one.better_a)


def test_the_interval_of_two_sequences_is_known() -> None:
    """Means of resamples are the one, the other and their mean with probabilities ¼, ¼ and ½."""
    wide, narrow = compare(A, B).sequences, compare(A, B, level=0.4).sequences
    assert (wide.low, wide.high) == (pytest.approx(-0.025), pytest.approx(0.2))
    assert (narrow.low, narrow.high) == (pytest.approx(0.0875), pytest.approx(0.0875))


def test_frames_are_resampled_with_their_sequence() -> None:
    """One frame that differs by 1 beside three that do not: resamples of sequences give 0, ¼ and 1, never ½."""
    one = results(sequence("x", [0.0]), sequence("y", [0.0] * 3))
    other = results(sequence("x", [1.0]), sequence("y", [0.0] * 3), method="b")
    narrow = compare(one, other, level=0.4).frames
    assert narrow is not None
    assert (narrow.mean, narrow.low, narrow.high) == (0.25, 0.25, 0.25)
    wide = compare(one, other).frames
    assert wide is not None
    assert (wide.low, wide.high) == (0, 1)


def test_resamples_have_the_moments_of_the_bootstrap() -> None:
    values = np.random.default_rng(1).normal(size=40)
    means = bootstrap_means(values, np.ones(40), 20_000, seed=0)
    assert means.shape == (20_000,)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / 40**0.5, rel=0.03)


@pytest.mark.slow
def test_the_seed_decides_and_many_sequences_are_resampled_in_blocks() -> None:
    sums = np.random.default_rng(0).normal(size=3000)
    one, again, other = (bootstrap_means(sums, np.ones(3000), 2000, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len(one) == 2000


def test_wins_are_swapped_for_metrics_where_more_is_better() -> None:
    one = results(sequence("x", [0.9], metric="delta1"), sequence("y", [0.8], metric="delta1"))
    other = results(sequence("x", [0.95], metric="delta1"), sequence("y", [0.8], metric="delta1"), method="b")
    found = compare(one, other, "delta1").sequences
    assert (found.better_a, found.better_b, found.equal) == (0, 1, 1)
    unknown = [
        replace(each, sequences=tuple(replace(s, metrics={"zeal": 1.0}) for s in each.sequences))
        for each in (one, other)
    ]
    assert compare(*unknown, "zeal").sequences.better_a is None


def test_frames_that_one_has_not_scored_are_left_out() -> None:
    found = compare(results(sequence("x", [0.1, None, 0.3])), results(sequence("x", [0.2, 0.2, None]), method="b"))
    assert found.shared[0].frames == pytest.approx((0.1,))


def test_one_sequence_has_no_interval() -> None:
    found = compare(A, B, dataset="bonn")
    assert found.sequences.low is not None
    single = compare(results(A.sequences[0]), results(B.sequences[0], method="b"))
    assert (single.sequences.low, single.sequences.high) == (None, None)
    assert "no interval" in describe(single)


def test_skipped_and_broken_sequences_do_not_count() -> None:
    skipped = replace(B.sequences[0], skipped="no valid pixel")
    broken = replace(B.sequences[1], metrics={"abs_rel": float("nan")})
    assert len(compare(A, replace(B, sequences=(skipped, B.sequences[1]))).shared) == 1
    with pytest.raises(OptionError, match="share no sequence"):
        compare(A, replace(B, sequences=(skipped, broken)))


def test_other_protocols_are_refused_with_their_fields() -> None:
    other = replace(B, protocol={**B.protocol, "scope": "frame", "frames": 300})
    with pytest.raises(OptionError, match="scope clip and frame") as refused:
        compare(A, other)
    assert "frames None and 300" in str(refused.value)
    assert "space" not in str(refused.value)


def test_a_protocol_that_was_read_back_is_the_same(tmp_path) -> None:
    write(B, tmp_path / "results.json")
    assert compare(A, read(tmp_path / "results.json")).sequences == compare(A, B).sequences


def test_sequences_with_different_frames_are_refused() -> None:
    with pytest.raises(OptionError, match="x has 2 frames in a and 3 in b"):
        compare(results(sequence("x", [0.1, 0.2])), results(sequence("x", [0.1, 0.2, 0.3]), method="b"))


def test_nothing_shared_is_explained() -> None:
    with pytest.raises(OptionError, match="share no sequence"):
        compare(A, results(sequence("z", [0.1]), method="b"))
    with pytest.raises(OptionError, match="abs_rel"):
        compare(A, B, "abs_rl")
    with pytest.raises(OptionError, match="bonn"):
        compare(A, B, dataset="bon")
    with pytest.raises(OptionError, match="level"):
        compare(A, B, level=1)


def test_every_data_set_and_all_of_them() -> None:
    more = [sequence("k", [0.4], "kitti"), sequence("l", [0.4], "kitti")]
    found = by_dataset(replace(A, sequences=(*A.sequences, *more)), replace(B, sequences=(*B.sequences, *more)))
    assert list(found) == ["bonn", "kitti", "all"]
    assert found["all"].sequences.count == 4
    assert found["kitti"].sequences.mean == 0
    assert list(by_dataset(A, B)) == ["bonn"]


def test_the_text_states_numbers_in_printed_units_and_what_differs() -> None:
    text = describe(compare(A, replace(B, conditions={"size": (384, 512)})))
    assert "AbsRel↓, × 100: b − a" in text
    assert "20.0 →      40.0  +20.00" in text
    assert "mean difference +8.75" in text
    assert "too few" in text
    assert "2 sequences scored in only one of the two" in text
    assert "Conditions differ: size 192 × 256 → 384 × 512." in text


def test_two_runs_of_one_method_are_told_apart() -> None:
    text = describe(compare(A, replace(B, method="a")))
    assert "a (2) − a" in text
    assert "better: a (2) 1, a 1" in text


def test_other_metrics_of_a_protocol_do_not_matter() -> None:
    fewer = replace(B, protocol={**B.protocol, "metrics": ["abs_rel"]})
    assert compare(A, fewer).sequences == compare(A, B).sequences


def test_a_single_sequence_is_described_without_an_interval() -> None:
    text = describe(compare(results(sequence("x", [0.1])), results(sequence("x", [0.2]), method="b")))
    assert "no interval for one sequence" in text
    assert "bootstrap" not in text
    assert "trust" not in text

"""What an evaluation found goes to a file and comes back; another file is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dvd.errors import InputError, OutputError
from dvd.evaluation.results import Results, SequenceResult, distinct, read, write

FOUND = Results(
    "m",
    {"commit": "abc", "size": [192, 256]},
    {"name": "paper"},
    (
        SequenceResult("a", "bonn", 60, None, 2.0, -0.1, {"abs_rel": 0.1, "wander": 1.5}, {"abs_rel": [0.1, None]}),
        SequenceResult("b", "bonn", 300, metrics={"abs_rel": 0.3}, seams=[{"scale": 1.1}]),
        SequenceResult("c", "bonn", 80, "frame 3 has no pixel of known depth"),
        SequenceResult("d", "tum", 40, metrics={"abs_rel": 0.5}),
    ),
)


def test_results_are_read_back_as_written(tmp_path: Path) -> None:
    write(FOUND, tmp_path / "results.json")
    assert read(tmp_path / "results.json") == FOUND
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_means_are_over_the_sequences_that_count() -> None:
    assert FOUND.datasets == ["bonn", "tum"]
    assert FOUND.mean("bonn") == pytest.approx({"abs_rel": 0.2, "wander": 1.5})
    assert FOUND.mean("bonn", range(50, 201)) == pytest.approx({"abs_rel": 0.1, "wander": 1.5})
    assert FOUND.mean("bonn", range(201, 10**6)) == pytest.approx({"abs_rel": 0.3})
    assert FOUND.mean("tum", range(50, 201)) == {}
    assert replace(FOUND, sequences=()).mean("bonn") == {}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 99}', '{"format": 1, "sequences": [{"x": 1}]}']
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match="name a results"):
        read(tmp_path / "results.json")


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "results.json")


def test_the_file_is_strict_json(tmp_path: Path) -> None:
    write(FOUND, tmp_path / "results.json")
    values = json.loads((tmp_path / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert values["sequences"][0]["per_frame"]["abs_rel"] == [0.1, None]


@pytest.mark.parametrize(
    "change",
    [
        {"frames": "60"},
        {"frames": 60.5},
        {"name": 3},
        {"metrics": [0.1]},
        {"metrics": {"abs_rel": "0.1"}},
        {"per_frame": {"abs_rel": 0.1}},
        {"seams": [1.1]},
        {"skipped": False},
        {"cuts": 3},
        {"cuts": ["3"]},
        {"cuts": [3.5]},
    ],
)
def test_values_of_another_kind_are_refused(tmp_path: Path, change: dict) -> None:
    """`"60" in range(…)` would count for ever."""
    write(FOUND, tmp_path / "results.json")
    values = json.loads((tmp_path / "results.json").read_text())
    values["sequences"][0] |= change
    (tmp_path / "results.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="name a results"):
        read(tmp_path / "results.json")


def test_results_without_cuts_are_read(tmp_path: Path) -> None:
    """Those of version 0.2 and before have no such field."""
    write(FOUND, tmp_path / "results.json")
    values = json.loads((tmp_path / "results.json").read_text())
    for sequence in values["sequences"]:
        del sequence["cuts"]
    (tmp_path / "results.json").write_text(json.dumps(values))
    assert read(tmp_path / "results.json") == FOUND


def test_results_of_one_name_are_told_apart() -> None:
    other = replace(FOUND, method="n")
    assert [one.method for one in distinct([FOUND, other, FOUND, FOUND])] == ["m", "n", "m (2)", "m (3)"]
    assert distinct([FOUND])[0] is FOUND


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file in the way")
    with pytest.raises(OutputError, match=r"out/results\.json: cannot be written"):
        write(FOUND, tmp_path / "out" / "results.json")

"""What an evaluation found goes to a file and comes back; another file is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dvd.errors import InputError
from dvd.evaluate.results import Results, SequenceResult, read, write

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


def test_what_is_written_is_read(tmp_path: Path) -> None:
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

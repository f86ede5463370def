"""The windows of the release's two scripts."""

import json
from pathlib import Path

import pytest

from dvd.windows import windows

PLANS = json.loads((Path(__file__).parent / "values.json").read_text())["windows"]


@pytest.mark.parametrize("case", PLANS)
@pytest.mark.parametrize(("script", "last"), [("demo", "full"), ("benchmark", "short")])
def test_windows_are_those_of_the_release(case: str, script: str, last) -> None:
    count, window, overlap = map(int, case.split(","))
    planned = [[each.start, each.stop] for each in windows(count, window, overlap, last)]
    assert planned == PLANS[case][script]

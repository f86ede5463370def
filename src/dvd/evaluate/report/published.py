"""The numbers printed in Tables 1–4 of the paper, as data. None was measured here, and every row says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

LABEL = "published"


@dataclass(frozen=True)
class Published:
    """One printed number: `value` in `units` ("× 100" for AbsRel, "1" for a fraction), of `table` 1 to 4.

    `dataset` and `metric` are named as in an evaluation. `boundary_recall` and `boundary_f1` of Table 3 are names of
    their own: the paper does not say whether they are the scale-invariant form that it cites or its release's.
    """

    label: str
    table: int
    method: str
    dataset: str
    metric: str
    value: float
    units: str

    @property
    def source(self) -> str:
        """What stands beside the number in every form of a table."""
        return f"{LABEL}, Table {self.table}"


@cache
def load() -> tuple[Published, ...]:
    """Every number of Tables 1–4, in their order; what the paper leaves out has no row."""
    return tuple(Published(**row) for row in _document()["rows"])


@cache
def titles() -> Mapping[int, str]:
    """The titles of the four tables."""
    return MappingProxyType({int(number): title for number, title in _document()["titles"].items()})


def paper() -> str:
    """The title of the paper."""
    return str(_document()["paper"])


@cache
def _document() -> dict:
    return json.loads(resources.files("dvd.evaluate.report").joinpath("published.json").read_text(encoding="utf-8"))

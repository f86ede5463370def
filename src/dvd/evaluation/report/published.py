"""The numbers printed in Tables 1–4 of the paper, as data. None was measured here, as every row says."""

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
    """One printed number: `value` in `units` ("× 100" for AbsRel, "1" for a fraction), from `table` 1 to 4.

    `dataset` and `metric` are named as in an evaluation. `boundary_recall` and `boundary_f1` occur in Table 3 alone:
    the paper does not say whether they are the scale-invariant scores that it cites or those of its release.
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
        """The source of the number, as every form of a table shows it."""
        return f"{LABEL}, Table {self.table}"


@cache
def load() -> tuple[Published, ...]:
    """Return every number of Tables 1–4, in their order; cells that the paper leaves empty have no entry."""
    return tuple(Published(**row) for row in _document()["rows"])


@cache
def titles() -> Mapping[int, str]:
    """Return the titles of the four tables."""
    return MappingProxyType({int(number): title for number, title in _document()["titles"].items()})


def paper() -> str:
    """Return the title of the paper."""
    return str(_document()["paper"])


@cache
def _document() -> dict:
    return json.loads(resources.files("dvd.evaluation.report").joinpath("published.json").read_text(encoding="utf-8"))

"""What a prediction depends on and how it went: the facts that go into the JSON beside it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from importlib import metadata
from typing import Any

from dvd.types import Seam, Shot


def versions() -> dict[str, str]:
    """Of Python and of every package that has a say in the numbers."""
    import torch

    # A package's metadata leave out which build of torch it is; torch itself knows.
    found = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for package in ("dvd-depth", "numpy", "av"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Record:
    """One input's prediction.

    `size` is the height and width at which frames passed through the network, `source_size` those of the input; `range`
    the least and largest disparity at the network's size, `shot_ranges` the 2 % and 98 % quantiles of each shot; `cuts`
    the first frames of new shots; `shots` how far the scale of each went; `stopped` says why the end was not reached,
    "" where it was. `source_numbers` are the numbers in the names of an image sequence: `first`, `last`, `step` between
    neighbours, and the ranges `missing`; None for other inputs.
    """

    source: str
    model: str
    licence: str
    frames: int
    frame_rate: Fraction
    source_size: tuple[int, int]
    size: tuple[int, int]
    window: int
    overlap: int
    tau: float
    stitch: str
    fit: str
    device: str
    dtype: str
    dtype_reason: str
    range: tuple[float, float]
    shot_ranges: Sequence[tuple[float, float]]
    seams: Sequence[Seam]
    cuts: Sequence[int]
    shots: Sequence[Shot]
    outputs: Sequence[Mapping[str, Any]]
    warnings: Sequence[str] = ()
    stopped: str = ""
    source_numbers: Mapping[str, Any] | None = None
    quantity: str = "disparity, affine-invariant"
    polarity: str = "larger is nearer"
    versions: Mapping[str, str] = field(default_factory=versions)

    def facts(self) -> dict[str, Any]:
        """Plain values, in the order of reading."""
        return {**asdict(self), "frame_rate": str(self.frame_rate)}

"""The facts that go into the JSON beside a prediction: what it depends on and how it went."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from importlib import metadata
from typing import Any

from dvd.types import Seam, Shot


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the numbers depend on."""
    import torch

    # The version in a package's metadata leaves out the build of torch; torch itself states it.
    known = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for package in ("dvd-depth", "numpy", "av"):
        try:
            known[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return known


@dataclass(frozen=True)
class Record:
    """One input's prediction.

    `size`: height and width of the frames in the network; `source_size`: those of the input. `range`: least and largest
    disparity at the network's size; `shot_ranges`: the 2 % and 98 % quantiles of each shot. `cuts`: the first frames of
    new shots; `shots`: how far the scale of each moved. `stopped`: why the end was not reached, "" if it was.
    `source_numbers`: the numbers in the names of an image sequence (`first`, `last`, `step` between neighbours, and the
    ranges `missing`); None for other inputs.
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
        """Return plain values, in the order of reading."""
        return {**asdict(self), "frame_rate": str(self.frame_rate)}

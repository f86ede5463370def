"""The seams of a sequence: every joint's fit, and its error before and after alignment, as charts and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dvd.evaluate.report.charts import Chart, Ends, Mark, Series
from dvd.evaluate.results import SequenceResult

ERROR_TITLE = "Seam error (MSE): ■ before, ● after alignment"
ERRORS: Mapping[str, tuple[str, Mark]] = {
    "error_before": ("before alignment", "square"),
    "error_after": ("after alignment", "dot"),
}
LEGEND = (
    "Seams of windows; a hollow mark is a fit that was refused. What was there has the scale of the shot's first "
    "window: scale and shift are accumulated, and the error before alignment holds what earlier seams have changed as "
    "well."
)
FITS = {"scale": "Seam scale, accumulated", "shift": "Seam shift", "r2": "Seam R²"}

Found = Mapping[int, SequenceResult]
"""One sequence as the methods have scored it, by their places, which are their colours."""


def fits_and_errors(names: Sequence[str], found: Found, across: Ends) -> Iterator[Chart]:
    """The error before and after alignment (Fig. 6) and the fit, a mark for every joint of two windows.

    A hollow mark is a fit that was refused. A chart has no series where no method has such numbers.
    """
    errors = [
        _marks(f"{names[place]}, {when}", place, one, error, mark)
        for error, (when, mark) in ERRORS.items()
        for place, one in found.items()
    ]
    yield Chart(ERROR_TITLE, errors, points=True, across=across, log=True)
    for quantity, title in FITS.items():
        fits = [_marks(names[place], place, one, quantity) for place, one in found.items()]
        yield Chart(title, fits, points=True, across=across)


def in_words(names: Sequence[str], found: Found) -> Iterator[str]:
    """One line for every method with seams or cuts: how many, how many refused, the mean of their errors, where."""
    for place, one in found.items():
        if one.cuts:
            where = ", ".join(map(str, one.cuts))
            yield f"{names[place]}: scale and shift begin anew at frame{'s' * (len(one.cuts) > 1)} {where}."
        if one.seams:
            refused = sum(not seam.get("trusted", 1) for seam in one.seams)
            count = f"{len(one.seams)} seams, {refused} refused" if len(one.seams) > 1 else "1 seam"
            means = [f"{_mean(known):.2g} {when}" for error, (when, _) in ERRORS.items() if (known := _all(one, error))]
            said = f"; mean squared difference of disparity over the overlaps {', '.join(means)}" if means else ""
            scales = [1.0, *_all(one, "scale")]
            yield f"{names[place]}: {count}, accumulated scale {min(scales):.2f} … {max(scales):.2f}{said}."


def _marks(name: str, place: int, one: SequenceResult, quantity: str, mark: Mark = "dot") -> Series:
    known = [(i, seam) for i, seam in enumerate(one.seams) if quantity in seam]
    x = [seam.get("start", i) for i, seam in known]
    refused = [not seam.get("trusted", 1) for _, seam in known]
    return Series(name, x, _all(one, quantity), place, refused, mark)


def _all(one: SequenceResult, quantity: str) -> list[float]:
    return [seam[quantity] for seam in one.seams if quantity in seam]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

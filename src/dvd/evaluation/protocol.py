"""How predictions are compared with the truth, as named values: alignment, frames, metrics, skipped frames.

`paper` is section 4.1 of the DVD paper; where the paper is silent, it follows the release (spec, "Evaluation").
`release-video` and `release-image` are the release's two test scripts. `video-depth-anything` is the benchmark of
Chen et al. 2025, as in its public script.

Crops, ranges and resizes are those of the data sets (`data/rows/evaluation.py`) under every protocol. The public
script of Video Depth Anything differs in these: it crops ScanNet by 8 rows and 11 columns, leaves KITTI whole, keeps
every frame at its stored size, takes truth from 1e-3 m and lists its frames in files of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from dvd.errors import OptionError, unknown
from dvd.metrics import ACCURACY, LEAST_DISPARITY
from dvd.names import FITS, SCOPES, SPACES, STITCHES, FitName, Scope, Space

Skip = Literal["sequence", "frame"]

RGB_BOUNDARY = ("rgb_boundary_f1", "rgb_boundary_precision", "rgb_boundary_recall")
SI_BOUNDARY = ("si_boundary_f1",)
TEMPORAL = ("relative_temporal_difference", "temporal_alignment_error", "flow_warping_error")
METRICS = (*ACCURACY, *RGB_BOUNDARY, *SI_BOUNDARY, *TEMPORAL)
"""Every metric that a protocol may ask for."""


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    A prediction is fitted in `space`; one in the other space is inverted first. `fit` is made once per `scope`: over
    all frames of a clip, for every frame, or over the first `window` frames. Aligned disparity is kept above
    `least_disparity`. Predictions that are not positive do not count in a fit, unless they are first raised to
    `least_prediction`. At most `frames` frames of a sequence count (None: all), at most `sequences` of a data set.
    `range_m` narrows the data sets' own ranges. If a frame has no valid pixel, `skip` leaves out its whole sequence or
    that frame. With `single_images`, every frame is a sequence of its own. Sequences of `short` frames (least and
    most) and of at least `long` frames are also reported apart. `stitch` is the default rule of `dvd.stitch` by which
    our models join windows; methods without windows and single images ignore it.

    Raise OptionError if a value is unknown, outside its range, or contradicts another.
    """

    name: str
    space: Space = "disparity"
    scope: Scope = "clip"
    fit: FitName = "least-squares"
    window: int = 45
    frames: int | None = None
    sequences: int | None = None
    least_disparity: float = LEAST_DISPARITY
    least_prediction: float | None = None
    range_m: tuple[float, float] | None = None
    metrics: tuple[str, ...] = METRICS
    skip: Skip = "sequence"
    single_images: bool = False
    short: tuple[int, int] | None = (50, 200)
    long: int | None = 201
    # Eq. 8–9 as the release's benchmark applies them: to every window, whatever the fit, and across cuts. A fit that
    # goes wrong counts against the method, as it did in the published numbers.
    stitch: str = "benchmark"

    def __post_init__(self) -> None:
        for kind, value, known in (
            ("alignment space", self.space, SPACES),
            ("scope of the alignment", self.scope, SCOPES),
            ("alignment", self.fit, FITS),
            ("way to skip", self.skip, get_args(Skip)),
            ("way of stitching", self.stitch, STITCHES),
            *(("metric", metric, METRICS) for metric in self.metrics),
        ):
            if value not in known:
                raise OptionError(unknown(kind, value, known))
        if self.window < 1 or (self.frames or 1) < 1 or (self.sequences or 1) < 1:
            raise OptionError(
                f"window {self.window}, frames {self.frames} and sequences {self.sequences} must be at least 1"
            )
        if self.frames == 0 or self.sequences == 0:
            raise OptionError("no frames or no sequences leave nothing to measure; give at least 1")
        if self.least_disparity <= 0:
            raise OptionError(f"least disparity {self.least_disparity:g} must be positive, because it is inverted")
        if self.range_m is not None and not 0 < self.range_m[0] < self.range_m[1]:
            raise OptionError(f"the range {self.range_m[0]:g} … {self.range_m[1]:g} m is empty; give 0.1 10")

    def but(self, **changes: Any) -> Protocol:
        """Return the protocol with other values of some fields, and their names in its own. OptionError as above."""
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise OptionError(unknown("field of a protocol", name, known))
        changed = {name: value for name, value in changes.items() if value != getattr(self, name)}
        if not changed:
            return self
        return replace(self, name=f"{self.name}, {' and '.join(changed)} changed", **changed)

    def describe(self) -> str:
        """Describe the protocol in one line, for reports."""
        over = {
            "clip": "one per clip",
            "frame": "one per frame",
            "first-window": f"from the first {self.window} frames",
        }
        frames = "all frames" if self.frames is None else f"the first {self.frames} frames"
        only = "" if self.sequences is None else f" of {self.sequences} sequences a data set"
        rng = "" if self.range_m is None else f", {self.range_m[0]:g} … {self.range_m[1]:g} m"
        alone = ", every frame a sequence of its own" if self.single_images else ""
        left_out = "frames" if self.skip == "frame" else "sequences with a frame"
        return (
            f"{self.name}: {_FITS[self.fit]} in {self.space}, {over[self.scope]}, {frames}{only}{alone}{rng}; "
            f"{left_out} without a valid pixel are left out"
        )


_FITS = {
    "least-squares": "scale and shift by least squares",
    "scale": "scale by least squares",
    "median": "scale by the ratio of medians",
}

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("paper"),
            # infer_bash/video.sh takes 300 frames (its comment also 200) of at most 10 sequences. The script calls the
            # boundary scores with RGB edges f1, precision and recall; it knows no poses.
            Protocol(
                "release-video",
                frames=300,
                sequences=10,
                metrics=(*ACCURACY, *RGB_BOUNDARY, "relative_temporal_difference"),
            ),
            # The image script aligns and measures every image alone.
            Protocol("release-image", metrics=tuple(ACCURACY), single_images=True, short=None, long=None),
            # benchmark/eval/eval.py: 500 frames in its long form (its short one takes 90 to 110), predictions raised
            # to 1e-3, frames without a valid pixel left out. TAE: eval_tae.py, of 180 frames of ScanNet.
            Protocol(
                "video-depth-anything",
                frames=500,
                least_prediction=1e-3,
                metrics=("abs_rel", "rmse", "delta1", "temporal_alignment_error"),
                skip="frame",
                short=None,
                long=None,
            ),
        )
    }
)


def choose_protocol(name: str) -> Protocol:
    """Return the named protocol. Raise OptionError, with the nearest names, if there is none."""
    if name not in PROTOCOLS:
        raise OptionError(unknown("protocol", name, PROTOCOLS))
    return PROTOCOLS[name]

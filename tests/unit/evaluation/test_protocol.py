"""Protocols hold what their sources say, and refuse what contradicts itself."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from dvd.errors import OptionError
from dvd.evaluation.protocol import METRICS, PROTOCOLS, Protocol, choose_protocol
from dvd.stitch import RULES


def test_the_papers_protocol_is_the_default() -> None:
    paper = choose_protocol("paper")
    assert asdict(paper) == asdict(Protocol("paper"))
    assert (paper.space, paper.scope, paper.fit) == ("disparity", "clip", "least-squares")
    assert (paper.frames, paper.sequences, paper.skip, paper.least_disparity) == (None, None, "sequence", 1e-3)
    assert (paper.short, paper.long) == ((50, 200), 201)
    assert set(paper.metrics) == set(METRICS)


def test_the_named_protocols_differ_as_their_scripts_do() -> None:
    video, image, vda = (PROTOCOLS[name] for name in ("release-video", "release-image", "video-depth-anything"))
    assert (video.frames, video.sequences) == (300, 10)
    assert "rgb_boundary_f1" in video.metrics
    assert "si_boundary_f1" not in video.metrics
    assert "temporal_alignment_error" not in video.metrics
    assert image.single_images
    assert not {"rgb_boundary_f1", "relative_temporal_difference"} & set(image.metrics)
    assert (vda.frames, vda.skip, vda.least_prediction) == (500, "frame", 1e-3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"space": "disparty"}, "unknown alignment space 'disparty'; did you mean disparity"),
        ({"scope": "clips"}, "did you mean clip"),
        ({"fit": "mean"}, "did you mean median"),
        ({"metrics": ("abs_rell",)}, "did you mean abs_rel"),
        ({"skip": "never"}, "unknown way to skip"),
        ({"stitch": "bench"}, "did you mean benchmark"),
        ({"window": 0}, "at least 1"),
        ({"frames": 0}, "nothing to measure"),
        ({"frames": -4}, "at least 1"),
        ({"least_disparity": 0.0}, "must be positive"),
        ({"range_m": (10.0, 0.1)}, "range 10 … 0.1 m"),
    ],
)
def test_contradictory_protocols_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        replace(PROTOCOLS["paper"], **wrong)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_stitches_by_least_squares_without_cuts(name: str) -> None:
    rule = RULES[PROTOCOLS[name].stitch]
    assert (rule.fit, rule.cuts, rule.last, rule.clip_scale, rule.guarded) == (
        "least-squares",
        False,
        "short",
        None,
        False,
    )


def test_an_unknown_protocol_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="did you mean release-video"):
        choose_protocol("release-vido")


def test_a_protocol_describes_itself() -> None:
    text = replace(PROTOCOLS["video-depth-anything"], scope="first-window", range_m=(0.1, 10.0)).describe()
    for part in ("least squares", "disparity", "first 45 frames", "first 500 frames", "0.1 … 10 m", "frames without"):
        assert part in text

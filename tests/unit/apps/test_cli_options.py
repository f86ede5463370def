"""What the command line accepts, and that it names what the rooms below really know."""

from __future__ import annotations

import argparse

import pytest

from dvd.apps import options, predict
from dvd.export import ExportOptions, formats
from dvd.export.base import RANGE_MODES
from dvd.export.colormaps import COLORMAPS
from dvd.stitch import RULES


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    return parser.parse_args(["clip.mp4", "-o", "out", *arguments])


def test_the_names_on_offer_are_those_that_exist() -> None:
    assert formats() == predict.FORMATS
    assert predict.RANGES == RANGE_MODES
    assert set(predict.COLORMAPS) == set(COLORMAPS)
    assert tuple(RULES) == options.STITCHES


def test_formats_may_be_listed_or_repeated() -> None:
    assert parsed("--format", "mp4,npz", "--format", "exr").format == ["mp4", "npz", "exr"]
    assert parsed().format is None


@pytest.mark.parametrize(("text", "expected"), [("480x640", (480, 640)), ("1x1", (1, 1)), ("source", "source")])
def test_sizes(text: str, expected: object) -> None:
    assert options.size(text) == expected


@pytest.mark.parametrize("text", ["", "480", "480x", "0x640", "480x0", "-1x5", "480×640", "4.5x6", "480x640x3"])
def test_what_is_no_size_is_said(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="480x640"):
        options.size(text)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    parse = options.one_of("colormap", COLORMAPS)
    assert parse("viridis") == "viridis"
    with pytest.raises(argparse.ArgumentTypeError, match="did you mean viridis"):
        parse("virdis")


def test_export_options_keep_their_own_defaults() -> None:
    assert predict.export_options(parsed()) == ExportOptions()
    asked = predict.export_options(
        parsed("--range", "fixed", "--fixed-range", "0.1", "0.9", "--colormap", "magma", "--grayscale", "--overwrite")
    )
    assert asked == ExportOptions(
        range="fixed", fixed_range=(0.1, 0.9), colormap="magma", grayscale=True, overwrite=True
    )

"""What the command line accepts, and that it names what the rooms below really know."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from dvd.apps import options, predict
from dvd.backbones import registry
from dvd.errors import OptionError, unknown
from dvd.export import ExportOptions
from dvd.names import COLORMAPS, FORMATS


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    return parser.parse_args(["clip.mp4", "-o", "out", *arguments])


def test_formats_may_be_listed_or_repeated() -> None:
    assert parsed("--format", "mp4,npz", "--format", "exr").format == ["mp4", "npz", "exr"]
    assert parsed().format is None


@pytest.mark.parametrize(("text", "expected"), [("480x640", (480, 640)), ("1x1", (1, 1)), ("source", "source")])
def test_sizes(text: str, expected: object) -> None:
    assert options.size(text) == expected


@pytest.mark.parametrize("text", ["", "480", "480x", "0x640", "480x0", "-1x5", "480×640", "4.5x6", "480x640x3"])
def test_invalid_sizes_are_refused(text: str) -> None:
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


def refused(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit):
        parsed(*arguments)
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--window", "8.5"), "'8.5' is no whole number; give one such as 9"),
        (("--overlap", "two"), "'two' is no whole number"),
        (("--tau", "half"), "'half' is no number; give one between 0 and 1"),
        (("--tau", "nan"), "tau is nan but must be between 0 and 1"),
        (("--tau", "-1"), "tau is -1 but must be between 0 and 1"),
        (("--size", "480"), "such as 480x640"),
        (("--device", "gpu"), "unknown device 'gpu'; did you mean cuda or auto?"),
        (("--device", "cuda:one"), "unknown device 'cuda:one'"),
        (("--dtype", "half"), "unknown dtype 'half'; did you mean float16 or bfloat16?"),
        (("--dtype", "bf16"), "unknown dtype 'bf16'; did you mean bfloat16?"),
    ],
)
def test_impossible_values_are_refused_by_the_parser(capsys, arguments, said: str) -> None:
    assert said in refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--window", "0"), "window is 0 but must be at least 2 frames"),
        (("--window", "-9"), "window is -9 but must be at least 2 frames"),
        (("--overlap", "0"), "overlap is 0"),
        (("--overlap", "-3"), "overlap is -3"),
        (("--overlap", "33"), "overlap is 33 but must be smaller than the window of 33"),
        (("--window", "9", "--overlap", "9"), "overlap is 9 but must be smaller than the window of 9"),
    ],
)
def test_windows_are_checked_against_the_card_before_the_model_is_opened(arguments, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        options.check_values(parsed(*arguments), ["dvd-mini"])


def test_values_are_checked_without_torch() -> None:
    code = (
        "import sys; from dvd.apps.cli import main; print(main(['predict', 'no.mp4', '-o', 'out', '--overlap', '0']));"
        "print({'torch', 'numpy', 'av'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\nset()\n"
    assert done.stderr == "dvd: overlap is 0 but two windows must share at least 1 frame to be aligned\n"


@pytest.mark.parametrize(
    ("kind", "name", "offer"),
    [
        ("format", "exr16", "exr"),
        ("format", "png", "png16"),
        ("format", "npy", "npz"),
        ("format", "MP4", "mp4"),
        ("model", "dvd", "dvd-mini or dvd-1.0 or dvd-1.1"),
        ("model", "mini", "dvd-mini"),
        ("model", "DVD-mini", "dvd-mini"),
    ],
)
def test_names_used_by_other_tools_are_answered_with_ours(kind: str, name: str, offer: str) -> None:
    known = {"format": FORMATS, "model": registry.names()}[kind]
    assert unknown(kind, name, known).startswith(f"unknown {kind} '{name}'; did you mean {offer}")

"""Every name that the command line offers means something in the library."""

import pytest

from dvd.evaluation.protocol import choose_protocol
from dvd.export import suffix
from dvd.export.display import table
from dvd.names import COLORMAPS, FORMATS, PROTOCOLS, STITCHES
from dvd.stitch import choose_rule


@pytest.mark.parametrize("name", STITCHES)
def test_stitch_rules(name: str) -> None:
    assert choose_rule(name).name == name


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols(name: str) -> None:
    assert choose_protocol(name).name == name


@pytest.mark.parametrize("name", COLORMAPS)
def test_colormaps(name: str) -> None:
    assert table(name).shape == (256, 3)


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str) -> None:
    assert suffix(name).startswith((".", "_"))

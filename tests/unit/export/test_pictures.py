"""Pictures to look at: the contact sheet."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from synth import disparity, picture

from dvd.errors import OutputError
from dvd.export.pictures import contact_sheet


def test_contact_sheet(tmp_path):
    rgb = [picture(index) for index in range(6)]
    path = contact_sheet(rgb, list(disparity(6)), tmp_path / "sheet.png", columns=4, numbers=range(0, 60, 10))
    with Image.open(path) as sheet:
        assert sheet.size == (4 * 324 + 4, 2 * (2 * 240 + 4) + 4)
        pixels = np.asarray(sheet).astype(int)
    assert np.abs(pixels[4 + 200 : 4 + 236, 4 + 100 : 4 + 300, 1].mean() - picture(0)[40:47, :, 1].mean()) < 10
    upper, lower = pixels[4 + 300, 4 + 160], pixels[4 + 240 + 230, 4 + 160]
    assert np.abs(upper - lower).max() > 60, "disparity is shown below, and it varies"
    assert (pixels[-100:, -300:] == 255).all(), "the last cells are empty"
    with pytest.raises(OutputError, match="exists already"):
        contact_sheet(rgb, list(disparity(6)), path)
    assert [each.name for each in tmp_path.iterdir()] == ["sheet.png"]
    with pytest.raises(ValueError, match="expected as many"):
        contact_sheet(rgb, list(disparity(5)), tmp_path / "other.png")

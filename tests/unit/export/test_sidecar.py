"""The JSON beside a result."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dvd.errors import OutputError
from dvd.export import write_sidecar


def test_sidecar(tmp_path):
    path = tmp_path / "clip.json"
    facts = {"rate": Fraction(24000, 1001), "path": Path("a/b"), "scale": np.float32(0.5), "count": np.int64(3)}
    write_sidecar(path, facts)
    assert json.loads(path.read_text()) == {"rate": "24000/1001", "path": str(Path("a/b")), "scale": 0.5, "count": 3}
    assert [each.name for each in tmp_path.iterdir()] == ["clip.json"]
    with pytest.raises(OutputError, match="cannot be written"):
        write_sidecar(path / "under" / "a.json", facts)

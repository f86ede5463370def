"""The JSON beside a result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvd.files import replacing


def write_sidecar(path: str | Path, facts: Mapping[str, Any]) -> None:
    """Writes `facts` as JSON at `path`, whole or not at all. Fractions and paths become text, NumPy scalars numbers.

    Raises `OutputError` if the disk refuses.
    """
    text = json.dumps(facts, indent=2, ensure_ascii=False, default=_plain) + "\n"
    with replacing(path) as file:
        # The bytes of a name that is not UTF-8 become \\udcXX, which JSON reads as what Python calls such a byte.
        file.write(text.encode(errors="backslashreplace"))


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """The facts of an earlier run; None where the file is none of ours."""
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    runs = [facts, *facts.get("earlier", [])] if isinstance(facts, dict) else [facts]
    return facts if all(map(_describes_a_run, runs)) else None


def _describes_a_run(facts: Any) -> bool:
    if not (isinstance(facts, dict) and "polarity" in facts and isinstance(facts.get("outputs"), list)):
        return False
    return all(isinstance(each, dict) and isinstance(each.get("path"), str) for each in facts["outputs"])


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)

"""The JSON beside a result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dvd.errors import OutputError


def write_sidecar(path: str | Path, facts: Mapping[str, Any]) -> None:
    """Writes `facts` as JSON at `path`, whole or not at all. Fractions and paths become text, NumPy scalars numbers.

    Raises `OutputError` if the disk refuses.
    """
    path = Path(path)
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    text = json.dumps(facts, indent=2, ensure_ascii=False, default=_plain) + "\n"
    try:
        # The bytes of a name that is not UTF-8 become \\udcXX, which JSON reads as what Python calls such a byte.
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror}); free some space or choose another") from error


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)

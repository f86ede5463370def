"""The JSON beside a result: written whole, read again, and joined with what an earlier run says of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvd.files import replacing

SIDECAR = ".json"
_OF_ONE_RUN = ("outputs", "versions", "warnings", "earlier")
"""Facts that may differ between two runs with the same values."""


def write_sidecar(path: str | Path, facts: Mapping[str, Any]) -> None:
    """Write `facts` as JSON at `path`, whole or not at all. Fractions and paths become text, NumPy scalars numbers.

    Raise `OutputError` if the disk refuses.
    """
    text = json.dumps(facts, indent=2, ensure_ascii=False, default=_plain) + "\n"
    with replacing(path) as file:
        # The bytes of a name that is not UTF-8 become \\udcXX, which JSON reads as what Python calls such a byte.
        file.write(text.encode(errors="backslashreplace"))


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """Return the facts of an earlier run; None if there is no JSON of ours at `path`."""
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    runs = [facts, *facts.get("earlier", [])] if isinstance(facts, dict) else [facts]
    return facts if all(map(_describes_a_run, runs)) else None


def join_earlier(facts: Mapping[str, Any], earlier: Mapping[str, Any] | None, folder: Path) -> dict[str, Any]:
    """Return `facts` together with those of an earlier run whose files are still in `folder`.

    Outputs of a run with the same values are listed with the new ones; another run's facts are kept whole under
    `earlier`.
    """
    if earlier is None:
        return dict(facts)
    replaced = {output["path"] for output in facts["outputs"]}

    def kept(outputs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [output for output in outputs if output["path"] not in replaced and (folder / output["path"]).exists()]

    alike = _comparable(facts) == _comparable(earlier)
    before = [{**run, "outputs": kept(run["outputs"])} for run in earlier.get("earlier", [])]
    if not alike:
        own = {name: value for name, value in earlier.items() if name != "earlier"}
        before.append({**own, "outputs": kept(own["outputs"])})
    before = [run for run in before if run["outputs"]]
    outputs = [*(kept(earlier["outputs"]) if alike else ()), *facts["outputs"]]
    return {**facts, "outputs": outputs} | ({"earlier": before} if before else {})


def _comparable(facts: Mapping[str, Any]) -> str:
    values = {name: value for name, value in facts.items() if name not in _OF_ONE_RUN}
    return json.dumps(values, sort_keys=True, default=str)


def _describes_a_run(facts: Any) -> bool:
    if not (isinstance(facts, dict) and "polarity" in facts and isinstance(facts.get("outputs"), list)):
        return False
    return all(isinstance(output, dict) and isinstance(output.get("path"), str) for output in facts["outputs"])


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)

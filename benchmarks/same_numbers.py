"""Compare two runs bit by bit: predictions (.npz), results.json of evaluations, histories of trainings, weights.

    python benchmarks/same_numbers.py BEFORE AFTER

Both are folders; every file in BEFORE that holds numbers is compared with the file of the same path in AFTER. Times,
versions, paths and commits may differ. The exit status is 1 if anything else does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

MAY_DIFFER = {"seconds", "samples_per_s", "versions", "commit", "date", "dtype_reason", "machine", "path", "folder"}
ENDINGS = {".npz", ".json", ".jsonl", ".safetensors"}


def main() -> int:
    """Print every difference and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    args = parser.parse_args()
    paths = sorted(path for path in args.before.rglob("*") if path.suffix in ENDINGS)
    different = 0
    for path in paths:
        name = path.relative_to(args.before)
        lines = list(differences(path, args.after / name))
        different += bool(lines)
        print(f"{'DIFFERS' if lines else 'equal':8}{name}")
        for line in lines[:5]:
            print(f"        {line}")
    print(f"{len(paths) - different} of {len(paths)} files are equal")
    return bool(different) or not paths


def differences(before: Path, after: Path) -> Iterator[str]:
    """Yield one line for every value that differs."""
    if not after.exists():
        yield "missing"
        return
    if before.suffix == ".npz":
        yield from in_arrays(dict(np.load(before)), dict(np.load(after)))
    elif before.suffix == ".safetensors":
        yield from in_arrays(load_file(before), load_file(after))
    elif before.suffix == ".json":
        yield from in_values(json.loads(before.read_text()), json.loads(after.read_text()), "")
    else:
        yield from in_values(*(list(map(json.loads, path.read_text().splitlines())) for path in (before, after)), "")


def in_arrays(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> Iterator[str]:
    """Compare arrays by name: shape, dtype and every bit."""
    for name in sorted({*before, *after}):
        if name not in before or name not in after:
            yield f"{name}: only in one of them"
        elif before[name].dtype != after[name].dtype or before[name].tobytes() != after[name].tobytes():
            yield f"{name}: {before[name].dtype} {before[name].shape} and {after[name].dtype} {after[name].shape}"


def in_values(before: Any, after: Any, where: str) -> Iterator[str]:
    """Compare plain values, tables field by field."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after} - MAY_DIFFER):
            yield from in_values(before.get(name, "absent"), after.get(name, "absent"), f"{where}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from in_values(one, other, f"{where}[{index}]")
    elif before != after and not (before != before and after != after):  # NaN equals NaN here
        yield f"{where}: {repr(before)[:60]} and {repr(after)[:60]}"


if __name__ == "__main__":
    sys.exit(main())

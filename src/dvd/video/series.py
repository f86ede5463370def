"""Sort the names of pictures in a folder into series, by their order and numbers; no file is opened.

Two names are of one kind if they differ in digits only. Pictures of two kinds (colour beside depth, left beside right)
are never read as one film unless a pattern asks for it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import reduce
from glob import escape
from itertools import pairwise
from math import gcd
from pathlib import Path

from dvd.errors import InputError
from dvd.types import FrameNumbers

_SAME_ENDING = {".jpeg": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}

_MOST_KINDS = 8
"""A folder with more kinds of names than this has names without a meaning, not several series."""

_SPARSE = 10
"""If less than every tenth number exists, the numbers are time stamps or a selection and do not count frames."""

_GRID = 0.75
"""Share of cameras × frames that must exist for `cam0_0001 … cam1_0099` to be two series."""

_SHOWN = 3


@dataclass(frozen=True)
class Series:
    """Frames in order. `pts` counts frames from the first one and includes gaps in the numbers."""

    paths: tuple[Path, ...]
    pts: tuple[int, ...]
    numbers: FrameNumbers | None = None
    notes: tuple[str, ...] = ()


def one_series(source: Path, paths: Iterable[Path], pattern: bool = False) -> Series:
    """Return the series in a folder, or all of `paths` if a `pattern` chose them.

    A few single pictures beside a series (a cover) are left out with a note. Raise `InputError` where a folder holds
    several series, with a pattern for each.
    """
    paths = sorted(paths, key=natural_order)
    kinds = sorted(_kinds(paths), key=len, reverse=True)
    series = [kind for kind in kinds if len(kind) > 1]
    single = [kind[0] for kind in kinds if len(kind) == 1]
    if len(kinds) == 1:
        return _numbered(source, kinds[0], pattern)
    if pattern:
        note = f"the pattern takes {len(kinds)} kinds of names ({_examples(kinds)}); all are read in the order of names"
        return _plain(paths, note)
    if 2 <= len(series) <= _MOST_KINDS:
        raise InputError(
            f"{source}: holds {len(series)} kinds of pictures ({_counted(series)}); {_suggestion(source, series)}"
        )
    if len(series) == 1 and len(series[0]) > len(single):
        main = _numbered(source, series[0], pattern)
        names = shortened([path.name for path in single])
        left_out = f"left out, because not named like the other {len(series[0])} pictures: {names}"
        return replace(main, notes=(left_out, *main.notes))
    return _plain(paths, f"the names follow no one numbering; all {len(paths)} pictures are read in the order of names")


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a sort key under which digits count as numbers."""
    parts = re.split(r"(\d+)", path.as_posix().lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _kinds(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield groups of pictures whose names differ in digits only, split further where one frame is there twice."""
    alike: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        alike[re.sub(r"\d+", "#", path.stem.lower())].append(path)
    for kind in alike.values():
        for same_ending in _by_ending(kind):
            yield from _by_camera(same_ending)


def _by_ending(paths: list[Path]) -> list[list[Path]]:
    """Split by ending where a stem is there twice, such as `0001.png` beside `0001.jpg`."""
    stems = Counter(path.stem.lower() for path in paths)
    if max(stems.values()) == 1:
        return [paths]
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        ending = path.suffix.lower()
        groups[_SAME_ENDING.get(ending, ending)].append(path)
    return list(groups.values())


def _by_camera(paths: list[Path]) -> list[list[Path]]:
    """Split `cam0_0001`, `cam1_0001` …: names in which two numbers vary and nearly every pair of them exists."""
    columns = _columns(paths)
    varying = [column for column in columns if len(set(column)) > 1]
    if len(varying) != 2 or re.fullmatch(r"[\d.]+", paths[0].stem):
        return [paths]
    camera = min(varying, key=lambda column: len(set(column)))
    pairs = len(set(varying[0])) * len(set(varying[1]))
    if len(set(camera)) > _MOST_KINDS or len(paths) < _GRID * pairs:
        return [paths]
    groups: dict[int, list[Path]] = defaultdict(list)
    for number, path in zip(camera, paths, strict=True):
        groups[number].append(path)
    return list(groups.values())


def _columns(paths: Sequence[Path]) -> list[list[int]]:
    """Return the numbers in the names: one list for each position of a number."""
    rows = [[int(digits) for digits in re.findall(r"\d+", path.stem)] for path in paths]
    return [list(column) for column in zip(*rows, strict=True)]


def _numbered(source: Path, paths: Sequence[Path], pattern: bool) -> Series:
    """Return pictures of one kind as a series, with the numbers that count its frames, if there are any."""
    columns = _columns(paths)
    varying = [column for column in columns if len(set(column)) > 1]
    if len(paths) > 1 and len(varying) <= 1 and (twice := _same_number(varying or columns, paths)):
        if not pattern:
            raise InputError(f"{source}: {twice[0].name} and {twice[1].name} have the same number; keep one of them")
        return _plain(paths, f"{twice[0].name} and {twice[1].name} have the same number; both are read")
    rising = [column for column in varying or columns[-1:] if _rises(column)]
    if not rising:
        return _plain(paths)
    numbers = min(rising, key=lambda column: column[-1] - column[0])
    return _with_numbers(paths, numbers, _digits(paths, columns.index(numbers)))


def _same_number(columns: list[list[int]], paths: Sequence[Path]) -> tuple[Path, Path] | None:
    """Return two names with one number, such as `1.png` and `01.png`."""
    if not columns:
        return None
    seen: dict[int, Path] = {}
    for number, path in zip(columns[0], paths, strict=True):
        if number in seen:
            return seen[number], path
        seen[number] = path
    return None


def _rises(column: list[int]) -> bool:
    return all(before < after for before, after in pairwise(column))


def _digits(paths: Sequence[Path], position: int) -> int:
    return max(len(re.findall(r"\d+", path.stem)[position]) for path in paths)


def _with_numbers(paths: Sequence[Path], numbers: list[int], digits: int) -> Series:
    first, last, count = numbers[0], numbers[-1], len(numbers)
    step = reduce(gcd, (after - before for before, after in pairwise(numbers)), 0)
    step = step if count > 2 else 1
    notes: list[str] = []
    if (last - first) // step + 1 > _SPARSE * count:
        pts = tuple(range(count))
        notes.append(f"its numbers, {first} … {last}, are too far apart to count frames; {_EVEN}")
    else:
        pts = tuple((number - first) // step for number in numbers)
        notes += [f"its numbers rise in steps of {step}; {_EVEN}"] if step > 1 else []
    frames = FrameNumbers(dict(zip(pts, numbers, strict=True)), digits, step)
    if pts[-1] >= count:
        gaps = shortened([f"{low}–{high}" if high > low else str(low) for low, high in frames.gaps()])
        notes.append(f"frames {gaps} are missing; {_GAPS}")
    return Series(tuple(paths), pts, frames, tuple(notes))


_EVEN = "the pictures follow each other at an even rate"
_GAPS = "the others keep their numbers and times, and the network sees the frames beside a gap as neighbours"


def _plain(paths: Sequence[Path], *notes: str) -> Series:
    return Series(tuple(paths), tuple(range(len(paths))), None, notes)


def _counted(kinds: list[list[Path]]) -> str:
    return ", ".join(f"{len(kind)} like {kind[0].name}" for kind in kinds)


def _examples(kinds: list[list[Path]]) -> str:
    return shortened([kind[0].name for kind in kinds])


def shortened(names: Sequence[str]) -> str:
    """Return the first few of many names in one line."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _suggestion(folder: Path, kinds: list[list[Path]]) -> str:
    patterns = " or ".join(f"'{folder / _pattern_of(kind, kinds)}'" for kind in kinds)
    return f"give one as a pattern in quotes, {patterns}, or '{folder / '*'}' for all in one film"


def _pattern_of(kind: list[Path], kinds: list[list[Path]]) -> str:
    """Return a glob pattern for this kind, or a printf pattern where the glob would match other kinds too."""
    constant = [len(set(column)) == 1 for column in _columns(kind)]
    digits = re.findall(r"\d+", kind[0].stem)
    texts = re.split(r"\d+", kind[0].stem)
    same_ending = {path.suffix for path in kind} == {kind[0].suffix}
    ending = kind[0].suffix if same_ending else ".*"

    def joined(mark: str) -> str:
        fillings = [number if fixed else mark for number, fixed in zip(digits, constant, strict=True)]
        return "".join(a + b for a, b in zip(map(escape, texts), [*fillings, ""], strict=True)) + ending

    others = [path.name for other in kinds if other is not kind for path in other]
    glob = joined("*")
    return joined(f"%0{len(digits[-1])}d") if any(fnmatchcase(name, glob) for name in others) and same_ending else glob

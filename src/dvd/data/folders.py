"""Find a data set's frames by patterns of paths: which image belongs to which depth, sequence by sequence.

A pattern is a path with named fields, `{scene}/depth/{frame:\\d+}.png`. A field is any text within one name, or a
regular expression after its colon; it is the same text wherever it recurs, and its name may be empty. Only folders
that a pattern can match are listed, so other contents of a data set cost nothing.
"""

from __future__ import annotations

import logging
import os
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

FIELD = re.compile(r"\{(\w*)(?::([^{}]*))?\}")
LAST_NUMBER = re.compile(r"(.*?)(\d+(?:\.\d+)?)\D*")
Fields = Mapping[str, str]


class Pair(NamedTuple):
    """One frame: its number as written, and its files relative to the root. Not `whole`: the depth is missing."""

    number: str
    rgb: str
    depth: str
    whole: bool = True


@dataclass(frozen=True)
class FrameSequence:
    """The frames of one camera in one recording, in order; `split` is the recording's part of the data set."""

    name: str
    scene: str
    pairs: tuple[Pair, ...]
    split: str = ""


@dataclass(frozen=True)
class Patterns:
    """The paths of a data set's frames below its root.

    `rgb` and `depth` follow any of the `prefixes`; both have a field `frame`. `scene` and `sequence` are filled with
    the image's fields, the published `split` with the image's or its depth's. With a `tolerance`, sequences in which no
    names agree are paired by the numbers in them, such as time stamps in seconds, at most that far apart; an image
    without a partner is then left out.
    """

    rgb: str
    depth: str
    scene: str
    sequence: str
    split: str = ""
    prefixes: tuple[str, ...] = ("",)
    tolerance: float | None = None


@dataclass(frozen=True)
class Survey:
    """The contents of a root: the sequences, files without a partner, and folders that fit no pattern."""

    sequences: tuple[FrameSequence, ...] = ()
    lone_images: tuple[str, ...] = ()
    lone_depths: tuple[str, ...] = ()
    other_folders: tuple[str, ...] = ()


@dataclass(slots=True)
class _Match:
    """An image or a depth whose path matches a pattern."""

    fields: dict[str, str]
    path: str
    depth_pattern: str

    @property
    def number(self) -> str:
        return self.fields["frame"]


def survey(root: Path, patterns: Patterns) -> Survey:
    """Return everything below `root`, which may also be one scene, or one sequence, of the data set."""
    shared = {prefix: _shared_folders(prefix, patterns) for prefix in patterns.prefixes}
    for drop in range(max(shared.values()) + 1):
        images: list[_Match] = []
        depths: list[_Match] = []
        for prefix in (prefix for prefix in patterns.prefixes if drop <= shared[prefix]):
            depth_pattern = prefix + patterns.depth
            expected = "/".join(depth_pattern.split("/")[drop:])
            for fields, path in find(root, prefix + patterns.rgb, drop):
                images.append(_Match(fields, path, expected))
            depths += [_Match(fields, path, expected) for fields, path in find(root, depth_pattern, drop)]
        if images or depths:
            return _pair(root, patterns, images, depths)
    return Survey()


def holds(root: Path, patterns: Patterns) -> bool:
    """Whether there is an image where `survey` would look; stops at the first."""
    return any(
        next(find(root, prefix + patterns.rgb, drop), None) is not None
        for prefix in patterns.prefixes
        for drop in range(_shared_folders(prefix, patterns) + 1)
    )


def holds_both(root: Path, patterns: Patterns) -> bool:
    """Whether there are an image and a depth where `survey` would look; stops at the first of each."""
    return any(
        all(next(find(root, prefix + side, drop), None) is not None for side in (patterns.rgb, patterns.depth))
        for prefix in patterns.prefixes
        for drop in range(_shared_folders(prefix, patterns) + 1)
    )


def nearest_folder(root: Path, pattern: str) -> tuple[str, str]:
    """Return the deepest folder below `root` that fits the beginning of a pattern, and the name that it lacks.

    The folder is a path below the root, "" for the root itself; the name is written as by `fill`.
    """
    parts = pattern.split("/")
    below, known = "", dict[str, str]()
    for part in parts:
        expression = _expression(part, _bound(part, known))
        wants_folder = part is not parts[-1]
        for name, is_folder in _entries(root / below, None):
            if is_folder == wants_folder and (match := expression.fullmatch(name)):
                known |= match.groupdict()
                below += f"{name}/"
                break
        else:
            return below, fill(part, known)
    return below, ""


def find(root: Path, pattern: str, drop: int = 0) -> Iterator[tuple[dict[str, str], str]]:
    """Yield (fields, path below `root`) of all files that match, in the order of their names.

    The pattern's first `drop` folders are `root` and those above it.
    """
    parts = pattern.split("/")
    above = root.resolve().parts[-drop:] if drop else ()
    if len(parts) <= drop or len(above) < drop:
        return
    fields: dict[str, str] = {}
    for part, name in zip(parts[:drop], above, strict=True):
        match = _expression(part, _bound(part, fields)).fullmatch(name)
        if match is None:
            return
        fields |= match.groupdict()
    yield from _descend(root, "", parts[drop:], fields)


def fill(pattern: str, fields: Fields) -> str:
    """Fill a pattern with fields; unknown fields become `*`, nameless ones their first alternative."""

    def value(match: re.Match[str]) -> str:
        return fields.get(match[1], "*") if match[1] else match[2].split("|")[0]

    return FIELD.sub(value, pattern)


def runs(pairs: tuple[Pair, ...]) -> list[tuple[Pair, ...]]:
    """Split a sequence where its numbers jump by at least twice their usual step."""
    positions = [position(pair.number) for pair in pairs]
    steps = [after[1] - before[1] for before, after in pairwise(positions)]
    if not steps:
        return [pairs] if pairs else []
    usual = sorted(steps)[len(steps) // 2]
    cuts = [
        index + 1
        for index, step in enumerate(steps)
        if step >= 2 * usual > 0 or positions[index][0] != positions[index + 1][0]
    ]
    return [pairs[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(pairs)], strict=True)]


def position(number: str) -> tuple[str, float]:
    """Return the text before the last number of a name and that number: a sort key, `2` before `10`."""
    match = LAST_NUMBER.fullmatch(number)
    return (match[1], float(match[2])) if match else (number, 0.0)


def _descend(
    folder: Path, below: str, parts: list[str], fields: dict[str, str]
) -> Iterator[tuple[dict[str, str], str]]:
    part, rest = parts[0], parts[1:]
    expression = _expression(part, _bound(part, fields))
    for name, is_folder in _entries(folder, None if FIELD.search(part) else part):
        if is_folder != bool(rest) or not (match := expression.fullmatch(name)):
            continue
        known = {**fields, **match.groupdict()}
        if rest:
            yield from _descend(folder / name, f"{below}{name}/", rest, known)
        else:
            yield known, below + name


def _entries(folder: Path, only: str | None) -> list[tuple[str, bool]]:
    """Return (name, whether it is a folder) of a folder's entries, or of one, without hidden files (macOS's `._x.png`).

    A folder that cannot be listed (such as a disk's `lost+found`) is left out with a warning in the log.
    """
    try:
        if only is not None:
            path = folder / only
            return [(only, path.is_dir())] if path.exists() else []
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        log.warning("left out %s: it cannot be listed (%s)", folder, error.strerror)
        return []


def _bound(part: str, fields: Fields) -> tuple[tuple[str, str], ...]:
    return tuple((match[1], fields[match[1]]) for match in FIELD.finditer(part) if match[1] in fields)


@lru_cache(maxsize=4096)
def _expression(part: str, bound: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    """Return the regular expression for one name of a path; `bound` are the fields whose text is known."""
    known = {name: re.escape(value) for name, value in bound}
    text, last = "", 0
    for match in FIELD.finditer(part):
        name, expression = match[1], match[2] or ".+"
        text += re.escape(part[last : match.start()])
        text += known.get(name) or (f"(?P<{name}>{expression})" if name else f"(?:{expression})")
        if name:
            known.setdefault(name, f"(?P={name})")
        last = match.end()
    return re.compile(text + re.escape(part[last:]))


def _pair(root: Path, patterns: Patterns, images: list[_Match], depths: list[_Match]) -> Survey:
    shared = sorted(_names(patterns, patterns.rgb) & _names(patterns, patterns.depth))
    without_frame = [name for name in shared if name != "frame"]
    partner = {_key(depth.fields, shared): depth for depth in depths}
    named = {_key(image.fields, shared) for image in images}
    unnamed: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    """Depths whose name no image shares, by sequence: frame → path."""
    for depth in depths:
        if _key(depth.fields, shared) not in named:
            unnamed[_key(depth.fields, without_frame)][depth.fields["frame"]] = depth.path

    sequences: list[FrameSequence] = []
    lone_images: list[str] = []
    for name, frames in _grouped(patterns, images, lone_images).items():
        first = frames[0].fields
        partners = [partner.get(_key(frame.fields, shared)) for frame in frames]
        pairs = [_joined(frame, depth.path if depth else None) for frame, depth in zip(frames, partners, strict=True)]
        labels = next((depth.fields for depth in partners if depth), {})
        if patterns.tolerance is not None and not any(pair.whole for pair in pairs):
            pairs = _by_number(frames, unnamed[_key(first, without_frame)], patterns.tolerance, lone_images) or pairs
        pairs.sort(key=lambda pair: position(pair.number))
        split = fill(patterns.split, {**labels, **first})
        sequences.append(FrameSequence(name, fill(patterns.scene, first), tuple(pairs), split))
    tops = {match.path.split("/")[0] for match in (*images, *depths)}
    return Survey(
        tuple(sorted(sequences, key=lambda sequence: sequence.name)),
        tuple(lone_images),
        tuple(path for side in unnamed.values() for path in side.values()),
        tuple(name for name, is_folder in _entries(root, None) if is_folder and name not in tops),
    )


def _grouped(patterns: Patterns, images: list[_Match], doubled: list[str]) -> dict[str, list[_Match]]:
    """Group images by sequence; append second images of one frame (`0.png` beside `0.jpg`) to `doubled`."""
    groups: dict[str, dict[str, _Match]] = defaultdict(dict)
    for image in images:
        frames = groups[fill(patterns.sequence, image.fields)]
        if image.number in frames:
            doubled.append(image.path)
        frames.setdefault(image.number, image)
    return {name: list(frames.values()) for name, frames in groups.items()}


def _by_number(images: list[_Match], depths: dict[str, str], tolerance: float, lone: list[str]) -> list[Pair]:
    """Pair images with the depths of nearby numbers, which are removed from `depths`; append other images to `lone`."""
    matched = nearest([image.number for image in images], list(depths), tolerance)
    if matched:
        lone += [image.path for image in images if image.number not in matched]
    return [_joined(image, depths.pop(matched[image.number])) for image in images if image.number in matched]


def _joined(image: _Match, depth: str | None) -> Pair:
    return Pair(image.number, image.path, depth or fill(image.depth_pattern, image.fields), depth is not None)


def nearest(images: list[str], depths: list[str], tolerance: float) -> dict[str, str]:
    """Map images to depths of the nearest numbers, at most `tolerance` apart: closest pairs first, each used once."""
    numbered = sorted((position(depth)[1], depth) for depth in depths)
    candidates = []
    for image in images:
        number = position(image)[1]
        begin = bisect_left(numbered, (number - tolerance, ""))
        for other, depth in numbered[begin:]:
            if other > number + tolerance:
                break
            candidates.append((abs(other - number), image, depth))
    matched: dict[str, str] = {}
    taken: set[str] = set()
    for _, image, depth in sorted(candidates):
        if image not in matched and depth not in taken:
            matched[image] = depth
            taken.add(depth)
    return matched


def _shared_folders(prefix: str, patterns: Patterns) -> int:
    """Return how many leading folders images and depths share; a root may be that many folders further down."""
    image, depth = ((prefix + side).split("/")[:-1] for side in (patterns.rgb, patterns.depth))
    return next((index for index, (a, b) in enumerate(zip(image, depth, strict=False)) if a != b), len(image))


def _names(patterns: Patterns, side: str) -> set[str]:
    return {match[1] for match in FIELD.finditer(patterns.prefixes[0] + side) if match[1]}


def _key(fields: Fields, names: list[str]) -> tuple[str, ...]:
    return tuple(fields[name] for name in names)

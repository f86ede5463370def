"""How well scene cuts are found: false cuts per 1,000 frames of real clips, cuts missed, milliseconds per frame.

python benchmarks/cuts.py CLIP... [--true NAME=30,76]... [--detector FILE.py:NAME]... [--pictures FOLDER]
    [--within NAME...] [--steps 1 2 5 10] [--joins 200] [--seed 0]

CLIP is a video or a folder of frames; --true says where one of them has cuts (first frames of new shots), the others
have none. Printed are, for each detector:

- the clips, at every frame and at every second, fifth and tenth: false cuts, and true ones missed;
- joins between two clips, at once, through one mixed frame, and dissolved; and within each of the clips that --within
  names (at least 40 frames apart; where they show the same things on both sides they are not found, and need not be):
  how many are found at the join or up to two frames late;
- with --pictures: a camera that pans, shakes and zooms over each, with flashes and lights switched, and the same joins;
- processor time per frame, at 192 × 320.

`dvd` is the detector of `dvd predict`. Another is a class whose instances are called with each frame, `3 H W` float32
in [0, 1], and return whether it begins a new shot; `scenedetect` is PySceneDetect's AdaptiveDetector, where that is
installed.
"""

from __future__ import annotations

import argparse
import importlib
import runpy
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from command import at_least, run
from numpy.typing import NDArray

import dvd
from dvd.errors import InputError, OptionError, unknown
from dvd.resize import ToModelSize
from dvd.shots import mark_cuts

SIZE, TIMED_SIZE = (96, 160), (192, 320)
SHOT = 12
"""Frames on each side of a join."""
APART = 40
LATE = 2
DISSOLVES = (1, 3, 8, 12)

Frames = Sequence[NDArray[np.float32]]
"""Each `3 H W` in [0, 1]."""
Detector = Callable[[Frames], list[int]]
"""The first frames of new shots."""


def ours(frames: Frames) -> list[int]:
    return [index for index, (_, begins) in enumerate(mark_cuts(frames, lambda rgb: rgb)) if begins]


def adaptive(frames: Frames) -> list[int]:
    """PySceneDetect's AdaptiveDetector as it comes, but for shots of any length."""
    try:
        detectors = importlib.import_module("scenedetect.detectors")
        common = importlib.import_module("scenedetect").FrameTimecode
    except ImportError as error:
        raise OptionError("scenedetect is not installed; pip install scenedetect-headless") from error
    detector, found = detectors.AdaptiveDetector(min_scene_len=1), []
    for index, rgb in enumerate(frames):
        picture = np.ascontiguousarray((rgb[::-1] * 255).astype(np.uint8).transpose(1, 2, 0))
        found += detector.process_frame(common(index, 25.0), picture)
    return [cut.frame_num for cut in found]


def detector(text: str) -> Detector:
    """`dvd`, `scenedetect`, or the class NAME of a file or module, as FILE.py:NAME or MODULE:NAME."""
    if text in ("dvd", "scenedetect"):
        return {"dvd": ours, "scenedetect": adaptive}[text]
    where, _, name = text.rpartition(":")
    try:
        held = runpy.run_path(where) if where.endswith(".py") else vars(importlib.import_module(where))
        made = held[name]
    except (OSError, ImportError, ValueError, KeyError, SyntaxError) as error:
        raise OptionError(
            f"detector '{text}' cannot be imported ({error}); give dvd, scenedetect, FILE.py:NAME or MODULE:NAME"
        ) from error

    def each(frames: Frames) -> list[int]:
        asked = made()
        return [index for index, rgb in enumerate(frames) if asked(rgb)]

    return each


def read(path: Path) -> NDArray[np.uint8]:
    """All frames `T 3 H W`, at `SIZE` and in the aspect that this gives."""
    resize = ToModelSize(SIZE, None)
    with dvd.open_video(path) as video:
        return np.stack([np.round(resize(frame.rgb).numpy() * 255).astype(np.uint8) for frame in video])


def floats(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    return frames.astype(np.float32) / 255


def clip_lines(
    clips: dict[str, NDArray[np.uint8]], true: dict[str, list[int]], steps: Sequence[int], find: Detector
) -> Iterator[str]:
    """A line for every step: false and missed cuts of all clips together, and where they are."""
    for step in steps:
        frames, false, missed, known = 0, [], [], 0
        for name, clip in clips.items():
            kept = clip[::step]
            frames += len(kept)
            wanted = {-(-cut // step) for cut in true.get(name, [])}
            found = set(find(floats(kept)))
            known += len(wanted)
            false += [f"{name} {step * cut}" for cut in sorted(found - wanted)]
            missed += [f"{name} {step * cut}" for cut in sorted(wanted - found)]
        rate = 1000 * len(false) / frames
        where = f"; false: {', '.join(false)}" * bool(false) + f"; missed: {', '.join(missed)}" * bool(missed)
        yield (
            f"  every {ordinal(step)}frame: {len(false)} false cuts in {frames} frames, {rate:.2f} per 1,000; "
            f"{len(missed)} of {known} missed{where}"
        )


def ordinal(step: int) -> str:
    return "" if step == 1 else f"{step}th " if step > 3 else f"{step}{'nd' if step == 2 else 'rd'} "


Drawn = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Frames before and after a join; each has as many again for a dissolve."""


def between(clips: dict[str, NDArray[np.uint8]], rng: np.random.Generator) -> Drawn:
    one, other = rng.choice(list(clips), 2, replace=False)
    return stretch(clips[one], rng), stretch(clips[other], rng)


def within(clip: NDArray[np.uint8], rng: np.random.Generator) -> Drawn:
    while True:
        one, other = rng.integers(0, len(clip) - 2 * SHOT, 2)
        if abs(one - other) >= APART:
            return clip[one : one + 2 * SHOT], clip[other : other + 2 * SHOT]


def stretch(clip: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    first = rng.integers(0, len(clip) - 2 * SHOT + 1)
    return clip[first : first + 2 * SHOT]


def joined(drawn: Drawn, mixed: int) -> NDArray[np.float32]:
    """`SHOT` frames, `mixed` frames of the dissolve, `SHOT` frames."""
    one, other = map(floats, drawn)
    weights = (np.arange(1, mixed + 1, dtype=np.float32) / (mixed + 1)).reshape(-1, 1, 1, 1)
    through = one[SHOT : SHOT + mixed] * (1 - weights) + other[SHOT - mixed : SHOT] * weights
    return np.concatenate([one[:SHOT], through, other[SHOT:]])


def join_line(title: str, joins: Sequence[Drawn], mixed: int, find: Detector) -> str:
    """How many joins are found, how late, and what is found besides."""
    late, besides = [], 0
    for drawn in joins:
        found = find(joined(drawn, mixed))
        here = [cut for cut in found if SHOT <= cut <= SHOT + mixed + LATE]
        besides += len(found) - bool(here)
        late += [max(0, here[0] - SHOT - mixed)] if here else []
    delay = f", {np.mean(late):.2f} frames late" if late else ""
    share = 100 * len(late) / len(joins)
    return f"  {title}: {len(late)} of {len(joins)} found ({share:.1f} %){delay}; {besides} other cuts"


def camera(picture: NDArray[np.uint8], rng: np.random.Generator, frames: int = 60) -> NDArray[np.uint8]:
    """A camera over a picture `3 H W`: rests, pans by up to 0.3 of its view a frame, shakes, zooms; lights change."""
    height, width = SIZE
    y, x, zoom = 0.5, 0.5, 0.4
    speed, seen = np.zeros(3), []
    gain = 1.0
    for index in range(frames):
        if index % 10 == 0:
            speed = rng.uniform(-1, 1, 3) * (0.3 * zoom, 0.3 * zoom, 0.03) * rng.choice([0, 0.2, 1])
            gain = rng.choice([1.0, 1.0, 0.4, 1.6])
        y, x, zoom = y + speed[0], x + speed[1], zoom * (1 + speed[2])
        if not zoom / 2 < y < 1 - zoom / 2:
            speed[0] *= -1
        if not zoom / 2 < x < 1 - zoom / 2:
            speed[1] *= -1
        y, x, zoom = np.clip(y, zoom / 2, 1 - zoom / 2), np.clip(x, zoom / 2, 1 - zoom / 2), np.clip(zoom, 0.2, 0.8)
        shake = rng.normal(0, 0.005, 2)
        rows, columns = (
            np.clip((at + off + zoom * (np.arange(2 * count) / (2 * count) - 0.5)) * size, 0, size - 1).astype(int)
            for at, off, count, size in zip((y, x), shake, (height, width), picture.shape[1:], strict=True)
        )
        flash = 4.0 if rng.random() < 0.03 else gain
        # Two samples a pixel each way, so that fine texture does not turn into noise.
        view = picture[:, rows][:, :, columns].reshape(3, height, 2, width, 2).mean(axis=(2, 4))
        seen.append(np.clip(view * flash, 0, 255).astype(np.uint8))
    return np.stack(seen)


def pictures(folder: Path, rng: np.random.Generator) -> dict[str, NDArray[np.uint8]]:
    """A drawn clip of every picture below the folder."""
    from PIL import Image

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if len(paths) < 2:
        raise InputError(f"{folder}: holds fewer than two .jpg or .png pictures; name a folder of pictures")
    found = {}
    for path in paths:
        with Image.open(path) as image:
            image.thumbnail((640, 640))
            found[path.stem] = camera(np.asarray(image.convert("RGB")).transpose(2, 0, 1), rng)
    return found


def milliseconds(clips: dict[str, NDArray[np.uint8]], find: Detector) -> float:
    """Processor time per frame, over a stretch of each clip at `TIMED_SIZE`."""
    spent, frames = 0.0, 0
    for clip in clips.values():
        stretched = floats(clip[:60]).repeat(TIMED_SIZE[0] // SIZE[0], 2).repeat(TIMED_SIZE[1] // SIZE[1], 3)
        started = time.process_time()
        find(stretched)
        spent += time.process_time() - started
        frames += len(stretched)
    return 1000 * spent / frames


def cuts_of(text: str) -> tuple[str, list[int]]:
    name, equals, numbers = text.partition("=")
    try:
        return name, [int(number) for number in numbers.split(",") if equals]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FRAME,FRAME, such as bikes=30,76") from error


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--true", type=cuts_of, nargs="+", default=[], metavar="NAME=FRAMES", help="known cuts")
    parser.add_argument("--detector", nargs="+", default=["dvd"], help="dvd, scenedetect, FILE.py:NAME, MODULE:NAME")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--within", nargs="+", default=[], metavar="NAME", help="clips whose camera goes elsewhere")
    parser.add_argument("--steps", type=at_least(1), nargs="+", default=[1, 2, 5, 10])
    parser.add_argument("--joins", type=at_least(1), default=200)
    parser.add_argument("--seed", type=int, default=0)
    run(parser, measure)


def measure(args: argparse.Namespace) -> None:
    """Prints the table of every detector."""
    detectors = {text: detector(text) for text in args.detector}
    rng = np.random.default_rng(args.seed)
    drawn = pictures(args.pictures, rng) if args.pictures else {}
    clips = {title(path): read(path) for path in args.clips}
    true = dict(args.true)
    for name in [*true, *args.within]:
        if name not in clips:
            raise OptionError(unknown("clip", name, clips))
        if name in args.within and len(clips[name]) < APART + 4 * SHOT:
            raise OptionError(f"{name} has {len(clips[name])} frames; a join within needs {APART + 4 * SHOT}")
    sources = [(f"{len(clips)} clips", clips, true, args.within, args.steps)]
    if drawn:
        sources.append((f"a camera over {len(drawn)} pictures", drawn, {}, [], [1]))
    for text, find in detectors.items():
        print(f"{text}: {milliseconds(clips, find):.2f} ms per frame")
        for name, each, known, within, steps in sources:
            print(f" {name}")
            for line in clip_lines(each, known, steps, find):
                print(line, flush=True)
            for line in join_lines(each, known, within, args.joins, args.seed, find):
                print(line, flush=True)


def join_lines(
    clips: dict[str, NDArray[np.uint8]],
    true: dict[str, list[int]],
    apart: Sequence[str],
    count: int,
    seed: int,
    find: Detector,
) -> Iterator[str]:
    """Joins of two clips that are single shots and long enough, and joins within each of the clips `apart`."""
    whole = {name: clip for name, clip in clips.items() if name not in true and len(clip) >= 2 * SHOT}
    if len(whole) < 2:
        return
    rng = np.random.default_rng(seed)
    joins = [between(whole, rng) for _ in range(count)]
    yield join_line("joins of two clips", joins, 0, find)
    for name in apart:
        yield join_line(f"joins within {name}", [within(clips[name], rng) for _ in range(count // 4 or 1)], 0, find)
    for mixed in DISSOLVES:
        frames = "1 mixed frame" if mixed == 1 else f"a dissolve of {mixed} frames"
        yield join_line(f"joins of two clips by {frames}", joins, mixed, find)


def title(path: Path) -> str:
    """A file's stem; of a folder `rgb` or `left` and the like, the name of the folder above."""
    return path.parent.name if path.is_dir() and path.name in ("rgb", "image_left") else path.stem


if __name__ == "__main__":
    main()

"""Labels real pictures and videos without truth by a trained model, as shards that training reads beside its scenes.

python benchmarks/pseudo_labels.py OUT --clips FOLDER... --pictures FOLDER... [--model dvd-mini] [--windows 8]
    [--stills 40] [--side 216]

OUT/images holds every picture and --stills frames of every clip, each labelled by itself; OUT/clips holds --windows
stretches of 33 frames of every clip, evenly spread, each labelled as one window. A label is the mean of four
predictions, brought to one scale and shift: as it is and mirrored, at the model's size and at three quarters of it; a
clip forwards and backwards by turns. A stretch with a cut is left out. The shorter side is --side pixels. Shards that
are there stay as they are; give a new OUT for other clips.

Then:  dvd train dvd-mini-finetune --config FILE, where FILE names them as sources of data "shards" (docs/training.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from command import at_least, run
from numpy.typing import NDArray
from PIL import Image

import dvd
from dvd import align
from dvd.errors import InputError, OptionError
from dvd.export import check_writable

FRAMES = 33
SIZES = ((192, 256), (144, 192))
CLIPS = (".mp4", ".mov", ".mkv", ".webm")
PICTURES = (".jpg", ".jpeg", ".png")
MOST = 256
"""Pictures of one shard."""


@dataclass(frozen=True)
class View:
    """One way of looking at a clip `T H W …`; `back` undoes it."""

    size: tuple[int, int]
    mirrored: bool
    backwards: bool

    def of(self, video: NDArray) -> NDArray:
        video = video[:, :, ::-1] if self.mirrored else video
        return np.ascontiguousarray(video[::-1] if self.backwards else video)

    back = of


VIEWS = (
    View(SIZES[0], mirrored=False, backwards=False),
    View(SIZES[0], mirrored=True, backwards=True),
    View(SIZES[1], mirrored=False, backwards=True),
    View(SIZES[1], mirrored=True, backwards=False),
)


def labelled(model: dvd.DVD, frames: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Disparity `T H W` of one window: the mean over the views, in one scale and shift; None where there is a cut."""
    seen = []
    for view in VIEWS:
        stream = model.stream(view.of(frames), size=view.size, window=FRAMES)
        seen.append(view.back(np.concatenate([chunk.disparity for chunk in stream])))
        if stream.cuts:
            return None
    first, *others = seen
    return np.mean([first, *(align.fit(other, first)(other) for other in others)], axis=0)


def read(path: Path, side: int) -> NDArray[np.uint8]:
    """All frames `T h w 3` of a video or a picture, the shorter side `side` pixels."""
    with dvd.open_video(path) as video:
        return np.stack([shrunk(frame.rgb, side) for frame in video])


def shrunk(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The same picture, its shorter side `side` pixels."""
    height, width = frame.shape[:2]
    factor = side / min(height, width)
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.BOX))


def spread(total: int, length: int, count: int) -> list[int]:
    """Up to `count` different first frames of stretches of `length`, evenly over `total` frames."""
    return sorted({round(start) for start in np.linspace(0, total - length, count)}) if total >= length else []


def write(shard: Path, model: dvd.DVD, clips: Iterable[NDArray[np.uint8]]) -> None:
    """Labels clips of one shape and writes them as a shard, renamed into its place once it is whole."""
    pairs = [(clip, label) for clip in clips if (label := labelled(model, clip)) is not None]
    if not pairs:
        return
    seen, disparity = zip(*pairs, strict=True)
    aside = shard.with_name(f".{shard.name}")
    aside.mkdir(parents=True, exist_ok=True)
    np.save(aside / "rgb.npy", np.stack(seen))
    np.save(aside / "disparity.npy", np.stack(disparity).astype(np.float16))
    np.save(aside / "intrinsics.npy", np.full((len(seen), 3, 3), np.nan, np.float32))  # nobody knows them
    aside.rename(shard)
    print(f"{shard}: {len(seen)} of {'x'.join(map(str, seen[0].shape[:3]))}", flush=True)


def files(folders: Sequence[Path], suffixes: tuple[str, ...]) -> dict[str, Path]:
    """The files of these kinds in the folders, at any depth, by a name that no two of them share."""
    found = {}
    for number, folder in enumerate(folders):
        there = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes]
        if not there:
            raise InputError(f"{folder} holds no {' or '.join(suffixes)}; give the folder that holds them")
        found |= {f"{number}_" + "_".join(path.relative_to(folder).parts): path for path in there}
    return found


def label(args: argparse.Namespace) -> None:
    """All clips, then all pictures, those of one shape together."""
    if not (args.clips or args.pictures):
        raise OptionError("nothing to label; give --clips or --pictures")
    check_writable(args.out, overwrite=True, folder=True)
    clips, pictures = files(args.clips, CLIPS), files(args.pictures, PICTURES)
    model = dvd.load(args.model)
    for name, path in clips.items():
        windows, stills = args.out / "clips" / f"shard_{name}", args.out / "images" / f"shard_{name}"
        if windows.exists() and stills.exists():
            continue
        frames = read(path, args.side)
        for shard, length, count in ((windows, FRAMES, args.windows), (stills, 1, args.stills)):
            if not shard.exists():
                starts = spread(len(frames), length, count)
                write(shard, model, (frames[start : start + length] for start in starts))
    shapes: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
    for path in pictures.values():
        picture = read(path, args.side)[:1]
        shapes.setdefault(picture.shape[1:3], []).append(picture)
    for (height, width), alike in shapes.items():
        for first in range(0, len(alike), MOST):
            shard = args.out / "images" / f"shard_{height}x{width}_{first:05d}"
            if not shard.exists():
                write(shard, model, alike[first : first + MOST])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=Path, nargs="+", default=[])
    parser.add_argument("--pictures", type=Path, nargs="+", default=[])
    parser.add_argument("--model", default="dvd-mini")
    parser.add_argument("--windows", type=at_least(1), default=8)
    parser.add_argument("--stills", type=at_least(1), default=40)
    parser.add_argument("--side", type=at_least(144), default=216)
    run(parser, label)


if __name__ == "__main__":
    main()

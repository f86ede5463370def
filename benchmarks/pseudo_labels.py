"""Labels real pictures and videos without truth by a trained model, as shards that training reads beside its scenes.

python benchmarks/pseudo_labels.py OUT --clips FOLDER... --pictures FOLDER... [--model dvd-mini] [--windows 8]
    [--stills 40] [--side 216]

OUT/images holds every picture and --stills frames of every clip, each labelled by itself; OUT/clips holds --windows
stretches of 33 frames of every clip, evenly spread, each labelled as one window. A label is the mean of four
predictions, brought to one scale and shift: as it is and mirrored, at the model's size and at three quarters of it; a
clip forwards and backwards by turns. The shorter side is --side pixels. Shards that are there stay as they are.

Then:  dvd train dvd-mini-finetune --config FILE, where FILE names them as further sources of data "shards".
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
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
PICTURES = (".jpg", ".jpeg", ".png")


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


def labelled(model: dvd.Pipeline, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Disparity `T H W` of a clip no longer than a window: the mean over the views, in one scale and shift."""
    first, *others = (view.back(model.predict(view.of(frames), size=view.size)) for view in VIEWS)
    return np.mean([first, *(align.fit(other, first)(other) for other in others)], axis=0)


def shrunk(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The same picture, its shorter side `side` pixels."""
    height, width = frame.shape[:2]
    factor = side / min(height, width)
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.BOX))


def read_clip(path: Path, side: int) -> NDArray[np.uint8]:
    """All frames `T h w 3` of a video."""
    with dvd.open_video(path) as video:
        return np.stack([shrunk(frame.rgb, side) for frame in video])


def spread(total: int, length: int, count: int) -> list[int]:
    """Up to `count` different first frames of stretches of `length`, evenly over `total` frames."""
    return sorted({round(start) for start in np.linspace(0, total - length, count)}) if total >= length else []


def write(shard: Path, model: dvd.Pipeline, clips: Iterable[NDArray[np.uint8]]) -> None:
    """Labels clips of one shape and writes them as a shard, renamed into its place once it is whole."""
    if shard.exists():
        print(f"{shard} is there")
        return
    seen = list(clips)
    if not seen:
        return
    disparity = np.stack([labelled(model, clip) for clip in seen])
    aside = shard.with_name(f".{shard.name}")
    aside.mkdir(parents=True, exist_ok=True)
    np.save(aside / "rgb.npy", np.stack(seen))
    np.save(aside / "disparity.npy", disparity.astype(np.float16))
    np.save(aside / "intrinsics.npy", np.full((len(seen), 3, 3), np.nan, np.float32))  # nobody knows them
    aside.rename(shard)
    print(f"{shard}: {len(seen)} of {'x'.join(map(str, seen[0].shape[:3]))}", flush=True)


def files(folders: Sequence[Path], suffixes: tuple[str, ...]) -> Iterator[Path]:
    """The files of these kinds in the folders, at any depth."""
    for folder in folders:
        found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes]
        if not found:
            raise InputError(f"{folder} holds no {' or '.join(suffixes)}; give the folder that holds them")
        yield from found


def label(args: argparse.Namespace) -> None:
    """All clips, then all pictures."""
    if not (args.clips or args.pictures):
        raise OptionError("nothing to label; give --clips or --pictures")
    check_writable(args.out, overwrite=True, folder=True)
    model = dvd.load(args.model)
    for path in files(args.clips, (".mp4", ".mov", ".mkv", ".webm")):
        frames, name = read_clip(path, args.side), f"shard_{path.stem}"
        starts = spread(len(frames), FRAMES, args.windows)
        write(args.out / "clips" / name, model, (frames[start : start + FRAMES] for start in starts))
        stills = spread(len(frames), 1, args.stills)
        write(args.out / "images" / name, model, (frames[start : start + 1] for start in stills))
    for path in files(args.pictures, PICTURES):
        picture = shrunk(np.asarray(Image.open(path).convert("RGB")), args.side)
        write(args.out / "images" / f"shard_{path.stem}", model, [picture[None]])


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

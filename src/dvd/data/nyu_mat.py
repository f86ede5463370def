"""Read NYUv2's labelled images from the published MATLAB file `nyu_depth_v2_labeled.mat`, which is HDF5.

Image and raw depth N (from 1, as in MATLAB and `splits.mat`) have the paths `FILE/images/N` and `FILE/rawDepths/N`, as
if the file were a folder. Raw depth is the Kinect's measurement; the filled holes in `depths` are not ground truth.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dvd.data.folders import FrameSequence, Pair, Survey
from dvd.data.formats import metres, reading
from dvd.data.sources import BadSample
from dvd.errors import InputError, OptionError

log = logging.getLogger(__name__)

FILE = "nyu_depth_v2_labeled.mat"
SPLITS = "splits.mat"


def survey_labelled(root: Path) -> Survey:
    """List the images of `root/nyu_depth_v2_labeled.mat` by split and type of scene.

    `splits.mat`, published with it, separates test from training images; without it the split is unknown. Raise
    InputError for a damaged file.
    """
    try:
        with _opened(root / FILE) as file:
            count = len(file["images"])
            kinds = [_text(file, reference) for reference in file["sceneTypes"][0]]
    except BadSample as error:
        raise InputError(f"{error}; fetch it again") from error
    splits = _splits(root / SPLITS)
    groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for index in range(count):
        number = f"{index + 1:04d}"
        pair = Pair(number, f"{FILE}/images/{number}", f"{FILE}/rawDepths/{number}")
        groups[splits.get(index + 1, ""), kinds[index]].append(pair)
    return Survey(
        tuple(
            FrameSequence(f"{split}/{kind}" if split else kind, kind, tuple(pairs), split)
            for (split, kind), pairs in sorted(groups.items())
        )
    )


def read_rgb(path: Path) -> np.ndarray:
    """Read `FILE/images/N` as `H W 3` uint8."""
    return _stored(path).transpose(2, 1, 0)


def read_depth(path: Path, per_metre: float) -> np.ndarray:
    """Read `FILE/rawDepths/N` as `H W` float32 in metres."""
    return metres(path, _stored(path).T, per_metre)


def _stored(path: Path) -> np.ndarray:
    """Read one image of a stack, with axes in the order of HDF5, the reverse of MATLAB's."""
    with _opened(path.parents[1]) as file:
        return file[path.parent.name][int(path.name) - 1]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise OptionError(f"{FILE} needs h5py; pip install 'dvd-depth[train]'") from error
    with reading(path, TypeError, RuntimeError, IndexError), h5py.File(path, "r") as file:
        yield file


def _text(file: Any, reference: Any) -> str:
    """Return the MATLAB string behind a reference."""
    return "".join(chr(code) for code in np.asarray(file[reference]).reshape(-1))


def _splits(path: Path) -> dict[int, str]:
    """Return "test" or "train" by image number."""
    if not path.exists():
        log.warning("%s is not there: test images and those to train on are taken together", path)
        return {}
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise OptionError(f"{path} needs SciPy; pip install 'dvd-depth[train]'") from error
    try:
        with reading(path):
            table = loadmat(path)
            return {int(number): split for split in ("train", "test") for number in table[f"{split}Ndxs"].reshape(-1)}
    except BadSample as error:
        raise InputError(f"{error}; fetch it again") from error

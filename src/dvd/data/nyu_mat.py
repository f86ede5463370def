"""NYUv2's labelled images in the one MATLAB file that is published, `nyu_depth_v2_labeled.mat`, an HDF5 file.

Image and raw depth number N (from 1, as MATLAB and `splits.mat` count) go by the paths `FILE/images/N` and
`FILE/rawDepths/N`, as if the file were a folder. Raw depth is what the Kinect measured; the holes that `depths` fills
are no ground truth.
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
    """The images of `root/nyu_depth_v2_labeled.mat`, by split and type of scene; InputError for a damaged file.

    `splits.mat`, published beside it, tells the test images from those to train on; without it the split is unknown.
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
    """`FILE/images/N` → `H W 3` uint8."""
    return _stored(path).transpose(2, 1, 0)


def read_depth(path: Path, per_metre: float) -> np.ndarray:
    """`FILE/rawDepths/N` → `H W` float32 in metres."""
    return metres(path, _stored(path).T, per_metre)


def _stored(path: Path) -> np.ndarray:
    """One image of a stack, axes in the order of HDF5: the reverse of MATLAB's."""
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
    """A MATLAB string, by reference."""
    return "".join(chr(code) for code in np.asarray(file[reference]).reshape(-1))


def _splits(path: Path) -> dict[int, str]:
    """Number → "test" or "train"."""
    if not path.exists():
        log.warning("%s is not there: test images and those to train on are taken together", path)
        return {}
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise OptionError(f"{path} needs SciPy; pip install 'dvd-depth[train]'") from error
    try:
        with reading(path):
            found = loadmat(path)
            return {int(number): split for split in ("train", "test") for number in found[f"{split}Ndxs"].reshape(-1)}
    except BadSample as error:
        raise InputError(f"{error}; fetch it again") from error

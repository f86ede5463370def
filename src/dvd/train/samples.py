"""A validation clip to look at: RGB, truth and prediction beside each other."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from dvd import align
from dvd.align import AffineFit
from dvd.export.display import colour_levels, robust_range, to_levels
from dvd.export.encode import VideoEncoder
from dvd.files import replacing_path
from dvd.types import VideoInfo

_GAP = 4
"""White columns between the pictures; even, because video wants even sides."""
_CRF = 17
_INVALID = 128


def write(
    stem: str | Path,
    rgb: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    frame_rate: int | Fraction = 8,
    colormap: str = "turbo",
) -> AffineFit:
    """Write `stem`.mp4 (not for a single frame) and `stem`.png, its middle frame: RGB | truth | prediction.

    `rgb` `T H W 3` uint8, `truth` and `predicted` `T H W` disparity. The prediction is brought to the truth's scale by
    one least-squares fit over the clip (Eq. 8–9), both are shown in the truth's range, pixels without truth are gray.
    A fit with a negative scale would make an inverted prediction look right, so it is shown at the best scale of at
    least 0: a flat picture. Return the fit. Existing files are replaced; `OutputError` where the disk refuses.
    """
    if rgb.shape[:3] != truth.shape or truth.shape != predicted.shape or not len(rgb):
        raise ValueError(f"rgb {rgb.shape}, truth {truth.shape} and prediction {predicted.shape} do not agree")
    valid = np.isfinite(truth)
    fit = align.fit(predicted, truth, valid)
    pictures = _side_by_side(rgb, truth, _aligned(fit, predicted, truth[valid]), valid, colormap)
    # Not with_suffix, which would take the end off a name such as step_1.5.
    still, video = (Path(f"{stem}{ending}") for ending in (".png", ".mp4"))
    with replacing_path(still) as part:
        Image.fromarray(pictures[len(pictures) // 2]).save(part, format="PNG")
    if len(pictures) > 1:
        with replacing_path(video) as part:
            _encode(part, pictures, Fraction(frame_rate))
    return fit


def _aligned(fit: AffineFit, predicted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the prediction on the truth's scale."""
    if fit.scale > 0:
        return fit(predicted)
    return np.full_like(predicted, known.mean() if known.size else 0.0)


def _side_by_side(
    rgb: np.ndarray, truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray, colormap: str
) -> np.ndarray:
    """`T H 3W+2g 3` uint8."""
    low, high = robust_range(list(truth))
    frames, height, _ = truth.shape
    gap = np.full((frames, height, _GAP, 3), 255, dtype=np.uint8)
    seen = _coloured(truth, low, high, colormap)
    seen[~valid] = _INVALID
    return np.concatenate([rgb, gap, seen, gap, _coloured(predicted, low, high, colormap)], axis=2)


def _coloured(disparity: np.ndarray, low: float, high: float, colormap: str) -> np.ndarray:
    """`T H W 3` uint8."""
    return np.stack([colour_levels(to_levels(frame, low, high), colormap)[..., :3] for frame in disparity])


def _encode(part: Path, pictures: np.ndarray, frame_rate: Fraction) -> None:
    height, width = pictures.shape[1:3]
    # Made here, so there is no source file whose time stamps and sound the encoder could take over.
    info = VideoInfo(part.stem, Path(), width, height, frame_rate, 1 / frame_rate, len(pictures))
    encoder = VideoEncoder(part, (height, width), info, range(len(pictures)), _CRF, audio=False)
    try:
        for index, picture in enumerate(pictures):
            encoder.put(picture, index)
        encoder.close()
    finally:
        encoder.release()

"""Validation: the accuracy of a phase's depth on held-out clips, and some of them as videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dvd import metrics
from dvd.backbones.trainable import Codec
from dvd.data.sequences import STILL, fill, normalise_disparity, view
from dvd.data.sources import BadSample, Source
from dvd.errors import InputError
from dvd.losses import Objective, objective_loss
from dvd.train import samples
from dvd.train.mixture import Batch
from dvd.train.settings import Validation
from dvd.train.tasks import Predict, target_of

DEPTH_RANGE_M = (0.1, 80.0)


@dataclass(frozen=True)
class HeldOut:
    """One validation clip: the trainer's batch, and the truth in 1 / metres, `T h w`, NaN where unknown."""

    batch: Batch
    truth: np.ndarray


class Validator:
    """Predicts `settings.clips` clips, spread evenly over the source, and compares them with the truth."""

    def __init__(self, settings: Validation, source: Source, codec: Codec, predict: Predict, folder: Path) -> None:
        self.settings, self.codec, self.predict, self.folder = settings, codec, predict, folder
        self.clips = held_out(settings, source)

    @torch.no_grad()
    def measure(self, module: nn.Module, step: int, show: bool) -> dict[str, float]:
        """Return `loss` (L2 + LMR), `abs_rel` and `delta1` (one scale and shift per clip), means over the clips.

        With `show`, the first clips are written as videos of RGB, truth and prediction.
        """
        was = module.training
        module.eval()
        rows: list[dict[str, float]] = []
        for index, clip in enumerate(self.clips):
            latent = self.predict(module, clip.batch).float()
            loss, _ = objective_loss(Objective(), latent, target_of(self.codec, clip.batch))
            disparity = self.codec.decode(latent)[0, 0].cpu().numpy()
            rows.append({"loss": float(loss), **accuracy(disparity, clip.truth)})
            if show and index < self.settings.samples:
                samples.write(
                    self.folder / f"step_{step:08d}_{index}", pixels(clip.batch.rgb[0]), clip.truth, disparity
                )
        module.train(was)
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def held_out(settings: Validation, source: Source) -> list[HeldOut]:
    """Load the clips. Raise InputError where there are none."""
    count, clips = source.count(settings.frames), []
    for index in np.linspace(0, count - 1, min(settings.clips, count)).round().astype(int) if count else ():
        try:
            raw = source.clip(int(index), settings.frames)
        except BadSample:
            continue
        rgb, disparity, valid = view(raw, settings.size, STILL, torch.Generator().manual_seed(0))
        target = fill(normalise_disparity(disparity[None], valid[None])[0])
        batch = Batch("video", source.name, rgb[None], target[None, None], (int(index),))
        truth = torch.where(valid, disparity, torch.nan)
        clips.append(HeldOut(batch, truth.numpy()))
    if not clips:
        raise InputError(f"source {source.name} holds no clip of {settings.frames} frames to validate on; add data")
    return clips


def accuracy(disparity: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return AbsRel and δ1 after one scale and shift in disparity, of pixels up to 80 m."""
    mask = np.isfinite(truth) & (truth >= 1 / DEPTH_RANGE_M[1])
    seen = mask.any(axis=(1, 2))
    mask, disparity = mask[seen], disparity[seen]
    if not len(mask):
        return {"abs_rel": float("nan"), "delta1": float("nan")}
    truth_m = np.where(mask, 1 / np.where(mask, truth[seen], 1), 0)
    depth_m = metrics.align(disparity, truth_m, mask, DEPTH_RANGE_M)
    return {
        "abs_rel": metrics.abs_rel(depth_m, truth_m, mask),
        "delta1": metrics.delta1(depth_m, truth_m, mask),
    }


def pixels(rgb: Tensor) -> np.ndarray:
    """Convert RGB `3 T H W` in [-1, 1] to `T H W 3` uint8."""
    return ((rgb.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).cpu().numpy()

"""Photographs and materials as one flat array of mip levels that the shading kernels sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from dvd.errors import InputError

LEVELS = 8
PHOTO_SIZE, MATERIAL_SIZE = (512, 256), (256, 256)
EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class TextureBank:
    """All textures: pixels P 3 uint8 (sRGB), offsets N L, sizes N 2 (width, height), means N (linear), photo count.

    Photographs come first: textures [0, photos) are photographs, [photos, count) materials.
    """

    pixels: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    means: np.ndarray
    photos: int

    @property
    def count(self) -> int:
        return len(self.sizes)

    @staticmethod
    def empty() -> TextureBank:
        """No textures: every surface is a colour, a pattern or noise."""
        nothing = np.zeros((0, 2), np.int64)
        return TextureBank(np.zeros((1, 3), np.uint8), np.zeros((0, LEVELS), np.int64), nothing, np.zeros(0), 0)

    @staticmethod
    def load(folder: Path | str) -> TextureBank:
        """Read `folder`/photos and `folder`/materials (jpg, png, webp); an InputError where neither holds a picture."""
        folder = Path(folder)
        photos, materials = _pictures(folder / "photos"), _pictures(folder / "materials")
        if not photos and not materials:
            raise InputError(f"no textures in {folder}: put pictures into its folders 'photos' and 'materials'")
        images = [_read(path, PHOTO_SIZE) for path in photos] + [_read(path, MATERIAL_SIZE) for path in materials]
        return _pack(images, len(photos))


@lru_cache(maxsize=2)
def cached_bank(folder: str | None) -> TextureBank:
    """The bank of a folder, read once per process; None gives the empty bank."""
    return TextureBank.empty() if folder is None else TextureBank.load(folder)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in EXTENSIONS) if folder.is_dir() else []


def _read(path: Path, size: tuple[int, int]) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    except OSError as error:
        raise InputError(f"cannot read the texture {path}: {error}; remove it or replace it") from error


def _pack(images: list[np.ndarray], photos: int) -> TextureBank:
    flat, offsets, sizes, means, used = [], [], [], [], 0
    for image in images:
        linear = (image.astype(np.float32) / 255.0) ** 2
        means.append(float(linear.mean()))
        sizes.append((image.shape[1], image.shape[0]))
        row = []
        for _ in range(LEVELS):
            row.append(used)
            flat.append(np.round(255.0 * np.sqrt(linear)).astype(np.uint8).reshape(-1, 3))
            used += len(flat[-1])
            height, width = max(1, linear.shape[0] // 2), max(1, linear.shape[1] // 2)
            linear = linear.reshape(height, linear.shape[0] // height, width, linear.shape[1] // width, 3).mean((1, 3))
        offsets.append(row)
    return TextureBank(
        np.concatenate(flat), np.array(offsets, np.int64), np.array(sizes, np.int64), np.array(means), photos
    )

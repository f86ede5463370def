"""From linear radiance to a photograph: exposure, white balance, blur, vignette, tone, noise, JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from random import Random

import numpy as np
from numba import njit
from PIL import Image


@dataclass(frozen=True)
class Look:
    """One camera's processing, constant over a clip.

    `gain` multiplies linear light; `balance` is per channel; `blur` is a Gaussian's sigma across and down in pixels
    (unequal for the smear of a moving camera); `noise` and
    `shot` are sigmas of 8-bit-scaled read and square-root noise in [0, 1]; `quality` 0 means no JPEG.
    """

    gain: float
    balance: tuple[float, float, float]
    gamma: float
    contrast: float
    saturation: float
    vignette: float
    blur: tuple[float, float]
    noise: float
    shot: float
    quality: int


def choose(random: Random, radiance: np.ndarray) -> Look:
    """A random camera, exposed for the first frame's radiance H W 3."""
    luminance = radiance.mean(2)
    middle = float(np.exp(np.log(luminance + 1e-3).mean()))
    bright = float(np.quantile(luminance[::2, ::2], 0.97))
    gain = 0.2 / max(middle, 1e-3)
    gain = min(gain, max(1.6 / max(bright, 1e-3), 0.35 * gain)) * 2.0 ** random.gauss(0.0, 0.55)
    warmth, tint = random.gauss(0, 0.09), random.gauss(0, 0.035)
    soft = random.uniform(0.3, 1.0) if random.random() < 0.45 else 0.0
    smear = random.uniform(0.5, 1.6) if random.random() < 0.12 else 0.0
    blur = (soft + smear, soft) if random.random() < 0.7 else (soft, soft + smear)
    noisy = random.random()
    return Look(
        gain=gain,
        balance=(1.0 + warmth, 1.0 + tint, 1.0 - warmth),
        gamma=random.uniform(1.9, 2.5),
        contrast=random.uniform(-0.1, 0.5),
        saturation=random.uniform(0.55, 1.25),
        vignette=random.choice((0.0, random.uniform(0.0, 0.5))),
        blur=blur,
        noise=random.uniform(0.0, 0.008) if noisy < 0.75 else random.uniform(0.008, 0.035),
        shot=random.uniform(0.0, 0.03) if noisy < 0.75 else random.uniform(0.0, 0.06),
        quality=random.randint(35, 95) if random.random() < 0.6 else 0,
    )


def develop(look: Look, radiance: np.ndarray, grain: np.random.Generator) -> np.ndarray:
    """H W 3 float32 linear radiance → H W 3 uint8; the same generator state gives the same bits."""
    height, width, _ = radiance.shape
    noise = grain.standard_normal((height, width, 3), np.float32)
    if max(look.blur) > 0.0:
        radiance = _blur(radiance, _kernel(look.blur[0]), _kernel(look.blur[1]))
    balance = np.array(look.balance, np.float32)
    values = (look.gain, look.gamma, look.contrast, look.saturation, look.vignette, look.noise, look.shot)
    rgb = _tone(radiance, balance, np.array(values, np.float32), noise)
    if not look.quality:
        return rgb
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=look.quality)
    return np.asarray(Image.open(buffer))


def _kernel(sigma: float) -> np.ndarray:
    if sigma <= 0.0:
        return np.ones(1, np.float32)
    reach = max(1, round(2.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _blur(image: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    reach = len(row) // 2
    across, out = np.zeros_like(image), np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            for k in range(-reach, reach + 1):
                i, w = min(max(x + k, 0), width - 1), row[k + reach]
                for c in range(3):
                    across[y, x, c] += w * image[y, i, c]
    reach = len(column) // 2
    for y in range(height):
        for k in range(-reach, reach + 1):
            j, w = min(max(y + k, 0), height - 1), column[k + reach]
            for x in range(width):
                for c in range(3):
                    out[y, x, c] += w * across[j, x, c]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _tone(radiance: np.ndarray, balance: np.ndarray, values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    gain, gamma, contrast, saturation, vignette, read, shot = values
    curve = (np.arange(1025) / np.float32(1024.0)) ** (1.0 / gamma)
    height, width, _ = radiance.shape
    out = np.empty((height, width, 3), np.uint8)
    rgb = np.empty(3, np.float32)
    for y in range(height):
        for x in range(width):
            u, v = 2.0 * x / (width - 1) - 1.0, 2.0 * y / (height - 1) - 1.0
            shade = gain * (1.0 - vignette * 0.5 * (u * u + v * v))
            for c in range(3):
                light = max(0.0, radiance[y, x, c] * shade * balance[c])
                # A shoulder above 0.6 keeps windows from clipping to flat white at once.
                if light > 0.6:
                    light = 0.6 + 0.55 * (1.0 - np.exp(-(light - 0.6) / 0.55))
                # The curve is steep near black: there the exact power, elsewhere the table.
                value = curve[min(1024, int(light * 1024.0 + 0.5))] if light > 0.06 else light ** (1.0 / gamma)
                rgb[c] = value + contrast * (value - 0.5) * value * (1.0 - value) * 2.0
            grey = 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]
            for c in range(3):
                value = grey + saturation * (rgb[c] - grey)
                value += noise[y, x, c] * (read + shot * np.sqrt(max(0.0, value)))
                out[y, x, c] = np.uint8(min(255.0, max(0.0, value * 255.0 + 0.5)))
    return out

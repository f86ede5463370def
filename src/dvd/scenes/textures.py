"""What surfaces and the sky look like: photographs, patterns and noise, filtered over a pixel's footprint (numba).

Distant tiles and windows therefore fade instead of flickering.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from dvd.errors import InputError
from dvd.scenes.trace import Vector, hash01, kernel, record_type

Colour = Vector
"""Linear RGB."""
WHITE: Colour = (0.8, 0.8, 0.8)
LEVELS = 8
PHOTO_SIZE, MATERIAL_SIZE = (512, 256), (256, 256)
EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}
PATTERNS = range(11)
PLAIN, STRIPES, CHECKER, TILES, BRICKS, PLANKS, FACADE, STAINS, BOOKS, PRINT, ROAD = PATTERNS


class Material(NamedTuple):
    """A surface: colours a and b mixed by a pattern, a texture (-1 for none) or noise over them, and how it shines.

    Periods and sizes are in metres; a texture of size -1 fills its face once. A texture that does not `recolour` keeps
    its own colours; `turned` swaps u and v.
    """

    pattern: int
    texture: int
    texture_size: float
    a: Colour
    b: Colour
    period_u: float
    period_v: float
    fraction: float
    variation: float
    noise: float
    noise_size: float
    specular: float
    shininess: float
    emission: float
    recolour: bool
    offset_u: float
    offset_v: float
    turned: bool
    seed: int


class Sky(NamedTuple):
    """What is behind everything, a gradient with clouds or a photograph, and the light and haze that come from it.

    `sun` is the direction towards the sun; `fog` is a density in 1/m; `above` and `below` are ambient light.
    """

    zenith: Colour = (0.25, 0.45, 0.9)
    horizon: Colour = (0.8, 0.85, 0.95)
    photo: int = -1
    photo_turns: float = 2.0
    photo_height: float = 0.9
    steepness: float = 3.0
    clouds: float = 0.0
    cloud_size: float = 1.0
    cloud_light: float = 1.0
    sun: Vector = (0.0, 0.0, 1.0)
    glow: float = 0.0
    fog: float = 0.0
    seed: int = 0
    above: Colour = (1.0, 1.0, 1.0)
    below: Colour = (1.0, 1.0, 1.0)


MATERIAL, SKY = record_type(Material), record_type(Sky)


class TextureBank(NamedTuple):
    """N textures with L mip levels: pixels P 3 uint8 (sRGB), offsets N L, sizes N 2 (width, height), means N (linear).

    The first `photos` textures are photographs, the others materials.
    """

    pixels: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    means: np.ndarray
    photos: int

    @staticmethod
    def empty() -> TextureBank:
        """Return a bank without textures: every surface is a colour, a pattern or noise."""
        nothing = np.zeros((0, 2), np.int64)
        return TextureBank(np.zeros((1, 3), np.uint8), np.zeros((0, LEVELS), np.int64), nothing, np.zeros(0), 0)

    @staticmethod
    def load(folder: Path | str) -> TextureBank:
        """Read `folder`/photos and `folder`/materials (jpg, png, webp); raise InputError if neither holds one."""
        folder = Path(folder)
        photos, materials = _pictures(folder / "photos"), _pictures(folder / "materials")
        if not photos and not materials:
            raise InputError(f"no textures in {folder}: put pictures into its folders 'photos' and 'materials'")
        images = [_read(path, PHOTO_SIZE) for path in photos] + [_read(path, MATERIAL_SIZE) for path in materials]
        return _pack(images, len(photos))


@lru_cache(maxsize=2)
def cached_bank(folder: str | None) -> TextureBank:
    """Return the bank of a folder, read once per process, or for None the empty bank."""
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


@kernel
def covered(x: float, fraction: float, width: float) -> float:
    """Return the share of [x - width/2, x + width/2] in which frac(x) < fraction."""
    width = max(width, 1e-4)
    a, b = x - 0.5 * width, x + 0.5 * width
    fa, fb = np.floor(a), np.floor(b)
    return ((fb - fa) * fraction + min(b - fb, fraction) - min(a - fa, fraction)) / width


@kernel
def value_noise(x: float, y: float, seed: int) -> float:
    """Return smooth lattice noise in [0, 1]."""
    i, j = int(np.floor(x)), int(np.floor(y))
    f, g = x - i, y - j
    f, g = f * f * (3.0 - 2.0 * f), g * g * (3.0 - 2.0 * g)
    top = hash01(i, j, seed) * (1 - f) + hash01(i + 1, j, seed) * f
    low = hash01(i, j + 1, seed) * (1 - f) + hash01(i + 1, j + 1, seed) * f
    return top * (1 - g) + low * g


@kernel
def fractal_noise(x: float, y: float, seed: int, width: float) -> float:
    """Return three octaves of value noise around 0.5; octaves finer than `width` (in units of x) fade out."""
    total, amplitude, scale = 0.0, 0.5, 1.0
    for octave in range(3):
        keep = max(0.0, min(1.0, 1.5 - width * scale))
        if keep <= 0.0:
            break
        total += amplitude * keep * (value_noise(x * scale, y * scale, seed + octave) - 0.5)
        amplitude *= 0.55
        scale *= 2.1
    return 0.5 + total


@kernel
def texel(bank: TextureBank, n: int, u: float, v: float, span: float, rgb: np.ndarray) -> None:
    """Sample texture n at (u, v) in tiles, bilinear and repeating; `span` is the footprint in tiles. Linear RGB."""
    level = 0
    texels = span * bank.sizes[n, 0]
    while texels > 1.4 and level < bank.offsets.shape[1] - 1:
        texels *= 0.5
        level += 1
    w, h = max(1, bank.sizes[n, 0] >> level), max(1, bank.sizes[n, 1] >> level)
    x, y = (u - np.floor(u)) * w - 0.5, (v - np.floor(v)) * h - 0.5
    i, j = int(np.floor(x)), int(np.floor(y))
    f, g = x - i, y - j
    i0, i1, j0, j1 = i % w, (i + 1) % w, j % h, (j + 1) % h
    base = bank.offsets[n, level]
    for c in range(3):
        top = bank.pixels[base + j0 * w + i0, c] * (1 - f) + bank.pixels[base + j0 * w + i1, c] * f
        low = bank.pixels[base + j1 * w + i0, c] * (1 - f) + bank.pixels[base + j1 * w + i1, c] * f
        value = (top * (1 - g) + low * g) / 255.0
        rgb[c] = value * value


@kernel
def mixing(m: np.record, u: float, v: float, ev: float, width: float) -> tuple[float, float, float]:
    """Return the share of colour b, a brightness factor, and a random number of the cell in [0, 1), or -1."""
    pattern, pu, pv, fraction, seed = m.pattern, m.period_u, m.period_v, m.fraction, m.seed
    if pattern == STRIPES:
        return covered(u / pu, fraction, width / pu), 1.0, -1.0
    if pattern == CHECKER:
        a, b = covered(u / pu, 0.5, width / pu), covered(v / pv, 0.5, width / pv)
        return a + b - 2 * a * b, 1.0, -1.0
    if pattern == STAINS:
        n = fractal_noise(u / pu, v / pv, seed, width / pu)
        s = min(1.0, max(0.0, (n - 0.5) / max(fraction, 0.02) + 0.5))
        return s * s * (3 - 2 * s), 1.0, -1.0
    if pattern == ROAD:
        lane, edge = v / pv + 0.5, 0.0
        outside = abs(v) > ev - 0.55 * pv
        edge = covered(lane + 0.07 / pv, 0.14 / pv, width / pv)
        dash = 1.0 if outside else covered(u / pu, fraction, width / pu)
        return edge * dash, 1.0, -1.0
    if pattern in (TILES, BRICKS, PLANKS, FACADE, BOOKS, PRINT):
        row = np.floor(v / pv)
        x = u / pu
        if pattern == BRICKS:
            x += 0.5 * (int(row) & 1)
        elif pattern in (PLANKS, PRINT):
            x += 7.3 * hash01(int(row), 5, seed)
        cell = hash01(int(np.floor(x)), int(row), seed)
        fade = max(0.0, min(1.0, 1.5 - width / min(pu, pv)))
        factor = 1.0 + m.variation * (cell - 0.5) * fade
        a, b = covered(x, fraction, width / pu), covered(v / pv, fraction, width / pv)
        if pattern == FACADE:
            return a * b, 1.0 if cell < 0.2 else factor, cell
        if pattern == PRINT:
            return (1.0 if cell < 0.62 else 0.0) * fade * b + 0.3 * (1 - fade), 1.0, -1.0
        gap = min(0.9, fraction)
        if pattern != TILES:
            a = covered(x, gap * pv / pu, width / pu)
        return 1.0 - (1.0 - a) * (1.0 - b), factor, cell if pattern == BOOKS else -1.0
    return 0.0, 1.0, -1.0


@kernel
def albedo(
    m: np.record, u: float, v: float, eu: float, ev: float, width: float, bank: TextureBank, rgb: np.ndarray
) -> None:
    """Write the linear albedo at (u, v) of a face of half extents (eu, ev) into `rgb`; `width`: the footprint (m)."""
    fit_u, fit_v = 0.5 + 0.5 * u / eu, 0.5 - 0.5 * v / ev
    if m.turned:
        u, v = v, u
        eu, ev = ev, eu
    share, factor, cell = mixing(m, u + m.offset_u, v + (0.0 if m.pattern == ROAD else m.offset_v), ev, width)
    texture = m.texture
    if texture >= 0 and len(bank.sizes) > 0:
        texture = texture % len(bank.sizes)
        if m.texture_size > 0.0:
            across, down = m.texture_size, m.texture_size * bank.sizes[texture, 1] / bank.sizes[texture, 0]
            texel(bank, texture, (u + m.offset_u) / across, -(v + m.offset_v) / down, width / across, rgb)
        else:
            # A picture, screen or window photograph fills its face once.
            fit_u, fit_v = min(max(fit_u, 0.004), 0.996), min(max(fit_v, 0.004), 0.996)
            texel(bank, texture, fit_u, fit_v, width / (2.0 * max(eu, 1e-3)), rgb)
        if m.recolour:
            light = min(3.0, (rgb[0] + rgb[1] + rgb[2]) / (3.0 * max(bank.means[texture], 0.02)))
            rgb[0] = rgb[1] = rgb[2] = light
    else:
        rgb[0] = rgb[1] = rgb[2] = 1.0
    if m.noise > 0.0:
        n = fractal_noise(
            (u + m.offset_u) / m.noise_size, (v + m.offset_v) / m.noise_size, m.seed, width / m.noise_size
        )
        factor *= max(0.1, 1.0 + 2.5 * m.noise * (n - 0.5))
    for c in range(3):
        a, b = m.a[c], m.b[c]
        if cell >= 0.0:
            spin = cell * 7.0 + 0.33 * c
            if m.pattern == BOOKS:
                a *= 0.25 + 1.5 * (spin - np.floor(spin))
            else:
                b *= 0.3 + 1.4 * cell
                a /= factor
        rgb[c] *= (a * (1.0 - share) + b * share) * factor


@kernel
def sky_colour(sky: np.record, x: float, y: float, z: float, bank: TextureBank, rgb: np.ndarray) -> None:
    """Write the linear radiance of the sky along a unit direction into `rgb`."""
    height = max(0.0, z)
    texture = sky.photo
    if texture >= 0 and len(bank.sizes) > 0:
        texture = texture % len(bank.sizes)
        u, v = np.arctan2(y, x) / 6.2831853 * sky.photo_turns, min(max(0.93 - sky.photo_height * z, 0.004), 0.996)
        turn = u - 2.0 * np.floor(u / 2.0)
        u = turn if turn < 1.0 else 2.0 - turn
        texel(bank, texture, min(max(u, 0.004), 0.996), v, 0.004, rgb)
        for c in range(3):
            rgb[c] *= sky.zenith[c] * 1.4
        return
    blend = 1.0 - np.exp(-height * sky.steepness)
    cloud = 0.0
    if sky.clouds > 0.0:
        scale = 1.0 / (height + 0.12)
        n = fractal_noise(x * scale * sky.cloud_size + 31.0, y * scale * sky.cloud_size, sky.seed, 0.1)
        n += 0.5 * (
            fractal_noise(x * scale * sky.cloud_size * 4.3, y * scale * sky.cloud_size * 4.3, sky.seed + 7, 0.1) - 0.5
        )
        cloud = min(1.0, max(0.0, (n - 1.0 + sky.clouds) * 3.0)) * min(1.0, height * 5.0)
    toward = max(0.0, x * sky.sun[0] + y * sky.sun[1] + z * sky.sun[2])
    glow = sky.glow * (toward**32 + 0.25 * toward**5)
    for c in range(3):
        clear = sky.horizon[c] * (1.0 - blend) + sky.zenith[c] * blend
        rgb[c] = clear * (1.0 - cloud) + cloud * sky.cloud_light * (0.75 + 0.25 * clear) + glow

"""What a surface looks like at (u, v) metres: textures with mip levels, box-filtered patterns and noise (numba).

Every pattern is filtered over the pixel's footprint, so distant tiles and windows fade instead of flickering.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from dvd.data.procedural.raytrace import hash01

PLAIN, STRIPES, CHECKER, TILES, BRICKS, PLANKS, FACADE, STAINS, BOOKS, PRINT, ROAD = range(11)

# Columns of a material row; colours are linear RGB.
PATTERN, TEXTURE, TEXTURE_SIZE, COLOUR_A, COLOUR_B = 0, 1, 2, 3, 6
PERIOD_U, PERIOD_V, FRACTION, VARIATION, NOISE, NOISE_SIZE = 9, 10, 11, 12, 13, 14
SPECULAR, SHININESS, EMISSION, RECOLOUR, OFFSET_U, OFFSET_V, TURNED, SEED = 15, 16, 17, 18, 19, 20, 21, 22
MATERIAL_COLUMNS = 23


@njit(cache=True, nogil=True, error_model="numpy")
def covered(x: float, fraction: float, width: float) -> float:
    """Share of [x - width/2, x + width/2] in which frac(x) < fraction."""
    width = max(width, 1e-4)
    a, b = x - 0.5 * width, x + 0.5 * width
    fa, fb = np.floor(a), np.floor(b)
    return ((fb - fa) * fraction + min(b - fb, fraction) - min(a - fa, fraction)) / width


@njit(cache=True, nogil=True, error_model="numpy")
def value_noise(x: float, y: float, seed: int) -> float:
    """Smooth lattice noise in [0, 1]."""
    i, j = int(np.floor(x)), int(np.floor(y))
    f, g = x - i, y - j
    f, g = f * f * (3.0 - 2.0 * f), g * g * (3.0 - 2.0 * g)
    top = hash01(i, j, seed) * (1 - f) + hash01(i + 1, j, seed) * f
    low = hash01(i, j + 1, seed) * (1 - f) + hash01(i + 1, j + 1, seed) * f
    return top * (1 - g) + low * g


@njit(cache=True, nogil=True, error_model="numpy")
def fractal_noise(x: float, y: float, seed: int, width: float) -> float:
    """Three octaves of value noise around 0.5; octaves finer than `width` (in units of x) fade out."""
    total, amplitude, scale = 0.0, 0.5, 1.0
    for octave in range(3):
        keep = max(0.0, min(1.0, 1.5 - width * scale))
        if keep <= 0.0:
            break
        total += amplitude * keep * (value_noise(x * scale, y * scale, seed + octave) - 0.5)
        amplitude *= 0.55
        scale *= 2.1
    return 0.5 + total


@njit(cache=True, nogil=True, error_model="numpy")
def texel(
    pixels: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, n: int, u: float, v: float, span: float, rgb: np.ndarray
) -> None:
    """Bilinear, repeating sample of texture n at (u, v) in tiles; `span` is the footprint in tiles. Linear RGB."""
    level = 0
    texels = span * sizes[n, 0]
    while texels > 1.4 and level < offsets.shape[1] - 1:
        texels *= 0.5
        level += 1
    w, h = max(1, sizes[n, 0] >> level), max(1, sizes[n, 1] >> level)
    x, y = (u - np.floor(u)) * w - 0.5, (v - np.floor(v)) * h - 0.5
    i, j = int(np.floor(x)), int(np.floor(y))
    f, g = x - i, y - j
    i0, i1, j0, j1 = i % w, (i + 1) % w, j % h, (j + 1) % h
    base = offsets[n, level]
    for c in range(3):
        top = pixels[base + j0 * w + i0, c] * (1 - f) + pixels[base + j0 * w + i1, c] * f
        low = pixels[base + j1 * w + i0, c] * (1 - f) + pixels[base + j1 * w + i1, c] * f
        value = (top * (1 - g) + low * g) / 255.0
        rgb[c] = value * value


@njit(cache=True, nogil=True, error_model="numpy")
def mixing(m: np.ndarray, u: float, v: float, ev: float, width: float) -> tuple[float, float, float]:
    """Share of colour b, brightness factor, and a cell number in [0, 1) (-1 without) of the material's pattern."""
    pattern, pu, pv, fraction, seed = int(m[PATTERN]), m[PERIOD_U], m[PERIOD_V], m[FRACTION], int(m[SEED])
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
        factor = 1.0 + m[VARIATION] * (cell - 0.5) * fade
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


@njit(cache=True, nogil=True, error_model="numpy")
def albedo(
    m: np.ndarray,
    u: float,
    v: float,
    eu: float,
    ev: float,
    width: float,
    pixels: np.ndarray,
    offsets: np.ndarray,
    sizes: np.ndarray,
    means: np.ndarray,
    rgb: np.ndarray,
) -> None:
    """Linear albedo of material row m at (u, v) metres on a face of half extents (eu, ev), footprint `width` metres."""
    fit_u, fit_v = 0.5 + 0.5 * u / eu, 0.5 - 0.5 * v / ev
    if m[TURNED] > 0.0:
        u, v = v, u
        eu, ev = ev, eu
    share, factor, cell = mixing(m, u + m[OFFSET_U], v + (0.0 if m[PATTERN] == ROAD else m[OFFSET_V]), ev, width)
    texture = int(m[TEXTURE])
    if texture >= 0 and len(sizes) > 0:
        texture = texture % len(sizes)
        if m[TEXTURE_SIZE] > 0.0:
            across, down = m[TEXTURE_SIZE], m[TEXTURE_SIZE] * sizes[texture, 1] / sizes[texture, 0]
            texel(
                pixels,
                offsets,
                sizes,
                texture,
                (u + m[OFFSET_U]) / across,
                -(v + m[OFFSET_V]) / down,
                width / across,
                rgb,
            )
        else:
            # A picture, screen or window photograph fills its face once.
            fit_u, fit_v = min(max(fit_u, 0.004), 0.996), min(max(fit_v, 0.004), 0.996)
            texel(pixels, offsets, sizes, texture, fit_u, fit_v, width / (2.0 * max(eu, 1e-3)), rgb)
        if m[RECOLOUR] > 0.0:
            light = min(3.0, (rgb[0] + rgb[1] + rgb[2]) / (3.0 * max(means[texture], 0.02)))
            rgb[0] = rgb[1] = rgb[2] = light
    else:
        rgb[0] = rgb[1] = rgb[2] = 1.0
    if m[NOISE] > 0.0:
        n = fractal_noise(
            (u + m[OFFSET_U]) / m[NOISE_SIZE], (v + m[OFFSET_V]) / m[NOISE_SIZE], int(m[SEED]), width / m[NOISE_SIZE]
        )
        factor *= max(0.1, 1.0 + 2.5 * m[NOISE] * (n - 0.5))
    for c in range(3):
        a, b = m[COLOUR_A + c], m[COLOUR_B + c]
        if cell >= 0.0:
            spin = cell * 7.0 + 0.33 * c
            if m[PATTERN] == BOOKS:
                a *= 0.25 + 1.5 * (spin - np.floor(spin))
            else:
                b *= 0.3 + 1.4 * cell
                a /= factor
        rgb[c] *= (a * (1.0 - share) + b * share) * factor


@njit(cache=True, nogil=True, error_model="numpy")
def sky_colour(
    sky: np.ndarray,
    x: float,
    y: float,
    z: float,
    pixels: np.ndarray,
    offsets: np.ndarray,
    sizes: np.ndarray,
    rgb: np.ndarray,
) -> None:
    """Linear radiance of the sky along a unit direction; `sky` is scene.Sky.row()."""
    height = max(0.0, z)
    texture = int(sky[0])
    if texture >= 0 and len(sizes) > 0:
        texture = texture % len(sizes)
        u, v = np.arctan2(y, x) / 6.2831853 * sky[1], min(max(0.93 - sky[2] * z, 0.004), 0.996)
        turn = u - 2.0 * np.floor(u / 2.0)
        u = turn if turn < 1.0 else 2.0 - turn
        texel(pixels, offsets, sizes, texture, min(max(u, 0.004), 0.996), v, 0.004, rgb)
        for c in range(3):
            rgb[c] *= sky[3 + c] * 1.4
        return
    blend = 1.0 - np.exp(-height * sky[9])
    cloud = 0.0
    if sky[10] > 0.0:
        scale = 1.0 / (height + 0.12)
        n = fractal_noise(x * scale * sky[11] + 31.0, y * scale * sky[11], int(sky[12]), 0.1)
        n += 0.5 * (fractal_noise(x * scale * sky[11] * 4.3, y * scale * sky[11] * 4.3, int(sky[12]) + 7, 0.1) - 0.5)
        cloud = min(1.0, max(0.0, (n - 1.0 + sky[10]) * 3.0)) * min(1.0, height * 5.0)
    toward = max(0.0, x * sky[13] + y * sky[14] + z * sky[15])
    glow = sky[16] * (toward**32 + 0.25 * toward**5)
    for c in range(3):
        clear = sky[6 + c] * (1.0 - blend) + sky[3 + c] * blend
        rgb[c] = clear * (1.0 - cloud) + cloud * sky[17] * (0.75 + 0.25 * clear) + glow

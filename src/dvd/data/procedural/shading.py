"""First hits → linear radiance: surface frames, light, highlights, fog, smooth edges (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit

from dvd.data.procedural import patterns
from dvd.data.procedural.patterns import albedo, sky_colour
from dvd.data.procedural.raytrace import (
    BOX,
    CYLINDER,
    ELLIPSOID,
    NEAR_M,
    hit,
)

LIGHT_COLUMNS = 8
"""0 = 1 for the sun; 1–3 position or direction towards the sun; 4–6 linear RGB; 7 size (metres, or radians)."""


@njit(cache=True, nogil=True, error_model="numpy")
def surfaces(
    depth: np.ndarray, key: np.ndarray, frames: np.ndarray, kinds: np.ndarray, shapes: np.ndarray, camera: np.ndarray
) -> np.ndarray:
    """H W 10 float32: world normal towards the camera (3), u, v, half extents (2) of the face, world point (3)."""
    height, width = depth.shape
    out = np.zeros((height, width, 10), np.float32)
    for y in range(height):
        for x in range(width):
            if key[y, x] < 0:
                continue
            n, face = key[y, x] >> 3, key[y, x] & 7
            f, kind, t = frames[n], kinds[n], depth[y, x]
            cx, cy = (x - camera[14]) / camera[12], (y - camera[15]) / camera[13]
            dx = camera[3] * cx + camera[4] * cy + camera[5]
            dy = camera[6] * cx + camera[7] * cy + camera[8]
            dz = camera[9] * cx + camera[10] * cy + camera[11]
            wx, wy, wz = camera[0] + t * dx, camera[1] + t * dy, camera[2] + t * dz
            px, py, pz = wx - f[9], wy - f[10], wz - f[11]
            lx = f[0] * px + f[1] * py + f[2] * pz
            ly = f[3] * px + f[4] * py + f[5] * pz
            lz = f[6] * px + f[7] * py + f[8] * pz
            nx, ny, nz = 0.0, 0.0, 0.0
            hx, hy, hz = f[21], f[22], f[23]
            u, v, eu, ev = lx * hx, ly * hy, hx, hy
            if kind == ELLIPSOID:
                # Mapped like a box along the steepest axis: no poles, and hills are seen from above.
                nx, ny, nz = lx, ly, lz
                sx, sy, sz = abs(lx) / hx, abs(ly) / hy, abs(lz) / hz
                if sx > sy and sx > sz:
                    u, v, eu, ev = ly * hy, lz * hz, hy, hz
                elif sy > sz:
                    u, v, eu, ev = lx * hx, lz * hz, hx, hz
            elif kind == CYLINDER and face == 0:
                around, slope = 0.5 * (hx + hy), 0.5 * shapes[n, 0]
                u, v, eu, ev = np.arctan2(ly, lx) * around, lz * hz, 3.14159265 * around, hz
                nx, ny, nz = lx, ly, slope * (1.0 - slope - slope * lz)
            elif kind == BOX and face < 2:
                u, v, eu, ev, nx = ly * hy, lz * hz, hy, hz, 1.0
            elif kind == BOX and face < 4:
                u, v, eu, ev, ny = lx * hx, lz * hz, hx, hz, 1.0
            else:
                nz = 1.0
            gx = f[0] * nx + f[3] * ny + f[6] * nz
            gy = f[1] * nx + f[4] * ny + f[7] * nz
            gz = f[2] * nx + f[5] * ny + f[8] * nz
            scale = 1.0 / np.sqrt(gx * gx + gy * gy + gz * gz + 1e-30)
            if gx * dx + gy * dy + gz * dz > 0.0:
                scale = -scale
            o = out[y, x]
            o[0], o[1], o[2], o[3], o[4], o[5], o[6] = gx * scale, gy * scale, gz * scale, u, v, eu, ev
            o[7], o[8], o[9] = wx, wy, wz
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def shade(
    depth: np.ndarray,
    key: np.ndarray,
    surface: np.ndarray,
    seen: np.ndarray,
    lights: np.ndarray,
    sky: np.ndarray,
    ambient: np.ndarray,
    faces: np.ndarray,
    materials: np.ndarray,
    pixels: np.ndarray,
    offsets: np.ndarray,
    sizes: np.ndarray,
    means: np.ndarray,
    camera: np.ndarray,
) -> np.ndarray:
    """H W 3 float32 linear radiance; ambient = light from above (3), from below (3); fog density is sky[18]."""
    height, width = depth.shape
    out = np.empty((height, width, 3), np.float32)
    rgb, haze = np.empty(3), np.empty(3)
    for y in range(height):
        for x in range(width):
            cx, cy = (x - camera[14]) / camera[12], (y - camera[15]) / camera[13]
            dx = camera[3] * cx + camera[4] * cy + camera[5]
            dy = camera[6] * cx + camera[7] * cy + camera[8]
            dz = camera[9] * cx + camera[10] * cy + camera[11]
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            dx, dy, dz = dx / length, dy / length, dz / length
            if key[y, x] < 0:
                sky_colour(sky, dx, dy, dz, pixels, offsets, sizes, rgb)
                for c in range(3):
                    out[y, x, c] = rgb[c]
                continue
            s, t = surface[y, x], depth[y, x] * length
            m = materials[faces[key[y, x] >> 3, key[y, x] & 7]]
            facing = max(0.12, -(s[0] * dx + s[1] * dy + s[2] * dz))
            footprint = depth[y, x] / camera[12] / np.sqrt(facing)
            albedo(m, s[3], s[4], s[5], s[6], footprint, pixels, offsets, sizes, means, rgb)
            open_share = 0.2 + 0.8 * seen[0, y, x]
            up = 0.5 + 0.5 * s[2]
            glow = m[patterns.EMISSION]
            light_r = (ambient[0] * up + ambient[3] * (1 - up)) * open_share + glow
            light_g = (ambient[1] * up + ambient[4] * (1 - up)) * open_share + glow
            light_b = (ambient[2] * up + ambient[5] * (1 - up)) * open_share + glow
            shine_r, shine_g, shine_b = 0.0, 0.0, 0.0
            for n in range(len(lights)):
                share = seen[1 + n, y, x]
                if share <= 0.0:
                    continue
                light = lights[n]
                if light[0] > 0.0:
                    lx, ly, lz, strength = light[1], light[2], light[3], 1.0
                else:
                    lx, ly, lz = light[1] - s[7], light[2] - s[8], light[3] - s[9]
                    square = lx * lx + ly * ly + lz * lz
                    scale = 1.0 / np.sqrt(square + 1e-9)
                    lx, ly, lz, strength = lx * scale, ly * scale, lz * scale, 1.0 / (square + 0.15)
                cosine = lx * s[0] + ly * s[1] + lz * s[2]
                if cosine <= 0.0:
                    continue
                strength *= share
                light_r += light[4] * strength * cosine
                light_g += light[5] * strength * cosine
                light_b += light[6] * strength * cosine
                if m[patterns.SPECULAR] > 0.0:
                    hx, hy, hz = lx - dx, ly - dy, lz - dz
                    half = (hx * s[0] + hy * s[1] + hz * s[2]) / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)
                    spot = m[patterns.SPECULAR] * strength * max(0.0, half) ** m[patterns.SHININESS]
                    shine_r += spot * light[4]
                    shine_g += spot * light[5]
                    shine_b += spot * light[6]
            if m[patterns.SPECULAR] > 0.0:
                # A glancing reflection of the surroundings, without tracing them.
                rim = m[patterns.SPECULAR] * (0.08 + (1.0 - facing) ** 4) * seen[0, y, x]
                shine_r += rim * (ambient[0] + 0.3 * ambient[3])
                shine_g += rim * (ambient[1] + 0.3 * ambient[4])
                shine_b += rim * (ambient[2] + 0.3 * ambient[5])
            rgb[0] = rgb[0] * light_r + shine_r
            rgb[1] = rgb[1] * light_g + shine_g
            rgb[2] = rgb[2] * light_b + shine_b
            if sky[18] > 0.0:
                sky_colour(sky, dx, dy, 0.02, pixels, offsets, sizes, haze)
                clear = np.exp(-t * sky[18])
                for c in range(3):
                    rgb[c] = rgb[c] * clear + 0.5 * (haze[c] + sky[6 + c]) * (1.0 - clear)
            for c in range(3):
                out[y, x, c] = rgb[c]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def smooth_edges(
    radiance: np.ndarray,
    key: np.ndarray,
    frames: np.ndarray,
    kinds: np.ndarray,
    shapes: np.ndarray,
    camera: np.ndarray,
) -> np.ndarray:
    """Anti-aliased radiance: at edges four sub-pixel rays choose among the 3 × 3 neighbours' surfaces and colours."""
    height, width = key.shape
    out = radiance.copy()
    seen = np.empty(9, np.int64)
    where = np.empty((9, 2), np.int64)
    for y in range(height):
        for x in range(width):
            k, count = key[y, x], 0
            left, right, up, down = max(0, x - 1), min(width - 1, x + 1), max(0, y - 1), min(height - 1, y + 1)
            if (
                key[y, left] == k
                and key[y, right] == k
                and key[up, x] == k
                and key[down, x] == k
                and key[up, left] == k
                and key[down, right] == k
                and key[up, right] == k
                and key[down, left] == k
            ):
                continue
            for j in range(max(0, y - 1), min(height, y + 2)):
                for i in range(max(0, x - 1), min(width, x + 2)):
                    k = key[j, i]
                    known = False
                    for q in range(count):
                        if seen[q] == k:
                            known = True
                    if not known:
                        seen[count], where[count, 0], where[count, 1] = k, j, i
                        count += 1
            total_r, total_g, total_b = 0.0, 0.0, 0.0
            for sample in range(4):
                u = (x + (-0.125, 0.375, -0.375, 0.125)[sample] - camera[14]) / camera[12]
                v = (y + (-0.375, -0.125, 0.125, 0.375)[sample] - camera[15]) / camera[13]
                dx = camera[3] * u + camera[4] * v + camera[5]
                dy = camera[6] * u + camera[7] * v + camera[8]
                dz = camera[9] * u + camera[10] * v + camera[11]
                nearest, winner = np.inf, -1
                for q in range(count):
                    if seen[q] < 0:
                        if winner < 0:
                            winner = q
                        continue
                    n = seen[q] >> 3
                    f = frames[n]
                    px, py, pz = camera[0] - f[9], camera[1] - f[10], camera[2] - f[11]
                    t, face = hit(
                        kinds[n],
                        shapes,
                        n,
                        f[0] * px + f[1] * py + f[2] * pz,
                        f[3] * px + f[4] * py + f[5] * pz,
                        f[6] * px + f[7] * py + f[8] * pz,
                        f[0] * dx + f[1] * dy + f[2] * dz,
                        f[3] * dx + f[4] * dy + f[5] * dz,
                        f[6] * dx + f[7] * dy + f[8] * dz,
                        NEAR_M,
                    )
                    if t < nearest and face == (seen[q] & 7):
                        nearest, winner = t, q
                j, i = (y, x) if winner < 0 else (where[winner, 0], where[winner, 1])
                total_r += radiance[j, i, 0]
                total_g += radiance[j, i, 1]
                total_b += radiance[j, i, 2]
            out[y, x, 0] = 0.25 * total_r
            out[y, x, 1] = 0.25 * total_g
            out[y, x, 2] = 0.25 * total_b
    return out

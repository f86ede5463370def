"""First hits to linear radiance: surfaces, the light that reaches them, highlights, fog, smooth edges (numba)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dvd.scenes.textures import Colour, TextureBank, albedo, sky_colour
from dvd.scenes.trace import (
    BOX,
    CYLINDER,
    ELLIPSOID,
    FACE_BITS,
    FACE_MASK,
    NEAR_M,
    SELF_SHADOW_M,
    Tree,
    Vector,
    hit,
    is_occluded,
    kernel,
    ray_through,
    record_type,
    to_local,
)

SOFT = 0.02
"""Lights larger than this (metres, or radians for the sun) cast blurred shadows."""


class Light(NamedTuple):
    """A light: its position, or the unit vector towards the sun, and its size in metres, or radians for the sun."""

    is_sun: bool
    position: Vector
    colour: Colour
    size: float


LIGHT = record_type(Light)
SURFACE = np.dtype(
    [
        *(("normal", np.float32, 3), ("point", np.float32, 3)),
        *((name, np.float32) for name in ("u", "v", "half_u", "half_v")),
    ]
)
"""World normal towards the camera, world point, place on the face and the face's half extents; all but the normal in
metres."""


@kernel
def surfaces(depth: np.ndarray, key: np.ndarray, solids: np.ndarray, camera: np.record) -> np.ndarray:
    """Return the SURFACE H W behind every pixel; zeros for sky."""
    height, width = depth.shape
    out = np.zeros((height, width), SURFACE)
    for y in range(height):
        for x in range(width):
            if key[y, x] < 0:
                continue
            face = key[y, x] & FACE_MASK
            solid, t = solids[key[y, x] >> FACE_BITS], depth[y, x]
            kind, m, c, p = solid.kind, solid.inverse, solid.centre, camera.position
            dx, dy, dz = ray_through(camera, x, y)
            wx, wy, wz = p[0] + t * dx, p[1] + t * dy, p[2] + t * dz
            lx, ly, lz = to_local(solid, wx - c[0], wy - c[1], wz - c[2])
            nx, ny, nz = 0.0, 0.0, 0.0
            hx, hy, hz = solid.half[0], solid.half[1], solid.half[2]
            u, v, half_u, half_v = lx * hx, ly * hy, hx, hy
            if kind == ELLIPSOID:
                # Mapped like a box along the steepest axis: no poles, and hills are seen from above.
                nx, ny, nz = lx, ly, lz
                sx, sy, sz = abs(lx) / hx, abs(ly) / hy, abs(lz) / hz
                if sx > sy and sx > sz:
                    u, v, half_u, half_v = ly * hy, lz * hz, hy, hz
                elif sy > sz:
                    u, v, half_u, half_v = lx * hx, lz * hz, hx, hz
            elif kind == CYLINDER and face == 0:
                around, slope = 0.5 * (hx + hy), 0.5 * solid.taper
                u, v, half_u, half_v = np.arctan2(ly, lx) * around, lz * hz, 3.14159265 * around, hz
                nx, ny, nz = lx, ly, slope * (1.0 - slope - slope * lz)
            elif kind == BOX and face < 2:
                u, v, half_u, half_v, nx = ly * hy, lz * hz, hy, hz, 1.0
            elif kind == BOX and face < 4:
                u, v, half_u, half_v, ny = lx * hx, lz * hz, hx, hz, 1.0
            else:
                nz = 1.0
            gx = m[0, 0] * nx + m[1, 0] * ny + m[2, 0] * nz
            gy = m[0, 1] * nx + m[1, 1] * ny + m[2, 1] * nz
            gz = m[0, 2] * nx + m[1, 2] * ny + m[2, 2] * nz
            scale = 1.0 / np.sqrt(gx * gx + gy * gy + gz * gz + 1e-30)
            if gx * dx + gy * dy + gz * dz > 0.0:
                scale = -scale
            s = out[y, x]
            s.normal[0], s.normal[1], s.normal[2] = gx * scale, gy * scale, gz * scale
            s.point[0], s.point[1], s.point[2] = wx, wy, wz
            s.u, s.v, s.half_u, s.half_v = u, v, half_u, half_v
    return out


@kernel
def visibility(
    key: np.ndarray, surface: np.ndarray, lights: np.ndarray, reach: float, solids: np.ndarray, tree: Tree
) -> np.ndarray:
    """Return 1 + L H W in [0, 1]: openness within `reach` metres, then the visible share of each light.

    One ray per hard light on every second pixel and per soft one on every fourth, its end jittered in a fixed pattern
    that smooth_visibility averages out; pixels alone in their row always get theirs. Pixels without a ray are -1.
    """
    height, width = key.shape
    out = np.full((1 + len(lights), height, width), -1.0, np.float32)
    ray, stack = np.empty(6), np.empty(256, np.int64)
    for y in range(height):
        for x in range(width):
            k = key[y, x]
            if k < 0:
                continue
            alone = (x == 0 or key[y, x - 1] != k) and (x == width - 1 or key[y, x + 1] != k)
            coarse = (x & 1) == 0 and (y & 1) == 0
            if ((x + y) & 1) == 1 and not alone:
                continue
            point, normal = surface[y, x].point, surface[y, x].normal
            # A low-discrepancy lattice over the picture: every small neighbourhood holds evenly spread samples.
            i, j = x >> 1, y >> 1
            a = (0.8191725134 * i + 0.6710436067 * j + 0.5) % 1.0
            b = (0.5497004779 * i + 0.8191725134 * j + 0.25 * (y & 1)) % 1.0
            e = (0.7548776662 * i + 0.5698402909 * j) % 1.0
            ring, angle = np.sqrt(a), 6.2831853 * b
            for axis in range(3):
                ray[axis] = point[axis] + SELF_SHADOW_M * normal[axis]
            if coarse or alone:
                # Cosine-weighted: a point on the sphere that touches the surface from outside.
                px, py, pz = ring * np.cos(angle), ring * np.sin(angle), np.sqrt(max(0.0, 1.0 - a))
                sign = 1.0 if normal[2] >= 0 else -1.0
                c = -1.0 / (sign + normal[2])
                d = normal[0] * normal[1] * c
                ray[3] = px * (1.0 + sign * normal[0] * normal[0] * c) + py * d + pz * normal[0] + 1e-9
                ray[4] = px * sign * d + py * (sign + normal[1] * normal[1] * c) + pz * normal[1] + 1e-9
                ray[5] = -px * sign * normal[0] - py * normal[1] + pz * normal[2] + 1e-9
                out[0, y, x] = 0.0 if is_occluded(ray, reach, solids, tree, stack) else 1.0
            for n in range(len(lights)):
                light = lights[n]
                if light.size > SOFT and not (coarse or alone):
                    continue
                jx, jy = (a - 0.5) * 2.0 * light.size, (b - 0.5) * 2.0 * light.size
                jz, at = (e - 0.5) * light.size, light.position
                if light.is_sun:
                    ray[3], ray[4], ray[5] = at[0] + jx, at[1] + jy, at[2] + jz
                    far = 1e9
                else:
                    ray[3], ray[4], ray[5] = at[0] + jx - ray[0], at[1] + jy - ray[1], at[2] + jz - ray[2]
                    far = 0.98
                ray[3] += 1e-9
                ray[4] += 1e-9
                ray[5] += 1e-9
                if ray[3] * normal[0] + ray[4] * normal[1] + ray[5] * normal[2] <= 0.0:
                    out[1 + n, y, x] = 0.0
                    continue
                out[1 + n, y, x] = 0.0 if is_occluded(ray, far, solids, tree, stack) else 1.0
    return out


@kernel
def smooth_visibility(seen: np.ndarray, key: np.ndarray, lights: np.ndarray) -> np.ndarray:
    """Average over neighbours of the same face, nine across and seven down; hard lights only fill their gaps."""
    channels, height, width = seen.shape
    out = np.ones_like(seen)
    total, count = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for n in range(channels):
        soft = n == 0 or lights[n - 1].size > SOFT
        across, down = (4, 3) if soft else (1, 0)
        for y in range(height):
            for x in range(width):
                k, s, c = key[y, x], np.float32(0.0), np.float32(0.0)
                if k >= 0:
                    if not soft and seen[n, y, x] >= 0.0:
                        s, c = seen[n, y, x], np.float32(1.0)
                    else:
                        for i in range(max(0, x - across), min(width, x + across + 1)):
                            if key[y, i] == k and seen[n, y, i] >= 0.0:
                                s += seen[n, y, i]
                                c += np.float32(1.0)
                total[y, x], count[y, x] = s, c
        for y in range(height):
            for x in range(width):
                k, s, c = key[y, x], np.float32(0.0), np.float32(0.0)
                if k < 0:
                    continue
                for j in range(max(0, y - down), min(height, y + down + 1)):
                    if key[j, x] == k:
                        s += total[j, x]
                        c += count[j, x]
                out[n, y, x] = s / c if c > 0.0 else 1.0
    return out


@kernel
def shade(
    depth: np.ndarray,
    key: np.ndarray,
    surface: np.ndarray,
    seen: np.ndarray,
    lights: np.ndarray,
    sky: np.record,
    solids: np.ndarray,
    materials: np.ndarray,
    bank: TextureBank,
    camera: np.record,
) -> np.ndarray:
    """Return linear radiance H W 3 float32; `seen` comes from smooth_visibility."""
    height, width = depth.shape
    out = np.empty((height, width, 3), np.float32)
    rgb, haze, light_rgb, shine = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for y in range(height):
        for x in range(width):
            dx, dy, dz = ray_through(camera, x, y)
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            dx, dy, dz = dx / length, dy / length, dz / length
            if key[y, x] < 0:
                sky_colour(sky, dx, dy, dz, bank, rgb)
                for c in range(3):
                    out[y, x, c] = rgb[c]
                continue
            s, t = surface[y, x], depth[y, x] * length
            point, normal = s.point, s.normal
            material = materials[solids[key[y, x] >> FACE_BITS].faces[key[y, x] & FACE_MASK]]
            facing = max(0.12, -(normal[0] * dx + normal[1] * dy + normal[2] * dz))
            footprint = depth[y, x] / camera.fx / np.sqrt(facing)
            albedo(material, s.u, s.v, s.half_u, s.half_v, footprint, bank, rgb)
            openness = 0.2 + 0.8 * seen[0, y, x]
            up = 0.5 + 0.5 * normal[2]
            for c in range(3):
                light_rgb[c] = (sky.above[c] * up + sky.below[c] * (1 - up)) * openness + material.emission
                shine[c] = 0.0
            for n in range(len(lights)):
                share = seen[1 + n, y, x]
                if share <= 0.0:
                    continue
                light = lights[n]
                at = light.position
                if light.is_sun:
                    lx, ly, lz, strength = at[0], at[1], at[2], 1.0
                else:
                    lx, ly, lz = at[0] - point[0], at[1] - point[1], at[2] - point[2]
                    square = lx * lx + ly * ly + lz * lz
                    scale = 1.0 / np.sqrt(square + 1e-9)
                    lx, ly, lz, strength = lx * scale, ly * scale, lz * scale, 1.0 / (square + 0.15)
                cosine = lx * normal[0] + ly * normal[1] + lz * normal[2]
                if cosine <= 0.0:
                    continue
                strength *= share
                for c in range(3):
                    light_rgb[c] += light.colour[c] * strength * cosine
                if material.specular > 0.0:
                    hx, hy, hz = lx - dx, ly - dy, lz - dz
                    half = hx * normal[0] + hy * normal[1] + hz * normal[2]
                    half /= np.sqrt(hx * hx + hy * hy + hz * hz + 1e-12)
                    spot = material.specular * strength * max(0.0, half) ** material.shininess
                    for c in range(3):
                        shine[c] += spot * light.colour[c]
            if material.specular > 0.0:
                # A glancing reflection of the surroundings, without tracing them.
                rim = material.specular * (0.08 + (1.0 - facing) ** 4) * seen[0, y, x]
                for c in range(3):
                    shine[c] += rim * (sky.above[c] + 0.3 * sky.below[c])
            for c in range(3):
                rgb[c] = rgb[c] * light_rgb[c] + shine[c]
            if sky.fog > 0.0:
                sky_colour(sky, dx, dy, 0.02, bank, haze)
                clear = np.exp(-t * sky.fog)
                for c in range(3):
                    rgb[c] = rgb[c] * clear + 0.5 * (haze[c] + sky.horizon[c]) * (1.0 - clear)
            for c in range(3):
                out[y, x, c] = rgb[c]
    return out


@kernel
def smooth_edges(radiance: np.ndarray, key: np.ndarray, solids: np.ndarray, camera: np.record) -> np.ndarray:
    """Return anti-aliased radiance: at edges four sub-pixel rays choose among the 3 × 3 neighbours' surfaces."""
    height, width = key.shape
    out = radiance.copy()
    near, where, total = np.empty(9, np.int64), np.empty((9, 2), np.int64), np.empty(3)
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
            for j in range(up, down + 1):
                for i in range(left, right + 1):
                    k = key[j, i]
                    known = False
                    for q in range(count):
                        if near[q] == k:
                            known = True
                    if not known:
                        near[count], where[count, 0], where[count, 1] = k, j, i
                        count += 1
            total[0], total[1], total[2] = 0.0, 0.0, 0.0
            for sample in range(4):
                u, v = (-0.125, 0.375, -0.375, 0.125)[sample], (-0.375, -0.125, 0.125, 0.375)[sample]
                dx, dy, dz = ray_through(camera, x + u, y + v)
                nearest, winner = np.inf, -1
                for q in range(count):
                    if near[q] < 0:
                        if winner < 0:
                            winner = q
                        continue
                    solid = solids[near[q] >> FACE_BITS]
                    p, c = camera.position, solid.centre
                    ox, oy, oz = to_local(solid, p[0] - c[0], p[1] - c[1], p[2] - c[2])
                    lx, ly, lz = to_local(solid, dx, dy, dz)
                    t, face = hit(solid, ox, oy, oz, lx, ly, lz, NEAR_M)
                    if t < nearest and face == (near[q] & FACE_MASK):
                        nearest, winner = t, q
                j, i = (y, x) if winner < 0 else (where[winner, 0], where[winner, 1])
                for channel in range(3):
                    total[channel] += radiance[j, i, channel]
            for channel in range(3):
                out[y, x, channel] = 0.25 * total[channel]
    return out

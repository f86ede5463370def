"""Shadow rays: a bounding-volume tree over the primitives, and which lights each visible point sees (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit

from dvd.data.procedural.raytrace import FAR, hit

SELF_SHADOW_M = 2e-3
BINS = 8
SOFT = 0.02
"""Lights larger than this (metres, or radians for the sun) cast blurred shadows."""


@njit(cache=True, nogil=True, error_model="numpy")
def _bounds_of(frames: np.ndarray) -> np.ndarray:
    """N 6: lowest and highest corner of each primitive's oriented box."""
    out = np.empty((len(frames), 6))
    for i in range(len(frames)):
        for axis in range(3):
            reach = 1e-6
            for k in range(3):
                reach += abs(frames[i, 12 + 3 * axis + k])
            out[i, axis], out[i, 3 + axis] = frames[i, 9 + axis] - reach, frames[i, 9 + axis] + reach
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _grow(box: np.ndarray, row: int, item: np.ndarray, n: int) -> None:
    for axis in range(3):
        box[row, axis] = min(box[row, axis], item[n, axis])
        box[row, 3 + axis] = max(box[row, 3 + axis], item[n, 3 + axis])


@njit(cache=True, nogil=True, error_model="numpy")
def _area(box: np.ndarray, row: int) -> float:
    x, y, z = box[row, 3] - box[row, 0], box[row, 4] - box[row, 1], box[row, 5] - box[row, 2]
    return x * y + y * z + z * x if x >= 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _split(boxes: np.ndarray, order: np.ndarray, first: int, last: int) -> int:
    """Where to divide order[first:last], reordered in place: the cheapest of BINS planes on the widest axis."""
    axis, low, widest = 0, 0.0, -1.0
    for k in range(3):
        lo, hi = FAR, -FAR
        for m in range(first, last):
            centre = boxes[order[m], k] + boxes[order[m], 3 + k]
            lo, hi = min(lo, centre), max(hi, centre)
        if hi - lo > widest:
            axis, low, widest = k, lo, hi - lo
    if widest <= 0.0:
        return (first + last) // 2
    bins, counts = np.empty((BINS, 6)), np.zeros(BINS, np.int64)
    bins[:, :3], bins[:, 3:] = FAR, -FAR
    slot = np.empty(last - first, np.int64)
    for m in range(first, last):
        centre = boxes[order[m], axis] + boxes[order[m], 3 + axis]
        s = min(BINS - 1, int((centre - low) / widest * BINS))
        slot[m - first] = s
        counts[s] += 1
        _grow(bins, s, boxes, order[m])
    best, plane = FAR, BINS // 2
    side = np.empty((2, 6))
    for cut in range(1, BINS):
        side[:, :3], side[:, 3:] = FAR, -FAR
        left, right = 0, 0
        for s in range(BINS):
            if counts[s] > 0:
                _grow(side, 0 if s < cut else 1, bins, s)
                left += counts[s] if s < cut else 0
                right += counts[s] if s >= cut else 0
        cost = left * _area(side, 0) + right * _area(side, 1)
        if left > 0 and right > 0 and cost < best:
            best, plane = cost, cut
    part, lower, upper = order[first:last].copy(), first, last
    for m in range(len(part)):
        if slot[m] < plane:
            order[lower] = part[m]
            lower += 1
    upper = lower
    for m in range(len(part)):
        if slot[m] >= plane:
            order[upper] = part[m]
            upper += 1
    return lower


@njit(cache=True, nogil=True, error_model="numpy")
def build_tree(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Node bounds M 6, links M 2 (left child or first primitive, count or 0), primitive order N."""
    n = len(frames)
    boxes, order = _bounds_of(frames), np.arange(n)
    bounds = np.empty((2 * n + 1, 6))
    bounds[:, :3], bounds[:, 3:] = FAR, -FAR
    links = np.zeros((2 * n + 1, 2), np.int64)
    stack = np.empty((2 * n + 2, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, 0, n
    depth, used = 1, 1
    while depth > 0:
        depth -= 1
        node, first, last = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        for m in range(first, last):
            _grow(bounds, node, boxes, order[m])
        if last - first <= 2:
            links[node, 0], links[node, 1] = first, last - first
            continue
        middle = _split(boxes, order, first, last)
        links[node, 0] = used
        stack[depth, 0], stack[depth, 1], stack[depth, 2] = used, first, middle
        stack[depth + 1, 0], stack[depth + 1, 1], stack[depth + 1, 2] = used + 1, middle, last
        depth += 2
        used += 2
    return bounds[:used].copy(), links[:used].copy(), order


@njit(cache=True, nogil=True, error_model="numpy")
def is_occluded(
    ray: np.ndarray,
    reach: float,
    frames: np.ndarray,
    kinds: np.ndarray,
    shapes: np.ndarray,
    bounds: np.ndarray,
    links: np.ndarray,
    order: np.ndarray,
    stack: np.ndarray,
) -> bool:
    """Whether anything stands on the ray (origin, direction) for t in (SELF_SHADOW_M, reach)."""
    px, py, pz, qx, qy, qz = ray[0], ray[1], ray[2], ray[3], ray[4], ray[5]
    ix, iy, iz = 1.0 / qx, 1.0 / qy, 1.0 / qz
    stack[0], depth = 0, 1
    while depth > 0:
        depth -= 1
        node = stack[depth]
        a, b = (bounds[node, 0] - px) * ix, (bounds[node, 3] - px) * ix
        lo, hi = min(a, b), max(a, b)
        a, b = (bounds[node, 1] - py) * iy, (bounds[node, 4] - py) * iy
        lo, hi = max(lo, min(a, b)), min(hi, max(a, b))
        a, b = (bounds[node, 2] - pz) * iz, (bounds[node, 5] - pz) * iz
        lo, hi = max(lo, min(a, b)), min(hi, max(a, b))
        if lo > hi or hi < 0.0 or lo > reach:
            continue
        first, count = links[node, 0], links[node, 1]
        if count == 0:
            stack[depth] = first
            stack[depth + 1] = first + 1
            depth += 2
            continue
        for k in range(first, first + count):
            n = order[k]
            x, y, z = px - frames[n, 9], py - frames[n, 10], pz - frames[n, 11]
            t, _ = hit(
                kinds[n],
                shapes,
                n,
                frames[n, 0] * x + frames[n, 1] * y + frames[n, 2] * z,
                frames[n, 3] * x + frames[n, 4] * y + frames[n, 5] * z,
                frames[n, 6] * x + frames[n, 7] * y + frames[n, 8] * z,
                frames[n, 0] * qx + frames[n, 1] * qy + frames[n, 2] * qz,
                frames[n, 3] * qx + frames[n, 4] * qy + frames[n, 5] * qz,
                frames[n, 6] * qx + frames[n, 7] * qy + frames[n, 8] * qz,
                SELF_SHADOW_M,
            )
            if t < reach:
                return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def visibility(
    key: np.ndarray,
    surface: np.ndarray,
    lights: np.ndarray,
    reach: float,
    frames: np.ndarray,
    kinds: np.ndarray,
    shapes: np.ndarray,
    bounds: np.ndarray,
    links: np.ndarray,
    order: np.ndarray,
) -> np.ndarray:
    """1 + L H W in [0, 1]: openness within `reach` metres, then each light's visible share; unfinished pixels are -1.

    One ray per hard light on every second pixel and per soft one on every fourth, its end jittered in a fixed pattern
    that smooth_visibility averages out; pixels alone in their row get theirs always.
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
            s = surface[y, x]
            # A low-discrepancy lattice over the picture: every small neighbourhood holds evenly spread samples.
            i, j = x >> 1, y >> 1
            a = (0.8191725134 * i + 0.6710436067 * j + 0.5) % 1.0
            b = (0.5497004779 * i + 0.8191725134 * j + 0.25 * (y & 1)) % 1.0
            e = (0.7548776662 * i + 0.5698402909 * j) % 1.0
            ring, angle = np.sqrt(a), 6.2831853 * b
            for axis in range(3):
                ray[axis] = s[7 + axis] + 2e-3 * s[axis]
            if coarse or alone:
                # Cosine-weighted: a point on the sphere that touches the surface from outside.
                px, py, pz = ring * np.cos(angle), ring * np.sin(angle), np.sqrt(max(0.0, 1.0 - a))
                sign = 1.0 if s[2] >= 0 else -1.0
                c = -1.0 / (sign + s[2])
                d = s[0] * s[1] * c
                ray[3] = px * (1.0 + sign * s[0] * s[0] * c) + py * d + pz * s[0] + 1e-9
                ray[4] = px * sign * d + py * (sign + s[1] * s[1] * c) + pz * s[1] + 1e-9
                ray[5] = -px * sign * s[0] - py * s[1] + pz * s[2] + 1e-9
                closed = is_occluded(ray, reach, frames, kinds, shapes, bounds, links, order, stack)
                out[0, y, x] = 0.0 if closed else 1.0
            for n in range(len(lights)):
                light = lights[n]
                if light[7] > SOFT and not (coarse or alone):
                    continue
                jx, jy = (a - 0.5) * 2.0 * light[7], (b - 0.5) * 2.0 * light[7]
                jz = (e - 0.5) * light[7]
                if light[0] > 0.0:
                    ray[3], ray[4], ray[5] = light[1] + jx, light[2] + jy, light[3] + jz
                    far = 1e9
                else:
                    ray[3], ray[4], ray[5] = light[1] + jx - ray[0], light[2] + jy - ray[1], light[3] + jz - ray[2]
                    far = 0.98
                ray[3] += 1e-9
                ray[4] += 1e-9
                ray[5] += 1e-9
                if ray[3] * s[0] + ray[4] * s[1] + ray[5] * s[2] <= 0.0:
                    out[1 + n, y, x] = 0.0
                    continue
                dark = is_occluded(ray, far, frames, kinds, shapes, bounds, links, order, stack)
                out[1 + n, y, x] = 0.0 if dark else 1.0
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def smooth_visibility(seen: np.ndarray, key: np.ndarray, lights: np.ndarray) -> np.ndarray:
    """Means over neighbours of the same face (nine across, seven down; hard lights only fill their gaps)."""
    channels, height, width = seen.shape
    out = np.ones_like(seen)
    total, count = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for n in range(channels):
        soft = n == 0 or lights[n - 1, 7] > SOFT
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

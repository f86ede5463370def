"""Primitives, exact first hits by screen rectangles, and a bounding-volume tree for shadow rays (numba, serial).

Every primitive lives in its own unit cube: local = M (world - centre), so a ray keeps its parameter t and, with a
camera ray whose forward component is 1, t *is* the planar depth in metres.
"""

from __future__ import annotations

import numpy as np
from numba import njit

BOX, ELLIPSOID, CYLINDER, QUAD = 0, 1, 2, 3
NO_CUT, LEAVES, BARS, DISC, BLOB, LEAF = 0, 1, 2, 3, 4, 5
FRAME = 24
"""Numbers per primitive: M (9), centre (3), axes A = M⁻¹ (9), half sizes (3)."""
FAR = np.inf
NEAR_M = 0.02
SELF_SHADOW_M = 2e-3


@njit(cache=True, nogil=True, error_model="numpy")
def hash01(x: int, y: int, seed: int) -> float:
    """A repeatable number in [0, 1) for a lattice cell."""
    n = (x * 374761393 + y * 668265263 + seed * 1274126177) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1103515245) & 0xFFFFFFFF
    n = ((n ^ (n >> 16)) * 2246822519) & 0xFFFFFFFF
    return ((n ^ (n >> 15)) & 0xFFFFFF) / 16777216.0


@njit(cache=True, nogil=True, error_model="numpy")
def is_cut(u: float, v: float, shapes: np.ndarray, n: int) -> bool:
    """Whether primitive n's cut-out leaves a hole at (u, v) in [-1, 1]²; a shape is taper, cut, a, b, c, seed."""
    cut = int(shapes[n, 1])
    if cut == LEAVES:
        x, y, seed = (u + 1.0) * shapes[n, 2], (v + 1.0) * shapes[n, 3], int(shapes[n, 5])
        i, j = int(np.floor(x)), int(np.floor(y))
        if hash01(i, j, seed) > shapes[n, 4]:
            return True
        x, y = x - i - 0.5, y - j - 0.5
        angle = 6.2831853 * hash01(i, j, seed + 1)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = -x * np.sin(angle) + y * np.cos(angle)
        return along * along * 3.2 + across * across * 11.0 > 1.0
    if cut == BARS:
        x, y = (u + 1.0) * shapes[n, 2], (v + 1.0) * shapes[n, 3]
        return x - np.floor(x) > shapes[n, 4] and y - np.floor(y) > shapes[n, 4]
    if cut == DISC:
        return u * u + v * v > 1.0
    if cut == BLOB:
        angle, seed = (np.arctan2(v, u) / 6.2831853 + 0.5) * shapes[n, 2], int(shapes[n, 5])
        i = int(np.floor(angle))
        f = angle - i
        last = int(shapes[n, 2])
        radius = 0.55 + 0.45 * (hash01(i % last, 0, seed) * (1 - f) + hash01((i + 1) % last, 0, seed) * f)
        return u * u + v * v > radius * radius
    if cut == LEAF:
        return abs(v) > (1.0 - u * u) * (1.0 - 0.4 * u)
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def hit(
    kind: int,
    shapes: np.ndarray,
    n: int,
    ox: float,
    oy: float,
    oz: float,
    dx: float,
    dy: float,
    dz: float,
    near: float,
) -> tuple[float, int]:
    """First t > near of a local ray with a unit primitive, and the face: 0–5 for ±x ±y ±z (cylinder: 0 side, 4, 5)."""
    if kind == BOX:
        lo, hi, lo_face, hi_face = -FAR, FAR, 0, 0
        for axis in range(3):
            o = ox if axis == 0 else (oy if axis == 1 else oz)
            d = dx if axis == 0 else (dy if axis == 1 else dz)
            if abs(d) < 1e-12:
                if abs(o) > 1.0:
                    return FAR, 0
                continue
            inverse = 1.0 / d
            t0, t1 = (-1.0 - o) * inverse, (1.0 - o) * inverse
            f0, f1 = 2 * axis + 1, 2 * axis
            if t0 > t1:
                t0, t1, f0, f1 = t1, t0, f1, f0
            if t0 > lo:
                lo, lo_face = t0, f0
            if t1 < hi:
                hi, hi_face = t1, f1
            if lo > hi:
                return FAR, 0
        if lo > near:
            return lo, lo_face
        if hi > near:
            return hi, hi_face
        return FAR, 0
    if kind == ELLIPSOID:
        a = dx * dx + dy * dy + dz * dz
        b = ox * dx + oy * dy + oz * dz
        c = ox * ox + oy * oy + oz * oz - 1.0
        root = b * b - a * c
        if root < 0.0:
            return FAR, 0
        root = np.sqrt(root)
        for t in ((-b - root) / a, (-b + root) / a):
            if t > near:
                if shapes[n, 1] == 0.0:
                    return t, 0
                u, v = np.arctan2(oy + t * dy, ox + t * dx) / 3.14159265, oz + t * dz
                if not is_cut(u, v, shapes, n):
                    return t, 0
        return FAR, 0
    if kind == CYLINDER:
        slope = 0.5 * shapes[n, 0]
        radius = 1.0 - slope - slope * oz
        a = dx * dx + dy * dy - slope * slope * dz * dz
        b = ox * dx + oy * dy + slope * dz * radius
        c = ox * ox + oy * oy - radius * radius
        best, face = FAR, 0
        root = b * b - a * c
        if root >= 0.0 and abs(a) > 1e-14:
            root = np.sqrt(root)
            for t in ((-b - root) / a, (-b + root) / a):
                if near < t < best and abs(oz + t * dz) <= 1.0:
                    best = t
        if abs(dz) > 1e-12:
            for side in range(2):
                z = 1.0 - 2.0 * side
                t = (z - oz) / dz
                if near < t < best:
                    x, y, rim = ox + t * dx, oy + t * dy, 1.0 - slope - slope * z
                    if x * x + y * y <= rim * rim:
                        best, face = t, 4 + side
        return best, face
    if abs(dz) < 1e-12:
        return FAR, 0
    t = -oz / dz
    if t <= near:
        return FAR, 0
    u, v = ox + t * dx, oy + t * dy
    if abs(u) > 1.0 or abs(v) > 1.0 or (shapes[n, 1] != 0.0 and is_cut(u, v, shapes, n)):
        return FAR, 0
    return t, 4 if oz > 0 else 5


@njit(cache=True, nogil=True, error_model="numpy")
def screen_rectangle(frame: np.ndarray, camera: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """Pixels [x0, x1) × [y0, y1) that the primitive's oriented box can touch; the box is clipped at the near plane."""
    fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
    corner = np.empty((8, 3))
    for i in range(8):
        sx, sy, sz = 2.0 * (i & 1) - 1.0, (i & 2) - 1.0, 0.5 * (i & 4) - 1.0
        wx = frame[9] + frame[12] * sx + frame[13] * sy + frame[14] * sz - camera[0]
        wy = frame[10] + frame[15] * sx + frame[16] * sy + frame[17] * sz - camera[1]
        wz = frame[11] + frame[18] * sx + frame[19] * sy + frame[20] * sz - camera[2]
        for axis in range(3):
            corner[i, axis] = camera[3 + axis] * wx + camera[6 + axis] * wy + camera[9 + axis] * wz
    x0, x1, y0, y1 = FAR, -FAR, FAR, -FAR
    for i in range(8):
        zi = corner[i, 2]
        if zi >= NEAR_M:
            x, y = corner[i, 0] / zi * fx + cx, corner[i, 1] / zi * fy + cy
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
        for bit in (1, 2, 4):
            j = i ^ bit
            zj = corner[j, 2]
            if zi < NEAR_M <= zj:
                f = (NEAR_M - zi) / (zj - zi)
                x = (corner[i, 0] + f * (corner[j, 0] - corner[i, 0])) / NEAR_M * fx + cx
                y = (corner[i, 1] + f * (corner[j, 1] - corner[i, 1])) / NEAR_M * fy + cy
                x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
    if x0 > x1:
        return 0, 0, 0, 0
    left, right = int(max(0.0, np.floor(x0))), int(min(float(width), np.ceil(x1) + 1.0))
    top, bottom = int(max(0.0, np.floor(y0))), int(min(float(height), np.ceil(y1) + 1.0))
    return left, max(left, right), top, max(top, bottom)


@njit(cache=True, nogil=True, error_model="numpy")
def first_hits(
    frames: np.ndarray, kinds: np.ndarray, shapes: np.ndarray, camera: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Depth H W (metres, float64, inf for sky) and key H W (8 × primitive + face, -1 for sky) at pixel centres.

    camera: position (3), camera-to-world rotation (9, rows), fx, fy, cx, cy; pixel (0, 0) is centred on (0, 0).
    """
    depth = np.full((height, width), FAR)
    key = np.full((height, width), -1, np.int32)
    fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
    turn = np.empty((3, 3))
    for n in range(len(kinds)):
        frame, kind = frames[n], kinds[n]
        left, right, top, bottom = screen_rectangle(frame, camera, height, width)
        if right <= left or bottom <= top:
            continue
        px, py, pz = camera[0] - frame[9], camera[1] - frame[10], camera[2] - frame[11]
        ox = frame[0] * px + frame[1] * py + frame[2] * pz
        oy = frame[3] * px + frame[4] * py + frame[5] * pz
        oz = frame[6] * px + frame[7] * py + frame[8] * pz
        for i in range(3):
            for j in range(3):
                turn[i, j] = (
                    frame[3 * i] * camera[3 + j] + frame[3 * i + 1] * camera[6 + j] + frame[3 * i + 2] * camera[9 + j]
                )
        for y in range(top, bottom):
            v = (y - cy) / fy
            bx = turn[0, 1] * v + turn[0, 2]
            by = turn[1, 1] * v + turn[1, 2]
            bz = turn[2, 1] * v + turn[2, 2]
            for x in range(left, right):
                u = (x - cx) / fx
                dx, dy, dz = bx + turn[0, 0] * u, by + turn[1, 0] * u, bz + turn[2, 0] * u
                t, face = hit(kind, shapes, n, ox, oy, oz, dx, dy, dz, NEAR_M)
                if t < depth[y, x]:
                    depth[y, x] = t
                    key[y, x] = 8 * n + face
    return depth, key

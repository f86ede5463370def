"""Solids, first hits of camera rays by screen rectangles, and a bounding-volume tree for shadow rays (numba, serial).

Every solid is a unit shape in its own cube: local = inverse (world - centre). A ray therefore keeps its parameter t
and, with a camera ray whose forward component is 1, t *is* the planar depth in metres.
"""

from __future__ import annotations

from typing import NamedTuple, get_type_hints

import numpy as np
from numba import njit

Vector = tuple[float, float, float]
kernel = njit(cache=True, nogil=True, error_model="numpy")

BOX, ELLIPSOID, CYLINDER, QUAD = range(4)
NO_CUT, LEAVES, BARS, DISC, BLOB, LEAF = range(6)
FAR = np.inf
NEAR_M = 0.02
SELF_SHADOW_M = 2e-3
FACE_BITS, FACE_MASK = 3, 7
"""A pixel's key is the solid's index above its face."""
SKY_KEY = -1
BINS = 8


def record_type(fields: type[NamedTuple]) -> np.dtype:
    """Return the numpy dtype that holds a NamedTuple; in kernels a field of three numbers is an array."""
    types = {int: (np.int64,), bool: (np.bool_,), float: (np.float64,), Vector: (np.float64, 3)}
    return np.dtype([(name, *types[kind]) for name, kind in get_type_hints(fields).items()], align=True)


class Cut(NamedTuple):
    """Holes in a quad or an ellipsoid: LEAVES, BARS, …, cells `across` and `down`, and the `share` that is solid."""

    kind: int = NO_CUT
    across: float = 0.0
    down: float = 0.0
    share: float = 0.0


SOLID = np.dtype(
    [
        ("inverse", np.float64, (3, 3)),
        ("centre", np.float64, 3),
        ("axes", np.float64, (3, 3)),
        ("half", np.float64, 3),
        ("kind", np.int64),
        ("taper", np.float64),
        ("cut", record_type(Cut)),
        ("seed", np.int64),
        ("faces", np.int64, 8),
        ("mover", np.int64),
    ],
    align=True,
)
"""A solid at one moment: world to local and back (`axes` is `inverse`⁻¹), half sizes in metres, a material per face."""

CAMERA = np.dtype(
    [
        *(("position", np.float64, 3), ("rotation", np.float64, (3, 3))),
        *((name, np.float64) for name in ("fx", "fy", "cx", "cy")),
    ],
    align=True,
)
"""Position, camera-to-world rotation and intrinsics in pixels; pixel (0, 0) is centred on image point (0, 0)."""

BOUNDS = np.dtype([("low", np.float64, 3), ("high", np.float64, 3)], align=True)
NODE = np.dtype([("first", np.int64), ("count", np.int64), ("low", np.float64, 3), ("high", np.float64, 3)], align=True)
"""Bounds; `count` solids from `first` in the tree's order, or none and the two children from node `first`."""


class Tree(NamedTuple):
    """Nodes M, the root first, and the solids' indices N in the order of the leaves."""

    nodes: np.ndarray
    order: np.ndarray


@kernel
def hash01(x: int, y: int, seed: int) -> float:
    """Return a repeatable number in [0, 1) for a lattice cell."""
    n = (x * 374761393 + y * 668265263 + seed * 1274126177) & 0xFFFFFFFF
    n = ((n ^ (n >> 13)) * 1103515245) & 0xFFFFFFFF
    n = ((n ^ (n >> 16)) * 2246822519) & 0xFFFFFFFF
    return ((n ^ (n >> 15)) & 0xFFFFFF) / 16777216.0


@kernel
def to_local(solid: np.record, x: float, y: float, z: float) -> Vector:
    """Turn a world direction, or a point relative to the solid's centre, into the solid's own frame."""
    m = solid.inverse
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


@kernel
def ray_through(camera: np.record, x: float, y: float) -> Vector:
    """Return the world direction through an image point; its forward component is 1."""
    u, v = (x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy
    m = camera.rotation
    return m[0, 0] * u + m[0, 1] * v + m[0, 2], m[1, 0] * u + m[1, 1] * v + m[1, 2], m[2, 0] * u + m[2, 1] * v + m[2, 2]


@kernel
def is_hole(u: float, v: float, solid: np.record) -> bool:
    """Return whether the solid's cut leaves a hole at (u, v) in [-1, 1]²."""
    cut, seed = solid.cut, solid.seed
    if cut.kind == LEAVES:
        x, y = (u + 1.0) * cut.across, (v + 1.0) * cut.down
        i, j = int(np.floor(x)), int(np.floor(y))
        if hash01(i, j, seed) > cut.share:
            return True
        x, y = x - i - 0.5, y - j - 0.5
        angle = 6.2831853 * hash01(i, j, seed + 1)
        along = x * np.cos(angle) + y * np.sin(angle)
        across = -x * np.sin(angle) + y * np.cos(angle)
        return along * along * 3.2 + across * across * 11.0 > 1.0
    if cut.kind == BARS:
        x, y = (u + 1.0) * cut.across, (v + 1.0) * cut.down
        return x - np.floor(x) > cut.share and y - np.floor(y) > cut.share
    if cut.kind == DISC:
        return u * u + v * v > 1.0
    if cut.kind == BLOB:
        angle = (np.arctan2(v, u) / 6.2831853 + 0.5) * cut.across
        i = int(np.floor(angle))
        f = angle - i
        last = int(cut.across)
        radius = 0.55 + 0.45 * (hash01(i % last, 0, seed) * (1 - f) + hash01((i + 1) % last, 0, seed) * f)
        return u * u + v * v > radius * radius
    if cut.kind == LEAF:
        return abs(v) > (1.0 - u * u) * (1.0 - 0.4 * u)
    return False


@kernel
def hit(
    solid: np.record, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float, near: float
) -> tuple[float, int]:
    """Return the first t > near of a local ray with the solid, and the face.

    Faces are 0–5 for ±x ±y ±z; of a cylinder 0 is the side, 4 and 5 are the caps.
    """
    if solid.kind == BOX:
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
    if solid.kind == ELLIPSOID:
        a = dx * dx + dy * dy + dz * dz
        b = ox * dx + oy * dy + oz * dz
        c = ox * ox + oy * oy + oz * oz - 1.0
        root = b * b - a * c
        if root < 0.0:
            return FAR, 0
        root = np.sqrt(root)
        for t in ((-b - root) / a, (-b + root) / a):
            if t > near:
                if solid.cut.kind == NO_CUT:
                    return t, 0
                u, v = np.arctan2(oy + t * dy, ox + t * dx) / 3.14159265, oz + t * dz
                if not is_hole(u, v, solid):
                    return t, 0
        return FAR, 0
    if solid.kind == CYLINDER:
        slope = 0.5 * solid.taper
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
    if abs(u) > 1.0 or abs(v) > 1.0 or (solid.cut.kind != NO_CUT and is_hole(u, v, solid)):
        return FAR, 0
    return t, 4 if oz > 0 else 5


@kernel
def screen_rectangle(solid: np.record, camera: np.record, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the pixels [x0, x1) × [y0, y1) that the solid's box can touch; the box is clipped at the near plane."""
    corner = np.empty((8, 3))
    for i in range(8):
        sx, sy, sz = 2.0 * (i & 1) - 1.0, (i & 2) - 1.0, 0.5 * (i & 4) - 1.0
        c, a, p, r = solid.centre, solid.axes, camera.position, camera.rotation
        wx = c[0] + a[0, 0] * sx + a[0, 1] * sy + a[0, 2] * sz - p[0]
        wy = c[1] + a[1, 0] * sx + a[1, 1] * sy + a[1, 2] * sz - p[1]
        wz = c[2] + a[2, 0] * sx + a[2, 1] * sy + a[2, 2] * sz - p[2]
        for axis in range(3):
            corner[i, axis] = r[0, axis] * wx + r[1, axis] * wy + r[2, axis] * wz
    x0, x1, y0, y1 = FAR, -FAR, FAR, -FAR
    for i in range(8):
        zi = corner[i, 2]
        if zi >= NEAR_M:
            x, y = corner[i, 0] / zi * camera.fx + camera.cx, corner[i, 1] / zi * camera.fy + camera.cy
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
        for bit in (1, 2, 4):
            j = i ^ bit
            zj = corner[j, 2]
            if zi < NEAR_M <= zj:
                f = (NEAR_M - zi) / (zj - zi)
                x = (corner[i, 0] + f * (corner[j, 0] - corner[i, 0])) / NEAR_M * camera.fx + camera.cx
                y = (corner[i, 1] + f * (corner[j, 1] - corner[i, 1])) / NEAR_M * camera.fy + camera.cy
                x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
    if x0 > x1:
        return 0, 0, 0, 0
    left, right = int(max(0.0, np.floor(x0))), int(min(float(width), np.ceil(x1) + 1.0))
    top, bottom = int(max(0.0, np.floor(y0))), int(min(float(height), np.ceil(y1) + 1.0))
    return left, max(left, right), top, max(top, bottom)


@kernel
def first_hits(solids: np.ndarray, camera: np.record, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return depth H W (metres, float64, inf for sky) and key H W (SKY_KEY for sky) at pixel centres."""
    depth = np.full((height, width), FAR)
    key = np.full((height, width), SKY_KEY, np.int32)
    turn = np.empty((3, 3))
    for n in range(len(solids)):
        solid = solids[n]
        left, right, top, bottom = screen_rectangle(solid, camera, height, width)
        if right <= left or bottom <= top:
            continue
        p, c, m, r = camera.position, solid.centre, solid.inverse, camera.rotation
        ox, oy, oz = to_local(solid, p[0] - c[0], p[1] - c[1], p[2] - c[2])
        for i in range(3):
            for j in range(3):
                turn[i, j] = m[i, 0] * r[0, j] + m[i, 1] * r[1, j] + m[i, 2] * r[2, j]
        for y in range(top, bottom):
            v = (y - camera.cy) / camera.fy
            bx = turn[0, 1] * v + turn[0, 2]
            by = turn[1, 1] * v + turn[1, 2]
            bz = turn[2, 1] * v + turn[2, 2]
            for x in range(left, right):
                u = (x - camera.cx) / camera.fx
                dx, dy, dz = bx + turn[0, 0] * u, by + turn[1, 0] * u, bz + turn[2, 0] * u
                t, face = hit(solid, ox, oy, oz, dx, dy, dz, NEAR_M)
                if t < depth[y, x]:
                    depth[y, x] = t
                    key[y, x] = n << FACE_BITS | face
    return depth, key


@kernel
def _clear(boxes: np.ndarray) -> None:
    """Make every box empty."""
    for i in range(len(boxes)):
        for axis in range(3):
            boxes[i].low[axis], boxes[i].high[axis] = FAR, -FAR


@kernel
def _grow(box: np.record, other: np.record) -> None:
    for axis in range(3):
        box.low[axis] = min(box.low[axis], other.low[axis])
        box.high[axis] = max(box.high[axis], other.high[axis])


@kernel
def _area(box: np.record) -> float:
    x, y, z = box.high[0] - box.low[0], box.high[1] - box.low[1], box.high[2] - box.low[2]
    return x * y + y * z + z * x if x >= 0.0 else 0.0


@kernel
def _bounds_of(solids: np.ndarray) -> np.ndarray:
    """Return N BOUNDS of the solids' oriented boxes."""
    out = np.empty(len(solids), BOUNDS)
    for i in range(len(solids)):
        solid = solids[i]
        for axis in range(3):
            reach = 1e-6
            for k in range(3):
                reach += abs(solid.axes[axis, k])
            out[i].low[axis], out[i].high[axis] = solid.centre[axis] - reach, solid.centre[axis] + reach
    return out


@kernel
def _split(boxes: np.ndarray, order: np.ndarray, first: int, last: int) -> int:
    """Divide order[first:last], reordered in place, at the cheapest of BINS planes on the widest axis."""
    axis, low, widest = 0, 0.0, -1.0
    for k in range(3):
        lo, hi = FAR, -FAR
        for m in range(first, last):
            centre = boxes[order[m]].low[k] + boxes[order[m]].high[k]
            lo, hi = min(lo, centre), max(hi, centre)
        if hi - lo > widest:
            axis, low, widest = k, lo, hi - lo
    if widest <= 0.0:
        return (first + last) // 2
    bins, counts = np.empty(BINS, BOUNDS), np.zeros(BINS, np.int64)
    _clear(bins)
    slot = np.empty(last - first, np.int64)
    for m in range(first, last):
        centre = boxes[order[m]].low[axis] + boxes[order[m]].high[axis]
        s = min(BINS - 1, int((centre - low) / widest * BINS))
        slot[m - first] = s
        counts[s] += 1
        _grow(bins[s], boxes[order[m]])
    best, plane = FAR, BINS // 2
    sides = np.empty(2, BOUNDS)
    for cut in range(1, BINS):
        _clear(sides)
        left, right = 0, 0
        for s in range(BINS):
            if counts[s] > 0:
                _grow(sides[0 if s < cut else 1], bins[s])
                left += counts[s] if s < cut else 0
                right += counts[s] if s >= cut else 0
        cost = left * _area(sides[0]) + right * _area(sides[1])
        if left > 0 and right > 0 and cost < best:
            best, plane = cost, cut
    part, lower = order[first:last].copy(), first
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


@kernel
def build_tree(solids: np.ndarray) -> Tree:
    """Return the tree over the solids' boxes; a leaf holds one or two."""
    n = len(solids)
    boxes, order = _bounds_of(solids), np.arange(n)
    nodes = np.zeros(2 * n + 1, NODE)
    _clear(nodes)
    stack = np.empty((2 * n + 2, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, 0, n
    depth, used = 1, 1
    while depth > 0:
        depth -= 1
        index, first, last = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        node = nodes[index]
        for m in range(first, last):
            _grow(node, boxes[order[m]])
        if last - first <= 2:
            node.first, node.count = first, last - first
            continue
        middle = _split(boxes, order, first, last)
        node.first = used
        stack[depth, 0], stack[depth, 1], stack[depth, 2] = used, first, middle
        stack[depth + 1, 0], stack[depth + 1, 1], stack[depth + 1, 2] = used + 1, middle, last
        depth += 2
        used += 2
    return Tree(nodes[:used].copy(), order)


@kernel
def is_occluded(ray: np.ndarray, reach: float, solids: np.ndarray, tree: Tree, stack: np.ndarray) -> bool:
    """Return whether anything is on the ray (origin, direction) for t in (SELF_SHADOW_M, reach)."""
    px, py, pz, qx, qy, qz = ray[0], ray[1], ray[2], ray[3], ray[4], ray[5]
    ix, iy, iz = 1.0 / qx, 1.0 / qy, 1.0 / qz
    stack[0], depth = 0, 1
    while depth > 0:
        depth -= 1
        node = tree.nodes[stack[depth]]
        a, b = (node.low[0] - px) * ix, (node.high[0] - px) * ix
        lo, hi = min(a, b), max(a, b)
        a, b = (node.low[1] - py) * iy, (node.high[1] - py) * iy
        lo, hi = max(lo, min(a, b)), min(hi, max(a, b))
        a, b = (node.low[2] - pz) * iz, (node.high[2] - pz) * iz
        lo, hi = max(lo, min(a, b)), min(hi, max(a, b))
        if lo > hi or hi < 0.0 or lo > reach:
            continue
        if node.count == 0:
            stack[depth] = node.first
            stack[depth + 1] = node.first + 1
            depth += 2
            continue
        for k in range(node.first, node.first + node.count):
            solid = solids[tree.order[k]]
            c = solid.centre
            ox, oy, oz = to_local(solid, px - c[0], py - c[1], pz - c[2])
            dx, dy, dz = to_local(solid, qx, qy, qz)
            t, _ = hit(solid, ox, oy, oz, dx, dy, dz, SELF_SHADOW_M)
            if t < reach:
                return True
    return False

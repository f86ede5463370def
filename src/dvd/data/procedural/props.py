"""Small things and living things: bottles, books, laptops, plants, trees, people, animals."""

from __future__ import annotations

from contextlib import nullcontext
from math import cos, pi, sin

from dvd.data.procedural.raytrace import BLOB, LEAF, LEAVES
from dvd.data.procedural.scene import Cut, Motion, SceneBuilder

UPRIGHT = pi / 2
"""Roll that stands a quad up: its x stays horizontal, its y points up."""


def bottle(b: SceneBuilder) -> None:
    """A bottle, 15–35 cm."""
    r = b.random
    body = b.add(b.paint.plain(specular=0.5))
    radius, height = r.uniform(0.025, 0.05), r.uniform(0.1, 0.2)
    b.cylinder((0, 0, height / 2), (radius, radius, height / 2), body)
    b.cylinder((0, 0, height + 0.02), (radius, radius, 0.02), body, taper=0.6)
    b.cylinder((0, 0, height + 0.07), (radius * 0.4, radius * 0.4, 0.04), b.add(b.paint.plain()))
    if r.random() < 0.5:
        b.cylinder((0, 0, height * 0.5), (radius * 1.02, radius * 1.02, height * 0.25), b.add(b.paint.print()))


def cup(b: SceneBuilder) -> None:
    """A mug with a handle, or a glass."""
    r = b.random
    paint, radius, height = b.add(b.paint.plain(specular=0.3)), r.uniform(0.03, 0.05), r.uniform(0.07, 0.13)
    inside = b.add(b.paint.plain())
    b.cylinder(
        (0, 0, height / 2), (radius, radius, height / 2), (paint,) * 4 + (inside, paint), taper=-r.uniform(0, 0.3)
    )
    if r.random() < 0.6:
        b.box((radius * 1.3, 0, height / 2), (0.006, 0.005, height * 0.3), paint)
        for z in (0.25, 0.75):
            b.box((radius * 1.1, 0, height * z), (radius * 0.25, 0.005, 0.006), paint)


def carton(b: SceneBuilder) -> None:
    """A box of cereals, a parcel, a tin."""
    r = b.random
    half = (r.uniform(0.03, 0.14), r.uniform(0.03, 0.1), r.uniform(0.02, 0.15))
    front = b.add(b.paint.picture() if r.random() < 0.4 else b.paint.plain())
    side = b.add(b.paint.plain() if r.random() < 0.6 else b.paint.print())
    b.box((0, 0, half[2]), half, (side, side, front, front, side, side))


def books(b: SceneBuilder) -> None:
    """A pile of books."""
    r, z = b.random, 0.0
    for _ in range(r.randint(1, 4)):
        half = (r.uniform(0.08, 0.15), r.uniform(0.06, 0.11), r.uniform(0.005, 0.025))
        cover, pages = b.add(b.paint.plain()), b.add(b.paint.row((0.8, 0.78, 0.7)))
        b.box((0, 0, z + half[2]), half, (pages, pages, cover, pages, cover, cover), (r.uniform(-0.4, 0.4), 0, 0))
        z += 2 * half[2]


def bowl(b: SceneBuilder) -> None:
    """A bowl or plate, sometimes with fruit."""
    r = b.random
    radius, height = r.uniform(0.07, 0.16), r.uniform(0.01, 0.08)
    b.cylinder((0, 0, height / 2), (radius, radius, height / 2), b.add(b.paint.plain(specular=0.3)), taper=-0.6)
    for _ in range(r.choice((0, 0, 2, 4))):
        size, a = r.uniform(0.025, 0.045), r.uniform(0, 2 * pi)
        b.ellipsoid(
            (0.5 * radius * cos(a), 0.5 * radius * sin(a), height + size * 0.6), (size,) * 3, b.add(b.paint.plain())
        )


def ball(b: SceneBuilder) -> None:
    """A ball or an egg-shaped ornament."""
    size = b.random.uniform(0.03, 0.13)
    tall = size * b.random.choice((1.0, 1.0, 0.7, 1.4))
    paint = b.paint.patterned(b.paint.any_colour(), b.paint.any_colour(), size * 0.8)
    b.ellipsoid((0, 0, tall), (size, size, tall), b.add(paint if b.random.random() < 0.4 else b.paint.plain()))


def lamp(b: SceneBuilder) -> None:
    """A table lamp."""
    r = b.random
    tall = r.uniform(0.2, 0.45)
    metal = b.add(b.paint.metal())
    b.cylinder((0, 0, 0.01), (0.08, 0.08, 0.01), metal)
    b.cylinder((0, 0, tall / 2), (0.01, 0.01, tall / 2), metal)
    shade = b.add(b.paint.row(b.paint.any_colour(), emission=r.choice((0.0, 1.5))))
    b.cylinder((0, 0, tall + 0.05), (0.13, 0.13, 0.09), shade, taper=r.uniform(0.0, 0.6))


def laptop(b: SceneBuilder) -> None:
    """An open laptop with a keyboard and a lit screen."""
    r = b.random
    case, keys = b.add(b.paint.metal()), b.add(b.paint.print())
    screen = b.add(b.paint.picture(1.0) if r.random() < 0.5 else b.paint.print(1.0))
    b.box((0, 0, 0.01), (0.17, 0.12, 0.01), (case, case, case, case, keys, case))
    b.box((0, 0.17, 0.12), (0.17, 0.006, 0.115), (case, case, case, screen, case, case), (0, 0, -r.uniform(0.1, 0.5)))


def monitor(b: SceneBuilder) -> None:
    """A screen on a stand, or a television."""
    r = b.random
    wide, tall = r.uniform(0.22, 0.4), r.uniform(0.14, 0.22)
    case = b.add(b.paint.plain(b.paint.colour(0.6, 0.1, (0, 0.1), (0.05, 0.3))))
    lit = r.random()
    screen = case if lit < 0.3 else b.add(b.paint.picture(1.0) if lit < 0.7 else b.paint.print(1.0))
    b.box((0, 0, 0.01), (0.12, 0.09, 0.01), case)
    b.box((0, 0.02, 0.1), (0.03, 0.015, 0.1), case)
    b.box((0, 0, 0.12 + tall), (wide, 0.02, tall), (case, case, case, screen, case, case))


def keyboard(b: SceneBuilder) -> None:
    """A keyboard and a mouse, or sheets of paper."""
    r = b.random
    if r.random() < 0.5:
        b.box((0, 0, 0.01), (0.21, 0.07, 0.01), b.add(b.paint.print()))
        b.ellipsoid((0.3, 0, 0.015), (0.03, 0.05, 0.02), b.add(b.paint.plain()))
    else:
        for n in range(r.randint(1, 4)):
            at = (r.uniform(-0.15, 0.15), r.uniform(-0.1, 0.1), 0.002 * (n + 1))
            b.quad(at, (0.105, 0.148), b.add(b.paint.print()), (r.uniform(0, 6.3), 0, 0))


def pan(b: SceneBuilder) -> None:
    """A pot or a pan with its handle."""
    r = b.random
    metal, radius, tall = b.add(b.paint.metal()), r.uniform(0.08, 0.14), r.uniform(0.03, 0.14)
    b.cylinder((0, 0, tall / 2), (radius, radius, tall / 2), metal)
    b.box((radius + 0.09, 0, tall * 0.8), (0.09, 0.012, 0.008), b.add(b.paint.plain()))
    if r.random() < 0.5:
        b.ellipsoid((0, 0, tall), (radius, radius, 0.03), metal)
        b.ellipsoid((0, 0, tall + 0.04), (0.015, 0.015, 0.015), metal)


def plant(b: SceneBuilder, tall: float = 0.4) -> None:
    """A pot with leaf blades, or with a bushy crown."""
    r = b.random
    pot, green = b.add(b.paint.plain()), [b.add(b.paint.leaves()) for _ in range(2)]
    width = tall * r.uniform(0.15, 0.3)
    b.cylinder((0, 0, width), (width, width, width), pot, taper=-r.uniform(0.0, 0.4))
    base = 2 * width
    if r.random() < 0.6:
        for n in range(r.randint(7, 16)):
            yaw, pitch, long = n * 2.4 + r.uniform(-0.3, 0.3), -r.uniform(0.2, 1.4), tall * r.uniform(0.25, 0.5)
            reach, up = long * cos(pitch), -long * sin(pitch)
            b.quad(
                (reach * cos(yaw), reach * sin(yaw), base + up + tall * r.uniform(0, 0.3)),
                (long, long * r.uniform(0.12, 0.4)),
                green[n & 1],
                (yaw, pitch, r.uniform(-0.5, 0.5)),
                Cut(LEAF),
            )
    else:
        b.cylinder((0, 0, base + tall * 0.2), (0.02, 0.02, tall * 0.2), b.add(b.paint.wood()))
        crown(b, 0, 0, base + tall * 0.55, tall * 0.35, tall * 0.4, tall * r.uniform(0.04, 0.08), green)


def crown(
    b: SceneBuilder, x: float, y: float, z: float, wide: float, tall: float, leaf: float, green: list[int]
) -> None:
    """Foliage: lumps of a solid core inside a shell full of holes; `leaf` is the leaves' size in metres.

    Leaves grow with the distance from the origin, where cameras stand: smaller than a pixel they would be noise.
    """
    r = b.random
    far = max(abs(b.place[0]), abs(b.place[1]))
    leaf = max(leaf, 0.007 * far)
    lumps = 3 if far < 30.0 else 2
    for n in range(lumps):
        yaw, out = r.uniform(0, 2 * pi) + 2.1 * n, r.uniform(0.2, 0.5)
        size = r.uniform(0.55, 0.8)
        at = (x + out * wide * cos(yaw), y + out * wide * sin(yaw), z + r.uniform(-0.35, 0.35) * tall)
        half, turn = (
            (size * wide, size * wide * r.uniform(0.8, 1.0), size * tall),
            (r.uniform(0, 6), r.uniform(-0.4, 0.4), 0.0),
        )
        core = (half[0] * 0.78, half[1] * 0.78, half[2] * 0.78)
        around, over = 3.1 * half[0] / leaf, half[2] / leaf
        b.ellipsoid(at, core, green[n & 1], turn)
        b.ellipsoid(at, half, green[(n + 1) & 1], turn, Cut(LEAVES, around, over, r.uniform(0.6, 0.9)))


def tree(b: SceneBuilder, tall: float) -> None:
    """A trunk with branches and one to four crowns, a conifer, or a bare pole of a tree."""
    r = b.random
    bark = b.add(b.paint.textured(b.paint.colour(0.08, 0.03, (0.1, 0.5), (0.15, 0.5)), (0.3, 1.0)))
    thick = tall * r.uniform(0.015, 0.04)
    b.cylinder((0, 0, tall * 0.3), (thick, thick, tall * 0.3), bark, taper=0.4)
    if r.random() < 0.2:
        needles = b.add(b.paint.leaves())
        for n in range(4):
            half = tall * 0.16
            wide = tall * (0.24 - 0.045 * n)
            b.cylinder((0, 0, tall * (0.3 + 0.19 * n)), (wide, wide, half), needles, taper=0.85)
        return
    green = [b.add(b.paint.leaves()) for _ in range(2)]
    for _ in range(r.randint(1, 3)):
        yaw, lean, long = r.uniform(0, 2 * pi), r.uniform(0.3, 0.9), tall * r.uniform(0.12, 0.2)
        x, y, z = long * sin(lean) * cos(yaw), long * sin(lean) * sin(yaw), tall * 0.55 + long * cos(lean)
        b.cylinder((x, y, z), (thick * 0.4, thick * 0.4, long), bark, (yaw, lean, 0), taper=0.5)
        wide = tall * r.uniform(0.14, 0.28)
        crown(b, 2 * x, 2 * y, tall * r.uniform(0.65, 0.8), wide, wide * r.uniform(0.7, 1.2), 0.12, green)


def bush(b: SceneBuilder, size: float) -> None:
    """A low, wide crown on the ground."""
    green = [b.add(b.paint.leaves()) for _ in range(2)]
    crown(b, 0, 0, size * 0.4, size, size * 0.7, b.random.uniform(0.04, 0.08), green)


def grass(b: SceneBuilder, tall: float) -> None:
    """A tuft of upright ragged blades."""
    paint = b.add(b.paint.leaves())
    for n in range(3):
        b.quad((0, 0, tall * 0.4), (tall * 0.7, tall), paint, (n * 1.05, 0, UPRIGHT), Cut(BLOB, 13))


def person(b: SceneBuilder, *, walking: float = 0.0, sitting: bool = False, heading: float = 0.0) -> None:
    """A figure of 1.5–1.95 m that looks along +y; `walking` in m/s along the world azimuth `heading` (0 stands)."""
    r = b.random
    scale = r.uniform(0.86, 1.1)
    skin, hair = b.add(b.paint.skin()), b.add(b.paint.plain(b.paint.colour(0.07, 0.03, (0.1, 0.6), (0.05, 0.6)), 0.0))
    shirt, trousers, shoe = b.add(b.paint.cloth()), b.add(b.paint.cloth()), b.add(b.paint.plain())
    drop = 0.42 * scale if sitting else 0.0
    hip, shoulder = 0.88 * scale - drop, 1.42 * scale - drop
    broad = scale * r.uniform(0.17, 0.23)
    velocity = (walking * cos(heading), walking * sin(heading), 0.0)
    phase = r.uniform(0, 2 * pi)
    axis = b.place[3]

    def limb(side: float, hinge: float, amplitude: float) -> Motion:
        at = b.world(side, 0, hinge)
        return Motion(velocity, hinge=at, heading=axis, swing=amplitude, frequency=0.9 * max(walking, 0.3), phase=phase)

    with b.moving(Motion(velocity)) if walking else nullcontext():
        b.ellipsoid((0, 0, (hip + shoulder) / 2), (broad, 0.6 * broad, 0.36 * scale), shirt)
        b.ellipsoid((0, 0, hip), (broad * 0.95, 0.62 * broad, 0.14 * scale), trousers)
        b.cylinder((0, 0, shoulder + 0.05 * scale), (0.05, 0.05, 0.07), skin)
        b.ellipsoid((0, 0, shoulder + 0.2 * scale), (0.075 * scale, 0.095 * scale, 0.12 * scale), skin)
        b.ellipsoid((0, -0.02, shoulder + 0.24 * scale), (0.085 * scale, 0.095 * scale, 0.1 * scale), hair)
    for n, side in enumerate((-1.0, 1.0)):
        swing = 0.45 if walking else 0.0
        with b.moving(limb(side * 0.09, hip, swing * side)) if walking else nullcontext():
            if sitting:
                b.cylinder((side * 0.1, 0.2 * scale, hip), (0.075, 0.075, 0.22 * scale), trousers, (0, 0, UPRIGHT))
                b.cylinder((side * 0.1, 0.42 * scale, hip / 2), (0.06, 0.06, hip / 2), trousers)
            else:
                b.cylinder((side * 0.09, 0, hip / 2), (0.085 * scale, 0.085 * scale, hip / 2), trousers, taper=-0.35)
            b.box((side * 0.09, 0.05 + (0.42 * scale if sitting else 0), 0.04), (0.045, 0.12, 0.04), shoe)
        with b.moving(limb(side * broad, shoulder, -swing * side)) if walking else nullcontext():
            lift = r.uniform(-1.4, 0.1) if not walking and r.random() < 0.5 else r.uniform(-0.2, 0.1)
            out = 0.29 * scale
            x, y, z = side * (broad + 0.04), -out * sin(lift), shoulder - out * cos(lift)
            b.cylinder(
                (x, y, z), (0.05 * scale, 0.05 * scale, out), shirt if n or r.random() < 0.8 else skin, (0, 0, -lift)
            )
            b.ellipsoid((x, 2 * y, shoulder - 2.1 * out * cos(lift)), (0.04, 0.05, 0.08), skin)
    b.look_at(0, 0, shoulder)


def animal(b: SceneBuilder, size: float) -> None:
    """A four-legged body, dog to cow."""
    r = b.random
    fur = b.add(b.paint.textured(b.paint.colour(0.08, 0.04, (0.0, 0.6), (0.1, 0.9)), (0.3, 1.0)))
    b.ellipsoid((0, 0, size), (size * 0.9, size * 0.35, size * 0.38), fur)
    b.ellipsoid((size * 1.05, 0, size * r.uniform(0.9, 1.6)), (size * 0.32, size * 0.18, size * 0.22), fur)
    b.cylinder((size * 0.8, 0, size * 1.2), (size * 0.14, size * 0.14, size * 0.35), fur, (0, 0.5, 0))
    for x in (-0.6, 0.6):
        for y in (-0.2, 0.2):
            b.cylinder((size * x, size * y, size * 0.4), (size * 0.09, size * 0.09, size * 0.4), fur)


SMALL = (bottle, cup, carton, carton, books, bowl, ball, lamp, laptop, keyboard, pan, plant)


def clutter(b: SceneBuilder, wide: float, deep: float, count: int) -> None:
    """Up to `count` small things on a surface of half extents (wide, deep) at z = 0, not on top of each other."""
    r = b.random
    taken: list[tuple[float, float, float]] = []
    for _ in range(count):
        x, y, room = r.uniform(-wide, wide) * 0.9, r.uniform(-deep, deep) * 0.8, r.uniform(0.08, 0.14)
        if any((x - i) ** 2 + (y - j) ** 2 < (room + k) ** 2 for i, j, k in taken):
            continue
        taken.append((x, y, room))
        with b.at(x, y, 0.0, r.uniform(-pi, pi)):
            r.choice(SMALL)(b)
            b.look_at(0, 0, 0.05)

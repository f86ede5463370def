"""Things to put into a scene: small ones, plants, people, animals, furniture, vehicles.

Each is built at the builder's placement. Furniture has its back at y = 0 and its front towards +y; vehicles face +x.
"""

from __future__ import annotations

from contextlib import nullcontext
from math import cos, pi, sin

from dvd.scenes.scene import Motion, SceneBuilder
from dvd.scenes.textures import BOOKS, STRIPES, TILES
from dvd.scenes.trace import BLOB, LEAF, LEAVES, Cut

UPRIGHT = pi / 2
"""Roll of an upright quad: its x stays horizontal, its y points up."""


def bottle(b: SceneBuilder) -> None:
    """Build a bottle, 15–35 cm."""
    r = b.random
    body = b.add(b.paint.plain(specular=0.5))
    radius, height = r.uniform(0.025, 0.05), r.uniform(0.1, 0.2)
    b.cylinder((0, 0, height / 2), (radius, radius, height / 2), body)
    b.cylinder((0, 0, height + 0.02), (radius, radius, 0.02), body, taper=0.6)
    b.cylinder((0, 0, height + 0.07), (radius * 0.4, radius * 0.4, 0.04), b.add(b.paint.plain()))
    if r.random() < 0.5:
        b.cylinder((0, 0, height * 0.5), (radius * 1.02, radius * 1.02, height * 0.25), b.add(b.paint.print()))


def cup(b: SceneBuilder) -> None:
    """Build a mug with a handle, or a glass."""
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
    """Build a box of cereals, a parcel, a tin."""
    r = b.random
    half = (r.uniform(0.03, 0.14), r.uniform(0.03, 0.1), r.uniform(0.02, 0.15))
    front = b.add(b.paint.picture() if r.random() < 0.4 else b.paint.plain())
    side = b.add(b.paint.plain() if r.random() < 0.6 else b.paint.print())
    b.box((0, 0, half[2]), half, (side, side, front, front, side, side))


def books(b: SceneBuilder) -> None:
    """Build a pile of books."""
    r, z = b.random, 0.0
    for _ in range(r.randint(1, 4)):
        half = (r.uniform(0.08, 0.15), r.uniform(0.06, 0.11), r.uniform(0.005, 0.025))
        cover, pages = b.add(b.paint.plain()), b.add(b.paint.material((0.8, 0.78, 0.7)))
        b.box((0, 0, z + half[2]), half, (pages, pages, cover, pages, cover, cover), (r.uniform(-0.4, 0.4), 0, 0))
        z += 2 * half[2]


def bowl(b: SceneBuilder) -> None:
    """Build a bowl or plate, sometimes with fruit."""
    r = b.random
    radius, height = r.uniform(0.07, 0.16), r.uniform(0.01, 0.08)
    b.cylinder((0, 0, height / 2), (radius, radius, height / 2), b.add(b.paint.plain(specular=0.3)), taper=-0.6)
    for _ in range(r.choice((0, 0, 2, 4))):
        size, a = r.uniform(0.025, 0.045), r.uniform(0, 2 * pi)
        b.ellipsoid(
            (0.5 * radius * cos(a), 0.5 * radius * sin(a), height + size * 0.6), (size,) * 3, b.add(b.paint.plain())
        )


def ball(b: SceneBuilder) -> None:
    """Build a ball or an egg-shaped ornament."""
    size = b.random.uniform(0.03, 0.13)
    tall = size * b.random.choice((1.0, 1.0, 0.7, 1.4))
    paint = b.paint.patterned(b.paint.any_colour(), b.paint.any_colour(), size * 0.8)
    b.ellipsoid((0, 0, tall), (size, size, tall), b.add(paint if b.random.random() < 0.4 else b.paint.plain()))


def lamp(b: SceneBuilder) -> None:
    """Build a table lamp."""
    r = b.random
    tall = r.uniform(0.2, 0.45)
    metal = b.add(b.paint.metal())
    b.cylinder((0, 0, 0.01), (0.08, 0.08, 0.01), metal)
    b.cylinder((0, 0, tall / 2), (0.01, 0.01, tall / 2), metal)
    shade = b.add(b.paint.material(b.paint.any_colour(), emission=r.choice((0.0, 1.5))))
    b.cylinder((0, 0, tall + 0.05), (0.13, 0.13, 0.09), shade, taper=r.uniform(0.0, 0.6))


def laptop(b: SceneBuilder) -> None:
    """Build an open laptop with a keyboard and a lit screen."""
    r = b.random
    case, keys = b.add(b.paint.metal()), b.add(b.paint.print())
    screen = b.add(b.paint.picture(1.0) if r.random() < 0.5 else b.paint.print(1.0))
    b.box((0, 0, 0.01), (0.17, 0.12, 0.01), (case, case, case, case, keys, case))
    b.box((0, 0.17, 0.12), (0.17, 0.006, 0.115), (case, case, case, screen, case, case), (0, 0, -r.uniform(0.1, 0.5)))


def monitor(b: SceneBuilder) -> None:
    """Build a screen on a stand, or a television."""
    r = b.random
    wide, tall = r.uniform(0.22, 0.4), r.uniform(0.14, 0.22)
    case = b.add(b.paint.plain(b.paint.colour(0.6, 0.1, (0, 0.1), (0.05, 0.3))))
    lit = r.random()
    screen = case if lit < 0.3 else b.add(b.paint.picture(1.0) if lit < 0.7 else b.paint.print(1.0))
    b.box((0, 0, 0.01), (0.12, 0.09, 0.01), case)
    b.box((0, 0.02, 0.1), (0.03, 0.015, 0.1), case)
    b.box((0, 0, 0.12 + tall), (wide, 0.02, tall), (case, case, case, screen, case, case))


def keyboard(b: SceneBuilder) -> None:
    """Build a keyboard and a mouse, or sheets of paper."""
    r = b.random
    if r.random() < 0.5:
        b.box((0, 0, 0.01), (0.21, 0.07, 0.01), b.add(b.paint.print()))
        b.ellipsoid((0.3, 0, 0.015), (0.03, 0.05, 0.02), b.add(b.paint.plain()))
    else:
        for n in range(r.randint(1, 4)):
            at = (r.uniform(-0.15, 0.15), r.uniform(-0.1, 0.1), 0.002 * (n + 1))
            b.quad(at, (0.105, 0.148), b.add(b.paint.print()), (r.uniform(0, 6.3), 0, 0))


def pan(b: SceneBuilder) -> None:
    """Build a pot or a pan with its handle."""
    r = b.random
    metal, radius, tall = b.add(b.paint.metal()), r.uniform(0.08, 0.14), r.uniform(0.03, 0.14)
    b.cylinder((0, 0, tall / 2), (radius, radius, tall / 2), metal)
    b.box((radius + 0.09, 0, tall * 0.8), (0.09, 0.012, 0.008), b.add(b.paint.plain()))
    if r.random() < 0.5:
        b.ellipsoid((0, 0, tall), (radius, radius, 0.03), metal)
        b.ellipsoid((0, 0, tall + 0.04), (0.015, 0.015, 0.015), metal)


def plant(b: SceneBuilder, tall: float = 0.4) -> None:
    """Build a pot with leaf blades, or with a bushy crown."""
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
    """Build foliage: lumps of a solid core inside a shell full of holes; `leaf` is the leaves' size in metres.

    Leaves grow with the distance from the origin, where the cameras are: smaller than a pixel they would be noise.
    """
    r = b.random
    far = max(abs(b.placement.x), abs(b.placement.y))
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
    """Build a trunk with branches and one to four crowns, a conifer, or a bare pole of a tree."""
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
    """Build a low, wide crown on the ground."""
    green = [b.add(b.paint.leaves()) for _ in range(2)]
    crown(b, 0, 0, size * 0.4, size, size * 0.7, b.random.uniform(0.04, 0.08), green)


def grass(b: SceneBuilder, tall: float) -> None:
    """Build a tuft of upright ragged blades."""
    paint = b.add(b.paint.leaves())
    for n in range(3):
        b.quad((0, 0, tall * 0.4), (tall * 0.7, tall), paint, (n * 1.05, 0, UPRIGHT), Cut(BLOB, 13))


def person(b: SceneBuilder, *, walking: float = 0.0, sitting: bool = False, heading: float = 0.0) -> None:
    """Build a person of 1.5–1.95 m that looks along +y; `walking` in m/s along the world azimuth `heading`."""
    r = b.random
    scale = r.uniform(0.86, 1.1)
    skin, hair = b.add(b.paint.skin()), b.add(b.paint.plain(b.paint.colour(0.07, 0.03, (0.1, 0.6), (0.05, 0.6)), 0.0))
    shirt, trousers, shoe = b.add(b.paint.cloth()), b.add(b.paint.cloth()), b.add(b.paint.plain())
    drop = 0.42 * scale if sitting else 0.0
    hip, shoulder = 0.88 * scale - drop, 1.42 * scale - drop
    broad = scale * r.uniform(0.17, 0.23)
    velocity = (walking * cos(heading), walking * sin(heading), 0.0)
    phase = r.uniform(0, 2 * pi)
    axis = b.placement.yaw

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
    """Build an animal with four legs, dog to cow."""
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
    """Build up to `count` small things on a surface of half extents (wide, deep) at z = 0, not on top of each other."""
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


def table(b: SceneBuilder, wide: float, deep: float, tall: float) -> None:
    """Build a table with four legs or one foot, round or square, with things on it (wide, deep: half extents)."""
    r = b.random
    top, leg = b.add(b.paint.wood()), b.add(b.paint.wood() if r.random() < 0.6 else b.paint.metal())
    thick = r.uniform(0.01, 0.03)
    if r.random() < 0.25:
        wide = deep = min(wide, deep)
        b.cylinder((0, 0, tall - thick), (wide, wide, thick), top)
        b.cylinder((0, 0, tall / 2), (0.05, 0.05, tall / 2), leg)
        b.cylinder((0, 0, 0.015), (wide * 0.5, wide * 0.5, 0.015), leg)
    else:
        b.box((0, 0, tall - thick), (wide, deep, thick), top)
        leg_half = r.uniform(0.015, 0.045)
        for x in (-1, 1):
            for y in (-1, 1):
                at = (x * (wide - 1.5 * leg_half), y * (deep - 1.5 * leg_half), tall / 2 - thick)
                b.box(at, (leg_half, leg_half, tall / 2 - thick), leg)
        if r.random() < 0.4:
            b.box((0, 0, tall - 2 * thick - 0.05), (wide * 0.9, deep * 0.9, 0.05), leg)
    with b.at(0, 0, tall):
        clutter(b, wide, deep, r.randint(0, 9))
    b.look_at(0, 0, tall)


def chair(b: SceneBuilder) -> None:
    """Build a chair with legs and back (board, bars or office chair), or a stool; it looks along +y."""
    r = b.random
    wood, seat = b.add(b.paint.wood()), b.add(b.paint.cloth() if r.random() < 0.5 else b.paint.wood())
    tall, half = r.uniform(0.42, 0.5), r.uniform(0.18, 0.25)
    style = r.random()
    if style < 0.2:
        tall = r.uniform(0.45, 0.8)
        b.cylinder((0, 0, tall), (half * 0.8, half * 0.8, 0.025), seat)
    else:
        b.box((0, 0, tall), (half, half, r.choice((0.015, 0.03, 0.05))), seat)
    if 0.2 <= style < 0.45:
        metal = b.add(b.paint.metal())
        b.cylinder((0, 0, tall / 2), (0.03, 0.03, tall / 2), metal)
        for n in range(3):
            b.box((0, 0, 0.05), (half * 1.2, 0.025, 0.02), metal, (n * pi / 3, 0, 0))
    else:
        for x in (-1, 1):
            for y in (-1, 1):
                b.box((x * half * 0.88, y * half * 0.88, tall / 2), (0.018, 0.018, tall / 2), wood)
    if style < 0.2:
        return
    back = r.uniform(0.2, 0.32)
    for x in (-1, 1):
        b.box((x * half * 0.9, -half * 0.95, tall + back), (0.016, 0.016, back), wood)
    if r.random() < 0.5:
        b.box((0, -half * 0.95, tall + back * 1.3), (half * 0.9, 0.012, back * 0.7), seat)
    else:
        for n in range(r.randint(2, 4)):
            b.box((0, -half * 0.95, tall + back * (0.6 + 0.42 * n)), (half * 0.9, 0.01, 0.03), wood)


def cupboard(b: SceneBuilder, wide: float, deep: float, low: float, high: float) -> None:
    """Build a body with doors or drawers between two heights (wide: half, deep: full)."""
    r = b.random
    body, front, grip = b.add(b.paint.wood()), b.add(b.paint.wood()), b.add(b.paint.metal())
    b.box((0, deep / 2, (low + high) / 2), (wide, deep / 2, (high - low) / 2), body)
    doors = max(1, round(wide / r.uniform(0.22, 0.35)))
    rows = r.choice((1, 1, 2, 3)) if high - low > 0.4 else 1
    dark = b.add(b.paint.plain(b.paint.colour(0.6, 0.1, (0, 0.2), (0.05, 0.3)), 0.5)) if r.random() < 0.3 else -1
    for i in range(doors):
        for j in range(rows):
            x, z = wide * (2 * i + 1 - doors) / doors, low + (high - low) * (j + 0.5) / rows
            half = (wide / doors - 0.006, 0.008, (high - low) / rows / 2 - 0.006)
            b.box((x, deep + 0.008, z), half, dark if dark >= 0 and i == 0 else front)
            if rows > 1:
                b.box((x, deep + 0.03, z), (half[0] * 0.4, 0.008, 0.008), grip)
            else:
                b.box((x + half[0] * 0.8, deep + 0.03, z), (0.008, 0.008, half[2] * 0.3), grip)


def counter(b: SceneBuilder, wide: float) -> None:
    """Build a kitchen run: base cupboards, worktop, sink or hob, wall units, tiles behind (wide: half)."""
    r = b.random
    deep, tall = r.uniform(0.55, 0.65), r.uniform(0.85, 0.95)
    cupboard(b, wide, deep, 0.08, tall - 0.04)
    b.box((0, deep / 2, 0.04), (wide, deep / 2 - 0.03, 0.04), b.add(b.paint.plain()))
    b.box((0, deep / 2 + 0.01, tall - 0.02), (wide, deep / 2 + 0.02, 0.02), b.add(b.paint.wood()))
    splash = b.paint.any_colour()
    tiles = b.paint.material(splash, (0.6, 0.6, 0.6), pattern=TILES, period=(0.12, 0.12), fraction=0.04, specular=0.2)
    b.box((0, 0.005, tall + 0.28), (wide, 0.005, 0.28), b.add(tiles))
    metal = b.add(b.paint.metal())
    if r.random() < 0.6:
        x = r.uniform(-0.6, 0.6) * wide
        b.box((x, deep / 2, tall), (0.25, 0.2, 0.004), metal)
        b.cylinder((x, 0.08, tall + 0.12), (0.012, 0.012, 0.12), metal)
        b.cylinder((x, 0.17, tall + 0.24), (0.01, 0.01, 0.1), metal, (0, 0, pi / 2))
    else:
        x = r.uniform(-0.6, 0.6) * wide
        b.box((x, deep / 2, tall), (0.28, 0.24, 0.005), b.add(b.paint.plain((0.02, 0.02, 0.02), 0.6)))
        for i in (-0.13, 0.13):
            for j in (-0.1, 0.1):
                b.cylinder((x + i, deep / 2 + j, tall + 0.008), (0.08, 0.08, 0.004), metal)
    if r.random() < 0.75:
        low = tall + r.uniform(0.5, 0.65)
        with b.at(wide * r.uniform(-0.3, 0.3), 0):
            cupboard(b, wide * r.uniform(0.4, 0.7), 0.35, low, low + r.uniform(0.5, 0.8))
    with b.at(0, deep / 2, tall):
        clutter(b, wide, deep / 2 - 0.05, r.randint(2, int(4 + 5 * wide)))
    b.look_at(0, deep / 2, tall)


def shelf(b: SceneBuilder, wide: float, tall: float) -> None:
    """Build boards full of books and things (wide: half)."""
    r = b.random
    wood, deep = b.add(b.paint.wood()), r.uniform(0.22, 0.4)
    for x in (-1, 1):
        b.box((x * wide, deep / 2, tall / 2), (0.012, deep / 2, tall / 2), wood)
    if r.random() < 0.7:
        b.box((0, 0.006, tall / 2), (wide, 0.006, tall / 2), b.add(b.paint.wood()))
    boards = max(2, round(tall / r.uniform(0.28, 0.45)))
    for n in range(boards + 1):
        z = 0.04 + (tall - 0.05) * n / boards
        b.box((0, deep / 2, z), (wide, deep / 2, 0.01), wood)
        if n == boards:
            break
        free = (tall - 0.05) / boards - 0.03
        with b.at(0, 0, z + 0.01):
            fill = r.random()
            if fill < 0.35:
                _book_row(b, -wide + 0.03, wide * r.uniform(-0.2, 0.95), deep, free)
            elif fill < 0.6:
                high = free * r.uniform(0.6, 0.9)
                row = b.add(
                    b.paint.material(
                        b.paint.colour(r.random(), 0.5, (0.2, 0.7), (0.4, 0.9)),
                        pattern=BOOKS,
                        period=(r.uniform(0.025, 0.05), 3.0),
                        fraction=0.004,
                        variation=0.8,
                    )
                )
                half = wide * r.uniform(0.3, 0.95)
                b.box((half - wide, deep * 0.45, high / 2), (half, deep * 0.35, high / 2), row)
            elif fill < 0.9:
                with b.at(0, deep / 2):
                    clutter(b, wide - 0.08, 0.08, r.randint(1, 4))
    b.look_at(0, deep, tall * 0.6)


def _book_row(b: SceneBuilder, x: float, stop: float, deep: float, free: float) -> None:
    r = b.random
    paints = [b.add(b.paint.plain()) for _ in range(4)]
    while x < stop:
        thick, high = r.uniform(0.015, 0.04), free * r.uniform(0.55, 0.95)
        lean = 0.15 if r.random() < 0.1 else 0.0
        b.box((x + thick, deep * 0.45, high / 2), (thick, deep * 0.35, high / 2), r.choice(paints), (0, lean, 0))
        x += 2 * thick + 0.002


def sofa(b: SceneBuilder, wide: float) -> None:
    """Build a sofa or armchair with cushions (wide: half)."""
    r = b.random
    cloth, deep, seat = b.add(b.paint.cloth()), r.uniform(0.75, 0.95), r.uniform(0.36, 0.46)
    b.box((0, deep / 2, seat / 2 + 0.03), (wide, deep / 2, seat / 2 - 0.03), cloth)
    back, arm = r.uniform(0.7, 0.95), r.uniform(0.5, 0.65)
    b.box((0, 0.1, back / 2), (wide, 0.1, back / 2), cloth, (0, 0, r.uniform(0, 0.12)))
    for x in (-1, 1):
        b.box((x * (wide - 0.09), deep / 2, arm / 2), (0.09, deep / 2, arm / 2), cloth)
    seats = max(1, round(wide / 0.4))
    for n in range(seats):
        aside = (wide - 0.2) * (2 * n + 1 - seats) / seats
        b.box((aside, deep / 2 + 0.08, seat + 0.05), ((wide - 0.2) / seats - 0.01, deep / 2 - 0.1, 0.05), cloth)
    for _ in range(r.randint(0, 3)):
        at = (r.uniform(-wide + 0.3, wide - 0.3), 0.32, seat + 0.28)
        b.ellipsoid(at, (0.22, 0.09, 0.2), b.add(b.paint.cloth()), (r.uniform(-0.4, 0.4), 0, -0.3))
    b.look_at(0, deep, seat)


def bed(b: SceneBuilder, wide: float) -> None:
    """Build a bed with mattress, blanket, pillows and head board at y = 0 (wide: half)."""
    r = b.random
    wood, sheet, long, tall = b.add(b.paint.wood()), b.add(b.paint.cloth()), 2.0, r.uniform(0.25, 0.45)
    b.box((0, 0.02, tall + 0.2), (wide, 0.02, tall + 0.2), wood)
    b.box((0, long / 2, tall / 2), (wide, long / 2, tall / 2), wood)
    b.box((0, long / 2, tall + 0.1), (wide - 0.02, long / 2 - 0.03, 0.1), sheet)
    b.box((0, long * 0.62, tall + 0.19), (wide + 0.02, long * 0.37, 0.04), b.add(b.paint.cloth()))
    for x in (-0.5, 0.5) if wide > 0.6 else (0.0,):
        b.ellipsoid((x * wide, 0.3, tall + 0.28), (min(0.36, wide * 0.8), 0.2, 0.09), b.add(b.paint.cloth()))
    b.look_at(0, long / 2, tall)


def desk(b: SceneBuilder, wide: float) -> None:
    """Build a desk at the wall with monitors, keyboard and an office chair (wide: half)."""
    r = b.random
    deep, tall = r.uniform(0.6, 0.8), r.uniform(0.7, 0.78)
    with b.at(0, deep / 2):
        top, leg = b.add(b.paint.wood()), b.add(b.paint.metal())
        b.box((0, 0, tall), (wide, deep / 2, 0.015), top)
        for x in (-1, 1):
            b.box((x * (wide - 0.03), 0, tall / 2), (0.02, deep / 2 - 0.03, tall / 2), leg)
    for n in range(r.randint(1, 2)):
        with b.at(-0.35 + 0.7 * n if wide > 0.6 else 0.0, deep * 0.3, tall + 0.015, pi + r.uniform(-0.3, 0.3)):
            monitor(b)
    with b.at(0, deep * 0.7, tall + 0.015, r.uniform(-0.2, 0.2)):
        keyboard(b)
    with b.at(0, deep / 2, tall + 0.015):
        clutter(b, wide, deep / 3, r.randint(0, 5))
    with b.at(r.uniform(-0.3, 0.3), deep + r.uniform(0.1, 0.4), 0, pi + r.uniform(-0.6, 0.6)):
        chair(b)
    b.look_at(0, deep / 2, tall)


def radiator(b: SceneBuilder, wide: float) -> None:
    """Build a ribbed radiator on the wall (wide: half)."""
    ribs = b.paint.material((0.75, 0.75, 0.72), (0.35, 0.35, 0.35), pattern=STRIPES, period=(0.05, 1), fraction=0.25)
    b.box((0, 0.06, 0.4), (wide, 0.05, 0.28), b.add(ribs))


def floor_lamp(b: SceneBuilder) -> None:
    """Build a standing lamp."""
    r = b.random
    metal, tall = b.add(b.paint.metal()), r.uniform(1.3, 1.8)
    b.cylinder((0, 0.3, 0.015), (0.15, 0.15, 0.015), metal)
    b.cylinder((0, 0.3, tall / 2), (0.012, 0.012, tall / 2), metal)
    b.cylinder(
        (0, 0.3, tall),
        (0.2, 0.2, 0.13),
        b.add(b.paint.material((0.8, 0.7, 0.5), emission=r.choice((0, 1.0)))),
        taper=0.3,
    )


DRIVING = "car", "car", "car", "car", "van", "lorry", "bus"


def vehicle(b: SceneBuilder, kind: str) -> float:
    """Build one of VEHICLES and return its half length in metres."""
    half = VEHICLES[kind](b)
    b.look_at(0, 0, 1.0)
    return half


def _glass(b: SceneBuilder) -> int:
    return b.add(b.paint.material(b.paint.colour(0.58, 0.06, (0.05, 0.3), (0.08, 0.4)), specular=0.7, shininess=60))


def _body(b: SceneBuilder) -> int:
    r = b.random
    grey = r.random() < 0.6
    colour = b.paint.colour(0.6, 0.1, (0, 0.12), (0.1, 0.95)) if grey else b.paint.any_colour()
    return b.add(
        b.paint.material(colour, noise=r.choice((0.0, 0.05)), specular=r.uniform(0.2, 0.7), shininess=r.uniform(20, 80))
    )


def _wheels(b: SceneBuilder, xs: tuple[float, ...], y: float, radius: float) -> None:
    tyre, rim = b.add(b.paint.material((0.015, 0.015, 0.015))), b.add(b.paint.metal())
    for x in xs:
        for side in (-1, 1):
            b.cylinder((x, side * y, radius), (radius, radius, 0.1), tyre, (0, 0, pi / 2))
            b.cylinder((x, side * (y + 0.01), radius), (radius * 0.6, radius * 0.6, 0.1), rim, (0, 0, pi / 2))


def _lights(b: SceneBuilder, half: float, y: float, z: float, size: float) -> None:
    front = b.add(b.paint.material((0.9, 0.9, 0.85), emission=b.random.choice((0.3, 2.5)), specular=0.5))
    rear = b.add(b.paint.material((0.7, 0.02, 0.02), emission=b.random.choice((0.2, 1.5))))
    for side in (-1, 1):
        b.box((half, side * y, z), (0.03, size, size * 0.55), front)
        b.box((-half, side * y, z + 0.06), (0.03, size * 0.8, size * 0.7), rear)
    plate = b.add(b.paint.material((0.8, 0.8, 0.7)))
    for end in (-1, 1):
        b.box((end * (half + 0.01), 0, z - 0.2), (0.02, 0.25, 0.055), plate)


def _car(b: SceneBuilder) -> float:
    r = b.random
    paint, glass = _body(b), _glass(b)
    half, broad, tall = r.uniform(1.8, 2.4), r.uniform(0.82, 0.95), r.uniform(1.4, 1.75)
    waist = tall * r.uniform(0.55, 0.62)
    b.box((0, 0, (0.22 + waist) / 2), (half, broad, (waist - 0.22) / 2), paint)
    b.ellipsoid((half * 0.86, 0, waist * 0.62), (half * 0.2, broad, waist * 0.37), paint)
    b.ellipsoid((-half * 0.86, 0, waist * 0.66), (half * 0.2, broad, waist * 0.36), paint)
    front, back = half * r.uniform(0.3, 0.45), -half * r.uniform(0.5, 0.92)
    middle, long = (front + back) / 2, (front - back) / 2
    rise = tall - waist
    # The cabin: glass all round below a painted roof, leaning screens in front and behind, pillars between.
    b.box((middle, 0, waist + rise / 2 - 0.02), (long * 0.86, broad * 0.88, rise / 2), glass)
    b.box((middle, 0, tall - 0.02), (long * 0.86, broad * 0.9, 0.035), paint)
    for x, lean in ((front, -0.75), (back, 0.6)):
        b.box((x * 0.93, 0, waist + rise * 0.42), (0.03, broad * 0.86, rise * 0.62), glass, (0, lean, 0))
    for x in (-0.86, -0.05, 0.84):
        for side in (-1, 1):
            b.box((middle + x * long, side * broad * 0.885, waist + rise / 2), (0.045, 0.012, rise / 2), paint)
    for side in (-1, 1):
        b.ellipsoid((front * 0.75, side * (broad + 0.1), waist + 0.08), (0.06, 0.12, 0.08), paint)
    dark = b.add(b.paint.material((0.02, 0.02, 0.02)))
    b.box((0, 0, 0.26), (half + 0.02, broad + 0.01, 0.06), dark)
    _wheels(b, (half * 0.62, -half * 0.62), broad - 0.09, r.uniform(0.29, 0.36))
    _lights(b, half, broad * 0.72, waist * 0.78, 0.13)
    return half


def _van(b: SceneBuilder) -> float:
    r = b.random
    paint, glass = _body(b), _glass(b)
    half, broad, tall = r.uniform(2.2, 2.9), r.uniform(0.95, 1.05), r.uniform(1.9, 2.6)
    b.box((-0.3, 0, (0.3 + tall) / 2), (half - 0.3, broad, (tall - 0.3) / 2), paint)
    b.box((half - 0.35, 0, 0.75), (0.35, broad, 0.45), paint)
    b.box((half - 0.66, 0, tall * 0.72), (0.03, broad * 0.9, tall * 0.17), glass, (0, -0.35, 0))
    windows = r.choice((1, 1, 4))
    for n in range(windows):
        for side in (-1, 1):
            b.box((half - 1.1 - 0.95 * n, side * broad, tall * 0.73), (0.4, 0.01, tall * 0.13), glass)
    b.box((-half, 0, tall * 0.73), (0.012, broad * 0.8, tall * 0.12), glass)
    _wheels(b, (half * 0.64, -half * 0.6), broad - 0.09, 0.34)
    _lights(b, half, broad * 0.78, 0.85, 0.12)
    return half


def _lorry(b: SceneBuilder) -> float:
    r = b.random
    cab, glass = _body(b), _glass(b)
    half, broad, tall = r.uniform(3.2, 6.5), 1.22, r.uniform(2.8, 3.8)
    b.box((half - 0.95, 0, 1.55), (0.95, broad - 0.05, 1.05), cab)
    b.box((half, 0, 1.95), (0.015, broad * 0.88, 0.4), glass)
    for side in (-1, 1):
        b.box((half - 0.6, side * (broad - 0.05), 1.95), (0.4, 0.012, 0.33), glass)
    load = b.add(b.paint.picture() if r.random() < 0.2 else b.paint.textured(b.paint.any_colour(), (0.5, 3.0)))
    if r.random() < 0.85:
        b.box((-1.05, 0, (1.0 + tall) / 2), (half - 1.0, broad, (tall - 1.0) / 2), load)
    else:
        b.cylinder((-1.05, 0, 1.95), (0.95, broad, half - 1.05), load, (0, pi / 2, 0))
    b.box((-0.5, 0, 0.85), (half - 0.5, 0.6, 0.14), b.add(b.paint.material((0.03, 0.03, 0.03))))
    _wheels(b, (half - 1.0, -half * 0.35, -half * 0.7), broad - 0.12, 0.48)
    _lights(b, half, broad * 0.75, 0.8, 0.13)
    return half


def _bus(b: SceneBuilder) -> float:
    r = b.random
    half, broad, tall = r.uniform(4.5, 6.5), 1.25, r.uniform(2.8, 3.2)
    paint, glass = _body(b), b.paint.colour(0.58, 0.06, (0.05, 0.3), (0.08, 0.35))
    b.box((0, 0, (0.35 + tall) / 2), (half, broad, (tall - 0.35) / 2), paint)
    windows = b.paint.material(glass, (0.1, 0.1, 0.1), pattern=STRIPES, period=(1.2, 1.0), fraction=0.07, specular=0.5)
    b.box((0, 0, tall * 0.64), (half + 0.01, broad + 0.01, tall * 0.18), b.add(windows))
    _wheels(b, (half * 0.62, -half * 0.5), broad - 0.1, 0.46)
    _lights(b, half, broad * 0.78, 0.7, 0.14)
    return half


def _bicycle(b: SceneBuilder) -> float:
    paint, tyre = b.add(b.paint.plain()), b.add(b.paint.material((0.02, 0.02, 0.02)))
    spokes = b.add(b.paint.material((0.25, 0.25, 0.25)))
    for x in (-0.52, 0.52):
        b.cylinder((x, 0, 0.34), (0.34, 0.34, 0.018), (tyre,) * 4 + (spokes, spokes), (0, 0, pi / 2))
    for x, z, long, lean in ((0.1, 0.72, 0.36, pi / 2), (-0.15, 0.55, 0.27, 0.35), (0.12, 0.5, 0.36, -0.75)):
        b.cylinder((x, 0, z), (0.02, 0.02, long), paint, (0, lean, 0))
    b.cylinder((0.47, 0, 0.68), (0.02, 0.02, 0.36), paint, (0, -0.25, 0))
    b.cylinder((0.4, 0, 1.02), (0.016, 0.016, 0.26), paint, (0, 0, pi / 2))
    b.box((-0.24, 0, 0.88), (0.12, 0.07, 0.03), tyre)
    return 0.85


VEHICLES = {"car": _car, "van": _van, "lorry": _lorry, "bus": _bus, "bicycle": _bicycle}

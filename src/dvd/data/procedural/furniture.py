"""Tables, chairs, cupboards, shelves, sofas, beds, desks; each stands at the origin, its front towards +y."""

from __future__ import annotations

from math import pi

from dvd.data.procedural import patterns, props
from dvd.data.procedural.scene import SceneBuilder


def table(b: SceneBuilder, wide: float, deep: float, tall: float) -> None:
    """A table with four legs or one foot, round or square, with things on it (wide, deep: half extents)."""
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
        props.clutter(b, wide, deep, r.randint(0, 9))
    b.look_at(0, 0, tall)


def chair(b: SceneBuilder) -> None:
    """A chair with legs and back (board, bars or office chair), or a stool; it looks along +y."""
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
    """A body with doors or drawers and handles between two heights; its back is at y = 0 (wide: half, deep: full)."""
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
    """A kitchen run: base cupboards, worktop, sink or hob, wall units, tiles behind (wide: half)."""
    r = b.random
    deep, tall = r.uniform(0.55, 0.65), r.uniform(0.85, 0.95)
    cupboard(b, wide, deep, 0.08, tall - 0.04)
    b.box((0, deep / 2, 0.04), (wide, deep / 2 - 0.03, 0.04), b.add(b.paint.plain()))
    b.box((0, deep / 2 + 0.01, tall - 0.02), (wide, deep / 2 + 0.02, 0.02), b.add(b.paint.wood()))
    splash = b.paint.any_colour()
    tiles = b.paint.row(
        splash, (0.6, 0.6, 0.6), pattern=patterns.TILES, period=(0.12, 0.12), fraction=0.04, specular=0.2
    )
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
        props.clutter(b, wide, deep / 2 - 0.05, r.randint(2, int(4 + 5 * wide)))
    b.look_at(0, deep / 2, tall)


def shelf(b: SceneBuilder, wide: float, tall: float) -> None:
    """Boards full of books and things; its back is at y = 0 (wide: half)."""
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
                    b.paint.row(
                        b.paint.colour(r.random(), 0.5, (0.2, 0.7), (0.4, 0.9)),
                        pattern=patterns.BOOKS,
                        period=(r.uniform(0.025, 0.05), 3.0),
                        fraction=0.004,
                        variation=0.8,
                    )
                )
                half = wide * r.uniform(0.3, 0.95)
                b.box((half - wide, deep * 0.45, high / 2), (half, deep * 0.35, high / 2), row)
            elif fill < 0.9:
                with b.at(0, deep / 2):
                    props.clutter(b, wide - 0.08, 0.08, r.randint(1, 4))
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
    """A sofa or armchair with cushions; its back is at y = 0 (wide: half)."""
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
    """A bed with mattress, blanket, pillows and head board at y = 0 (wide: half)."""
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
    """A desk at the wall with monitors, keyboard and an office chair (wide: half)."""
    r = b.random
    deep, tall = r.uniform(0.6, 0.8), r.uniform(0.7, 0.78)
    with b.at(0, deep / 2):
        top, leg = b.add(b.paint.wood()), b.add(b.paint.metal())
        b.box((0, 0, tall), (wide, deep / 2, 0.015), top)
        for x in (-1, 1):
            b.box((x * (wide - 0.03), 0, tall / 2), (0.02, deep / 2 - 0.03, tall / 2), leg)
    for n in range(r.randint(1, 2)):
        with b.at(-0.35 + 0.7 * n if wide > 0.6 else 0.0, deep * 0.3, tall + 0.015, pi + r.uniform(-0.3, 0.3)):
            props.monitor(b)
    with b.at(0, deep * 0.7, tall + 0.015, r.uniform(-0.2, 0.2)):
        props.keyboard(b)
    with b.at(0, deep / 2, tall + 0.015):
        props.clutter(b, wide, deep / 3, r.randint(0, 5))
    with b.at(r.uniform(-0.3, 0.3), deep + r.uniform(0.1, 0.4), 0, pi + r.uniform(-0.6, 0.6)):
        chair(b)
    b.look_at(0, deep / 2, tall)


def radiator(b: SceneBuilder, wide: float) -> None:
    """A ribbed radiator on the wall (wide: half)."""
    ribs = b.paint.row(
        (0.75, 0.75, 0.72), (0.35, 0.35, 0.35), pattern=patterns.STRIPES, period=(0.05, 1), fraction=0.25
    )
    b.box((0, 0.06, 0.4), (wide, 0.05, 0.28), b.add(ribs))


def floor_lamp(b: SceneBuilder) -> None:
    """A standing lamp."""
    r = b.random
    metal, tall = b.add(b.paint.metal()), r.uniform(1.3, 1.8)
    b.cylinder((0, 0.3, 0.015), (0.15, 0.15, 0.015), metal)
    b.cylinder((0, 0.3, tall / 2), (0.012, 0.012, tall / 2), metal)
    b.cylinder(
        (0, 0.3, tall), (0.2, 0.2, 0.13), b.add(b.paint.row((0.8, 0.7, 0.5), emission=r.choice((0, 1.0)))), taper=0.3
    )

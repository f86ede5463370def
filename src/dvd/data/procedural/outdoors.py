"""What every outdoor scene shares: sky, sun, fog, ambient light; houses, fences, poles."""

from __future__ import annotations

from math import atan2, cos, hypot, pi, sin

from dvd.data.procedural import props
from dvd.data.procedural.materials import Colour
from dvd.data.procedural.patterns import OFFSET_V
from dvd.data.procedural.raytrace import BARS, LEAVES
from dvd.data.procedural.scene import Cut, SceneBuilder, Sky


def weather(b: SceneBuilder) -> tuple[Sky, Colour, Colour]:
    """A sky, and the ambient light from above and below; adds the sun unless it is overcast."""
    r = b.random
    overcast, low = r.random() < 0.35, r.random() < 0.25
    azimuth, height = r.uniform(0, 2 * pi), r.uniform(0.08, 0.35) if low else r.uniform(0.4, 1.4)
    direction = (cos(azimuth) * cos(height), sin(azimuth) * cos(height), sin(height))
    warm = max(0.0, 1.0 - height / 0.5)
    if overcast:
        grey = r.uniform(0.5, 1.0)
        zenith, horizon = (grey, grey, grey * 1.05), (grey * 1.1, grey * 1.1, grey * 1.12)
    else:
        zenith = b.paint.colour(0.59, 0.03, (0.35, 0.85), (0.45, 0.95))
        horizon = (0.75 + 0.5 * warm, 0.8 - 0.1 * warm, 0.9 - 0.4 * warm)
        strength = r.uniform(1.2, 3.2)
        b.sun(direction, (strength, strength * (0.95 - 0.3 * warm), strength * (0.88 - 0.55 * warm)))
    sky = Sky(
        zenith=zenith,
        horizon=horizon,
        photo=b.paint.photo() if r.random() < 0.08 else -1,
        photo_turns=r.choice((2.0, 3.0, 4.0)),
        photo_height=r.uniform(0.8, 1.6),
        steepness=r.uniform(1.5, 5.0),
        clouds=r.uniform(0.2, 1.0) if r.random() < 0.6 else 0.0,
        cloud_size=r.uniform(0.3, 1.0),
        cloud_light=r.uniform(0.6, 1.3),
        sun=direction,
        glow=0.0 if overcast else r.uniform(0.1, 1.0),
        fog=10.0 ** r.uniform(-2.3, -1.3) if r.random() < 0.3 else 10.0 ** r.uniform(-4.0, -2.6),
        seed=r.randrange(1 << 16),
    )
    level = r.uniform(0.35, 0.7)
    above = (zenith[0] * level + 0.1, zenith[1] * level + 0.1, zenith[2] * level + 0.12)
    return sky, above, (0.25 * level, 0.24 * level, 0.2 * level)


def house(b: SceneBuilder, wide: float, deep: float, storeys: int, storey: float) -> None:
    """A building from y = 0 backwards (half width, full depth): facade, ground floor with doors, roof, balconies."""
    r = b.random
    tall = storeys * storey
    wall = b.paint.facade(storey)
    # The grid starts at the face's middle: shift it so that no window is cut by the ground or the roof.
    front = b.add((*wall[:OFFSET_V], 0.5 * tall, *wall[OFFSET_V + 1 :]))
    roof = b.add(b.paint.textured(b.paint.colour(0.04, 0.05, (0.1, 0.6), (0.2, 0.6)), (0.5, 3.0)))
    b.box((0, deep / 2, tall / 2), (wide, deep / 2, tall / 2), (front,) * 4 + (roof, roof))
    if r.random() < 0.5:
        base = b.add(b.paint.wall())
        b.box((0, -0.03, storey * 0.48), (wide, 0.05, storey * 0.48), base)
        for n in range(max(1, round(wide / 2.2))):
            x = -wide + (n + 0.5) * 2 * wide / max(1, round(wide / 2.2))
            kind = (
                b.paint.picture(0.1)
                if r.random() < 0.3
                else b.paint.plain(b.paint.colour(0.6, 0.2, (0, 0.4), (0.1, 0.4)), 0.5)
            )
            half = r.uniform(0.45, 0.95)
            b.box((x, -0.09, storey * 0.4), (half, 0.02, storey * 0.38), b.add(kind))
            if r.random() < 0.25:
                b.box((x, -0.6, storey * 0.88), (half + 0.2, 0.55, 0.03), b.add(b.paint.cloth()), (0, 0, 0.25))
    elif r.random() < 0.7:
        b.box((r.uniform(-0.6, 0.6) * wide, -0.02, 1.1), (0.5, 0.04, 1.1), b.add(b.paint.wood()))
    if storeys > 1 and r.random() < 0.35:
        rail = b.add(b.paint.metal())
        for n in range(1, min(storeys, 5)):
            for x in (-0.55, 0.0, 0.55):
                b.box((x * wide, -0.55, n * storey + 0.05), (0.9, 0.55, 0.08), roof)
                b.quad(
                    (x * wide, -1.08, n * storey + 0.6), (0.9, 0.5), rail, (0, 0, props.UPRIGHT), Cut(BARS, 8, 1, 0.25)
                )
    if storeys <= 3 and r.random() < 0.6:
        slope, rise = deep / 2 + 0.3, r.uniform(1.0, 3.0)
        lean, tilt = hypot(rise, slope) / 2, atan2(rise, slope)
        for side in (-1, 1):
            y = deep / 2 + side * slope / 2
            b.box((0, y, tall + rise / 2), (wide + 0.3, lean, 0.08), roof, (0, 0, -side * tilt))
    elif r.random() < 0.4:
        b.box((0, deep / 2, tall + 0.15), (wide + 0.2, deep / 2 + 0.2, 0.15), roof)


def fence(b: SceneBuilder, half: float) -> None:
    """A fence, hedge or wall along x."""
    r = b.random
    kind, tall = r.random(), r.uniform(0.5, 1.1)
    if kind < 0.35:
        cut = Cut(BARS, half * r.uniform(3, 9), r.uniform(0.5, 2.0), r.uniform(0.15, 0.6))
        b.quad((0, 0, tall), (half, tall), b.add(b.paint.wood()), (0, 0, props.UPRIGHT), cut)
    elif kind < 0.65:
        green = b.add(b.paint.leaves())
        b.box((0, 0, tall), (half, r.uniform(0.2, 0.45), tall), green)
        for n in range(int(half)):
            shell = Cut(LEAVES, 4.0 / 0.1, tall / 0.1, 0.8)
            b.ellipsoid((-half + 2 * n + 1, 0, tall), (1.3, 0.55, tall * 1.12), green, cut=shell)
    elif kind < 0.85:
        b.box((0, 0, tall * 0.7), (half, 0.12, tall * 0.7), b.add(b.paint.wall()))
    else:
        rail, post = b.add(b.paint.metal()), b.add(b.paint.metal())
        for z in (0.45, 0.75):
            b.box((0, 0, z), (half, 0.03, 0.05), rail)
        for n in range(int(half / 1.2) + 1):
            b.box((-half + n * 2.4, 0, 0.4), (0.05, 0.05, 0.4), post)


def lamp_post(b: SceneBuilder) -> None:
    """A street lamp with its arm along +y."""
    r = b.random
    metal, tall = b.add(b.paint.metal()), r.uniform(4.0, 8.0)
    b.cylinder((0, 0, tall / 2), (0.09, 0.09, tall / 2), metal, taper=0.4)
    b.cylinder((0, 0.6, tall), (0.04, 0.04, 0.6), metal, (0, 0, -pi / 2))
    b.box((0, 1.2, tall - 0.03), (0.12, 0.3, 0.06), b.add(b.paint.row((0.8, 0.8, 0.8), emission=0.4)))


def sign(b: SceneBuilder) -> None:
    """A traffic sign, a traffic light or a board facing -x."""
    r = b.random
    metal, tall = b.add(b.paint.metal()), r.uniform(2.0, 3.2)
    b.cylinder((0, 0, tall / 2), (0.035, 0.035, tall / 2), metal)
    kind = r.random()
    loud = b.add(b.paint.plain(b.paint.colour(r.choice((0.0, 0.6, 0.15, 0.35)), 0.02, (0.7, 1.0), (0.5, 0.9)), 0.0))
    pale = b.add(b.paint.row((0.85, 0.85, 0.85)))
    if kind < 0.4:
        b.cylinder((-0.05, 0, tall), (0.32, 0.32, 0.015), loud, (0, -pi / 2, 0))
        b.cylinder((-0.06, 0, tall), (0.22, 0.22, 0.015), pale, (0, -pi / 2, 0))
    elif kind < 0.7:
        b.box(
            (-0.05, 0, tall),
            (0.015, r.uniform(0.25, 0.8), r.uniform(0.2, 0.5)),
            b.add(b.paint.print()) if r.random() < 0.5 else loud,
        )
    else:
        b.box((0, 0, tall), (0.14, 0.15, 0.45), b.add(b.paint.row((0.02, 0.02, 0.02))))
        for n, colour in enumerate(((0.0, 0.7, 0.1), (0.9, 0.5, 0.0), (0.9, 0.02, 0.02))):
            on = 1.5 if r.random() < 0.4 else 0.1
            b.cylinder(
                (-0.15, 0, tall - 0.28 + 0.28 * n),
                (0.1, 0.1, 0.03),
                b.add(b.paint.row(colour, emission=on)),
                (0, pi / 2, 0),
            )

"""Cars, vans, lorries, buses and bicycles of boxes and cylinders; each stands at the origin and faces +x."""

from __future__ import annotations

from math import pi

from dvd.data.procedural import patterns
from dvd.data.procedural.scene import SceneBuilder

DRIVING = "car", "car", "car", "car", "van", "lorry", "bus"


def vehicle(b: SceneBuilder, kind: str) -> float:
    """Build one vehicle; returns its half length in metres."""
    builders = {"car": _car, "van": _van, "lorry": _lorry, "bus": _bus, "bicycle": _bicycle}
    half = builders[kind](b)
    b.look_at(0, 0, 1.0)
    return half


def _glass(b: SceneBuilder) -> int:
    return b.add(b.paint.row(b.paint.colour(0.58, 0.06, (0.05, 0.3), (0.08, 0.4)), specular=0.7, shininess=60))


def _body(b: SceneBuilder) -> int:
    r = b.random
    grey = r.random() < 0.6
    colour = b.paint.colour(0.6, 0.1, (0, 0.12), (0.1, 0.95)) if grey else b.paint.any_colour()
    return b.add(
        b.paint.row(colour, noise=r.choice((0.0, 0.05)), specular=r.uniform(0.2, 0.7), shininess=r.uniform(20, 80))
    )


def _wheels(b: SceneBuilder, xs: tuple[float, ...], y: float, radius: float) -> None:
    tyre, rim = b.add(b.paint.row((0.015, 0.015, 0.015))), b.add(b.paint.metal())
    for x in xs:
        for side in (-1, 1):
            b.cylinder((x, side * y, radius), (radius, radius, 0.1), tyre, (0, 0, pi / 2))
            b.cylinder((x, side * (y + 0.01), radius), (radius * 0.6, radius * 0.6, 0.1), rim, (0, 0, pi / 2))


def _lights(b: SceneBuilder, half: float, y: float, z: float, size: float) -> None:
    front = b.add(b.paint.row((0.9, 0.9, 0.85), emission=b.random.choice((0.3, 2.5)), specular=0.5))
    rear = b.add(b.paint.row((0.7, 0.02, 0.02), emission=b.random.choice((0.2, 1.5))))
    for side in (-1, 1):
        b.box((half, side * y, z), (0.03, size, size * 0.55), front)
        b.box((-half, side * y, z + 0.06), (0.03, size * 0.8, size * 0.7), rear)
    plate = b.add(b.paint.row((0.8, 0.8, 0.7)))
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
    dark = b.add(b.paint.row((0.02, 0.02, 0.02)))
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
    b.box((-0.5, 0, 0.85), (half - 0.5, 0.6, 0.14), b.add(b.paint.row((0.03, 0.03, 0.03))))
    _wheels(b, (half - 1.0, -half * 0.35, -half * 0.7), broad - 0.12, 0.48)
    _lights(b, half, broad * 0.75, 0.8, 0.13)
    return half


def _bus(b: SceneBuilder) -> float:
    r = b.random
    half, broad, tall = r.uniform(4.5, 6.5), 1.25, r.uniform(2.8, 3.2)
    paint, glass = _body(b), b.paint.colour(0.58, 0.06, (0.05, 0.3), (0.08, 0.35))
    b.box((0, 0, (0.35 + tall) / 2), (half, broad, (tall - 0.35) / 2), paint)
    windows = b.paint.row(
        glass, (0.1, 0.1, 0.1), pattern=patterns.STRIPES, period=(1.2, 1.0), fraction=0.07, specular=0.5
    )
    b.box((0, 0, tall * 0.64), (half + 0.01, broad + 0.01, tall * 0.18), b.add(windows))
    _wheels(b, (half * 0.62, -half * 0.5), broad - 0.1, 0.46)
    _lights(b, half, broad * 0.78, 0.7, 0.14)
    return half


def _bicycle(b: SceneBuilder) -> float:
    paint, tyre = b.add(b.paint.plain()), b.add(b.paint.row((0.02, 0.02, 0.02)))
    spokes = b.add(b.paint.row((0.25, 0.25, 0.25)))
    for x in (-0.52, 0.52):
        b.cylinder((x, 0, 0.34), (0.34, 0.34, 0.018), (tyre,) * 4 + (spokes, spokes), (0, 0, pi / 2))
    for x, z, long, lean in ((0.1, 0.72, 0.36, pi / 2), (-0.15, 0.55, 0.27, 0.35), (0.12, 0.5, 0.36, -0.75)):
        b.cylinder((x, 0, z), (0.02, 0.02, long), paint, (0, lean, 0))
    b.cylinder((0.47, 0, 0.68), (0.02, 0.02, 0.36), paint, (0, -0.25, 0))
    b.cylinder((0.4, 0, 1.02), (0.016, 0.016, 0.26), paint, (0, 0, pi / 2))
    b.box((-0.24, 0, 0.88), (0.12, 0.07, 0.03), tyre)
    return 0.85

"""Streets: road, pavements, facades, parked and moving vehicles, poles, trees, people; the road runs along x."""

from __future__ import annotations

from math import pi
from random import Random

from dvd.data.procedural import outdoors, patterns, props, vehicles
from dvd.data.procedural.scene import Motion, Scene, SceneBuilder, Stage
from dvd.data.procedural.textures import TextureBank

LENGTH = 110.0


def build_street(random: Random, bank: TextureBank) -> Scene:
    """One street of 220 m with what stands and moves on it."""
    b = SceneBuilder(random, bank)
    sky, above, below = outdoors.weather(b)
    lane = random.uniform(2.7, 3.7)
    lanes = random.choice((1, 2, 2, 2, 3, 4))
    half = lane * lanes / 2
    walk = random.uniform(1.2, 4.0) if random.random() < 0.85 else 0.0
    _ground(b, half, lane, walk)
    density = random.uniform(0.15, 1.0)
    for side in (-1, 1):
        with b.at(0, 0, 0, 0 if side > 0 else pi):
            # Local +y is away from the road on either side.
            edge = half + walk
            _buildings(b, edge + random.choice((0.0, 0.5, 3.0, 8.0)), density)
            _edge(b, half, walk)
            if random.random() < 0.7:
                _parked(b, half - 1.1 if lanes > 1 else half + 1.0, random.uniform(0.2, 0.9))
            _walkers(b, half, walk)
    _traffic(b, lane, lanes)
    if random.random() < 0.12:
        _bridge(b, half + walk)
    focus = tuple(point for point in b.focus if abs(point[0]) < 40)
    on_foot = random.random() < 0.4
    reach = half + walk * 0.7 if on_foot else half - 1.0
    low = (-8.0, -max(reach, 0.3), 1.0 if on_foot else 1.1)
    stage = Stage(
        low,
        (8.0, max(reach, 0.3), 1.8 if on_foot else 2.4),
        focus,
        heading=0.0,
        elbow_room=random.choice((0.8, 2.5, 3.5)),
    )
    return b.finish("street", stage, sky, above, below, reach=random.uniform(1.5, 4.0))


def _ground(b: SceneBuilder, half: float, lane: float, walk: float) -> None:
    r = b.random
    b.box((0, 0, -0.56), (900, 900, 0.5), b.add(b.paint.ground()))
    grey = b.paint.colour(0.1, 0.3, (0.0, 0.12), (0.2, 0.55))
    road = b.paint.row(
        grey,
        (0.75, 0.75, 0.7) if r.random() < 0.85 else (0.75, 0.5, 0.1),
        pattern=patterns.ROAD if r.random() < 0.85 else patterns.PLAIN,
        period=(r.uniform(4, 12), lane),
        fraction=r.uniform(0.3, 0.6),
        texture=b.paint.crop() if r.random() < 0.5 else -1,
        texture_size=r.uniform(1.0, 5.0),
        noise=r.uniform(0.05, 0.35),
        noise_size=r.uniform(0.1, 3.0),
        specular=r.choice((0.0, 0.0, 0.3)),
    )
    b.box((0, 0, -0.05), (400, half, 0.05), b.add(road))
    if walk:
        pave = b.paint.patterned(grey, (grey[0] * 0.5, grey[1] * 0.5, grey[2] * 0.5), r.uniform(0.15, 0.6))
        paving, kerb = (
            b.add(pave if r.random() < 0.6 else b.paint.textured(grey)),
            b.add(b.paint.textured((0.5, 0.5, 0.5))),
        )
        for side in (-1, 1):
            b.box((0, side * (half + 0.08), 0.02), (400, 0.08, 0.11), kerb)
            b.box((0, side * (half + walk / 2), 0.01), (400, walk / 2, 0.11), paving)
    for _ in range(r.choice((0, 0, 1, 3))):
        paint = b.add(
            b.paint.row((0.7, 0.7, 0.7), (0.08, 0.08, 0.08), pattern=patterns.STRIPES, period=(1.0, 1.0), turned=True)
        )
        b.quad((r.uniform(-30, 60), 0, 0.004), (1.5, half), paint)
    dark = b.add(b.paint.metal())
    for _ in range(r.randint(0, 4)):
        b.cylinder((r.uniform(-20, 40), r.uniform(-half, half), 0.0), (0.35, 0.35, 0.005), dark)


def _buildings(b: SceneBuilder, y: float, density: float) -> None:
    r, x = b.random, -LENGTH
    storeys, storey = r.randint(1, 6), r.uniform(2.7, 3.6)
    while x < LENGTH:
        wide = r.uniform(4.0, 14.0)
        if r.random() < density:
            with b.at(x + wide, y + r.choice((0.0, 0.0, 1.5))):
                outdoors.house(b, wide, r.uniform(7, 14), max(1, storeys + r.randint(-1, 2)), storey)
            x += 2 * wide + r.choice((0.0, 0.0, 1.5, 5.0))
        else:
            with b.at(x + wide / 2, y + 1.0):
                if r.random() < 0.5:
                    outdoors.fence(b, min(wide, 6.0))
            x += wide * r.uniform(1.0, 2.0)
    for _ in range(r.randint(0, 4)):
        with b.at(r.uniform(-LENGTH, LENGTH * 2), y + r.uniform(25, 90)):
            outdoors.house(b, r.uniform(6, 16), r.uniform(10, 20), r.randint(5, 22), 3.1)


def _edge(b: SceneBuilder, half: float, walk: float) -> None:
    r = b.random
    spacing, kinds = r.uniform(6, 25), r.choice(("tree", "lamp", "both", "none"))
    x = -60 + r.uniform(0, spacing)
    while x < 90:
        if r.random() < 0.75 and kinds != "none":
            with b.at(x, half + 0.6):
                if kinds == "tree" or (kinds == "both" and r.random() < 0.6):
                    props.tree(b, r.uniform(3.5, 10.0))
                else:
                    with b.at(0, 0, 0, pi):
                        outdoors.lamp_post(b)
        x += spacing * r.uniform(0.7, 1.3)
    for _ in range(r.randint(0, 4)):
        with b.at(r.uniform(-15, 45), half + r.uniform(0.3, max(0.4, walk)), 0.1, r.choice((0, pi))):
            outdoors.sign(b)
    if r.random() < 0.3:
        post = b.add(b.paint.metal())
        for n in range(r.randint(3, 14)):
            b.cylinder((n * 1.8 - 8, half + 0.35, 0.5), (0.05, 0.05, 0.5), post)
    if walk > 1.0:
        for _ in range(r.randint(0, 4)):
            with b.at(r.uniform(-12, 35), half + r.uniform(0.5, walk), 0.12, r.uniform(0, 2 * pi)):
                kind = r.random()
                if kind < 0.3:
                    vehicles.vehicle(b, "bicycle")
                elif kind < 0.5:
                    b.cylinder((0, 0, 0.45), (0.25, 0.25, 0.45), b.add(b.paint.plain()))
                elif kind < 0.7:
                    b.box((0, 0, 0.43), (0.8, 0.25, 0.03), b.add(b.paint.wood()))
                    b.box((0, 0.22, 0.7), (0.8, 0.03, 0.2), b.add(b.paint.wood()))
                elif kind < 0.85:
                    props.bush(b, r.uniform(0.4, 1.0))
                else:
                    b.box((0, 0, 0.9), (0.5, 0.25, 0.9), b.add(b.paint.picture()))


def _parked(b: SceneBuilder, y: float, density: float) -> None:
    r, x = b.random, -45.0
    while x < 75:
        kind = r.choice(("car", "car", "car", "car", "van", "lorry"))
        if r.random() < density:
            with b.at(x, y + r.uniform(-0.15, 0.15), 0, r.gauss(0, 0.03) + r.choice((0, pi))):
                x += vehicles.vehicle(b, kind) + 3.5
        else:
            x += r.uniform(3, 12)


def _traffic(b: SceneBuilder, lane: float, lanes: int) -> None:
    r = b.random
    for n in range(lanes):
        forward = n < (lanes + 1) // 2
        y = lane * (n + 0.5 - lanes / 2) * -1
        stopped, x = r.random() < 0.25, r.uniform(-60, 10)
        speed = 0.0 if stopped else r.uniform(3, 15)
        for _ in range(r.randint(0, 4)):
            x += r.uniform(9, 35)
            heading = 0.0 if forward else pi
            velocity = (speed if forward else -speed, 0.0, 0.0)
            with b.at(x, y + r.uniform(-0.3, 0.3), 0, heading):
                if speed:
                    with b.moving(Motion(velocity)):
                        vehicles.vehicle(b, r.choice(vehicles.DRIVING))
                else:
                    vehicles.vehicle(b, r.choice(vehicles.DRIVING))


def _walkers(b: SceneBuilder, half: float, walk: float) -> None:
    r = b.random
    for _ in range(r.choice((0, 1, 2, 3, 6))):
        across = r.random() < 0.2
        heading = r.choice((pi / 2, -pi / 2)) if across else r.choice((0.0, pi)) + r.uniform(-0.3, 0.3)
        y = r.uniform(-half, half) if across else half + r.uniform(0.3, max(walk, 1.0))
        with b.at(r.uniform(-12, 40), y, 0 if across else 0.12, heading - pi / 2):
            speed = r.choice((0.0, r.uniform(0.8, 1.7)))
            # The motion is in world axes, so it includes the side of the road on which this is built.
            props.person(b, walking=speed, heading=b.place[3] + pi / 2)


def _bridge(b: SceneBuilder, half: float) -> None:
    r = b.random
    x, tall, wide = r.uniform(10, 60), r.uniform(4.5, 7.0), r.uniform(2, 7)
    stone = b.add(b.paint.textured(b.paint.colour(0.1, 0.1, (0, 0.2), (0.3, 0.7)), (0.8, 4.0)))
    b.box((x, 0, tall + 0.5), (wide, half + 40, 0.5), stone)
    b.box((x - wide, 0, tall + 1.4), (0.1, half + 40, 0.5), stone)
    for y in (-half - 0.8, half + 0.8):
        b.box((x, y, tall / 2), (wide * 0.8, 0.6, tall / 2), stone)

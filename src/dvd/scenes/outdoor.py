"""Streets with their traffic, and open ground with hills, trees, houses, people and animals."""

from __future__ import annotations

from collections.abc import Callable
from math import atan2, cos, hypot, pi, sin
from random import Random

from dvd.scenes import things
from dvd.scenes.scene import Motion, Scene, SceneBuilder, Stage
from dvd.scenes.textures import PLAIN, ROAD, STRIPES, Sky, TextureBank
from dvd.scenes.trace import BARS, LEAVES, Cut


def weather(b: SceneBuilder) -> Sky:
    """Return a sky; add the sun unless it is overcast."""
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
    return sky._replace(above=above, below=(0.25 * level, 0.24 * level, 0.2 * level))


def house(b: SceneBuilder, wide: float, deep: float, storeys: int, storey: float) -> None:
    """Build a house from y = 0 backwards (wide: half, deep: full): facade, ground floor, roof, balconies."""
    r = b.random
    tall = storeys * storey
    wall = b.paint.facade(storey)
    # The grid starts at the face's middle: shift it so that no window is cut by the ground or the roof.
    front = b.add(wall._replace(offset_v=0.5 * tall))
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
                    (x * wide, -1.08, n * storey + 0.6), (0.9, 0.5), rail, (0, 0, things.UPRIGHT), Cut(BARS, 8, 1, 0.25)
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
    """Build a fence, hedge or wall along x."""
    r = b.random
    kind, tall = r.random(), r.uniform(0.5, 1.1)
    if kind < 0.35:
        cut = Cut(BARS, half * r.uniform(3, 9), r.uniform(0.5, 2.0), r.uniform(0.15, 0.6))
        b.quad((0, 0, tall), (half, tall), b.add(b.paint.wood()), (0, 0, things.UPRIGHT), cut)
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
    """Build a street lamp with its arm along +y."""
    r = b.random
    metal, tall = b.add(b.paint.metal()), r.uniform(4.0, 8.0)
    b.cylinder((0, 0, tall / 2), (0.09, 0.09, tall / 2), metal, taper=0.4)
    b.cylinder((0, 0.6, tall), (0.04, 0.04, 0.6), metal, (0, 0, -pi / 2))
    b.box((0, 1.2, tall - 0.03), (0.12, 0.3, 0.06), b.add(b.paint.material((0.8, 0.8, 0.8), emission=0.4)))


def sign(b: SceneBuilder) -> None:
    """Build a traffic sign, a traffic light or a board facing -x."""
    r = b.random
    metal, tall = b.add(b.paint.metal()), r.uniform(2.0, 3.2)
    b.cylinder((0, 0, tall / 2), (0.035, 0.035, tall / 2), metal)
    kind = r.random()
    loud = b.add(b.paint.plain(b.paint.colour(r.choice((0.0, 0.6, 0.15, 0.35)), 0.02, (0.7, 1.0), (0.5, 0.9)), 0.0))
    pale = b.add(b.paint.material((0.85, 0.85, 0.85)))
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
        b.box((0, 0, tall), (0.14, 0.15, 0.45), b.add(b.paint.material((0.02, 0.02, 0.02))))
        for n, colour in enumerate(((0.0, 0.7, 0.1), (0.9, 0.5, 0.0), (0.9, 0.02, 0.02))):
            on = 1.5 if r.random() < 0.4 else 0.1
            b.cylinder(
                (-0.15, 0, tall - 0.28 + 0.28 * n),
                (0.1, 0.1, 0.03),
                b.add(b.paint.material(colour, emission=on)),
                (0, pi / 2, 0),
            )


LENGTH = 110.0


def build_street(random: Random, bank: TextureBank) -> Scene:
    """Build a street of 220 m along x with its houses, traffic and people."""
    b = SceneBuilder(random, bank)
    sky = weather(b)
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
    return b.finish("street", stage, sky, reach=random.uniform(1.5, 4.0))


def _ground(b: SceneBuilder, half: float, lane: float, walk: float) -> None:
    r = b.random
    b.box((0, 0, -0.56), (900, 900, 0.5), b.add(b.paint.ground()))
    grey = b.paint.colour(0.1, 0.3, (0.0, 0.12), (0.2, 0.55))
    road = b.paint.material(
        grey,
        (0.75, 0.75, 0.7) if r.random() < 0.85 else (0.75, 0.5, 0.1),
        pattern=ROAD if r.random() < 0.85 else PLAIN,
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
            b.paint.material((0.7, 0.7, 0.7), (0.08, 0.08, 0.08), pattern=STRIPES, period=(1.0, 1.0), turned=True)
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
                house(b, wide, r.uniform(7, 14), max(1, storeys + r.randint(-1, 2)), storey)
            x += 2 * wide + r.choice((0.0, 0.0, 1.5, 5.0))
        else:
            with b.at(x + wide / 2, y + 1.0):
                if r.random() < 0.5:
                    fence(b, min(wide, 6.0))
            x += wide * r.uniform(1.0, 2.0)
    for _ in range(r.randint(0, 4)):
        with b.at(r.uniform(-LENGTH, LENGTH * 2), y + r.uniform(25, 90)):
            house(b, r.uniform(6, 16), r.uniform(10, 20), r.randint(5, 22), 3.1)


def _edge(b: SceneBuilder, half: float, walk: float) -> None:
    r = b.random
    spacing, kinds = r.uniform(6, 25), r.choice(("tree", "lamp", "both", "none"))
    x = -60 + r.uniform(0, spacing)
    while x < 90:
        if r.random() < 0.75 and kinds != "none":
            with b.at(x, half + 0.6):
                if kinds == "tree" or (kinds == "both" and r.random() < 0.6):
                    things.tree(b, r.uniform(3.5, 10.0))
                else:
                    with b.at(0, 0, 0, pi):
                        lamp_post(b)
        x += spacing * r.uniform(0.7, 1.3)
    for _ in range(r.randint(0, 4)):
        with b.at(r.uniform(-15, 45), half + r.uniform(0.3, max(0.4, walk)), 0.1, r.choice((0, pi))):
            sign(b)
    if r.random() < 0.3:
        post = b.add(b.paint.metal())
        for n in range(r.randint(3, 14)):
            b.cylinder((n * 1.8 - 8, half + 0.35, 0.5), (0.05, 0.05, 0.5), post)
    if walk > 1.0:
        for _ in range(r.randint(0, 4)):
            with b.at(r.uniform(-12, 35), half + r.uniform(0.5, walk), 0.12, r.uniform(0, 2 * pi)):
                kind = r.random()
                if kind < 0.3:
                    things.vehicle(b, "bicycle")
                elif kind < 0.5:
                    b.cylinder((0, 0, 0.45), (0.25, 0.25, 0.45), b.add(b.paint.plain()))
                elif kind < 0.7:
                    b.box((0, 0, 0.43), (0.8, 0.25, 0.03), b.add(b.paint.wood()))
                    b.box((0, 0.22, 0.7), (0.8, 0.03, 0.2), b.add(b.paint.wood()))
                elif kind < 0.85:
                    things.bush(b, r.uniform(0.4, 1.0))
                else:
                    b.box((0, 0, 0.9), (0.5, 0.25, 0.9), b.add(b.paint.picture()))


def _parked(b: SceneBuilder, y: float, density: float) -> None:
    r, x = b.random, -45.0
    while x < 75:
        kind = r.choice(("car", "car", "car", "car", "van", "lorry"))
        if r.random() < density:
            with b.at(x, y + r.uniform(-0.15, 0.15), 0, r.gauss(0, 0.03) + r.choice((0, pi))):
                x += things.vehicle(b, kind) + 3.5
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
                        things.vehicle(b, r.choice(things.DRIVING))
                else:
                    things.vehicle(b, r.choice(things.DRIVING))


def _walkers(b: SceneBuilder, half: float, walk: float) -> None:
    r = b.random
    for _ in range(r.choice((0, 1, 2, 3, 6))):
        across = r.random() < 0.2
        heading = r.choice((pi / 2, -pi / 2)) if across else r.choice((0.0, pi)) + r.uniform(-0.3, 0.3)
        y = r.uniform(-half, half) if across else half + r.uniform(0.3, max(walk, 1.0))
        with b.at(r.uniform(-12, 40), y, 0 if across else 0.12, heading - pi / 2):
            speed = r.choice((0.0, r.uniform(0.8, 1.7)))
            # The motion is in world axes, so it includes the side of the road on which this is built.
            things.person(b, walking=speed, heading=b.placement.yaw + pi / 2)


def _bridge(b: SceneBuilder, half: float) -> None:
    r = b.random
    x, tall, wide = r.uniform(10, 60), r.uniform(4.5, 7.0), r.uniform(2, 7)
    stone = b.add(b.paint.textured(b.paint.colour(0.1, 0.1, (0, 0.2), (0.3, 0.7)), (0.8, 4.0)))
    b.box((x, 0, tall + 0.5), (wide, half + 40, 0.5), stone)
    b.box((x - wide, 0, tall + 1.4), (0.1, half + 40, 0.5), stone)
    for y in (-half - 0.8, half + 0.8):
        b.box((x, y, tall / 2), (wide * 0.8, 0.6, tall / 2), stone)


def build_terrain(random: Random, bank: TextureBank) -> Scene:
    """Build a landscape around the origin; hills are half-buried ellipsoids, whose depth is exact too."""
    b = SceneBuilder(random, bank)
    sky = weather(b)
    ground = b.add(b.paint.ground())
    b.box((0, 0, -0.5), (1500, 1500, 0.5), ground)
    yard = random.random() < 0.4
    for _ in range(random.randint(0, 9)):
        angle, far = random.uniform(0, 2 * pi), random.uniform(60, 400)
        size = far * random.uniform(0.15, 0.5)
        skin = ground if random.random() < 0.5 else b.add(b.paint.ground())
        half = (size, size * random.uniform(0.6, 1.5), size * random.uniform(0.08, 0.5))
        b.ellipsoid((far * cos(angle), far * sin(angle), 0), half, skin, (random.uniform(0, 6), 0, 0))
    for _ in range(random.randint(0, 8)):
        angle, far = random.uniform(0, 2 * pi), random.uniform(8, 40)
        size = far * random.uniform(0.2, 0.6)
        b.ellipsoid(
            (far * cos(angle), far * sin(angle), -0.05), (size, size, size * random.uniform(0.03, 0.15)), ground
        )
    if random.random() < 0.5:
        path = b.add(b.paint.textured(b.paint.colour(0.1, 0.08, (0.0, 0.3), (0.25, 0.75)), (0.5, 3.0)))
        b.box(
            (0, random.uniform(-2, 2), 0.0), (300, random.uniform(0.6, 2.5), 0.015), path, (random.uniform(0, pi), 0, 0)
        )
    if yard:
        _yard(b)
    _scatter(b)
    for _ in range(random.choice((0, 1, 3, 6))):
        angle, far = random.uniform(0, 2 * pi), random.uniform(15, 150)
        with b.at(far * cos(angle), far * sin(angle), 0, angle - pi / 2 + random.uniform(-0.6, 0.6)):
            house(b, random.uniform(3, 9), random.uniform(5, 12), random.randint(1, 3), random.uniform(2.6, 3.2))
    stage = Stage(
        (-3.0, -3.0, 0.6),
        (3.0, 3.0, random.choice((1.9, 1.9, 6.0))),
        tuple(b.focus),
        elbow_room=random.uniform(0.4, 2.5),
    )
    return b.finish("terrain", stage, sky, reach=random.uniform(1.5, 4.0))


def _scatter(b: SceneBuilder) -> None:
    """Build distant woods, and trees, bushes, rocks, grass, posts, people and animals, denser near the origin."""
    r = b.random
    rock = b.add(b.paint.textured(b.paint.colour(0.08, 0.1, (0, 0.3), (0.25, 0.7)), (0.4, 2.0)))
    weights = [r.random() ** 2 for _ in range(7)]
    for _ in range(r.choice((0, 1, 2, 3))):
        # A wood or a row of trees in the distance.
        angle, far = r.uniform(0, 2 * pi), r.uniform(20, 90)
        spread, tall = far * r.uniform(0.1, 0.5), r.uniform(5, 14)
        for _ in range(r.randint(4, 12)):
            x, y = far * cos(angle) + r.gauss(0, spread), far * sin(angle) + r.gauss(0, spread)
            if x * x + y * y > 100.0:
                with b.at(x, y):
                    things.tree(b, tall * r.uniform(0.7, 1.2))
    scattered: tuple[Callable[[], None], ...] = (
        lambda: things.tree(b, r.uniform(3, 12)),
        lambda: things.bush(b, r.uniform(0.4, 1.6)),
        lambda: _rock(b, rock),
        lambda: things.grass(b, r.uniform(0.15, 0.5)),
        lambda: _post(b),
        lambda: things.person(b, walking=r.choice((0.0, 1.0, 2.0)), heading=b.placement.yaw + pi / 2),
        lambda: things.animal(b, r.uniform(0.3, 0.9)),
    )
    for _ in range(r.randint(12, 60)):
        angle, far = r.uniform(0, 2 * pi), 1.5 + 55 * r.random() ** 1.7
        build = r.choices(scattered, weights)[0]
        with b.at(far * cos(angle), far * sin(angle), 0, r.uniform(0, 2 * pi)):
            build()
            b.look_at(0, 0, 0.6)


def _rock(b: SceneBuilder, paint: int) -> None:
    r = b.random
    size = r.uniform(0.1, 1.3)
    turn = (0.0, r.uniform(-0.5, 0.5), r.uniform(-0.5, 0.5))
    half = (size, size * r.uniform(0.5, 1.0), size * r.uniform(0.4, 0.9))
    if r.random() < 0.5:
        b.ellipsoid((0, 0, half[2] * 0.4), half, paint, turn)
    else:
        b.box((0, 0, half[2] * 0.5), half, paint, turn)


def _post(b: SceneBuilder) -> None:
    tall = b.random.uniform(0.4, 3.0)
    b.cylinder((0, 0, tall), (0.07, 0.07, tall), b.add(b.paint.wood()))


def _yard(b: SceneBuilder) -> None:
    """Build a garden or a courtyard: fences around, garden furniture, a car, things lying about."""
    r, half = b.random, b.random.uniform(4, 12)
    for n in range(4):
        if r.random() < 0.7:
            yaw = n * pi / 2
            with b.at(-half * sin(yaw), half * cos(yaw), 0, yaw):
                fence(b, half)
    for _ in range(r.randint(1, 4)):
        with b.at(r.uniform(-half, half) * 0.8, r.uniform(-half, half) * 0.8, 0, r.uniform(0, 2 * pi)):
            kind = r.random()
            if kind < 0.3:
                things.table(b, r.uniform(0.4, 0.9), 0.4, 0.72)
                for side in (-1, 1):
                    with b.at(0, side * 0.7, 0, 0 if side < 0 else pi):
                        things.chair(b)
            elif kind < 0.5:
                things.vehicle(b, r.choice(("car", "van", "bicycle")))
            elif kind < 0.75:
                things.plant(b, r.uniform(0.5, 1.5))
            else:
                b.box((0, 0, 0.3), (r.uniform(0.2, 0.8), r.uniform(0.2, 0.6), 0.3), b.add(b.paint.wood()))

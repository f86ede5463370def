"""Open ground: fields, parks and yards with hills, trees, rocks, fences, far houses, people and animals."""

from __future__ import annotations

from math import cos, pi, sin
from random import Random

from dvd.data.procedural import furniture, outdoors, props, vehicles
from dvd.data.procedural.scene import Scene, SceneBuilder, Stage
from dvd.data.procedural.textures import TextureBank


def build_terrain(random: Random, bank: TextureBank) -> Scene:
    """A landscape around the origin; hills are half-buried ellipsoids, so their depth is exact too."""
    b = SceneBuilder(random, bank)
    sky, above, below = outdoors.weather(b)
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
            outdoors.house(
                b, random.uniform(3, 9), random.uniform(5, 12), random.randint(1, 3), random.uniform(2.6, 3.2)
            )
    stage = Stage(
        (-3.0, -3.0, 0.6),
        (3.0, 3.0, random.choice((1.9, 1.9, 6.0))),
        tuple(b.focus),
        elbow_room=random.uniform(0.4, 2.5),
    )
    return b.finish("terrain", stage, sky, above, below, reach=random.uniform(1.5, 4.0))


def _scatter(b: SceneBuilder) -> None:
    """Trees, bushes, rocks, grass, posts, people, animals: many, nearer ones smaller apart."""
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
                    props.tree(b, tall * r.uniform(0.7, 1.2))
    for _ in range(r.randint(12, 60)):
        angle, far = r.uniform(0, 2 * pi), 1.5 + 55 * r.random() ** 1.7
        kind = r.choices(("tree", "bush", "rock", "grass", "post", "person", "animal"), weights)[0]
        with b.at(far * cos(angle), far * sin(angle), 0, r.uniform(0, 2 * pi)):
            if kind == "tree":
                props.tree(b, r.uniform(3, 12))
            elif kind == "bush":
                props.bush(b, r.uniform(0.4, 1.6))
            elif kind == "rock":
                size = r.uniform(0.1, 1.3)
                turn = (0.0, r.uniform(-0.5, 0.5), r.uniform(-0.5, 0.5))
                half = (size, size * r.uniform(0.5, 1.0), size * r.uniform(0.4, 0.9))
                if r.random() < 0.5:
                    b.ellipsoid((0, 0, half[2] * 0.4), half, rock, turn)
                else:
                    b.box((0, 0, half[2] * 0.5), half, rock, turn)
            elif kind == "grass":
                props.grass(b, r.uniform(0.15, 0.5))
            elif kind == "post":
                tall = r.uniform(0.4, 3.0)
                b.cylinder((0, 0, tall), (0.07, 0.07, tall), b.add(b.paint.wood()))
            elif kind == "person":
                speed = r.choice((0.0, 1.0, 2.0))
                props.person(b, walking=speed, heading=b.place[3] + pi / 2)
            else:
                props.animal(b, r.uniform(0.3, 0.9))
            b.look_at(0, 0, 0.6)


def _yard(b: SceneBuilder) -> None:
    """A garden or a courtyard: fences around, garden furniture, a car, things lying about."""
    r, half = b.random, b.random.uniform(4, 12)
    for n in range(4):
        if r.random() < 0.7:
            yaw = n * pi / 2
            with b.at(-half * sin(yaw), half * cos(yaw), 0, yaw):
                outdoors.fence(b, half)
    for _ in range(r.randint(1, 4)):
        with b.at(r.uniform(-half, half) * 0.8, r.uniform(-half, half) * 0.8, 0, r.uniform(0, 2 * pi)):
            kind = r.random()
            if kind < 0.3:
                furniture.table(b, r.uniform(0.4, 0.9), 0.4, 0.72)
                for side in (-1, 1):
                    with b.at(0, side * 0.7, 0, 0 if side < 0 else pi):
                        furniture.chair(b)
            elif kind < 0.5:
                vehicles.vehicle(b, r.choice(("car", "van", "bicycle")))
            elif kind < 0.75:
                props.plant(b, r.uniform(0.5, 1.5))
            else:
                b.box((0, 0, 0.3), (r.uniform(0.2, 0.8), r.uniform(0.2, 0.6), 0.3), b.add(b.paint.wood()))

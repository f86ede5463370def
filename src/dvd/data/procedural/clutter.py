"""Close range: a table top or a floor full of things, 0.3–2 m from the camera, something of a room behind."""

from __future__ import annotations

from math import pi
from random import Random

from dvd.data.procedural import furniture, props
from dvd.data.procedural.scene import Motion, Scene, SceneBuilder, Sky, Stage
from dvd.data.procedural.textures import TextureBank


def build_clutter(random: Random, bank: TextureBank) -> Scene:
    """One surface with many things on it."""
    b = SceneBuilder(random, bank)
    on_floor = random.random() < 0.3
    tall = 0.0 if on_floor else random.uniform(0.4, 1.0)
    room = random.uniform(1.2, 4.0)
    floor, wall = b.add(b.paint.floor()), b.add(b.paint.wall())
    b.box((0, 0, -0.1), (6, 6, 0.1), floor)
    b.box((0, 0, 2.7), (6, 6, 0.1), b.add(b.paint.row((0.8, 0.8, 0.78))))
    for n in range(4):
        away = room if n == 0 else random.uniform(room, 5.0)
        with b.at(0, 0, 0, n * pi / 2):
            own = wall if random.random() < 0.7 else b.add(b.paint.wall())
            b.box((0, away + 0.1, 1.3), (6, 0.1, 1.3), own)
            if random.random() < 0.35:
                view = b.paint.picture(random.uniform(0.8, 2.0)) if random.random() < 0.6 else b.paint.row(emission=1.5)
                b.box(
                    (random.uniform(-1, 1), away, 1.5),
                    (random.uniform(0.3, 1.0), 0.01, random.uniform(0.3, 0.7)),
                    b.add(view),
                )
            with b.at(random.uniform(-0.8, 0.8), away - 0.01, 0, pi):
                kind = random.random()
                if kind < 0.25:
                    furniture.shelf(b, 0.8, 1.9)
                elif kind < 0.45:
                    furniture.cupboard(b, 0.9, 0.4, 0, random.uniform(0.8, 2.0))
                elif kind < 0.6:
                    furniture.counter(b, 1.2)
                elif kind < 0.7:
                    furniture.sofa(b, 0.9)
    wide, deep = random.uniform(0.4, 1.0), random.uniform(0.3, 0.6)
    if not on_floor:
        furniture.table(b, wide, deep, tall)
    with b.at(0, 0, tall):
        props.clutter(b, wide, deep, random.randint(6, 26))
    for _ in range(random.choice((0, 1, 2))):
        with b.at(
            random.uniform(-1.2, 1.2), random.choice((-1, 1)) * random.uniform(0.7, 1.2), 0, random.uniform(0, 6)
        ):
            random.choice((furniture.chair, props.carton, props.plant, props.ball))(b)
    if random.random() < 0.3:
        with b.at(random.uniform(-0.8, 0.8), deep + 0.35, 0, pi):
            props.person(b, sitting=random.random() < 0.5)
    if random.random() < 0.35:
        size = random.uniform(0.03, 0.1)
        with b.moving(Motion((random.uniform(-0.6, 0.6), random.uniform(-0.4, 0.4), 0.0), spin=random.uniform(-2, 2))):
            b.ellipsoid(
                (0, 0, tall + size), (size,) * 3, b.add(b.paint.patterned((0.8, 0.8, 0.8), b.paint.any_colour(), size))
            )
    for _ in range(random.randint(1, 2)):
        power = random.uniform(0.8, 3.0)
        warm = random.uniform(0.6, 1.0)
        at = (random.uniform(-1.5, 1.5), random.uniform(-1.5, 1.0), random.uniform(1.6, 2.6))
        b.lamp(at, (power, power * (0.5 + 0.5 * warm), power * warm), random.uniform(0.05, 0.4))
    level = random.uniform(0.15, 0.6)
    grey = random.uniform(0.2, 1.5)
    sky = Sky(zenith=(grey, grey, grey), horizon=(grey, grey, grey))
    focus = tuple(point for point in b.focus if abs(point[0]) < 1.1 and abs(point[1]) < 1.1)
    stage = Stage((-1.0, -1.3, tall + 0.15), (1.0, 0.4, tall + 0.9), focus, walking=False)
    above, below = (level, level * 0.97, level * 0.93), (level * 0.6, level * 0.56, level * 0.5)
    return b.finish("clutter", stage, sky, above, below, reach=random.uniform(0.15, 0.6))

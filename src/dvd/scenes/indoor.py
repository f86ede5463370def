"""Furnished rooms, and table tops and floors full of things at close range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from random import Random

from dvd.scenes import things
from dvd.scenes.scene import Motion, Scene, SceneBuilder, Stage
from dvd.scenes.textures import STRIPES, Sky, TextureBank

THICKNESS = 0.15


@dataclass(frozen=True)
class Opening:
    """A window (sill above 0) or a door, from left to right along its wall; in metres."""

    left: float = -1.0
    right: float = -1.0
    sill: float = 0.0


def build_room(random: Random, bank: TextureBank) -> Scene:
    """Build a furnished room with its lights; houses and trees outside the windows are solids too."""
    b = SceneBuilder(random, bank)
    corridor = random.random() < 0.12
    wide = random.uniform(1.3, 2.4) if corridor else random.uniform(2.5, 8.0)
    deep = random.uniform(6.0, 14.0) if corridor else random.uniform(2.5, 8.0)
    tall = random.uniform(2.3, 3.2)
    white = b.paint.colour(0.1, 0.1, (0, 0.1), (0.75, 1.0))
    ceiling = b.add(b.paint.wall() if random.random() < 0.25 else b.paint.material(white, noise=0.05))
    b.box((wide / 2, deep / 2, -0.1), (wide / 2 + 3, deep / 2 + 3, 0.1), b.add(b.paint.floor()))
    b.box((wide / 2, deep / 2, tall + 0.1), (wide / 2 + 3, deep / 2 + 3, 0.1), ceiling)
    paint, trim = b.add(b.paint.wall()), b.add(b.paint.wall() if random.random() < 0.3 else b.paint.material(white))
    style = "corridor" if corridor else random.choice(("living", "kitchen", "kitchen", "office", "bedroom", "mixed"))
    windows = 0
    corners = ((0, 0, 0.0, wide), (wide, 0, pi / 2, deep), (wide, deep, pi, wide), (0, deep, -pi / 2, deep))
    for x, y, yaw, length in corners:
        own = b.add(b.paint.wall()) if random.random() < 0.15 else paint
        with b.at(x, y, 0, yaw):
            chance = random.random()
            if length < 1.2 or chance < 0.35:
                opening = _wall(b, length, tall, own, trim)
            elif chance < 0.68 and windows < 2:
                windows += 1
                opening = _window_wall(b, length, tall, own, trim)
            else:
                opening = _door_wall(b, length, tall, own, trim)
            _furnish(b, length, tall, style, opening, wide < 2.5 or deep < 2.5)
    if not corridor:
        _middle(b, wide, deep, style)
    _ceiling_lights(b, wide, deep, tall)
    day = random.random() < 0.75
    if windows and day and random.random() < 0.5:
        strength = random.uniform(1.5, 5.0)
        direction = (random.uniform(-1, 1), random.uniform(-1, 1), random.uniform(0.4, 1.2))
        b.sun(direction, (strength, strength * 0.93, strength * 0.8))
    level = random.uniform(0.15, 0.6)
    warm = random.uniform(0.75, 1.05)
    bright = random.uniform(1.0, 4.0) if day else 0.03
    sky = Sky(
        zenith=(0.5 * bright, 0.65 * bright, 0.9 * bright),
        horizon=(0.8 * bright, 0.85 * bright, 0.9 * bright),
        photo=b.paint.photo() if random.random() < 0.4 else -1,
        seed=random.randrange(1 << 16),
        above=(level, level * 0.97, level * warm),
        below=(level * 0.75, level * 0.7, level * 0.65 * warm),
    )
    stage = Stage(
        (0.3, 0.3, 0.5),
        (wide - 0.3, deep - 0.3, min(1.9, tall - 0.4)),
        tuple(b.focus),
        elbow_room=random.uniform(0.3, 1.0),
    )
    return b.finish("room", stage, sky, reach=random.uniform(0.6, 1.6))


def _wall(b: SceneBuilder, length: float, tall: float, paint: int, trim: int) -> Opening:
    b.box((length / 2, -THICKNESS / 2, tall / 2), (length / 2 + THICKNESS, THICKNESS / 2, tall / 2), paint)
    if b.random.random() < 0.8:
        b.box((length / 2, 0.008, 0.04), (length / 2, 0.008, 0.04), trim)
    return Opening()


def _pierced(b: SceneBuilder, length: float, tall: float, paint: int, hole: tuple[float, float, float, float]) -> None:
    left, right, low, high = hole
    y, half = -THICKNESS / 2, THICKNESS / 2
    b.box(((left - THICKNESS) / 2, y, tall / 2), ((left + THICKNESS) / 2, half, tall / 2), paint)
    b.box(((length + THICKNESS + right) / 2, y, tall / 2), ((length + THICKNESS - right) / 2, half, tall / 2), paint)
    b.box(((left + right) / 2, y, (high + tall) / 2), ((right - left) / 2, half, (tall - high) / 2), paint)
    if low > 0.0:
        b.box(((left + right) / 2, y, low / 2), ((right - left) / 2, half, low / 2), paint)


def _window_wall(b: SceneBuilder, length: float, tall: float, paint: int, trim: int) -> Opening:
    r = b.random
    half = min(length * 0.42, r.uniform(0.4, 1.6))
    x, low, high = r.uniform(half + 0.1, length - half - 0.1), r.uniform(0.3, 1.1), tall - r.uniform(0.15, 0.6)
    _pierced(b, length, tall, paint, (x - half, x + half, low, high))
    middle, reach = (low + high) / 2, (high - low) / 2
    for side in (-1, 1):
        b.box((x + side * half, -0.07, middle), (0.035, 0.03, reach), trim)
        b.box((x, -0.07, middle + side * reach), (half, 0.03, 0.035), trim)
    for n in range(r.randint(0, 3)):
        b.box((x + half * r.choice((-0.33, 0.0, 0.33)) * (1 if n else 0), -0.07, middle), (0.02, 0.02, reach), trim)
    b.box((x, 0.06, low - 0.01), (half + 0.05, 0.1, 0.015), trim)
    kind = r.random()
    if kind < 0.35:
        # Frosted, curtained or photographed: a bright pane where the glass is.
        view = (
            b.paint.picture(1.5)
            if r.random() < 0.6
            else b.paint.material((0.9, 0.95, 1.0), emission=r.uniform(0.5, 2.0))
        )
        b.box((x, -0.1, middle), (half, 0.005, reach), b.add(view))
    else:
        _outside(b, x)
    if r.random() < 0.45:
        cloth, drop = b.add(b.paint.cloth()), r.choice((low - 0.1, 0.05))
        share = r.uniform(0.15, 0.5)
        for side in (-1, 1):
            for n in range(3):
                w = half * share / 3
                at = (x + side * (half * 1.05 - w * (2 * n + 1)), 0.1, (high + 0.1 + drop) / 2)
                b.cylinder(at, (w, 0.03, (high + 0.1 - drop) / 2), cloth)
    elif r.random() < 0.3:
        blind = b.paint.material(
            b.paint.any_colour(), (0.05, 0.05, 0.05), pattern=STRIPES, period=(0.05, 1), fraction=0.3, turned=True
        )
        bottom = low + (high - low) * r.uniform(0.2, 0.8)
        b.box((x, 0.0, (bottom + high) / 2), (half, 0.01, (high - bottom) / 2), b.add(blind))
    if r.random() < 0.5:
        with b.at(x, 0.05, low + 0.005):
            things.clutter(b, half * 0.9, 0.05, r.randint(1, 4))
    size = 0.5 * min(half, reach)
    light = r.uniform(0.8, 3.5) * half * reach
    b.lamp((x, 0.15, middle + 0.2), (light * 0.9, light * 0.97, light * 1.1), size)
    return Opening(x - half, x + half, low)


def _outside(b: SceneBuilder, x: float) -> None:
    r = b.random
    far = r.uniform(5.0, 40.0)
    view = b.paint.picture(r.uniform(0.6, 2.0)) if r.random() < 0.6 else b.paint.facade(3.0)
    drop = r.uniform(0.0, 6.0)
    b.box((x, -far, far * 0.25 - drop), (far * r.uniform(0.6, 1.5), 0.05, far * r.uniform(0.2, 0.5)), b.add(view))
    if r.random() < 0.5:
        with b.at(x + r.uniform(-3, 3), -far * r.uniform(0.3, 0.8), -drop):
            things.tree(b, r.uniform(4, 9))


def _door_wall(b: SceneBuilder, length: float, tall: float, paint: int, trim: int) -> Opening:
    r = b.random
    half, high = r.uniform(0.38, 0.5), r.uniform(1.95, 2.15)
    x = r.uniform(half + 0.1, length - half - 0.1)
    _pierced(b, length, tall, paint, (x - half, x + half, 0.0, high))
    for side in (-1, 1):
        b.box((x + side * (half + 0.03), 0.01, high / 2), (0.035, 0.015, high / 2 + 0.03), trim)
    b.box((x, 0.01, high + 0.03), (half + 0.06, 0.015, 0.035), trim)
    door, grip = b.add(b.paint.wood()), b.add(b.paint.metal())
    ajar = r.random()
    yaw = 0.0 if ajar < 0.45 else r.uniform(0.3, 2.0)
    with b.at(x - half, -0.03, 0, -yaw):
        b.box((half, -0.02, high / 2), (half - 0.005, 0.02, high / 2), door)
        b.box((half * 1.8, 0.03, 1.0), (0.06, 0.015, 0.012), grip)
        if r.random() < 0.5:
            panel = b.add(b.paint.wood())
            for z in (0.28, 0.72):
                b.box((half, 0.002, high * z), (half * 0.65, 0.004, high * 0.17), panel)
    if yaw > 0.0:
        # The next room: its far wall, side walls and something in it.
        far = r.uniform(1.0, 2.8)
        back = b.add(b.paint.wall())
        b.box((x, -far - 0.1, tall / 2), (3.0, 0.1, tall / 2), back)
        for side in (-1, 1):
            b.box((x + side * r.uniform(1.0, 2.5), -far / 2 - 0.1, tall / 2), (0.05, far / 2 - 0.06, tall / 2), back)
        if r.random() < 0.5:
            with b.at(x + r.uniform(-0.4, 0.4), -far, 0):
                r.choice((lambda: things.shelf(b, 0.5, 1.8), lambda: things.sofa(b, 0.8)))()
    return Opening(x - half - 0.1, x + half + 0.1)


def _furnish(b: SceneBuilder, length: float, tall: float, style: str, opening: Opening, narrow: bool) -> None:
    """Build furniture side by side along a wall; only low pieces under a window, none before a door."""
    r = b.random
    x = r.choice((0.02, 0.3, 0.9))
    while x < length - 0.5:
        half = min(r.uniform(0.35, 1.6), (length - x) / 2 - 0.02)
        if half < 0.3:
            break
        with b.at(x + half, 0.01):
            if x < opening.right and x + 2 * half > opening.left:
                if opening.sill > 0.5 and not narrow and r.random() < 0.6:
                    _low_item(b, half, opening.sill)
            elif r.random() < 0.82:
                PIECES[r.choice(STYLES["corridor" if narrow else style])](b, half, tall)
            elif r.random() < 0.4:
                _hang(b, half, tall)
        x += 2 * half + r.choice((0.0, 0.05, 0.5, 1.0))


def _low_item(b: SceneBuilder, half: float, sill: float) -> None:
    r = b.random
    kind = r.random()
    if kind < 0.35:
        things.radiator(b, half)
    elif kind < 0.7:
        deep, high = r.uniform(0.3, 0.6), sill - 0.03
        things.cupboard(b, half, deep, 0.05, high)
        with b.at(0, deep / 2, high):
            things.clutter(b, half, deep / 2, r.randint(0, 5))
    elif sill > 0.7:
        things.sofa(b, max(half, 0.45))


def _hang(b: SceneBuilder, half: float, tall: float) -> None:
    """Hang up a picture, a clock or a wall shelf."""
    r = b.random
    chance = r.random()
    z = r.uniform(1.35, min(1.8, tall - 0.6))
    if chance < 0.6:
        wide, high = r.uniform(0.12, min(half, 0.6)), r.uniform(0.12, 0.45)
        frame, inner = b.add(b.paint.wood()), b.add(b.paint.picture() if r.random() < 0.8 else b.paint.print())
        b.box((0, 0.012, z), (wide + 0.03, 0.012, high + 0.03), frame)
        b.box((0, 0.025, z), (wide, 0.003, high), inner)
    elif chance < 0.75:
        b.cylinder((0, 0.02, z + 0.2), (0.15, 0.15, 0.02), b.add(b.paint.plain()), (0, 0, pi / 2))
    else:
        b.box((0, 0.12, z), (half * 0.7, 0.12, 0.012), b.add(b.paint.wood()))
        with b.at(0, 0.12, z + 0.012):
            things.clutter(b, half * 0.65, 0.06, r.randint(1, 5))


def _cupboard(b: SceneBuilder, half: float, tall: float) -> None:
    r = b.random
    high = r.uniform(0.7, min(2.2, tall - 0.1))
    things.cupboard(b, half, r.uniform(0.35, 0.6), 0.04, high)
    with b.at(0, 0.2, high):
        things.clutter(b, half, 0.12, r.randint(0, 3))


def _sideboard(b: SceneBuilder, half: float) -> None:
    r = b.random
    things.cupboard(b, half, r.uniform(0.3, 0.45), 0.05, 0.55)
    with b.at(0, 0.2, 0.55):
        things.clutter(b, half, 0.15, r.randint(1, 5))


def _sideboard_below_a_picture(b: SceneBuilder, half: float, tall: float) -> None:
    _sideboard(b, half)
    _hang(b, half, tall)


def _television(b: SceneBuilder, half: float, _: float) -> None:
    _sideboard(b, half)
    with b.at(0, 0.12, 0.55, pi):
        things.monitor(b)


def _sofa(b: SceneBuilder, half: float, tall: float) -> None:
    things.sofa(b, max(half, 0.45))
    _hang(b, half, tall)


def _armchair(b: SceneBuilder, half: float, tall: float) -> None:
    things.sofa(b, 0.45)
    _hang(b, half, tall)


def _plant(b: SceneBuilder, _half: float, _tall: float) -> None:
    with b.at(0, 0.35):
        things.plant(b, b.random.uniform(0.5, 1.4))


def _boxes(b: SceneBuilder, half: float, _: float) -> None:
    r = b.random
    for _ in range(r.randint(1, 4)):
        size = (r.uniform(0.1, 0.3), r.uniform(0.1, 0.25), r.uniform(0.1, 0.3))
        at = (r.uniform(-half, half), 0.3, size[2])
        b.box(at, size, b.add(b.paint.textured(b.paint.wood_colour())), (r.random(), 0, 0))


PIECES: dict[str, Callable[[SceneBuilder, float, float], None]] = {
    "counter": lambda b, half, _: things.counter(b, half),
    "fridge": lambda b, half, _: things.cupboard(b, min(half, 0.32), 0.62, 0.03, b.random.uniform(1.2, 2.0)),
    "shelf": lambda b, half, tall: things.shelf(b, min(half, 0.9), b.random.uniform(0.8, min(2.2, tall - 0.2))),
    "cupboard": _cupboard,
    "sideboard": _sideboard_below_a_picture,
    "television": _television,
    "sofa": _sofa,
    "armchair": _armchair,
    "bed": lambda b, half, _: things.bed(b, max(0.45, min(half, 0.95))),
    "desk": lambda b, half, _: things.desk(b, max(half, 0.5)),
    "plant": _plant,
    "lamp": lambda b, *_: things.floor_lamp(b),
    "radiator": lambda b, half, _: things.radiator(b, half),
    "narrow": lambda b, half, _: things.cupboard(b, half, 0.25, 0.05, b.random.uniform(0.6, 1.8)),
    "boxes": _boxes,
    "picture": _hang,
}
"""Builders of furniture, from half the length of a stretch of wall and the height of the room."""
STYLES = {
    "kitchen": ("counter", "counter", "counter", "fridge", "shelf", "cupboard"),
    "living": ("sofa", "shelf", "sideboard", "cupboard", "plant", "lamp", "television", "armchair"),
    "office": ("desk", "desk", "shelf", "cupboard", "plant", "picture"),
    "bedroom": ("bed", "cupboard", "sideboard", "desk", "plant", "lamp"),
    "corridor": ("picture", "picture", "radiator", "plant", "narrow", "boxes"),
}
STYLES["mixed"] = tuple(name for names in STYLES.values() for name in names)


def _middle(b: SceneBuilder, wide: float, deep: float, style: str) -> None:
    """Build the middle of a room: a rug, tables with chairs, boxes, balls, people."""
    r = b.random
    room = min(wide, deep)
    if r.random() < 0.4:
        half = (r.uniform(0.2, 0.35) * wide, r.uniform(0.2, 0.35) * deep)
        rug = b.paint.patterned(b.paint.any_colour(), b.paint.any_colour(), r.uniform(0.05, 0.3))
        b.box((wide / 2, deep / 2, 0.006), (*half, 0.006), b.add(rug if r.random() < 0.6 else b.paint.cloth()))
    if room > 2.6:
        for _ in range(1 if room < 4.5 else r.randint(1, 3)):
            with b.at(
                wide * r.uniform(0.3, 0.7), deep * r.uniform(0.3, 0.7), 0, r.choice((0, pi / 2, r.uniform(0, pi)))
            ):
                low = style == "living" and r.random() < 0.7
                half = (r.uniform(0.4, 1.0), r.uniform(0.35, 0.5))
                things.table(b, *half, r.uniform(0.38, 0.5) if low else r.uniform(0.7, 0.8))
                for _ in range(0 if low else r.randint(0, 5)):
                    side = r.choice((-1, 1))
                    if r.random() < 0.75:
                        x, y, yaw = r.uniform(-0.8, 0.8) * half[0], -side * (half[1] + r.uniform(-0.1, 0.4)), 0.0
                    else:
                        x, y, yaw = -side * (half[0] + r.uniform(-0.1, 0.4)), 0.0, -pi / 2
                    with b.at(x, y, 0, yaw + (0 if side > 0 else pi) + r.uniform(-0.4, 0.4)):
                        things.chair(b)
    for _ in range(r.choice((0, 0, 1, 3))):
        with b.at(wide * r.uniform(0.15, 0.85), deep * r.uniform(0.15, 0.85), 0, r.uniform(0, 2 * pi)):
            r.choice((things.chair, things.carton, things.ball, things.books, things.plant))(b)
    for _ in range(r.choice((0, 0, 0, 1, 1, 2))):
        heading = r.uniform(0, 2 * pi)
        with b.at(wide * r.uniform(0.2, 0.8), deep * r.uniform(0.2, 0.8), 0, heading - pi / 2):
            walking = r.choice((0.0, 0.5, 1.0))
            things.person(b, walking=walking, heading=heading, sitting=walking == 0.0 and r.random() < 0.3)
    if r.random() < 0.15:
        size = r.uniform(0.08, 0.25)
        with b.moving(Motion((r.uniform(-1, 1), r.uniform(-1, 1), 0.0))):
            x, y, z = wide * r.uniform(0.3, 0.7), deep * r.uniform(0.3, 0.7), r.uniform(size, 1.5)
            b.ellipsoid((x, y, z), (size,) * 3, b.add(b.paint.patterned((0.8, 0.8, 0.8), b.paint.any_colour(), size)))


def _ceiling_lights(b: SceneBuilder, wide: float, deep: float, tall: float) -> None:
    r = b.random
    across, along = (1, 1) if max(wide, deep) < 4.5 else r.choice(((1, 2), (2, 2), (1, 3)))
    warm = r.uniform(0.55, 1.0)
    on = r.random() < 0.75
    glow = b.add(b.paint.material((1.0, 0.95, 0.9), emission=r.uniform(1.0, 3.0) if on else 0.1))
    hang = r.choice((0.0, 0.0, 0.3, 0.7)) if tall > 2.5 else 0.0
    panel = r.random() < 0.5
    lit = 0
    for i in range(across):
        for j in range(along):
            x, y, z = wide * (i + 0.5) / across, deep * (j + 0.5) / along, tall - hang
            if panel:
                b.box((x, y, z - 0.02), (r.uniform(0.15, 0.6), 0.15, 0.02), glow)
            else:
                b.cylinder((x, y, z - 0.06), (0.18, 0.18, 0.05), glow, taper=0.3)
            if hang:
                b.cylinder((x, y, tall - hang / 2), (0.006, 0.006, hang / 2), glow)
            if on and lit < 2:
                lit += 1
                power = r.uniform(1.0, 4.0) * max(1.0, wide * deep / 16) ** 0.5
                b.lamp((x, y, z - 0.18), (power, power * (0.5 + 0.5 * warm), power * warm), 0.12)


def build_clutter(random: Random, bank: TextureBank) -> Scene:
    """Build one surface with many things on it, seen from 0.3–2 m, and something of a room behind."""
    b = SceneBuilder(random, bank)
    on_floor = random.random() < 0.3
    tall = 0.0 if on_floor else random.uniform(0.4, 1.0)
    room = random.uniform(1.2, 4.0)
    floor, wall = b.add(b.paint.floor()), b.add(b.paint.wall())
    b.box((0, 0, -0.1), (6, 6, 0.1), floor)
    b.box((0, 0, 2.7), (6, 6, 0.1), b.add(b.paint.material((0.8, 0.8, 0.78))))
    for n in range(4):
        away = room if n == 0 else random.uniform(room, 5.0)
        with b.at(0, 0, 0, n * pi / 2):
            own = wall if random.random() < 0.7 else b.add(b.paint.wall())
            b.box((0, away + 0.1, 1.3), (6, 0.1, 1.3), own)
            if random.random() < 0.35:
                view = (
                    b.paint.picture(random.uniform(0.8, 2.0))
                    if random.random() < 0.6
                    else b.paint.material(emission=1.5)
                )
                b.box(
                    (random.uniform(-1, 1), away, 1.5),
                    (random.uniform(0.3, 1.0), 0.01, random.uniform(0.3, 0.7)),
                    b.add(view),
                )
            with b.at(random.uniform(-0.8, 0.8), away - 0.01, 0, pi):
                kind = random.random()
                if kind < 0.25:
                    things.shelf(b, 0.8, 1.9)
                elif kind < 0.45:
                    things.cupboard(b, 0.9, 0.4, 0, random.uniform(0.8, 2.0))
                elif kind < 0.6:
                    things.counter(b, 1.2)
                elif kind < 0.7:
                    things.sofa(b, 0.9)
    wide, deep = random.uniform(0.4, 1.0), random.uniform(0.3, 0.6)
    if not on_floor:
        things.table(b, wide, deep, tall)
    with b.at(0, 0, tall):
        things.clutter(b, wide, deep, random.randint(6, 26))
    for _ in range(random.choice((0, 1, 2))):
        with b.at(
            random.uniform(-1.2, 1.2), random.choice((-1, 1)) * random.uniform(0.7, 1.2), 0, random.uniform(0, 6)
        ):
            random.choice((things.chair, things.carton, things.plant, things.ball))(b)
    if random.random() < 0.3:
        with b.at(random.uniform(-0.8, 0.8), deep + 0.35, 0, pi):
            things.person(b, sitting=random.random() < 0.5)
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
    sky = Sky(
        zenith=(grey, grey, grey),
        horizon=(grey, grey, grey),
        above=(level, level * 0.97, level * 0.93),
        below=(level * 0.6, level * 0.56, level * 0.5),
    )
    focus = tuple(point for point in b.focus if abs(point[0]) < 1.1 and abs(point[1]) < 1.1)
    stage = Stage((-1.0, -1.3, tall + 0.15), (1.0, 0.4, tall + 0.9), focus, walking=False)
    return b.finish("clutter", stage, sky, reach=random.uniform(0.15, 0.6))

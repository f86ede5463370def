"""A scene under construction and a finished scene: primitives, materials, lights, sky, and how things move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import cos, sin
from random import Random

import numpy as np

from dvd.data.procedural.materials import Colour, Palette, Row
from dvd.data.procedural.raytrace import BOX, CYLINDER, ELLIPSOID, NO_CUT, QUAD
from dvd.data.procedural.textures import TextureBank

Vector = tuple[float, float, float]
Faces = int | tuple[int, ...]
STILL = 0


@dataclass(frozen=True)
class Cut:
    """Holes in a quad or ellipsoid: a kind of `raytrace` (LEAVES, BARS, …) and its three numbers."""

    kind: int = NO_CUT
    a: float = 0.0
    b: float = 0.0
    c: float = 0.0


@dataclass(frozen=True)
class Motion:
    """How a group moves: swing about a horizontal axis through `hinge`, turn about the vertical through `pivot`, drift.

    Velocity in m/s, spin in rad/s, swing and phase in rad, frequency in Hz; `heading` is the swing axis' azimuth.
    """

    velocity: Vector = (0.0, 0.0, 0.0)
    spin: float = 0.0
    pivot: Vector = (0.0, 0.0, 0.0)
    hinge: Vector = (0.0, 0.0, 0.0)
    heading: float = 0.0
    swing: float = 0.0
    frequency: float = 1.0
    phase: float = 0.0

    def pose(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """Rotation 3 3 and translation 3 (metres) that carry a point of the group from time 0 to `seconds`."""
        angle = self.swing * sin(6.2831853 * self.frequency * seconds + self.phase)
        c, s, a, b = cos(angle), sin(angle), cos(self.heading), sin(self.heading)
        axis = np.array([[a * a, a * b, 0.0], [a * b, b * b, 0.0], [0.0, 0.0, 0.0]])
        cross = np.array([[0.0, 0.0, b], [0.0, 0.0, -a], [-b, a, 0.0]])
        swing = c * np.eye(3) + (1.0 - c) * axis + s * cross
        c, s = cos(self.spin * seconds), sin(self.spin * seconds)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        hinge, pivot = np.array(self.hinge), np.array(self.pivot)
        shift = turn @ (hinge - swing @ hinge - pivot) + pivot + np.array(self.velocity) * seconds
        return turn @ swing, shift


@dataclass(frozen=True)
class Sky:
    """What stands behind everything: a gradient with clouds, or a photograph; sun direction and fog (1/m)."""

    zenith: Colour = (0.25, 0.45, 0.9)
    horizon: Colour = (0.8, 0.85, 0.95)
    photo: int = -1
    photo_turns: float = 2.0
    photo_height: float = 0.9
    steepness: float = 3.0
    clouds: float = 0.0
    cloud_size: float = 1.0
    cloud_light: float = 1.0
    sun: Vector = (0.0, 0.0, 1.0)
    glow: float = 0.0
    fog: float = 0.0
    seed: int = 0

    def row(self) -> np.ndarray:
        """The 19 numbers that patterns.sky_colour reads."""
        return np.array(
            [
                *(self.photo, self.photo_turns, self.photo_height, *self.zenith, *self.horizon, self.steepness),
                *(self.clouds, self.cloud_size, self.seed, *self.sun, self.glow, self.cloud_light, self.fog),
            ]
        )


@dataclass(frozen=True)
class Stage:
    """Where cameras may stand and what they like to look at; all in metres, world axes, z up.

    `focus` are points worth looking at; `heading` is the road's azimuth (None where no direction is special); at most
    a quarter of a view is nearer than `elbow_room`.
    """

    low: Vector
    high: Vector
    focus: tuple[Vector, ...] = ()
    heading: float | None = None
    walking: bool = True
    elbow_room: float = 0.3


@dataclass(frozen=True)
class Scene:
    """N primitives with K materials, ready to be traced; see raytrace.py for the meaning of the arrays."""

    family: str
    kinds: np.ndarray
    shapes: np.ndarray
    centres: np.ndarray
    rotations: np.ndarray
    halves: np.ndarray
    faces: np.ndarray
    materials: np.ndarray
    movers: np.ndarray
    motions: tuple[Motion, ...]
    lights: np.ndarray
    ambient: np.ndarray
    sky: np.ndarray
    stage: Stage
    reach: float
    bank: TextureBank

    @property
    def moves(self) -> bool:
        """Whether anything changes place over time."""
        return bool((self.movers != STILL).any())

    def frames_at(self, seconds: float) -> np.ndarray:
        """N 24: local frames, centres, axes and half sizes of all primitives at a time."""
        centres, rotations = self.centres.copy(), self.rotations.copy()
        for index, motion in enumerate(self.motions):
            if index == STILL:
                continue
            group = self.movers == index
            turn, shift = motion.pose(seconds)
            centres[group] = centres[group] @ turn.T + shift
            rotations[group] = turn @ rotations[group]
        axes = rotations * self.halves[:, None, :]
        inverse = rotations.transpose(0, 2, 1) / self.halves[:, :, None]
        n = len(centres)
        return np.concatenate([inverse.reshape(n, 9), centres, axes.reshape(n, 9), self.halves], 1)


@dataclass
class SceneBuilder:
    """Collects primitives in nested placements; all lengths in metres, z up, angles in radians."""

    random: Random
    bank: TextureBank
    paint: Palette = field(init=False)
    primitives: list[tuple[float, ...]] = field(default_factory=list)
    faces: list[tuple[int, ...]] = field(default_factory=list)
    materials: list[Row] = field(default_factory=list)
    motions: list[Motion] = field(default_factory=lambda: [Motion()])
    lights: list[tuple[float, ...]] = field(default_factory=list)
    focus: list[Vector] = field(default_factory=list)
    place: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    mover: int = STILL

    def __post_init__(self) -> None:
        plain = Palette(self.random, self.bank)
        self.paint = Palette(self.random, self.bank, tuple(plain.any_colour() for _ in range(4)))

    def add(self, row: Row) -> int:
        """Number of a new material."""
        self.materials.append(row)
        return len(self.materials) - 1

    def world(self, x: float, y: float, z: float) -> Vector:
        """A point of the current placement in world coordinates."""
        px, py, pz, yaw = self.place
        c, s = cos(yaw), sin(yaw)
        return px + c * x - s * y, py + s * x + c * y, pz + z

    @contextmanager
    def at(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Iterator[None]:
        """Build relative to (x, y, z), turned by yaw about the vertical."""
        before = self.place
        self.place = (*self.world(x, y, z), before[3] + yaw)
        yield
        self.place = before

    @contextmanager
    def moving(self, motion: Motion) -> Iterator[None]:
        """What is built inside moves together; the motion is given in world coordinates."""
        before = self.mover
        self.motions.append(motion)
        self.mover = len(self.motions) - 1
        yield
        self.mover = before

    def look_at(self, x: float, y: float, z: float) -> None:
        """Remember a point that cameras like to look at."""
        self.focus.append(self.world(x, y, z))

    def _put(self, kind: int, centre: Vector, half: Vector, turn: Vector, taper: float, cut: Cut, faces: Faces) -> None:
        x, y, z = self.world(*centre)
        seed = float(self.random.randrange(1 << 16)) if cut.kind else 0.0
        self.primitives.append(
            (
                *(kind, x, y, z, max(half[0], 1e-4), max(half[1], 1e-4), max(half[2], 1e-4)),
                *(self.place[3] + turn[0], turn[1], turn[2], taper, cut.kind, cut.a, cut.b, cut.c, seed, self.mover),
            )
        )
        self.faces.append((faces,) * 8 if isinstance(faces, int) else (*faces, faces[0], faces[0]))

    def box(self, centre: Vector, half: Vector, faces: Faces, turn: Vector = (0.0, 0.0, 0.0)) -> None:
        """A box; `faces` is one material or six (±x, ±y, ±z); turn = yaw, pitch, roll."""
        self._put(BOX, centre, half, turn, 0.0, Cut(), faces)

    def ellipsoid(
        self, centre: Vector, half: Vector, faces: Faces, turn: Vector = (0.0, 0.0, 0.0), cut: Cut | None = None
    ) -> None:
        """An ellipsoid, solid or with holes."""
        self._put(ELLIPSOID, centre, half, turn, 0.0, cut or Cut(), faces)

    def cylinder(
        self, centre: Vector, half: Vector, faces: Faces, turn: Vector = (0.0, 0.0, 0.0), taper: float = 0.0
    ) -> None:
        """A capped elliptic cylinder along its local z; taper 1 is a cone; six faces: side first, caps 4 and 5."""
        self._put(CYLINDER, centre, half, turn, taper, Cut(), faces)

    def quad(
        self,
        centre: Vector,
        half: tuple[float, float],
        faces: Faces,
        turn: Vector = (0.0, 0.0, 0.0),
        cut: Cut | None = None,
    ) -> None:
        """A rectangle in its local x–y plane, two-sided, solid or with holes."""
        self._put(QUAD, centre, (half[0], half[1], 1e-3), turn, 0.0, cut or Cut(), faces)

    def lamp(self, centre: Vector, colour: Colour, size: float) -> None:
        """A point light of a given size (soft shadows), intensity at one metre."""
        self.lights.append((0.0, *self.world(*centre), *colour, size))

    def sun(self, direction: Vector, colour: Colour, size: float = 0.01) -> None:
        """A light at infinity; `direction` points towards it."""
        length = (direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2) ** 0.5
        self.lights.append((1.0, *(d / length for d in direction), *colour, size))

    def _strongest(self, count: int) -> list[tuple[float, ...]]:
        return sorted(self.lights, key=lambda light: -light[0] * 10.0 - sum(light[4:7]))[:count]

    def finish(self, family: str, stage: Stage, sky: Sky, above: Colour, below: Colour, reach: float) -> Scene:
        """The scene as arrays; `above` and `below` are the ambient light, `reach` that of ambient occlusion (m)."""
        p = np.array(self.primitives, np.float64)
        return Scene(
            family=family,
            kinds=p[:, 0].astype(np.int64),
            shapes=np.ascontiguousarray(p[:, 10:16]),
            centres=p[:, 1:4].copy(),
            rotations=_rotations(p[:, 7], p[:, 8], p[:, 9]),
            halves=p[:, 4:7].copy(),
            faces=np.array(self.faces, np.int64),
            materials=np.array(self.materials, np.float64),
            movers=p[:, 16].astype(np.int64),
            motions=tuple(self.motions),
            lights=np.array(self._strongest(3), np.float64).reshape(-1, 8),
            ambient=np.array([*above, *below]),
            sky=sky.row(),
            stage=stage,
            reach=reach,
            bank=self.bank,
        )


def _rotations(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """N 3 3: Rz(yaw) Ry(pitch) Rx(roll)."""
    a, b, c = np.cos(yaw), np.cos(pitch), np.cos(roll)
    p, q, r = np.sin(yaw), np.sin(pitch), np.sin(roll)
    rows = [a * b, a * q * r - p * c, a * q * c + p * r, p * b, p * q * r + a * c, p * q * c - a * r, -q, b * r, b * c]
    return np.ascontiguousarray(np.stack(rows, 1).reshape(-1, 3, 3))

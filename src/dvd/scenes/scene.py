"""A scene under construction and a finished one: solids, materials, lights, sky, and how things move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import cos, sin
from random import Random
from typing import NamedTuple

import numpy as np

from dvd.scenes.materials import Palette
from dvd.scenes.shade import LIGHT, Light
from dvd.scenes.textures import MATERIAL, SKY, Colour, Material, Sky, TextureBank
from dvd.scenes.trace import BOX, CYLINDER, ELLIPSOID, QUAD, SOLID, Cut, Vector

Faces = int | tuple[int, ...]
STILL = 0
UNTURNED: Vector = (0.0, 0.0, 0.0)
WHOLE = Cut()


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
        """Return rotation 3 3 and translation 3 (metres) that carry the group's points from time 0 to `seconds`."""
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
class Stage:
    """Where cameras may be and where they like to look; all in metres, world axes, z up.

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
    """N solids (trace.SOLID) as they are at time 0, with their materials, lights and sky, ready to be traced."""

    family: str
    solids: np.ndarray
    rotations: np.ndarray
    motions: tuple[Motion, ...]
    materials: np.ndarray
    lights: np.ndarray
    sky: np.record
    stage: Stage
    reach: float
    bank: TextureBank

    @property
    def moves(self) -> bool:
        """Whether anything changes place over time."""
        return bool((self.solids["mover"] != STILL).any())

    def solids_at(self, seconds: float) -> np.ndarray:
        """Return all solids at a time."""
        solids, rotations = self.solids.copy(), self.rotations.copy()
        for index, motion in enumerate(self.motions):
            if index == STILL:
                continue
            group = solids["mover"] == index
            turn, shift = motion.pose(seconds)
            solids["centre"][group] = solids["centre"][group] @ turn.T + shift
            rotations[group] = turn @ rotations[group]
        solids["axes"] = rotations * solids["half"][:, None, :]
        solids["inverse"] = rotations.transpose(0, 2, 1) / solids["half"][:, :, None]
        return solids


class Placement(NamedTuple):
    """The origin of what is built, in world coordinates, and its turn about the vertical."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0


ORIGIN = Placement()


class Draft(NamedTuple):
    """A solid while its scene is under construction; turn is yaw, pitch and roll."""

    kind: int
    centre: Vector
    half: Vector
    turn: Vector
    taper: float
    cut: Cut
    seed: int
    faces: tuple[int, ...]
    mover: int


@dataclass
class SceneBuilder:
    """Collects solids in nested placements; all lengths in metres, z up, angles in radians."""

    random: Random
    bank: TextureBank
    paint: Palette = field(init=False)
    drafts: list[Draft] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)
    motions: list[Motion] = field(default_factory=lambda: [Motion()])
    lights: list[Light] = field(default_factory=list)
    focus: list[Vector] = field(default_factory=list)
    placement: Placement = ORIGIN
    mover: int = STILL

    def __post_init__(self) -> None:
        plain = Palette(self.random, self.bank)
        self.paint = Palette(self.random, self.bank, tuple(plain.any_colour() for _ in range(4)))

    def add(self, material: Material) -> int:
        """Return the index of a new material."""
        self.materials.append(material)
        return len(self.materials) - 1

    def world(self, x: float, y: float, z: float) -> Vector:
        """Return a point of the current placement in world coordinates."""
        px, py, pz, yaw = self.placement
        c, s = cos(yaw), sin(yaw)
        return px + c * x - s * y, py + s * x + c * y, pz + z

    @contextmanager
    def at(self, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Iterator[None]:
        """Build relative to (x, y, z), turned by yaw about the vertical."""
        before = self.placement
        self.placement = Placement(*self.world(x, y, z), before.yaw + yaw)
        yield
        self.placement = before

    @contextmanager
    def moving(self, motion: Motion) -> Iterator[None]:
        """Build things that move together; the motion is in world coordinates."""
        before = self.mover
        self.motions.append(motion)
        self.mover = len(self.motions) - 1
        yield
        self.mover = before

    def look_at(self, x: float, y: float, z: float) -> None:
        """Remember a point that cameras like to look at."""
        self.focus.append(self.world(x, y, z))

    def _add_solid(
        self, kind: int, centre: Vector, half: Vector, turn: Vector, faces: Faces, taper: float = 0.0, cut: Cut = WHOLE
    ) -> None:
        self.drafts.append(
            Draft(
                kind,
                self.world(*centre),
                (max(half[0], 1e-4), max(half[1], 1e-4), max(half[2], 1e-4)),
                (self.placement.yaw + turn[0], turn[1], turn[2]),
                taper,
                cut,
                self.random.randrange(1 << 16) if cut.kind else 0,
                (faces,) * 8 if isinstance(faces, int) else (*faces, faces[0], faces[0]),
                self.mover,
            )
        )

    def box(self, centre: Vector, half: Vector, faces: Faces, turn: Vector = UNTURNED) -> None:
        """Add a box; `faces` is one material or six (±x, ±y, ±z); turn = yaw, pitch, roll."""
        self._add_solid(BOX, centre, half, turn, faces)

    def ellipsoid(self, centre: Vector, half: Vector, faces: Faces, turn: Vector = UNTURNED, cut: Cut = WHOLE) -> None:
        """Add an ellipsoid, solid or with holes."""
        self._add_solid(ELLIPSOID, centre, half, turn, faces, cut=cut)

    def cylinder(self, centre: Vector, half: Vector, faces: Faces, turn: Vector = UNTURNED, taper: float = 0.0) -> None:
        """Add a capped elliptic cylinder along its local z; taper 1 is a cone; six faces: side first, caps 4 and 5."""
        self._add_solid(CYLINDER, centre, half, turn, faces, taper)

    def quad(
        self, centre: Vector, half: tuple[float, float], faces: Faces, turn: Vector = UNTURNED, cut: Cut = WHOLE
    ) -> None:
        """Add a rectangle in its local x–y plane, two-sided, solid or with holes."""
        self._add_solid(QUAD, centre, (*half, 1e-3), turn, faces, cut=cut)

    def lamp(self, centre: Vector, colour: Colour, size: float) -> None:
        """Add a point light with its intensity at one metre; `size` in metres softens its shadows."""
        self.lights.append(Light(False, self.world(*centre), colour, size))

    def sun(self, direction: Vector, colour: Colour, size: float = 0.01) -> None:
        """Add a light at infinity; `direction` points towards it, `size` is in radians."""
        x, y, z = direction
        length = (x**2 + y**2 + z**2) ** 0.5
        self.lights.append(Light(True, (x / length, y / length, z / length), colour, size))

    def finish(self, family: str, stage: Stage, sky: Sky, reach: float) -> Scene:
        """Return the scene with its three strongest lights; `reach` is that of ambient occlusion in metres."""
        solids = np.zeros(len(self.drafts), SOLID)
        for name in ("kind", "centre", "half", "taper", "cut", "seed", "faces", "mover"):
            solids[name] = np.array([getattr(draft, name) for draft in self.drafts], SOLID[name].base)
        turns = np.array([draft.turn for draft in self.drafts])
        strongest = sorted(self.lights, key=lambda light: -10.0 * light.is_sun - sum(light.colour))[:3]
        return Scene(
            family=family,
            solids=solids,
            rotations=_rotations(turns[:, 0], turns[:, 1], turns[:, 2]),
            motions=tuple(self.motions),
            materials=np.array(self.materials, MATERIAL),
            lights=np.array(strongest, LIGHT),
            sky=np.array([sky], SKY)[0],
            stage=stage,
            reach=reach,
            bank=self.bank,
        )


def _rotations(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Return N 3 3: Rz(yaw) Ry(pitch) Rx(roll)."""
    a, b, c = np.cos(yaw), np.cos(pitch), np.cos(roll)
    p, q, r = np.sin(yaw), np.sin(pitch), np.sin(roll)
    rows = [a * b, a * q * r - p * c, a * q * c + p * r, p * b, p * q * r + a * c, p * q * c - a * r, -q, b * r, b * c]
    return np.ascontiguousarray(np.stack(rows, 1).reshape(-1, 3, 3))

"""The story of one sample: build a scene, find a camera worth looking through, trace, light, develop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from dvd.data.procedural import look, raytrace, shading, shadows
from dvd.data.procedural.camera import Path, plan
from dvd.data.procedural.clutter import build_clutter
from dvd.data.procedural.rooms import build_room
from dvd.data.procedural.scene import Scene
from dvd.data.procedural.streets import build_street
from dvd.data.procedural.terrain import build_terrain
from dvd.data.procedural.textures import TextureBank
from dvd.errors import OptionError, unknown

BUILDERS: dict[str, tuple[Callable[[Random, TextureBank], Scene], float]] = {
    "room": (build_room, 0.48),
    "clutter": (build_clutter, 0.12),
    "street": (build_street, 0.26),
    "terrain": (build_terrain, 0.14),
}
TRIES = 24
PREVIEW = (27, 36)
"""Height and width of the depth map by which a view is judged."""


@dataclass(frozen=True)
class Clip:
    """A rendered sample of T frames.

    rgb T H W 3 uint8; depth_m T H W float32, planar depth in metres, +inf for sky; intrinsics 3 3 float32; poses
    T 4 4 float32 camera-to-world (x right, y down, z forward; pixel (0, 0) is centred on image point (0, 0)).
    """

    rgb: np.ndarray
    depth_m: np.ndarray
    intrinsics: np.ndarray
    poses: np.ndarray
    family: str
    move: str = "tripod"
    moving: bool = False
    """Whether anything but the camera moves in the scene."""


def families() -> dict[str, float]:
    """The families of scenes and how often each is drawn."""
    return {name: weight for name, (_, weight) in BUILDERS.items()}


def render_clip(
    seed: int,
    frames: int = 1,
    height: int = 144,
    width: int = 192,
    family: str | None = None,
    textures: TextureBank | None = None,
) -> Clip:
    """One clip of a random scene with exact depth; the same arguments give the same bits.

    `family` is one of families(), None draws one; without `textures` surfaces are procedural. Raises OptionError for
    an unknown family or a size below 8.
    """
    random, scene = _scene(seed, frames, height, width, family, textures)
    return _clip(scene, random, seed, frames, height, width)


def render_views(
    seed: int,
    views: int = 4,
    height: int = 144,
    width: int = 192,
    family: str | None = None,
    textures: TextureBank | None = None,
) -> list[Clip]:
    """Several independent single-frame views of one scene, each with its own camera and look; see render_clip."""
    random, scene = _scene(seed, 1, height, width, family, textures)
    return [_clip(scene, random, seed + 7919 * view, 1, height, width) for view in range(views)]


def _scene(
    seed: int, frames: int, height: int, width: int, family: str | None, textures: TextureBank | None
) -> tuple[Random, Scene]:
    if frames < 1 or height < 8 or width < 8:
        raise OptionError(f"cannot render {frames} frames of {height} × {width}: at least 1 frame of 8 × 8 is needed")
    if family is not None and family not in BUILDERS:
        raise OptionError(unknown("family of scenes", family, BUILDERS))
    random = Random(seed)
    weights = families()
    drawn = random.choices(list(weights), list(weights.values()))[0]
    build, _ = BUILDERS[family or drawn]
    return random, build(random, textures or TextureBank.empty())


def _clip(scene: Scene, random: Random, seed: int, frames: int, height: int, width: int) -> Clip:
    path = _worthwhile(scene, random, frames, height, width)
    grain = np.random.default_rng(seed)
    rgb = np.empty((frames, height, width, 3), np.uint8)
    depth_m = np.empty((frames, height, width), np.float32)
    camera_look = None
    still = not scene.moves
    for n in range(frames):
        if n > 0 and still and path.move == "tripod":
            depth_m[n] = depth_m[0]
        else:
            frame = scene.frames_at(path.times[n])
            depth_m[n], radiance = _trace(scene, frame, path.row(n), height, width)
        camera_look = camera_look or look.choose(random, radiance)
        rgb[n] = look.develop(camera_look, radiance, grain)
    poses = path.poses.astype(np.float32)
    return Clip(rgb, depth_m, path.intrinsics, poses, scene.family, path.move, scene.moves)


def _trace(
    scene: Scene, frames: np.ndarray, camera: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Depth H W and linear radiance H W 3 of one moment."""
    solids = frames, scene.kinds, scene.shapes
    depth, key = raytrace.first_hits(*solids, camera, height, width)
    surface = shading.surfaces(depth, key, *solids, camera)
    tree = shadows.build_tree(frames)
    seen = shadows.visibility(key, surface, scene.lights, scene.reach, *solids, *tree)
    seen = shadows.smooth_visibility(seen, key, scene.lights)
    bank = scene.bank
    images = bank.pixels, bank.offsets, bank.sizes, bank.means
    coats = scene.faces, scene.materials
    radiance = shading.shade(depth, key, surface, seen, scene.lights, scene.sky, scene.ambient, *coats, *images, camera)
    return depth, shading.smooth_edges(radiance, key, *solids, camera)


def _worthwhile(scene: Scene, random: Random, frames: int, height: int, width: int) -> Path:
    """The first of some random camera paths that passes at up to five moments; the best seen if none does."""
    best, best_score = None, -1.0
    moments = sorted({round(share * (frames - 1) / 4) for share in range(5)})
    for _ in range(TRIES):
        path = plan(random, scene, frames, height, width)
        score = min(_score(scene, path, n, height, width) for n in moments)
        if score >= 1.0:
            return path
        if score > best_score:
            best, best_score = path, score
    assert best is not None
    return best


def _score(scene: Scene, path: Path, frame: int, height: int, width: int) -> float:
    """1 for a view worth training on; less where it is flat, empty, pressed against something or inside it."""
    solids = scene.frames_at(path.times[frame])
    camera = path.row(frame)
    inside = np.abs(np.einsum("nij,nj->ni", solids[:, :9].reshape(-1, 3, 3), camera[:3] - solids[:, 9:12])).max(1) < 1.0
    if inside.any():
        return 0.0
    small = camera.copy()
    small[12:14] *= PREVIEW[1] / width, PREVIEW[0] / height
    small[14:] = 0.5 * (PREVIEW[1] - 1), 0.5 * (PREVIEW[0] - 1)
    depth, _ = raytrace.first_hits(solids, scene.kinds, scene.shapes, small, *PREVIEW)
    near, filled = depth < scene.stage.elbow_room, np.isfinite(depth)
    if near.mean() > 0.25 or filled.mean() < 0.3:
        return 0.2 * (1.0 - near.mean()) * filled.mean()
    disparity = np.where(filled, 1.0 / depth, 0.0)
    low, high = np.quantile(disparity, (0.05, 0.95))
    spread = (high - low) / max(high, 1e-6)
    return 1.0 if spread > 0.35 else 0.2 + 2.0 * spread

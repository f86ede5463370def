"""The story of one sample: build a scene, find a camera worth looking through, trace, light, develop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from dvd.errors import OptionError, unknown
from dvd.scenes.camera import CameraPath, develop, draw_look, draw_path
from dvd.scenes.indoor import build_clutter, build_room
from dvd.scenes.outdoor import build_street, build_terrain
from dvd.scenes.scene import Scene
from dvd.scenes.shade import shade, smooth_edges, smooth_visibility, surfaces, visibility
from dvd.scenes.textures import TextureBank, cached_bank
from dvd.scenes.trace import build_tree, first_hits

BUILDERS: dict[str, tuple[Callable[[Random, TextureBank], Scene], float]] = {
    "room": (build_room, 0.48),
    "clutter": (build_clutter, 0.12),
    "street": (build_street, 0.26),
    "terrain": (build_terrain, 0.14),
}
FAMILIES = {name: share for name, (_, share) in BUILDERS.items()}
"""The families of scenes and how often each is drawn."""
TRIES = 24
PREVIEW = (27, 36)
"""Height and width of the depth map by which a view is judged."""
VIEW_STRIDE = 7919
"""Between the noise seeds of a scene's views."""


@dataclass(frozen=True)
class Clip:
    """A rendered sample of T frames.

    rgb T H W 3 uint8; depth_m T H W float32, planar depth in metres, +inf for sky; intrinsics 3 3 float32; poses
    T 4 4 float32 camera-to-world (x right, y down, z forward; pixel (0, 0) is centred on image point (0, 0));
    `moving`: whether anything but the camera moves in the scene.
    """

    rgb: np.ndarray
    depth_m: np.ndarray
    intrinsics: np.ndarray
    poses: np.ndarray
    family: str
    move: str
    moving: bool


def render(
    seed: int,
    frames: int = 1,
    height: int = 144,
    width: int = 192,
    views: int = 1,
    family: str | None = None,
    textures: Path | str | None = None,
) -> list[Clip]:
    """Render `views` clips of one random scene with exact depth, each with its own camera and look.

    The same arguments give the same bits. `family` is one of FAMILIES, None draws one; `textures` is a folder with
    pictures in photos/ and materials/, read once per process, without which surfaces are procedural. Raise OptionError
    for an unknown family or a size below 8, InputError for a folder without pictures.
    """
    if frames < 1 or height < 8 or width < 8:
        raise OptionError(f"cannot render {frames} frames of {height} × {width}: at least 1 frame of 8 × 8 is needed")
    if family is not None and family not in BUILDERS:
        raise OptionError(unknown("family of scenes", family, BUILDERS))
    random = Random(seed)
    drawn = random.choices(list(FAMILIES), list(FAMILIES.values()))[0]
    build, _ = BUILDERS[family or drawn]
    scene = build(random, cached_bank(None if textures is None else str(textures)))
    return [_film(scene, random, seed + VIEW_STRIDE * view, frames, height, width) for view in range(views)]


def _film(scene: Scene, random: Random, seed: int, frames: int, height: int, width: int) -> Clip:
    path = _worthwhile_path(scene, random, frames, height, width)
    grain = np.random.default_rng(seed)
    rgb = np.empty((frames, height, width, 3), np.uint8)
    depth_m = np.empty((frames, height, width), np.float32)
    look = None
    for n in range(frames):
        if n > 0 and path.move == "tripod" and not scene.moves:
            depth_m[n] = depth_m[0]
        else:
            depth_m[n], radiance = _trace(scene, scene.solids_at(path.times[n]), path.camera(n), height, width)
        look = look or draw_look(random, radiance)
        rgb[n] = develop(look, radiance, grain)
    poses = path.poses.astype(np.float32)
    return Clip(rgb, depth_m, path.intrinsics, poses, scene.family, path.move, scene.moves)


def _trace(
    scene: Scene, solids: np.ndarray, camera: np.record, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return depth H W and linear radiance H W 3 of one moment."""
    depth, key = first_hits(solids, camera, height, width)
    surface = surfaces(depth, key, solids, camera)
    seen = visibility(key, surface, scene.lights, scene.reach, solids, build_tree(solids))
    seen = smooth_visibility(seen, key, scene.lights)
    radiance = shade(depth, key, surface, seen, scene.lights, scene.sky, solids, scene.materials, scene.bank, camera)
    return depth, smooth_edges(radiance, key, solids, camera)


def _worthwhile_path(scene: Scene, random: Random, frames: int, height: int, width: int) -> CameraPath:
    """Return the first random camera path that is worthwhile at up to five moments, or the best of TRIES."""
    best, best_score = None, -1.0
    moments = sorted({round(share * (frames - 1) / 4) for share in range(5)})
    for _ in range(TRIES):
        path = draw_path(random, scene.stage, frames, height, width)
        score = min(_score(scene, path, n, height, width) for n in moments)
        if score >= 1.0:
            return path
        if score > best_score:
            best, best_score = path, score
    assert best is not None
    return best


def _score(scene: Scene, path: CameraPath, frame: int, height: int, width: int) -> float:
    """Return 1 for a view worth training on; less where it is flat, empty, pressed against something or inside it."""
    solids, camera = scene.solids_at(path.times[frame]), path.camera(frame)
    local = np.einsum("nij,nj->ni", solids["inverse"], camera["position"] - solids["centre"])
    if (np.abs(local).max(1) < 1.0).any():
        return 0.0
    preview_height, preview_width = PREVIEW
    camera["fx"] *= preview_width / width
    camera["fy"] *= preview_height / height
    camera["cx"], camera["cy"] = 0.5 * (preview_width - 1), 0.5 * (preview_height - 1)
    depth, _ = first_hits(solids, camera, *PREVIEW)
    near, filled = depth < scene.stage.elbow_room, np.isfinite(depth)
    if near.mean() > 0.25 or filled.mean() < 0.3:
        return 0.2 * (1.0 - near.mean()) * filled.mean()
    disparity = np.where(filled, 1.0 / depth, 0.0)
    low, high = np.quantile(disparity, (0.05, 0.95))
    spread = (high - low) / max(high, 1e-6)
    return 1.0 if spread > 0.35 else 0.2 + 2.0 * spread

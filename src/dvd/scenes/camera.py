"""Where the camera stands, how long its lens is, and how it moves: a hand, a walk, a car, a drone, a tripod."""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import atan2, pi, radians, sqrt, tan
from random import Random

import numpy as np
from PIL import Image

from dvd.scenes.scene import Stage
from dvd.scenes.trace import CAMERA, kernel

RATES = (4.0, 7.5, 15.0, 24.0, 30.0)
"""Frames a second. The low ones are what a slow shutter, a skipped frame or a quick hand make of a window: its first
frame and its last show different parts of a scene, at one scale."""
MOVES = ("tripod", "hand", "walk", "pan", "car", "drone")


@dataclass(frozen=True)
class CameraPath:
    """A camera over T frames: intrinsics 3 3 float32, poses T 4 4 float64 camera-to-world, times T in seconds.

    x right, y down, z forward; pixel (0, 0) is centred on image point (0, 0).
    """

    intrinsics: np.ndarray
    poses: np.ndarray
    times: np.ndarray
    move: str

    def camera(self, frame: int) -> np.record:
        """Return the camera of one frame for the kernels."""
        pose, k = self.poses[frame], self.intrinsics
        camera = (pose[:3, 3], pose[:3, :3], k[0, 0], k[1, 1], k[0, 2], k[1, 2])
        return np.array([camera], CAMERA)[0]


def lens(random: Random, height: int, width: int) -> np.ndarray:
    """Intrinsics 3 3 float32 with a horizontal field of view of 35–100°, mostly 45–80°; square pixels, centred."""
    degrees = random.uniform(45, 80) if random.random() < 0.75 else random.uniform(35, 100)
    focal = 0.5 * width / tan(radians(degrees) / 2)
    k = [[focal, 0, 0.5 * (width - 1)], [0, focal, 0.5 * (height - 1)], [0, 0, 1]]
    return np.array(k, np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Camera-to-world 3 3: looks along azimuth `yaw`, raised by `pitch`, then rolled about its axis (radians)."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    forward = np.array([cy * cp, sy * cp, sp])
    right = np.array([sy, -cy, 0.0])
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, c * down - s * right, forward], 1)


def wander(random: Random, times: np.ndarray, hertz: float) -> np.ndarray:
    """T: smooth noise of about unit size, zero at the first frame: a sum of four slow sines."""
    total = np.zeros_like(times)
    for n in range(4):
        w, phase = 2 * pi * hertz * random.uniform(0.4, 1.4) * (1 + 0.5 * n), random.uniform(0, 2 * pi)
        total += (np.sin(w * times + phase) - np.sin(phase)) / (n + 1)
    return total


def place(random: Random, stage: Stage) -> tuple[np.ndarray, float, float, float]:
    """A position 3 and yaw, pitch, roll for one view: towards a point of interest, along the road, or anywhere."""
    at = np.array([random.uniform(lo, hi) for lo, hi in zip(stage.low, stage.high, strict=True)])
    roll = radians(random.gauss(0, 3) if random.random() < 0.75 else random.uniform(-15, 15))
    if stage.heading is not None and random.random() < 0.7:
        side = 0.0 if random.random() < 0.7 else pi
        return at, stage.heading + side + radians(random.gauss(0, 14)), radians(random.uniform(-9, 4)), roll * 0.5
    if stage.focus and random.random() < (0.75 if stage.walking else 0.95):
        # In a room the farther of two: a camera rarely stands right before what it films.
        some = random.choices(stage.focus, k=2 if stage.walking else 1)
        target = max(some, key=lambda point: float(np.linalg.norm(at - point)))
        dx, dy, dz = (t - a for t, a in zip(target, at, strict=True))
        aside, over = radians(random.gauss(0, 12)), radians(random.gauss(0, 8))
        return at, atan2(dy, dx) + aside, max(-1.2, min(0.6, atan2(dz, sqrt(dx * dx + dy * dy)) + over)), roll
    inward = atan2(stage.low[1] + stage.high[1] - 2 * at[1], stage.low[0] + stage.high[0] - 2 * at[0])
    return at, inward + random.gauss(0, 0.9), radians(random.uniform(-35, 12)), roll


def draw_path(random: Random, stage: Stage, frames: int, height: int, width: int) -> CameraPath:
    """A camera path through a scene; one frame is one view at time 0."""
    intrinsics = lens(random, height, width)
    at, yaw, pitch, roll = place(random, stage)
    times = np.arange(frames) / random.choice(RATES)
    seconds = max(float(times[-1]), 1 / max(RATES))
    start = random.uniform(0.0, 1.0)
    move = "tripod" if frames == 1 else _move(random, stage)
    position = np.repeat(at[None], frames, 0)
    yaws, pitches, rolls = (np.full(frames, angle) for angle in (yaw, pitch, roll))
    ahead = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    if move in ("hand", "walk", "pan"):
        shake, turn = random.uniform(0.005, 0.08), radians(0.3 * 27 ** random.random())
        position = position + np.stack([shake * wander(random, times, 0.7) for _ in range(3)], 1)
        yaws, pitches = yaws + turn * wander(random, times, 0.8), pitches + turn * wander(random, times, 0.9)
        rolls = rolls + 0.6 * turn * wander(random, times, 0.8)
    if move == "walk":
        speed = min(random.uniform(0.3, 1.5), 3 / seconds) * random.choice((1, 1, 1, -1))
        aside = random.uniform(-0.5, 0.5)
        step = np.array([ahead[0] - aside * ahead[1], ahead[1] + aside * ahead[0], 0.0])
        position = position + speed * times[:, None] * step
        position[:, 2] += random.uniform(0.0, 0.03) * np.sin(2 * pi * 1.8 * times)
    elif move == "pan":
        yaws = yaws + _turn(random, 120, 60, seconds) * times
        pitches = pitches + _turn(random, 30, 15, seconds) * times
        slide = np.array([random.uniform(-0.4, 0.4) for _ in range(3)]) * np.array([1, 1, 0.4]) / max(1.0, seconds / 3)
        position = position + times[:, None] * slide
    elif move == "car":
        speed = min(random.uniform(2.0, 14.0), 40 / seconds)
        position = position + speed * times[:, None] * ahead
        yaws = yaws + radians(random.uniform(-6, 6)) * times
        pitches = pitches + radians(0.25) * wander(random, times, 1.5)
    elif move == "drone":
        drift = np.array([random.uniform(-3, 3), random.uniform(-3, 3), random.uniform(-0.3, 0.8)])
        drift = drift / max(1.0, seconds / 3)
        position = position + times[:, None] * drift
        yaws = yaws + radians(random.uniform(-20, 20)) * times
        rolls = rolls + radians(1.5) * wander(random, times, 0.5)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for n in range(frames):
        poses[n, :3, :3] = rotation(yaws[n], pitches[n], rolls[n])
    poses[:, :3, 3] = position
    return CameraPath(intrinsics, poses, times + start, move)


def _turn(random: Random, farthest: float, fastest: float, seconds: float) -> float:
    """Radians a second of an even turn: by up to `farthest` degrees in all, at up to `fastest` a second."""
    return radians(random.uniform(-1, 1) * min(farthest / seconds, fastest))


def _move(random: Random, stage: Stage) -> str:
    outdoors = stage.heading is not None
    weights = (0.15, 0.2, 0.1, 0.1, 0.35, 0.1) if outdoors else (0.1, 0.3, 0.3, 0.3, 0.0, 0.0)
    if not stage.walking:
        weights = (0.2, 0.6, 0.0, 0.2, 0.0, 0.0)
    return random.choices(MOVES, weights)[0]


@dataclass(frozen=True)
class Look:
    """One camera's processing, constant over a clip.

    `gain` multiplies linear light; `balance` is per channel; `blur` is a Gaussian's sigma across and down in pixels
    (unequal for the smear of a moving camera); `noise` and
    `shot` are sigmas of 8-bit-scaled read and square-root noise in [0, 1]; `quality` 0 means no JPEG.
    """

    gain: float
    balance: tuple[float, float, float]
    gamma: float
    contrast: float
    saturation: float
    vignette: float
    blur: tuple[float, float]
    noise: float
    shot: float
    quality: int


def draw_look(random: Random, radiance: np.ndarray) -> Look:
    """A random camera, exposed for the first frame's radiance H W 3."""
    luminance = radiance.mean(2)
    middle = float(np.exp(np.log(luminance + 1e-3).mean()))
    bright = float(np.quantile(luminance[::2, ::2], 0.97))
    gain = 0.2 / max(middle, 1e-3)
    gain = min(gain, max(1.6 / max(bright, 1e-3), 0.35 * gain)) * 2.0 ** random.gauss(0.0, 0.55)
    warmth, tint = random.gauss(0, 0.09), random.gauss(0, 0.035)
    soft = random.uniform(0.3, 1.0) if random.random() < 0.45 else 0.0
    smear = random.uniform(0.5, 1.6) if random.random() < 0.12 else 0.0
    blur = (soft + smear, soft) if random.random() < 0.7 else (soft, soft + smear)
    noisy = random.random()
    return Look(
        gain=gain,
        balance=(1.0 + warmth, 1.0 + tint, 1.0 - warmth),
        gamma=random.uniform(1.9, 2.5),
        contrast=random.uniform(-0.1, 0.5),
        saturation=random.uniform(0.55, 1.25),
        vignette=random.choice((0.0, random.uniform(0.0, 0.5))),
        blur=blur,
        noise=random.uniform(0.0, 0.008) if noisy < 0.75 else random.uniform(0.008, 0.035),
        shot=random.uniform(0.0, 0.03) if noisy < 0.75 else random.uniform(0.0, 0.06),
        quality=random.randint(35, 95) if random.random() < 0.6 else 0,
    )


def develop(look: Look, radiance: np.ndarray, grain: np.random.Generator) -> np.ndarray:
    """H W 3 float32 linear radiance → H W 3 uint8; the same generator state gives the same bits."""
    height, width, _ = radiance.shape
    noise = grain.standard_normal((height, width, 3), np.float32)
    if max(look.blur) > 0.0:
        radiance = _blur(radiance, _kernel(look.blur[0]), _kernel(look.blur[1]))
    balance = np.array(look.balance, np.float32)
    values = (look.gain, look.gamma, look.contrast, look.saturation, look.vignette, look.noise, look.shot)
    rgb = _tone(radiance, balance, np.array(values, np.float32), noise)
    if not look.quality:
        return rgb
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=look.quality)
    return np.asarray(Image.open(buffer))


def _kernel(sigma: float) -> np.ndarray:
    if sigma <= 0.0:
        return np.ones(1, np.float32)
    reach = max(1, round(2.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


@kernel
def _blur(image: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    reach = len(row) // 2
    across, out = np.zeros_like(image), np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            for k in range(-reach, reach + 1):
                i, w = min(max(x + k, 0), width - 1), row[k + reach]
                for c in range(3):
                    across[y, x, c] += w * image[y, i, c]
    reach = len(column) // 2
    for y in range(height):
        for k in range(-reach, reach + 1):
            j, w = min(max(y + k, 0), height - 1), column[k + reach]
            for x in range(width):
                for c in range(3):
                    out[y, x, c] += w * across[j, x, c]
    return out


@kernel
def _tone(radiance: np.ndarray, balance: np.ndarray, values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    gain, gamma, contrast, saturation, vignette, read, shot = values
    curve = (np.arange(1025) / np.float32(1024.0)) ** (1.0 / gamma)
    height, width, _ = radiance.shape
    out = np.empty((height, width, 3), np.uint8)
    rgb = np.empty(3, np.float32)
    for y in range(height):
        for x in range(width):
            u, v = 2.0 * x / (width - 1) - 1.0, 2.0 * y / (height - 1) - 1.0
            shade = gain * (1.0 - vignette * 0.5 * (u * u + v * v))
            for c in range(3):
                light = max(0.0, radiance[y, x, c] * shade * balance[c])
                # A shoulder above 0.6 keeps windows from clipping to flat white at once.
                if light > 0.6:
                    light = 0.6 + 0.55 * (1.0 - np.exp(-(light - 0.6) / 0.55))
                # The curve is steep near black: there the exact power, elsewhere the table.
                value = curve[min(1024, int(light * 1024.0 + 0.5))] if light > 0.06 else light ** (1.0 / gamma)
                rgb[c] = value + contrast * (value - 0.5) * value * (1.0 - value) * 2.0
            grey = 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]
            for c in range(3):
                value = grey + saturation * (rgb[c] - grey)
                value += noise[y, x, c] * (read + shot * np.sqrt(max(0.0, value)))
                out[y, x, c] = np.uint8(min(255.0, max(0.0, value * 255.0 + 0.5)))
    return out

"""The camera: its lens, where it is and how it moves, and how it turns linear radiance into a photograph."""

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
"""Frames a second. At the low ones, as with skipped frames or a quick hand, the first and last frame of a window show
different parts of a scene."""


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


def draw_lens(random: Random, height: int, width: int) -> np.ndarray:
    """Draw intrinsics 3 3 float32 with a horizontal field of view of 35–100°, mostly 45–80°; square pixels, centred."""
    degrees = random.uniform(45, 80) if random.random() < 0.75 else random.uniform(35, 100)
    focal = 0.5 * width / tan(radians(degrees) / 2)
    k = [[focal, 0, 0.5 * (width - 1)], [0, focal, 0.5 * (height - 1)], [0, 0, 1]]
    return np.array(k, np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Return camera-to-world 3 3: along azimuth `yaw`, raised by `pitch`, then rolled about the axis (radians)."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    forward = np.array([cy * cp, sy * cp, sp])
    right = np.array([sy, -cy, 0.0])
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    return np.stack([c * right + s * down, c * down - s * right, forward], 1)


def draw_pose(random: Random, stage: Stage) -> tuple[np.ndarray, float, float, float]:
    """Draw a position 3 and yaw, pitch, roll: towards a point of interest, along the road, or anywhere."""
    at = np.array([random.uniform(lo, hi) for lo, hi in zip(stage.low, stage.high, strict=True)])
    roll = radians(random.gauss(0, 3) if random.random() < 0.75 else random.uniform(-15, 15))
    if stage.heading is not None and random.random() < 0.7:
        side = 0.0 if random.random() < 0.7 else pi
        return at, stage.heading + side + radians(random.gauss(0, 14)), radians(random.uniform(-9, 4)), roll * 0.5
    if stage.focus and random.random() < (0.75 if stage.walking else 0.95):
        # In a room the farther of two: people rarely film from right before a thing.
        some = random.choices(stage.focus, k=2 if stage.walking else 1)
        target = max(some, key=lambda point: float(np.linalg.norm(at - point)))
        dx, dy, dz = (t - a for t, a in zip(target, at, strict=True))
        aside, over = radians(random.gauss(0, 12)), radians(random.gauss(0, 8))
        return at, atan2(dy, dx) + aside, max(-1.2, min(0.6, atan2(dz, sqrt(dx * dx + dy * dy)) + over)), roll
    inward = atan2(stage.low[1] + stage.high[1] - 2 * at[1], stage.low[0] + stage.high[0] - 2 * at[0])
    return at, inward + random.gauss(0, 0.9), radians(random.uniform(-35, 12)), roll


@dataclass
class Course:
    """A camera path while it is drawn: times T in s, positions T 3 in m, angles T in rad; `ahead`: first heading."""

    random: Random
    times: np.ndarray
    seconds: float
    ahead: np.ndarray
    position: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray

    def waver(self, hertz: float) -> np.ndarray:
        """Draw T values of smooth noise of about unit size, zero at the first frame: a sum of four slow sines."""
        total = np.zeros_like(self.times)
        for n in range(4):
            w = 2 * pi * hertz * self.random.uniform(0.4, 1.4) * (1 + 0.5 * n)
            phase = self.random.uniform(0, 2 * pi)
            total += (np.sin(w * self.times + phase) - np.sin(phase)) / (n + 1)
        return total

    def turn(self, farthest: float, fastest: float) -> np.ndarray:
        """Draw T angles of an even turn: by up to `farthest` degrees in all, at up to `fastest` a second."""
        speed = self.random.uniform(-1, 1) * min(farthest / self.seconds, fastest)
        return radians(speed) * self.times

    def shift(self, velocity: np.ndarray) -> None:
        """Move evenly, at a velocity in m/s."""
        self.position = self.position + self.times[:, None] * velocity


def _stay(course: Course) -> None:
    """A tripod."""


def _shake(course: Course) -> None:
    """A hand."""
    shake, turn = course.random.uniform(0.005, 0.08), radians(0.3 * 27 ** course.random.random())
    course.position = course.position + np.stack([shake * course.waver(0.7) for _ in range(3)], 1)
    course.yaw = course.yaw + turn * course.waver(0.8)
    course.pitch = course.pitch + turn * course.waver(0.9)
    course.roll = course.roll + 0.6 * turn * course.waver(0.8)


def _walk(course: Course) -> None:
    _shake(course)
    r, ahead = course.random, course.ahead
    speed = min(r.uniform(0.3, 1.5), 3 / course.seconds) * r.choice((1, 1, 1, -1))
    aside = r.uniform(-0.5, 0.5)
    step = np.array([ahead[0] - aside * ahead[1], ahead[1] + aside * ahead[0], 0.0])
    course.position = course.position + speed * course.times[:, None] * step
    course.position[:, 2] += r.uniform(0.0, 0.03) * np.sin(2 * pi * 1.8 * course.times)


def _pan(course: Course) -> None:
    _shake(course)
    course.yaw = course.yaw + course.turn(120, 60)
    course.pitch = course.pitch + course.turn(30, 15)
    slide = np.array([course.random.uniform(-0.4, 0.4) for _ in range(3)])
    course.shift(slide * np.array([1, 1, 0.4]) / max(1.0, course.seconds / 3))


def _drive(course: Course) -> None:
    r = course.random
    speed = min(r.uniform(2.0, 14.0), 40 / course.seconds)
    course.position = course.position + speed * course.times[:, None] * course.ahead
    course.yaw = course.yaw + radians(r.uniform(-6, 6)) * course.times
    course.pitch = course.pitch + radians(0.25) * course.waver(1.5)


def _fly(course: Course) -> None:
    r = course.random
    drift = np.array([r.uniform(-3, 3), r.uniform(-3, 3), r.uniform(-0.3, 0.8)])
    course.shift(drift / max(1.0, course.seconds / 3))
    course.yaw = course.yaw + radians(r.uniform(-20, 20)) * course.times
    course.roll = course.roll + radians(1.5) * course.waver(0.5)


MOVES = {"tripod": _stay, "hand": _shake, "walk": _walk, "pan": _pan, "car": _drive, "drone": _fly}


def draw_path(random: Random, stage: Stage, frames: int, height: int, width: int) -> CameraPath:
    """Draw a camera path through a scene; one frame is always a tripod's."""
    intrinsics = draw_lens(random, height, width)
    position, yaw, pitch, roll = draw_pose(random, stage)
    times = np.arange(frames) / random.choice(RATES)
    seconds = max(float(times[-1]), 1 / max(RATES))
    start = random.uniform(0.0, 1.0)
    move = "tripod" if frames == 1 else _draw_move(random, stage)
    ahead = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    angles = (np.full(frames, angle) for angle in (yaw, pitch, roll))
    course = Course(random, times, seconds, ahead, np.repeat(position[None], frames, 0), *angles)
    MOVES[move](course)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for n in range(frames):
        poses[n, :3, :3] = rotation(course.yaw[n], course.pitch[n], course.roll[n])
    poses[:, :3, 3] = course.position
    return CameraPath(intrinsics, poses, times + start, move)


def _draw_move(random: Random, stage: Stage) -> str:
    outdoors = stage.heading is not None
    weights = (0.15, 0.2, 0.1, 0.1, 0.35, 0.1) if outdoors else (0.1, 0.3, 0.3, 0.3, 0.0, 0.0)
    if not stage.walking:
        weights = (0.2, 0.6, 0.0, 0.2, 0.0, 0.0)
    return random.choices(list(MOVES), weights)[0]


@dataclass(frozen=True)
class Look:
    """One camera's processing, constant over a clip.

    `gain` multiplies linear light; `balance` is per channel; `blur` is a Gaussian's sigma across and down in pixels
    (unequal for the smear of a moving camera); `noise` and `shot` are sigmas of 8-bit-scaled read and square-root noise
    in [0, 1]; `quality` 0 means no JPEG.
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
    """Draw a camera's processing, exposed for the first frame's radiance H W 3."""
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
    """Turn linear radiance H W 3 float32 into H W 3 uint8; the same generator state gives the same bits."""
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

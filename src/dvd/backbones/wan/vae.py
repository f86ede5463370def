"""Wan2.1's causal video autoencoder: 4 n + 1 frames ⇄ n + 1 latent frames, sides divided by eight.

Inside, tensors are `T B H W C`, so that a convolution over time is a sum of image convolutions over shifted frames:
exact, and on a CPU the fastest form at every width. Where the original runs frame by frame to save memory, this runs
over the whole window, or over chunks with what each convolution has last seen carried in `Past`; all three give the
same numbers. Parameters carry the original names.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvd.errors import ModelError, OptionError

Past = dict[nn.Module, Tensor]
"""The last frames that each convolution over time has seen; empty before the first chunk, None for a whole window."""

# fmt: off
WAN_MEAN = (-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
            0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921)
WAN_STD = (2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
           3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160)
# fmt: on


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of the autoencoder, the defaults being Wan2.1's, and the statistics that normalise its latents.

    `patch` × `patch` pixels become channels before the encoder and pixels again after the decoder; an image has
    `channels` channels: 3 for RGB, 1 for disparity alone.
    """

    dim: int = 96
    z_dim: int = 16
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    temporal_downsample: tuple[bool, ...] = (False, True, True)
    latents_mean: tuple[float, ...] = WAN_MEAN
    latents_std: tuple[float, ...] = WAN_STD
    patch: int = 1
    channels: int = 3

    def __post_init__(self) -> None:
        if len(self.temporal_downsample) != len(self.dim_mult) - 1:
            raise ModelError(
                f"{len(self.dim_mult)} levels have {len(self.dim_mult) - 1} steps between them, but "
                f"temporal_downsample names {len(self.temporal_downsample)}; make the two agree"
            )
        if {len(self.latents_mean), len(self.latents_std)} != {self.z_dim}:
            raise ModelError(f"latents_mean and latents_std must have z_dim = {self.z_dim} values each")

    @property
    def time_factor(self) -> int:
        """Frames per latent frame, after the first."""
        return int(2 ** sum(self.temporal_downsample))

    @property
    def spatial_factor(self) -> int:
        """Pixels per side of one latent element."""
        return int(self.patch * 2 ** len(self.temporal_downsample))


class WanVAE(nn.Module):
    """Video ⇄ normalised latent; with `encoder=False` the decoder alone."""

    def __init__(self, config: VAEConfig, encoder: bool = True) -> None:
        super().__init__()
        self.config = config
        if encoder:
            self.encoder = Encoder(config)
            self.conv1 = CausalConv3d(2 * config.z_dim, 2 * config.z_dim, 1)
        self.conv2 = CausalConv3d(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)

    def encode(self, video: Tensor, chunk: int | None = None) -> Tensor:
        """Video `B C T H W` in [-1, 1], T = 4 n + 1 → posterior mean, normalised, `B z t h w`.

        `chunk` latent frames are encoded at a time, which bounds memory; None encodes all at once.
        """
        return self.normalise(self.posterior(video, chunk)[0])

    def normalise(self, latent: Tensor) -> Tensor:
        """Latent `B z t h w` of the posterior → normalised latent, for `decode` and the transformer (Eq. 1)."""
        centre, spread = self._statistics(latent)
        return (latent - centre) / spread

    def posterior(self, video: Tensor, chunk: int | None = None) -> tuple[Tensor, Tensor]:
        """Video `B C T H W` in [-1, 1] → mean and log-variance `B z t h w` of the latent, not normalised."""
        self._check(video)
        parts, past = _parts(video, chunk, self.config.time_factor)
        moments = torch.cat([self.conv1(self.encoder(self._enter(part), past)) for part in parts])
        mean, log_variance = moments.permute(1, 4, 0, 2, 3).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latent: Tensor, chunk: int | None = None) -> Tensor:
        """Normalised latent `B z t h w` → video `B C T H W`, nominally in [-1, 1] but not clamped.

        `chunk` latent frames are decoded at a time, which bounds memory; None decodes all at once.
        """
        centre, spread = self._statistics(latent)
        parts, past = _parts(latent * spread + centre, chunk)
        inside = (self.conv2(part.permute(2, 0, 3, 4, 1).contiguous()) for part in parts)  # t B h w z
        frames = [self._leave(self.decoder(x, past)) for x in inside]
        return frames[0] if len(frames) == 1 else torch.cat(frames, dim=2)

    def _enter(self, video: Tensor) -> Tensor:
        """`B C T H W` → `T B H W C`, patches in channels."""
        return F.pixel_unshuffle(video.permute(2, 0, 1, 3, 4), self.config.patch).permute(0, 1, 3, 4, 2).contiguous()

    def _leave(self, frames: Tensor) -> Tensor:
        """`T B H W C` → `B C T H W`, patches in space."""
        return F.pixel_shuffle(frames.permute(1, 0, 4, 2, 3), self.config.patch).transpose(1, 2)

    def _statistics(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        values = (self.config.latents_mean, self.config.latents_std)
        mean, std = (latent.new_tensor(value).view(1, -1, 1, 1, 1) for value in values)
        return mean, std

    def _check(self, video: Tensor) -> None:
        _, channels, frames, height, width = video.shape
        time, side = self.config.time_factor, self.config.spatial_factor
        if channels != self.config.channels or (frames - 1) % time or height % side or width % side:
            raise ModelError(
                f"a video of (C, T, H, W) = {tuple(video.shape[1:])} does not fit: it needs {self.config.channels} "
                f"channels, {time} n + 1 frames and sides that are multiples of {side}; pad or resize it"
            )


class Encoder(nn.Module):
    """`T B H W C` → mean and log-variance `t B h w 2z`."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.dim * factor for factor in (1, *config.dim_mult)]
        self.conv1 = CausalConv3d(config.channels * config.patch**2, widths[0], 3)
        layers: list[nn.Module] = []
        for level, (entering, width) in enumerate(pairwise(widths)):
            layers += [ResidualBlock(width if i else entering, width) for i in range(config.num_res_blocks)]
            if level < len(config.temporal_downsample):
                layers.append(Downsample(width, config.temporal_downsample[level]))
        self.downsamples = Stages(*layers)
        self.middle = _middle(widths[-1])
        self.head = _head(widths[-1], 2 * config.z_dim)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        x = self.conv1(x, past)
        x = self.downsamples(x, past)
        x = self.middle(x, past)
        return self.head(x, past)


class Decoder(nn.Module):
    """`t B h w z` → `T B H W C`."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        widths = [config.dim * factor for factor in (config.dim_mult[-1], *reversed(config.dim_mult))]
        temporal_upsample = config.temporal_downsample[::-1]
        self.conv1 = CausalConv3d(config.z_dim, widths[0], 3)
        self.middle = _middle(widths[0])
        layers: list[nn.Module] = []
        for level, (entering, width) in enumerate(pairwise(widths)):
            entering = entering // 2 if level else entering  # every upsampling halves the channels
            layers += [ResidualBlock(width if i else entering, width) for i in range(config.num_res_blocks + 1)]
            if level < len(temporal_upsample):
                layers.append(Upsample(width, temporal_upsample[level]))
        self.upsamples = Stages(*layers)
        self.head = _head(widths[-1], config.channels * config.patch**2)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        x = self.conv1(x, past)
        x = self.middle(x, past)
        x = self.upsamples(x, past)
        return self.head(x, past)


class Stages(nn.Sequential):
    """Stages in order; those that look back in time receive the past."""

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        for stage in self:
            x = stage(x, past) if isinstance(stage, LOOKING_BACK) else stage(x)
        return x


class CausalConv3d(nn.Conv3d):
    """Convolution over a frame and the frames before it, padded with zeros before the first frame."""

    def __init__(self, entering: int, leaving: int, kernel: int | tuple[int, int, int]) -> None:
        super().__init__(entering, leaving, kernel)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        reach = self.kernel_size[0] - 1
        known = past.get(self) if past is not None and reach else None
        frames = x if known is None else torch.cat([known, x])
        if past is not None and reach:
            past[self] = frames[-reach:].clone()
        before = len(frames) - len(x)
        now, *earlier = reversed(self.weight.unbind(2))
        y = images(x, now, self.bias)
        for lag, weight in enumerate(earlier, start=1):
            seen = frames[max(before - lag, 0) : len(frames) - lag]
            if len(seen):
                y = _add_to_last(y, images(seen, weight))
        return y


class ResidualBlock(nn.Module):
    """Two convolutions, each after norm and activation, beside a shortcut."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.residual = Stages(
            RMSNorm(entering),
            SiLU(),
            CausalConv3d(entering, leaving, 3),
            RMSNorm(leaving),
            SiLU(),
            nn.Identity(),  # dropout in the original; it keeps the numbers of the parameters
            CausalConv3d(leaving, leaving, 3),
        )
        self.shortcut = nn.Identity() if entering == leaving else CausalConv3d(entering, leaving, 1)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        return self.shortcut(x) + self.residual(x, past)


class FrameAttention(nn.Module):
    """Self-attention with one head over the elements of each frame."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = RMSNorm(dim, axes=2)
        self.to_qkv = nn.Conv2d(dim, 3 * dim, 1)
        self.proj = nn.Conv2d(dim, dim, 1)
        nn.init.zeros_(self.proj.weight)

    def forward(self, x: Tensor) -> Tensor:
        qkv = images(self.norm(x), self.to_qkv.weight, self.to_qkv.bias).flatten(2, 3)  # T B HW 3C
        q, k, v = (part.flatten(0, 1).unsqueeze(1) for part in qkv.chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v).reshape(x.shape)
        return x + images(y, self.proj.weight, self.proj.bias)


class Downsample(nn.Module):
    """Halves the sides and, if `temporal`, the frames after the first."""

    def __init__(self, dim: int, temporal: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.Identity(), nn.Conv2d(dim, dim, 3, stride=2))
        self.time_conv = CausalConv3d(dim, dim, (3, 1, 1)) if temporal else None

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        weight, bias = self.resample[1].parameters()
        x = images(F.pad(x, (0, 0, 0, 1, 0, 1)), weight, bias, stride=2, padding=0)
        return x if self.time_conv is None else self._halve_time(x, self.time_conv, past)

    @staticmethod
    def _halve_time(x: Tensor, conv: CausalConv3d, past: Past | None) -> Tensor:
        """Keep the first frame; convolve all frames, from the first on, in strides of two."""
        known = None if past is None else past.get(conv)
        if past is not None:
            past[conv] = x[-1:].clone()
        frames = x if known is None else torch.cat([known, x])
        if len(frames) == 1:
            return x
        first, second, third = conv.weight.unbind(2)
        halved = images(frames[:-2:2], first, conv.bias) + images(frames[1::2], second) + images(frames[2::2], third)
        return halved if known is not None else torch.cat([x[:1], halved])


class Upsample(nn.Module):
    """Doubles, if `temporal`, the frames after the first; then the sides, halving the channels."""

    def __init__(self, dim: int, temporal: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.Identity(), nn.Conv2d(dim, dim // 2, 3))
        self.time_conv = CausalConv3d(dim, 2 * dim, (3, 1, 1)) if temporal else None

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        if self.time_conv is not None:
            x = self._double_time(x, self.time_conv, past)
        weight, bias = self.resample[1].parameters()
        return _double_sides(x, weight, bias)

    @staticmethod
    def _double_time(x: Tensor, conv: CausalConv3d, past: Past | None) -> Tensor:
        """Keep the first frame; the convolution makes two of each later frame."""
        alone = 1 if past is None or conv not in past else 0
        first, rest = x[:alone], x[alone:]
        if not len(rest):
            if past is not None:
                past[conv] = rest.clone()
            return x
        twice = conv(rest, past).unflatten(-1, (2, -1)).movedim(-2, 1)  # t 2 B h w C
        return torch.cat([first, twice.flatten(0, 1)])


class RMSNorm(nn.Module):
    """Scale the channels of every pixel to unit root mean square, times gamma, whose shape ends in `axes` ones."""

    def __init__(self, dim: int, axes: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim, *(1,) * axes))

    def forward(self, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).clamp_min(1e-12)
        unit = x * (x.shape[-1] ** 0.5 / length).to(x.dtype)
        gamma = self.gamma.flatten().to(x.dtype)
        return unit * gamma if torch.is_grad_enabled() else unit.mul_(gamma)


class SiLU(nn.Module):
    """x · sigmoid(x), in place without gradients."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x, inplace=not torch.is_grad_enabled())


LOOKING_BACK = (Stages, CausalConv3d, ResidualBlock, Downsample, Upsample)


def images(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int | None = None
) -> Tensor:
    """Convolve every frame of `T B H W C` by itself; `padding` keeps its size by default."""
    padding = weight.shape[-1] // 2 if padding is None else padding
    y = F.conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), weight, bias, stride, padding)
    return y.permute(0, 2, 3, 1).contiguous().unflatten(0, x.shape[:2])


def _double_sides(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Double `T B H W C` by nearest neighbour, then convolve 3 × 3, without making the doubled frames.

    Of the nine pixels under the kernel only four differ, so each of the four output phases is a 2 × 2 convolution.
    """
    height, width = x.shape[2:4]
    rows = [_pair(weight, dim=2, phase=phase) for phase in (0, 1)]
    kernels = torch.cat([_pair(row, dim=3, phase=phase) for row in rows for phase in (0, 1)])
    y = images(x, kernels, None if bias is None else bias.repeat(4), padding=1)  # T B H+1 W+1 4C
    phases = y.chunk(4, dim=-1)
    placed = [phases[2 * i + j][:, :, i : i + height, j : j + width] for i in (0, 1) for j in (0, 1)]
    lines = [torch.stack(placed[2 * i : 2 * i + 2], dim=4) for i in (0, 1)]  # T B H W 2 C
    return torch.stack(lines, dim=3).flatten(4, 5).flatten(2, 3)


def _pair(weight: Tensor, dim: int, phase: int) -> Tensor:
    """Return a kernel of 3 on doubled pixels as one of 2 on the pixels themselves, for even (0) or odd (1) outputs."""
    first, second, third = weight.unbind(dim)
    return torch.stack((first, second + third) if phase == 0 else (first + second, third), dim)


def _add_to_last(y: Tensor, term: Tensor) -> Tensor:
    """Add `term` to the last frames of y, in place without gradients."""
    if torch.is_grad_enabled():
        return y + F.pad(term, (0, 0) * 4 + (len(y) - len(term), 0))
    y[len(y) - len(term) :] += term
    return y


def _middle(width: int) -> Stages:
    return Stages(ResidualBlock(width, width), FrameAttention(width), ResidualBlock(width, width))


def _head(width: int, leaving: int) -> Stages:
    return Stages(RMSNorm(width), SiLU(), CausalConv3d(width, leaving, 3))


def _parts(x: Tensor, chunk: int | None, factor: int = 1) -> tuple[list[Tensor], Past | None]:
    """Split `B C T H W` into parts of `chunk` latent frames; a latent frame is `factor` frames, the first is one frame.

    Also return the past that all parts share; None for a whole window.
    """
    if chunk is None:
        return [x], None
    if chunk < 1:
        raise OptionError(f"a chunk of {chunk} latent frames holds nothing; use 1 or more")
    first = factor * (chunk - 1) + 1
    head, tail = x[:, :, :first], x[:, :, first:]
    return [head, *(tail.split(factor * chunk, dim=2) if tail.shape[2] else ())], {}

"""Wan2.1's diffusion transformer: patches of a video latent → tokens → blocks → patches.

A pre-norm vision transformer whose norms are modulated by the timestep, with rotary attention over (t, h, w) and
cross-attention to text. Parameters carry the original names, so a release checkpoint is the state dict. Without a
context the text is all zeros: its tokens are then equal, attention returns their one value, and queries are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dvd.errors import ModelError, unknown

UNREACHED = (".norm3.", ".cross_attn.q.", ".cross_attn.k.", ".cross_attn.norm_q.", ".cross_attn.norm_k.")
"""Parts of the names of parameters that no gradient reaches under the zero context."""

TimeMode = Literal["sinusoidal", "none", "learned"]

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of the angles of every token, `N 1 d/2` float32."""


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the transformer; the defaults are Wan2.1-T2V-1.3B.

    `time` is the conditioning on the timestep (Table 7). `sinusoidal`: as pre-trained. `none`: no conditioning; e and
    e0 are zero, so that only the own modulation of each block and of the head acts, and the time MLPs are unused. The
    paper calls its own row without τ equivalent to τ = 0; that state is `sinusoidal` at timestep 0. `learned`: a new
    vector, learned from random values, in place of the sinusoids, whatever the timestep.
    """

    dim: int = 1536
    in_dim: int = 16
    ffn_dim: int = 8960
    out_dim: int = 16
    text_dim: int = 4096
    freq_dim: int = 256
    eps: float = 1e-6
    patch_size: tuple[int, int, int] = (1, 2, 2)
    num_heads: int = 12
    num_layers: int = 30
    text_length: int = 512
    time: TimeMode = "sinusoidal"

    def __post_init__(self) -> None:
        if self.time not in get_args(TimeMode):
            raise ModelError(unknown("time mode", str(self.time), get_args(TimeMode)))
        if self.dim % (2 * self.num_heads):
            raise ModelError(f"dim {self.dim} does not split into {self.num_heads} heads of even width; change either")

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads


class WanTransformer(nn.Module):
    """Latent and timestep → prediction, both `B C T H W`; H and W must be multiples of the patch.

    Set `gradient_checkpointing` to recompute every block in the backward pass instead of keeping its activations.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        dim = config.dim
        self.patch_embedding = nn.Conv3d(config.in_dim, dim, config.patch_size, stride=config.patch_size)
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        if config.time == "learned":
            self.time_basis = nn.Parameter(torch.randn(config.freq_dim) / 2**0.5)  # as large as sinusoids are
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.head = Head(config)
        self._initialise()

    def forward(self, latent: Tensor, timestep: float | Tensor, context: Tensor | None = None) -> Tensor:
        """Latent `B C T H W` → `B out_dim T H W`.

        `timestep` = 1000 τ is one number or one per sample; `context` is text `B L text_dim`, or None for all zeros.
        """
        grid = token_grid(latent, self.config.patch_size)
        rotation = rotary_angles(grid, self.config.head_dim, latent.device)
        time, modulation = self.time_conditioning(timestep)
        text = self.embed_text(context)
        x = self.embed_patches(latent)  # B N dim
        for block in self.blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, modulation, text, rotation, use_reentrant=False)
            else:
                x = block(x, modulation, text, rotation)
        return unpatchify(self.head(x, time), grid, self.config.patch_size)

    def time_conditioning(self, timestep: float | Tensor) -> tuple[Tensor, Tensor]:
        """Timestep → (e, e0): `B dim` for the head and `B 6 dim` for the blocks; B = 1 where all samples share it."""
        weight, dim = self.patch_embedding.weight, self.config.dim
        if self.config.time == "none":
            return weight.new_zeros(1, dim), weight.new_zeros(1, 6, dim)
        learned = self.config.time == "learned"
        basis = self.time_basis.unsqueeze(0) if learned else sinusoid(timestep, self.config.freq_dim)
        with torch.autocast(weight.device.type, enabled=False):  # timesteps need float32, at little cost
            time = self.time_embedding(basis.to(weight))
            return time, self.time_projection(time).unflatten(1, (6, -1))

    def embed_text(self, context: Tensor | None) -> Tensor:
        """Text `B L text_dim`, padded with zeros → `B text_length dim`; None → `1 1 dim`, one for all equal tokens."""
        weight = self.patch_embedding.weight
        if context is None:
            return self.text_embedding(weight.new_zeros(1, 1, self.config.text_dim))
        missing = self.config.text_length - context.shape[1]
        if missing < 0:
            raise ModelError(f"a text of {context.shape[1]} tokens exceeds {self.config.text_length}; shorten it")
        return self.text_embedding(F.pad(context, (0, 0, 0, missing)).to(weight))

    def embed_patches(self, latent: Tensor) -> Tensor:
        """`B C T H W` → tokens `B N dim`: the strided convolution, computed as one product."""
        weight = self.patch_embedding.weight
        patches = patchify(latent.to(weight.dtype), self.config.patch_size)
        # Under autocast the residual stream stays in the precision of the weights.
        return F.linear(patches, weight.flatten(1), self.patch_embedding.bias).to(weight.dtype)

    def freeze_unreached(self) -> None:
        """Freeze parameters that no gradient reaches under the zero context: distributed training would wait for them.

        These are cross-attention's queries and keys, with their norms and adapters (spec, "Four exact
        simplifications", 1), and the time MLPs where `time` is none.
        """
        idle = ("time_embedding.", "time_projection.") if self.config.time == "none" else ()
        for name, parameter in self.named_parameters():
            if any(part in name for part in (*UNREACHED, *idle)):
                parameter.requires_grad_(False)

    def _initialise(self) -> None:
        """Initialise as Wan2.1 does: Xavier for all products, small normals for the embeddings, zeros for the head."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embedding.weight.flatten(1))
        for embedding in (self.text_embedding, self.time_embedding):
            for layer in embedding:
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(self.head.head.weight)


class Block(nn.Module):
    """Self-attention, cross-attention and a feed-forward network, each added to the stream `B N dim`."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.norm1 = nn.LayerNorm(dim, config.eps, elementwise_affine=False)
        self.self_attn = SelfAttention(config)
        self.norm3 = nn.LayerNorm(dim, config.eps)
        self.cross_attn = CrossAttention(config)
        self.norm2 = nn.LayerNorm(dim, config.eps, elementwise_affine=False)
        self.ffn = nn.Sequential(
            nn.Linear(dim, config.ffn_dim), nn.GELU(approximate="tanh"), nn.Linear(config.ffn_dim, dim)
        )
        self.modulation = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)

    def forward(self, x: Tensor, modulation: Tensor, text: Tensor, rotation: Rotation) -> Tensor:
        shift, scale, gate, shift_ffn, scale_ffn, gate_ffn = (self.modulation + modulation).chunk(6, dim=1)
        x = x + gate * self.self_attn(self.norm1(x) * (1 + scale) + shift, rotation)
        # With a single text token attention returns its value for any query.
        x = x + (self.cross_attn.single(text) if text.shape[1] == 1 else self.cross_attn(self.norm3(x), text))
        return x + gate_ffn * self.ffn(self.norm2(x) * (1 + scale_ffn) + shift_ffn)


class Attention(nn.Module):
    """The products and norms that self- and cross-attention share."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q, self.k, self.v, self.o = (nn.Linear(config.dim, config.dim) for _ in range(4))
        self.norm_q = RMSNorm(config.dim, config.eps)
        self.norm_k = RMSNorm(config.dim, config.eps)

    def heads(self, x: Tensor) -> Tensor:
        """`B N dim` → `B N heads d`."""
        return x.unflatten(-1, (self.num_heads, -1))


class SelfAttention(Attention):
    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        q = rotate(self.heads(self.norm_q(self.q(x))), *rotation)
        k = rotate(self.heads(self.norm_k(self.k(x))), *rotation)
        return self.o(attend(q, k, self.heads(self.v(x))))


class CrossAttention(Attention):
    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        q = self.heads(self.norm_q(self.q(x)))
        k, v = self.heads(self.norm_k(self.k(text))), self.heads(self.v(text))
        return self.o(attend(q, *(y.expand(len(x), -1, -1, -1) for y in (k, v))))

    def single(self, text: Tensor) -> Tensor:
        """Attend to one token `B 1 dim`: the result is its value for every query."""
        return self.o(self.v(text))


class Head(nn.Module):
    """Modulated projection of every token to its patch."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        pt, ph, pw = config.patch_size
        self.norm = nn.LayerNorm(config.dim, config.eps, elementwise_affine=False)
        self.head = nn.Linear(config.dim, pt * ph * pw * config.out_dim)
        self.modulation = nn.Parameter(torch.randn(1, 2, config.dim) / config.dim**0.5)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift, scale = (self.modulation + time.unsqueeze(1)).chunk(2, dim=1)
        return self.head(self.norm(x) * (1 + scale) + shift)


class RMSNorm(nn.RMSNorm):
    """Root mean square norm over all heads together, always computed in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.normalized_shape, self.weight.float(), self.eps).type_as(x)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention of `B N heads d` → `B N dim`."""
    y = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    return y.transpose(1, 2).flatten(2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbouring pairs of `B N heads d` by each token's angles in float32; the dtype is kept."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).type_as(x)


@lru_cache(maxsize=8)
def rotary_angles(grid: tuple[int, int, int], head_dim: int, device: torch.device) -> Rotation:
    """Return cosine and sine `N 1 d/2` of a token grid (t, h, w): about a third of the pairs for each axis."""
    side = 2 * (head_dim // 6)
    pairs = [(head_dim - 2 * side) // 2, side // 2, side // 2]
    # The cache also serves training, which refuses inference tensors. Not every device has float64; the CPU has.
    with torch.inference_mode(False), torch.device("cpu"):
        angles = []
        for axis, (length, count) in enumerate(zip(grid, pairs, strict=True)):
            speed = 10000.0 ** (-torch.arange(count, dtype=torch.float64) / max(count, 1))
            shape = [1, 1, 1, count]
            shape[axis] = length
            angles.append(torch.outer(torch.arange(length).double(), speed).view(shape).expand(*grid, count))
        angle = torch.cat(angles, dim=-1).flatten(0, 2).unsqueeze(1)
        return angle.cos().float().to(device), angle.sin().float().to(device)


def sinusoid(timestep: float | Tensor, width: int) -> Tensor:
    """Timestep, one or `B` → `B width` float64 on the CPU: cosines, then sines, of falling frequency."""
    steps = torch.as_tensor(timestep, dtype=torch.float64, device="cpu").reshape(-1, 1)
    half = width // 2
    angle = steps * 10000.0 ** (-torch.arange(half, dtype=torch.float64, device="cpu") / half)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def token_grid(latent: Tensor, patch: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the number of patches of `B C T H W` along (t, h, w); raise ModelError if it does not divide."""
    sizes = tuple(latent.shape[2:])
    if any(size % step for size, step in zip(sizes, patch, strict=True)):
        raise ModelError(f"a latent of (T, H, W) = {sizes} does not divide into patches of {patch}; pad it")
    t, h, w = (size // step for size, step in zip(sizes, patch, strict=True))
    return t, h, w


def patchify(latent: Tensor, patch: tuple[int, int, int]) -> Tensor:
    """`B C T H W` → `B N (C pt ph pw)`, the order of a convolution's weight."""
    batch, channels = latent.shape[:2]
    t, h, w = token_grid(latent, patch)
    split = latent.reshape(batch, channels, t, patch[0], h, patch[1], w, patch[2])
    return split.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(batch, t * h * w, -1)


def unpatchify(tokens: Tensor, grid: tuple[int, int, int], patch: tuple[int, int, int]) -> Tensor:
    """`B N (pt ph pw C)` → `B C T H W`."""
    split = tokens.reshape(len(tokens), *grid, *patch, -1)  # B t h w pt ph pw C
    sizes = [count * step for count, step in zip(grid, patch, strict=True)]
    return split.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(len(tokens), -1, *sizes)

"""Bake timestep and zero text into a plain vision transformer: the same numbers, without the constant parts.

Every modulation is constant at a fixed timestep: shift and scale move into the product after the norm, the gate into
the product before the sum. Cross-attention to equal tokens is a constant vector and joins a bias. Queries, keys and
values share one product, their channels reordered so that rotary pairs lie in two halves (spec, "Four exact
simplifications").
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvd.backbones.wan.transformer import (
    Block,
    Rotation,
    TransformerConfig,
    WanTransformer,
    attend,
    patchify,
    rotary_angles,
    token_grid,
    unpatchify,
)
from dvd.errors import ModelError


@torch.no_grad()
def fold(transformer: WanTransformer, timestep: float) -> FoldedTransformer:
    """Return the transformer at `timestep` = 1000 τ and with the zero context, for inference alone.

    The result shares no weights with `transformer`. Raise ModelError for adapters that are not merged.
    """
    time, modulation = transformer.time_conditioning(timestep)
    text = transformer.embed_text(None)
    blocks = [FoldedBlock(block, modulation, text) for block in transformer.blocks if isinstance(block, Block)]
    return FoldedTransformer(transformer, blocks, time)


class FoldedTransformer(nn.Module):
    """Latent `B C T H W` → prediction `B out_dim T H W` at the timestep of `fold`."""

    def __init__(self, transformer: WanTransformer, blocks: list[FoldedBlock], time: Tensor) -> None:
        super().__init__()
        self.config: TransformerConfig = transformer.config
        embedding, head = transformer.patch_embedding, transformer.head
        assert embedding.bias is not None
        self.patch_embedding = _linear(embedding.weight.flatten(1), embedding.bias, like=embedding.weight)
        self.blocks = nn.ModuleList(blocks)
        shift, scale = _wide(head.modulation + time.unsqueeze(1))[0]
        self.head = _linear(*_after_norm(head.head, scale, shift), like=head.head.weight)

    def forward(self, latent: Tensor) -> Tensor:
        patch, config = self.config.patch_size, self.config
        grid = token_grid(latent, patch)
        rotation = rotary_angles(grid, config.head_dim, latent.device)
        x = self.patch_embedding(patchify(latent.to(self.patch_embedding.weight.dtype), patch))  # B N dim
        for block in self.blocks:
            x = block(x, rotation)
        return unpatchify(self.head(F.layer_norm(x, (config.dim,), eps=config.eps)), grid, patch)


class FoldedBlock(nn.Module):
    """Norm, attention, sum; norm, feed-forward, sum."""

    def __init__(self, block: Block, modulation: Tensor, text: Tensor) -> None:
        super().__init__()
        attention, like = block.self_attn, block.self_attn.q.weight
        self.heads, self.eps = attention.num_heads, block.norm1.eps
        shift, scale, gate, shift_ffn, scale_ffn, gate_ffn = _wide(block.modulation + modulation)[0]
        order = _halves_of_pairs(len(like), self.heads).to(like.device)
        query, query_bias = _after_norm(attention.q, scale, shift)
        key, key_bias = _after_norm(attention.k, scale, shift)
        value, value_bias = _after_norm(attention.v, scale, shift)
        self.qkv = _linear(
            torch.cat([query[order], key[order], value]),
            torch.cat([query_bias[order], key_bias[order], value_bias]),
            like,
        )
        norms = torch.stack([attention.norm_q.weight[order], attention.norm_k.weight[order]])
        self.norm = nn.Parameter(norms, requires_grad=False)  # 2 dim
        weight, bias = _before_sum(attention.o, gate)
        self.o = _linear(weight, bias + _wide(block.cross_attn.single(text)).flatten(), like)
        up, _, down = block.ffn
        self.up = _linear(*_after_norm(up, scale_ffn, shift_ffn), like)
        self.down = _linear(*_before_sum(down, gate_ffn), like)

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        width = x.shape[-1:]
        q, k, v = self._project(F.layer_norm(x, width, eps=self.eps), rotation)
        x = x + self.o(attend(q, k, v))
        hidden = self.up(F.layer_norm(x, width, eps=self.eps))
        return x + self.down(F.gelu(hidden, approximate="tanh"))

    def _project(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, normalised and rotated, and values, each `B N heads d`."""
        qk, v = self.qkv(x).split([2 * x.shape[-1], x.shape[-1]], dim=-1)
        qk = qk.unflatten(-1, (2, -1)).float()  # B N 2 dim
        scale = torch.rsqrt(qk.square().mean(dim=-1, keepdim=True) + self.eps)
        qk = (qk * scale * self.norm).unflatten(-1, (self.heads, -1))  # B N 2 heads d
        first, second = qk.chunk(2, dim=-1)
        cos, sin = (angle.unsqueeze(1) for angle in rotation)
        turned = torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1).to(x.dtype)
        return turned[:, :, 0], turned[:, :, 1], v.unflatten(-1, (self.heads, -1))


def _after_norm(linear: nn.Module, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight and bias that turn W (x · (1 + scale) + shift) + b into one product of x."""
    weight, bias = _plain(linear)
    return weight * (1 + scale), bias + weight @ shift


def _before_sum(linear: nn.Module, gate: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight and bias that turn gate · (W x + b) into one product of x."""
    weight, bias = _plain(linear)
    return weight * gate.unsqueeze(1), bias * gate


def _plain(linear: nn.Module) -> tuple[Tensor, Tensor]:
    if type(linear) is not nn.Linear:
        raise ModelError(f"a {type(linear).__name__} cannot be folded; merge the adapters into the transformer first")
    return _wide(linear.weight), _wide(linear.bias)


def _wide(x: Tensor) -> Tensor:
    """Convert to float64, or to float32 on Apple's GPU, which has no float64."""
    return x.to(torch.float32 if x.device.type == "mps" else torch.float64)


def _linear(weight: Tensor, bias: Tensor, like: Tensor) -> nn.Linear:
    """Return a frozen linear layer with these weights, in the dtype and on the device of `like`."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight = nn.Parameter(weight.to(like.dtype, copy=True), requires_grad=False)
    linear.bias = nn.Parameter(bias.to(like.dtype, copy=True), requires_grad=False)
    return linear


def _halves_of_pairs(dim: int, heads: int) -> Tensor:
    """Return the order of channels in which a head has first all first, then all second halves of rotary pairs."""
    return torch.arange(dim).view(heads, -1, 2).transpose(1, 2).flatten()

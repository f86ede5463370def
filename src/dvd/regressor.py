"""One window of RGB → one window of disparity: encode, one forward pass at the anchor, decode (Eq. 1 and 5)."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from dvd.arguments import check_tau
from dvd.backbones.base import Backbone
from dvd.errors import ModelError
from dvd.windows import round_window

log = logging.getLogger(__name__)

TIMESTEPS = 1000
"""The timestep of the backbone is this many times the anchor τ."""


class Regressor:
    """Pass any number of frames through a backbone that takes only `time_factor · n + 1` of them."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    @torch.inference_mode()
    def __call__(self, rgb: Tensor, tau: float) -> Tensor:
        """RGB `B 3 T H W` in [0, 1] → disparity `B C T H W` float32 in [0, 1], larger is nearer, at the anchor `tau`.

        Raise OptionError if tau is outside [0, 1], ValueError if the sides are not multiples of the backbone's,
        ModelError if the prediction is not finite even in float32.
        """
        check_tau(tau)
        height, width = rgb.shape[-2:]
        multiple = self.backbone.side_multiple
        if height % multiple or width % multiple:
            raise ValueError(f"frames of {height}x{width}: both sides must be multiples of {multiple}")
        frames = rgb.shape[2]
        signed = self._pad(rgb).mul(2).sub(1)
        disparity = self._pass(signed, tau)
        if not disparity.isfinite().all():
            disparity = self._again_in_float32(signed, tau)
        return disparity[:, :, :frames].clamp(-1, 1).add(1).div(2)

    def _pass(self, signed: Tensor, tau: float) -> Tensor:
        try:
            return self._disparity(signed, tau)
        except (RuntimeError, TypeError) as error:
            if self.backbone.device.type != "mps" or not _is_unsupported(error):
                raise
            reason = " ".join(str(error).split())[:120]
            log.warning(
                "Apple's GPU cannot run %s (%s); going on in float32 on the CPU", self.backbone.card.name, reason
            )
            self.backbone.to("cpu", torch.float32)
        return self._disparity(signed, tau)

    def _disparity(self, signed: Tensor, tau: float) -> Tensor:
        latent = self.backbone.encode(signed.to(self.backbone.device, self.backbone.dtype))
        depth_latent = self.backbone.forward(latent, TIMESTEPS * tau)
        return self.backbone.decode(depth_latent).float()

    def _pad(self, rgb: Tensor) -> Tensor:
        """Repeat the last frame up to a whole number of latent frames."""
        missing = round_window(rgb.shape[2], self.backbone.time_factor) - rgb.shape[2]
        if not missing:
            return rgb
        return torch.cat([rgb, rgb[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)

    def _again_in_float32(self, signed: Tensor, tau: float) -> Tensor:
        """Repeat a window in full precision, because half formats sometimes overflow or lose everything."""
        dtype = self.backbone.dtype
        if dtype != torch.float32:
            log.warning("a window came out not finite in %s; doing it again in float32", str(dtype).split(".")[-1])
            self.backbone.to(dtype=torch.float32)
            try:
                disparity = self._pass(signed, tau)
            finally:
                self.backbone.to(dtype=dtype)
            if disparity.isfinite().all():
                return disparity
        name = self.backbone.card.name
        raise ModelError(f"model '{name}' predicts values that are not finite; its weights are damaged, get them again")


def _is_unsupported(error: Exception) -> bool:
    """Return whether torch's MPS lacks an operation or dtype; most messages say "not supported on MPS"."""
    return isinstance(error, NotImplementedError) or "support" in str(error)

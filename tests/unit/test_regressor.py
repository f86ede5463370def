"""Any number of frames passes a backbone that takes only 4n + 1, and values that are not finite are repaired."""

import logging

import pytest
import torch
from torch import Tensor

from dvd.backbones.base import ModelCard
from dvd.errors import ModelError, OptionError
from dvd.regressor import Regressor


class Echo:
    """Return the red channel as disparity, and keep all inputs."""

    card = ModelCard("echo", "none")
    time_factor = 4
    side_multiple = 8
    device = torch.device("cpu")

    def __init__(self, dtype: torch.dtype = torch.float32, broken: tuple[torch.dtype, ...] = ()) -> None:
        self.dtype = dtype
        self.broken = broken
        self.encoded: list[Tensor] = []
        self.timesteps: list[float] = []

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> "Echo":
        self.dtype = dtype or self.dtype
        return self

    def encode(self, rgb: Tensor) -> Tensor:
        self.encoded.append(rgb)
        return rgb[:, :1]

    def forward(self, latent: Tensor, timestep: float) -> Tensor:
        self.timesteps.append(timestep)
        return latent * float("nan") if self.dtype in self.broken else latent

    def decode(self, latent: Tensor) -> Tensor:
        return latent


@pytest.mark.parametrize(("frames", "padded"), [(1, 1), (2, 5), (5, 5), (6, 9)])
def test_the_last_frame_is_repeated_and_the_extra_output_dropped(frames: int, padded: int) -> None:
    backbone = Echo()
    rgb = torch.rand(1, 3, frames, 8, 16)
    disparity = Regressor(backbone)(rgb, 0.5)
    seen = backbone.encoded[0]
    assert seen.shape == (1, 3, padded, 8, 16)
    for extra in range(frames, padded):
        torch.testing.assert_close(seen[:, :, extra], seen[:, :, frames - 1])
    assert disparity.shape == (1, 1, frames, 8, 16)
    torch.testing.assert_close(disparity, rgb[:, :1])


def test_the_network_sees_minus_one_to_one_and_a_thousand_tau() -> None:
    backbone = Echo()
    Regressor(backbone)(torch.tensor([0.0, 1.0]).repeat(1, 3, 1, 8, 4), 0.25)
    assert backbone.timesteps == [250]
    assert backbone.encoded[0].unique().tolist() == [-1, 1]


def test_values_outside_the_range_are_clamped() -> None:
    backbone = Echo()
    backbone.decode = lambda latent: latent * 3  # type: ignore[method-assign]
    disparity = Regressor(backbone)(torch.rand(1, 3, 1, 8, 8), 0.5)
    assert disparity.min() == 0
    assert disparity.max() == 1


def test_disparity_is_float32_in_any_dtype() -> None:
    disparity = Regressor(Echo(torch.bfloat16))(torch.rand(1, 3, 1, 8, 8), 0.5)
    assert disparity.dtype == torch.float32


@pytest.mark.parametrize("tau", [-0.1, 1.01, float("nan")])
def test_tau_outside_its_range_is_refused(tau: float) -> None:
    with pytest.raises(OptionError, match="between 0 and 1"):
        Regressor(Echo())(torch.rand(1, 3, 1, 8, 8), tau)


def test_sides_must_be_multiples_of_the_backbones() -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        Regressor(Echo())(torch.rand(1, 3, 1, 8, 12), 0.5)


def test_a_window_that_overflows_in_half_precision_is_repeated_in_float32(caplog: pytest.LogCaptureFixture) -> None:
    backbone = Echo(torch.float16, broken=(torch.float16,))
    rgb = torch.rand(1, 3, 1, 8, 8)
    with caplog.at_level(logging.WARNING, "dvd.regressor"):
        disparity = Regressor(backbone)(rgb, 0.5)
    torch.testing.assert_close(disparity, rgb[:, :1])
    assert "not finite in float16; doing it again in float32" in caplog.text
    assert backbone.dtype == torch.float16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_is_never_finite_is_reported_as_damaged(dtype: torch.dtype) -> None:
    backbone = Echo(dtype, broken=(torch.float32, torch.bfloat16))
    with pytest.raises(ModelError, match="model 'echo' predicts values that are not finite"):
        Regressor(backbone)(torch.rand(1, 3, 1, 8, 8), 0.5)
    assert backbone.dtype == dtype


class OnMps(Echo):
    """Raise `error` until moved off Apple's GPU."""

    def __init__(self, error: Exception) -> None:
        super().__init__(torch.bfloat16)
        self.device = torch.device("mps")
        self.error = error

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Echo":
        self.device = torch.device(device or self.device)
        return super().to(dtype=dtype)

    def encode(self, rgb: Tensor) -> Tensor:
        if self.device.type == "mps":
            raise self.error
        return super().encode(rgb)


@pytest.fixture
def no_mps_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tensors that are sent to Apple's GPU where they are."""
    move = Tensor.to
    monkeypatch.setattr(Tensor, "to", lambda x, device, dtype: move(x, dtype=dtype))


@pytest.mark.usefixtures("no_mps_needed")
@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("The operator 'aten::slow_conv3d' is not currently implemented for the MPS device."),
        RuntimeError("Conv3D is only supported on MPS for MacOS_13_2 or newer"),
        TypeError("BFloat16 is not supported on MPS"),
    ],
)
def test_an_operation_that_apples_gpu_lacks_runs_on_the_cpu_with_one_warning(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    backbone = OnMps(error)
    regressor = Regressor(backbone)
    rgb = torch.rand(1, 3, 5, 8, 8)
    for _ in range(2):
        torch.testing.assert_close(regressor(rgb, 0.5), rgb[:, :1])
    assert (backbone.device.type, backbone.dtype) == ("cpu", torch.float32)
    [record] = caplog.records
    assert "going on in float32 on the CPU" in record.getMessage()
    assert str(error) in record.getMessage()


@pytest.mark.usefixtures("no_mps_needed")
def test_apples_gpu_out_of_memory_and_faults_elsewhere_are_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        Regressor(OnMps(RuntimeError("MPS backend out of memory")))(torch.rand(1, 3, 1, 8, 8), 0.5)
    elsewhere = OnMps(NotImplementedError("fault"))
    elsewhere.device = torch.device("meta")
    elsewhere.decode = lambda latent: (_ for _ in ()).throw(NotImplementedError("fault"))  # type: ignore[method-assign]
    with pytest.raises(NotImplementedError, match="fault"):
        Regressor(elsewhere)(torch.rand(1, 3, 1, 8, 8), 0.5)

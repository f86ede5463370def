"""Frames become disparity chunk by chunk: same numbers as at once, bounded memory, clear refusals."""

import logging
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dvd.backbones.base import ModelCard
from dvd.errors import InputError, OptionError
from dvd.regressor import Regressor
from dvd.stream import Settings, Stream

CARD = ModelCard("red", "none", size=(32, 48), window=9, overlap=3)


class Red:
    """Disparity is the red channel, seen at half size; every window is seen at a scale of its own."""

    card = CARD
    time_factor = 4
    side_multiple = 16
    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, rgb: Tensor) -> Tensor:
        self.shapes.append(tuple(rgb.shape))
        return F.avg_pool3d(rgb[:, :1], (1, 2, 2))

    def forward(self, latent: Tensor, timestep: float) -> Tensor:
        return latent * (0.9 if len(self.shapes) % 2 else 0.6)

    def decode(self, latent: Tensor) -> Tensor:
        return F.interpolate(latent, scale_factor=(1, 2, 2), mode="nearest").expand(-1, 3, -1, -1, -1)


def clip(count: int, height: int = 32, width: int = 48) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def stream(frames, backbone: Red | None = None, **options) -> Stream:
    return Stream(Regressor(backbone or Red()), frames, Settings.choose(CARD, 4, **options))


def whole(made: Stream) -> np.ndarray:
    return np.concatenate([chunk.disparity for chunk in made])


@pytest.mark.parametrize("count", [1, 2, 8, 9, 10, 15, 23, 40])
def test_every_frame_comes_out_once_at_its_own_size(count: int) -> None:
    frames = clip(count, 33, 51)
    made = stream(iter(frames))
    starts, total = [], 0
    for chunk in made:
        starts.append(chunk.start)
        assert chunk.start == total
        assert chunk.disparity.dtype == np.float32
        assert chunk.disparity.shape[1:] == (33, 51)
        total += len(chunk.disparity)
    assert total == count
    assert made.source_size == (33, 51)
    assert made.model_size == (32, 64)


def test_windows_seen_at_different_scales_are_made_one() -> None:
    frames = clip(30)
    made = stream(iter(frames))
    disparity = whole(made)
    wanted = (0.9 * (frames[..., 0] / 127.5 - 1) + 1) / 2
    wanted = wanted.reshape(30, 16, 2, 24, 2).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(disparity, wanted, atol=1e-4)
    assert len(made.seams) == 4


def test_the_last_short_window_is_rounded_up_for_the_network_only() -> None:
    backbone = Red()
    assert len(whole(stream(iter(clip(10)), backbone, stitch="benchmark"))) == 10
    assert [shape[2] for shape in backbone.shapes] == [9, 5]


def test_large_chunks_come_in_pieces_of_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvd.stream.CHUNK_BYTES", 2 * 32 * 48 * 4)
    whole_at_once = whole(stream(iter(clip(20)), size="source"))
    pieces = list(stream(iter(clip(20)), size="source"))
    assert max(len(piece.disparity) for piece in pieces) == 2
    assert [piece.start for piece in pieces][:4] == [0, 2, 4, 6]
    np.testing.assert_array_equal(np.concatenate([piece.disparity for piece in pieces]), whole_at_once)


def test_no_more_than_a_few_windows_are_taken_from_the_source() -> None:
    taken = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal taken
        for frame in np.broadcast_to(clip(1), (10_000, 32, 48, 3)):
            taken += 1
            yield frame

    made = stream(frames())
    for _ in range(3):
        done = next(made).start
        time.sleep(0.02)
        # What is planned (2 · 9 - 3), what a cut is looked for in (2), what waits in the queue (9 - 3) and what is on
        # its way (2).
        assert taken - done <= 15 + 2 + 6 + 2
    made.close()
    stopped = taken
    time.sleep(0.02)
    assert taken == stopped


def test_bytes_and_floats_give_the_same() -> None:
    frames = clip(12)
    floats = (frames / 255).astype(np.float64)
    np.testing.assert_allclose(whole(stream(iter(floats))), whole(stream(iter(frames))), atol=1e-6)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "no frames"),
        ([np.zeros((32, 48), np.uint8)], r"frame 0 has shape \(32, 48\)"),
        ([np.zeros((32, 48, 4), np.uint8)], "H W 3"),
        ([np.zeros((0, 48, 3), np.uint8)], "H W 3"),
        ([np.zeros((32, 48, 3), np.int32)], "is int32"),
        ([np.full((32, 48, 3), 200.0)], "divide by 255"),
        ([np.full((32, 48, 3), np.nan)], "values from nan"),
        ([np.zeros((32, 48, 3)), np.full((32, 48, 3), -1.0)], "frame 1 has values from -1"),
        ([np.zeros((32, 48, 3), np.uint8), np.zeros((48, 32, 3), np.uint8)], "frame 1 is 48x32 but those before"),
    ],
)
def test_frames_that_are_none_are_refused(frames: list[np.ndarray], said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(stream(iter(frames)))


def test_what_fails_in_the_source_is_raised() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from clip(20)
        raise InputError("clip.mp4: damaged")

    with pytest.raises(InputError, match="damaged"):
        list(stream(frames()))


def test_settings_default_to_the_model() -> None:
    settings = Settings.choose(CARD, 4)
    assert (settings.target, settings.window, settings.overlap, settings.tau) == ((32, 48), 9, 3, 0.5)
    assert settings.rule.name == "default"
    assert Settings.choose(CARD, 4, size="source").target is None


def test_a_window_is_rounded_up_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dvd.stream"):
        assert Settings.choose(CARD, 4, window=10).window == 13
    assert caplog.messages == ["window of 10 frames rounded up to 13, as the model needs"]


def test_a_small_window_shrinks_the_overlap_that_nobody_asked_for() -> None:
    assert Settings.choose(CARD, 4, window=5).overlap == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 9, "overlap": 9}, "overlap is 9"),
        ({"overlap": 0}, "overlap is 0"),
        ({"window": 0}, "window is 0"),
        ({"tau": 1.5}, "tau is 1.5"),
        ({"size": (0, 10)}, r"size is 0x10"),
        ({"size": (-480, 640)}, "such as 480x640"),
        ({"size": "large"}, "or 'source'"),
        ({"stitch": "bench"}, "did you mean benchmark"),
    ],
)
def test_options_outside_their_range_are_refused(options: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Settings.choose(CARD, 4, **options)


def test_windows_do_not_reach_across_a_cut() -> None:
    rng = np.random.default_rng(0)
    dark, bright = (rng.integers(low, low + 60, (32, 48, 3), dtype=np.uint8) for low in (0, 190))
    frames = [dark] * 7 + [bright] * 6
    cut, joined = (stream(frames, stitch=rule) for rule in ("default", "continuous"))
    spans = [(chunk.start, len(chunk.disparity)) for chunk in cut]
    assert sum(length for _, length in spans) == len(frames)
    assert cut.cuts == [7]
    assert all(seam.stop <= 7 or seam.start >= 7 for seam in cut.seams)
    for _ in joined:
        pass
    assert joined.cuts == []

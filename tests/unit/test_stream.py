"""Frames become disparity chunk by chunk: same numbers as at once, bounded memory, clear refusals."""

import gc
import logging
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from threading import enumerate as running_threads

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dvd.backbones.base import ModelCard
from dvd.errors import InputError, OptionError
from dvd.regressor import Regressor
from dvd.stream import Settings, Stream, StreamOptions

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
    return Stream(Regressor(backbone or Red()), frames, settle(**options))


def settle(**options) -> Settings:
    return StreamOptions(**options).settle(CARD, 4)


def whole(made: Stream) -> np.ndarray:
    return np.concatenate([chunk.disparity for chunk in made])


@pytest.mark.slow
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


def test_values_may_keep_the_size_of_the_network() -> None:
    made = stream(iter(clip(20, 33, 51)), values_at="network")
    assert {chunk.disparity.shape[1:] for chunk in made} == {(32, 64)}


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="unknown option 'windw'; did you mean window"):
        StreamOptions().but(windw=9)


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
        ([np.full((32, 48, 3), np.nan)], "not finite"),
        ([np.zeros((32, 48, 3)), np.full((32, 48, 3), -1.0)], "frame 1 has values from -1"),
        ([np.zeros((32, 48, 3), np.uint8), np.zeros((48, 32, 3), np.uint8)], "frame 1 is 48x32 but those before"),
    ],
)
def test_invalid_frames_are_refused(frames: list[np.ndarray], said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(stream(iter(frames)))


def test_errors_of_the_source_are_raised() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield from clip(20)
        raise InputError("clip.mp4: damaged")

    with pytest.raises(InputError, match="damaged"):
        list(stream(frames()))


def test_settings_default_to_the_model() -> None:
    settings = settle()
    assert (settings.least_size, settings.window, settings.overlap, settings.tau) == ((32, 48), 9, 3, 0.5)
    assert settings.rule.name == "default"
    assert settle(size="source").least_size is None


def test_rounding_a_window_up_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert settle(window=10).window == 13
    ((level, message),) = [(record.levelno, record.message) for record in caplog.records]
    assert level == logging.WARNING
    assert message == "window of 10 frames rounded up to 13, as the model needs"


@pytest.mark.slow
def test_without_logging_the_rounding_is_printed_to_stderr() -> None:
    code = (
        "from dvd.stream import StreamOptions; from dvd.backbones.base import ModelCard;"
        "print(StreamOptions(window=2).settle(ModelCard('m', ''), 4).window)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"
    assert done.stderr == "window of 2 frames rounded up to 5, as the model needs\n"


def test_a_small_window_shrinks_the_default_overlap() -> None:
    assert settle(window=5).overlap == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 9, "overlap": 9}, "overlap is 9"),
        ({"overlap": 0}, "overlap is 0"),
        ({"window": 0}, "window is 0"),
        ({"tau": 1.5}, "tau is 1.5"),
        ({"size": (0, 10)}, r"size is 0x10"),
        ({"size": (-480, 640)}, r"size is -480x640 .* such as \(480, 640\)"),
        ({"size": "large"}, "or 'source'"),
        ({"stitch": "bench"}, "did you mean benchmark"),
        ({"values_at": "netwrk"}, "did you mean network"),
    ],
)
def test_options_outside_their_range_are_refused(options: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        settle(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": "45"}, "window is '45' (str) but must be a whole number of frames"),
        ({"window": 8.5}, "window is 8.5 but must be a whole number of frames"),
        ({"window": True}, "window is True but must be"),
        ({"window": 1}, "window is 1 but must be at least 2 frames"),
        ({"overlap": 2.0}, "overlap is 2.0 but must be a whole number of frames"),
        ({"overlap": [3]}, "overlap is [3] but must be"),
        ({"overlap": -1}, "overlap is -1 but"),
        ({"size": 96}, "size is 96 but must be a height and a width in pixels, such as (480, 640), or 'source'"),
        ({"size": "96x128"}, "size is '96x128' (str) but must be a height and a width"),
        ({"size": b"96"}, "size is b'96' (bytes) but must be a height and a width"),
        ({"size": (96.5, 128.0)}, "size is (96.5, 128.0) but must be a height and a width"),
        ({"size": (96, 128, 3)}, "size is (96, 128, 3) but must be a height and a width"),
        ({"size": {96: 128}}, "size is a dict but must be a height and a width"),
        ({"size": (True, 128)}, "size is (True, 128) but must be a height and a width"),
        ({"tau": "0.5"}, "tau is '0.5' (str) but must be a number between 0 and 1"),
        ({"tau": float("nan")}, "tau is nan but must be between 0 and 1"),
        ({"tau": True}, "tau is True but must be a number"),
        ({"tau": np.zeros(3)}, "tau is an array of shape (3,) but must be a number"),
        ({"stitch": 3}, "stitch is 3 but must be the name of a rule"),
        ({"stitch": ["demo"]}, "stitch is ['demo'] but must be the name of a rule"),
        ({"antialias": "yes"}, "antialias is 'yes' (str) but must be True, False or None"),
        ({"antialias": 1}, "antialias is 1 but must be True, False or None"),
    ],
)
def test_options_of_a_wrong_type_are_refused_in_one_line(options: dict, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        settle(**options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numpy_numbers_are_accepted() -> None:
    settings = settle(
        size=np.array([64, 96]),
        window=np.int64(9),
        overlap=np.uint8(2),
        tau=np.float32(0.25),
        antialias=np.bool_(True),
    )
    assert (settings.least_size, settings.window, settings.overlap) == ((64, 96), 9, 2)
    assert (settings.tau, settings.antialias) == (0.25, True)
    assert {type(side) for side in settings.least_size or ()} == {int}
    assert settle(size=[64, 96]).least_size == (64, 96)


class Endless:
    """Counts how many frames were taken from it."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        frame = clip(1)[0]
        while True:
            self.taken += 1
            yield frame


def close(made: list[Stream]) -> None:
    made.pop().close()


def drop(made: list[Stream]) -> None:
    made.pop()


def forget_in_a_circle(made: list[Stream]) -> None:
    circle: list[object] = [made.pop()]
    circle.append(circle)
    del circle
    gc.collect()


def fail_in_the_consumer(made: list[Stream]) -> None:
    def consume() -> None:
        for _ in made.pop():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()


def interrupt_the_network(made: list[Stream]) -> None:
    stopped = made.pop()
    stopped._regressor.backbone.forward = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore
    with pytest.raises(KeyboardInterrupt):
        list(stopped)


@pytest.mark.slow
@pytest.mark.parametrize("end", [close, drop, forget_in_a_circle, fail_in_the_consumer, interrupt_the_network])
def test_closing_a_stream_ends_its_thread_and_stops_reading(end: Callable[[list[Stream]], None]) -> None:
    frames, before = Endless(), set(running_threads())
    made = [stream(frames)]
    next(made[0])
    (thread,) = set(running_threads()) - before
    end(made)
    thread.join(2)
    assert not thread.is_alive()
    taken = frames.taken
    time.sleep(0.05)
    assert frames.taken == taken


def test_dropping_a_stream_frees_it_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        made = stream(Endless())
        next(made)
        gone = weakref.ref(made)
        del made
        assert gone() is None
    finally:
        gc.enable()


def test_an_unused_stream_starts_no_thread() -> None:
    frames, before = Endless(), set(running_threads())
    made = stream(frames)
    assert set(running_threads()) == before
    del made
    assert frames.taken == 0


def test_sizes_and_cuts_are_available_while_the_stream_runs() -> None:
    rng = np.random.default_rng(0)
    dark, bright = (rng.integers(low, low + 60, (33, 51, 3), dtype=np.uint8) for low in (0, 190))
    made = stream([dark] * 7 + [bright] * 7)
    assert made.source_size is None
    next(made)
    assert (made.source_size, made.model_size) == ((33, 51), (32, 64))
    list(made)
    assert made.cuts == [7]


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

"""The whole story with a stand-in for the network: arrays, streams, files, and what happens when it goes wrong."""

import json
import re
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import dvd
from dvd import pipeline as story
from dvd.backbones.base import ModelCard
from dvd.errors import InputError, ModelError, OptionError, OutputError
from dvd.export import ExportOptions
from dvd.pipeline import DVD, load, predict_file
from dvd.stream import StreamOptions

RATE = Fraction(24000, 1001)


class Bright:
    """Disparity is the brightness, seen at half size; fails or waits where a test wants it to."""

    time_factor = 4
    side_multiple = 16
    device = torch.device("cpu")

    def __init__(self, card: ModelCard | None = None, dtype: torch.dtype = torch.float32) -> None:
        self.card = card or ModelCard("bright", "CC0", size=(32, 48), window=9, overlap=3)
        self.dtype = dtype
        self.windows = 0
        self.fails_at: dict[int, BaseException] = {}
        self.seconds = 0.0

    def encode(self, rgb: Tensor) -> Tensor:
        return F.avg_pool3d(rgb.mean(dim=1, keepdim=True), (1, 2, 2))

    def forward(self, latent: Tensor, timestep: float) -> Tensor:
        if self.windows in self.fails_at:
            raise self.fails_at[self.windows]
        self.windows += 1
        time.sleep(self.seconds)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        return F.interpolate(latent, scale_factor=(1, 2, 2), mode="nearest")


def clip(count: int, height: int = 36, width: int = 50) -> np.ndarray:
    """A bright square that moves over a ramp."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = np.linspace(20, 160, width, dtype=np.uint8)[None, None, :, None]
    for index in range(count):
        frames[index, 8:20, index % 30 : index % 30 + 12] = 230
    return frames


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "in" / "street.mkv", clip(40))


def make_video(path: Path, frames: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_an_array_and_a_stream_give_the_same() -> None:
    model, frames = DVD(Bright()), clip(23)
    whole = model.predict(frames)
    assert whole.shape == (23, 36, 50)
    assert whole.dtype == np.float32
    chunks = list(model.stream(frame for frame in frames))
    assert len(chunks) > 1
    np.testing.assert_array_equal(np.concatenate([chunk.disparity for chunk in chunks]), whole)


def test_bright_is_near_for_the_toy_backbone() -> None:
    disparity = DVD(Bright()).predict(clip(12))
    assert disparity[5, 14, 10] > disparity[5, 30, 10] + 0.4


def test_window_size_and_anchor_reach_the_network() -> None:
    backbone = Bright()
    seen = []
    backbone.forward = lambda latent, timestep: seen.append((latent.shape, timestep)) or latent  # type: ignore
    DVD(backbone).predict(clip(20), size=(64, 64), window=13, overlap=4, tau=0.2)
    assert seen == [(torch.Size((1, 1, 13, 32, 48)), 200.0)] * 2


def test_one_frame_is_enough() -> None:
    assert DVD(Bright()).predict(clip(1)).shape == (1, 36, 50)


@pytest.mark.parametrize("image", [clip(1)[0], Image.fromarray(clip(1)[0]), torch.from_numpy(clip(1)[0])], ids=type)
def test_a_single_image_is_a_clip_of_one_frame(image: object) -> None:
    model = DVD(Bright())
    np.testing.assert_array_equal(model(image).prediction, model(clip(1)).prediction)


def test_a_call_returns_the_prediction_with_its_seams_and_shots() -> None:
    made = DVD(Bright())(clip(23))
    assert made.prediction.shape == (23, 36, 50)
    assert [(shot.start, shot.stop) for shot in made.shots] == [(0, 23)]
    assert len(made.seams) > 1


def test_a_gray_array_is_refused() -> None:
    with pytest.raises(InputError, match="frames are H W 3"):
        DVD(Bright())(clip(1)[0, :, :, 0])


def test_options_travel_as_one_value_or_as_keywords() -> None:
    model = DVD(Bright())
    options = StreamOptions(size=(64, 64), window=13)
    assert model.settle(options, overlap=4) == model.settle(size=(64, 64), window=13, overlap=4)
    with pytest.raises(OptionError, match=re.escape("stream options are (64, 64) but must be dvd.StreamOptions(…)")):
        model.settle((64, 64))  # type: ignore[arg-type]


def stand_in(monkeypatch: pytest.MonkeyPatch, card: ModelCard) -> list[torch.dtype]:
    """Lets `load` find a model of that card; returns the number formats that it is opened in."""
    asked: list[torch.dtype] = []

    def opens(name: str, device: torch.device, dtype: torch.dtype) -> Bright:
        asked.append(dtype)
        return Bright(card, dtype)

    monkeypatch.setattr(story.registry, "card", lambda name: card)
    monkeypatch.setattr(story.registry, "load", opens)
    return asked


@pytest.mark.parametrize(("allowed", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_load_follows_the_card_and_opens_the_weights_once(
    monkeypatch: pytest.MonkeyPatch, allowed: bool, dtype: str
) -> None:
    asked = stand_in(monkeypatch, ModelCard("bright", "CC0", bfloat16=allowed))
    monkeypatch.setattr("dvd.hardware.cpu_flags", lambda: frozenset({"avx512_bf16"}))
    model = load("bright", device="cpu")
    assert asked == [getattr(torch, dtype)]
    assert model.dtype == dtype
    assert "bfloat16" in model.dtype_reason


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16], ids=str)
def test_a_named_dtype_is_used(monkeypatch: pytest.MonkeyPatch, dtype: str | torch.dtype) -> None:
    stand_in(monkeypatch, ModelCard("bright", "", bfloat16=False))
    assert load("bright", torch.device("cpu"), dtype).dtype == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"device": "gpu"}, OptionError, "unknown device 'gpu'; did you mean cuda or auto?"),
        ({"device": None}, OptionError, "device is None but must be one of auto, cpu, cuda, mps"),
        ({"device": 0}, OptionError, "device is 0 but must be one of"),
        ({"dtype": "half"}, OptionError, "unknown dtype 'half'; did you mean float16 or bfloat16?"),
        ({"dtype": np.float32}, OptionError, "dtype is <class 'numpy.float32'> but must be one of auto"),
        ({"dtype": torch.float64}, OptionError, "unknown dtype 'float64'; did you mean float32?"),
        ({"name_or_folder": None}, ModelError, "model is None but must be the path of a model folder, or"),
        ({"name_or_folder": ""}, ModelError, "model is empty"),
        ({"name_or_folder": b"dvd-mini"}, ModelError, "model is b'dvd-mini' (bytes) but must be"),
    ],
)
def test_load_refuses_unknown_models_devices_and_dtypes(arguments: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        load(**arguments)


@pytest.mark.slow
def test_a_video_becomes_files_and_a_description(video: Path, tmp_path: Path) -> None:
    done: list[int] = []
    out = tmp_path / "new" / "out"
    result = predict_file(video, out, DVD(Bright(), "asked for"), ["npz", "mp4"], progress=done.append)
    assert result.outputs == (out / "street.npz", out / "street.mp4")
    assert sorted(path.name for path in out.iterdir()) == ["street.json", "street.mp4", "street.npz"]
    with np.load(out / "street.npz") as values:
        disparity = values["disparity"]
    np.testing.assert_allclose(disparity, DVD(Bright()).predict(clip(40)), atol=1e-6)
    with av.open(str(out / "street.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width, stream.average_rate) == (36, 50, RATE)
        assert sum(1 for _ in container.decode(stream)) == 40
    assert done == sorted(set(done))
    assert done[-1] == 40
    facts = json.loads(result.sidecar.read_text())
    assert facts["model"] == "bright"
    assert facts["size"] == [48, 48]
    assert facts["source_size"] == [36, 50]
    assert (facts["window"], facts["overlap"], facts["tau"], facts["stitch"]) == (9, 3, 0.5, "default")
    assert facts["fit"] == "symmetric"
    assert (facts["dtype"], facts["device"], facts["frame_rate"]) == ("float32", "cpu", "24000/1001")
    assert facts["polarity"] == "larger is nearer"
    assert facts["range"] == pytest.approx([disparity.min(), disparity.max()])
    assert facts["frames"] == 40
    assert facts["stopped"] == ""
    assert [seam["start"] for seam in facts["seams"]] == [6, 12, 18, 24, 30, 31]
    assert facts["seams"][0]["scale"] == pytest.approx(1, abs=1e-3)
    assert facts["seams"][0]["error_after"] == result.record.seams[0].error_after
    assert facts["seams"][0]["error_before"] == result.record.seams[0].error_before
    assert facts["versions"]["torch"] == torch.__version__
    assert result.record.seams[0].trusted
    (shot,) = facts["shots"]
    assert (shot["start"], shot["stop"], shot["steady"], shot["scale"][0]) == (0, 40, True, pytest.approx(1, abs=1e-3))
    assert facts["warnings"] == []


def test_a_scale_that_wanders_is_in_the_record_the_json_and_the_summary(video: Path, tmp_path: Path) -> None:
    class Shrinking(Bright):
        def forward(self, latent: Tensor, timestep: float) -> Tensor:
            return super().forward(latent, timestep) * 0.9**self.windows

    from dvd.apps.predict import _summary

    result = predict_file(video, tmp_path, DVD(Shrinking()), ["npz"])
    (shot,) = result.record.shots
    assert not shot.steady
    assert shot.scale[1] > 1.5
    facts = json.loads(result.sidecar.read_text())
    assert facts["shots"][0]["scale"] == list(shot.scale)
    assert facts["shots"][0]["farthest"] == [facts["seams"][-1]["start"], facts["seams"][-1]["stop"]]
    assert facts["seams"][-1]["trusted"]
    (warning,) = facts["warnings"]
    assert warning.startswith(f"frames 0 to 39: the scale wandered to {shot.scale[1]:.2f}")
    assert f"scale wanders (1.00 … {shot.scale[1]:.2f} in frames 0–39)" in _summary(result)


def test_the_public_function_takes_the_same_arguments(video: Path, tmp_path: Path) -> None:
    result = dvd.predict(video, out=tmp_path / "disparity.npz", model=DVD(Bright()), end=10)
    assert result.outputs == (tmp_path / "disparity.npz",)
    assert result.sidecar == tmp_path / "disparity.json"
    assert result.record.frames == 10


@pytest.mark.slow
def test_decoding_network_and_writing_overlap_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 0.008
    backbone = Bright()
    backbone.seconds = 6 * seconds
    read, write = story._noting_times, story.Outputs.write

    def slow_read(video, times):
        for frame in read(video, times):
            time.sleep(seconds)
            yield frame

    def slow_write(self, disparity, pts):
        time.sleep(seconds * len(pts))
        write(self, disparity, pts)

    monkeypatch.setattr(story, "_noting_times", slow_read)
    monkeypatch.setattr(story.Outputs, "write", slow_write)
    video = make_video(tmp_path / "in" / "long.mkv", clip(90))
    result = predict_file(video, tmp_path, DVD(backbone), ["npz"], options=ExportOptions(compress=False))
    one_after_another = 3 * 90 * seconds
    assert result.seconds < 0.75 * one_after_another


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "in" not in path.parts)


@pytest.mark.parametrize(
    "error",
    [ModelError("not finite"), KeyboardInterrupt(), RuntimeError("bug")],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_before_the_first_frame_leaves_nothing(video: Path, tmp_path: Path, error: BaseException) -> None:
    backbone = Bright()
    backbone.fails_at = {0: error}
    with pytest.raises(type(error)):
        predict_file(video, tmp_path / "a" / "b", DVD(backbone), ["mp4", "npz", "png16"])
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("error", "why"), [(KeyboardInterrupt(), "stopped by the user"), (ModelError("nan"), "nan")])
def test_a_later_failure_keeps_whole_files_of_the_finished_frames(
    video: Path, tmp_path: Path, error: BaseException, why: str
) -> None:
    backbone = Bright()
    backbone.fails_at = {4: error}
    out = tmp_path / "out"
    with pytest.raises(type(error)):
        predict_file(video, out, DVD(backbone), ["mp4", "npz"])
    assert left(out) == ["street.json", "street.mp4", "street.npz"]
    with np.load(out / "street.npz") as values:
        assert len(values["disparity"]) == 24
    with av.open(str(out / "street.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 24
    facts = json.loads((out / "street.json").read_text())
    assert (facts["stopped"], facts["frames"]) == (why, 24)


def test_a_disk_error_stops_the_network_soon(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Bright()
    backbone.seconds = 0.02

    def full(self, disparity, pts):
        raise OutputError("street.npz: the disk is full")

    monkeypatch.setattr(story.Outputs, "write", full)
    with pytest.raises(OutputError, match="disk is full"):
        predict_file(video, tmp_path / "out", DVD(backbone), ["npz"])
    assert backbone.windows <= 3
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_is_refused_before_any_work(video: Path, tmp_path: Path) -> None:
    backbone = Bright()
    (tmp_path / "street.npz").write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        predict_file(video, tmp_path, DVD(backbone), ["mp4", "npz"])
    assert backbone.windows == 0
    assert left(tmp_path) == ["street.npz"]
    assert (tmp_path / "street.npz").read_text() == "precious"
    predict_file(video, tmp_path, DVD(backbone), ["npz"], options=ExportOptions(overwrite=True))
    assert len(np.load(tmp_path / "street.npz")["disparity"]) == 40


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"tau": 2}, OptionError, "between 0 and 1"),
        ({"overlap": 9}, OptionError, "smaller overlap"),
        ({"size": (0, 0)}, OptionError, "size is 0x0"),
        ({"formats": ["mp5"]}, OptionError, "did you mean mp4"),
        ({"model": "dvd-mimi"}, ModelError, "did you mean dvd-mini"),
        ({"model": "dvd-mini", "device": "tpu"}, OptionError, "unknown device 'tpu'"),
        ({"model": None}, ModelError, "model is None"),
        (
            {"model": Bright()},
            ModelError,
            "model is a Bright but must be the path of a model folder",
        ),
        ({"device": "cuda"}, OptionError, "device is 'cuda' but the open model has cpu"),
        ({"dtype": "float16"}, OptionError, "dtype is 'float16' but the open model has float32"),
        ({"formats": "mp5"}, OptionError, "unknown format 'mp5'; did you mean mp4"),
        ({"formats": []}, OptionError, "formats is [] but must name one or several of mp4"),
        ({"formats": 3}, OptionError, "formats is 3 but must name"),
        ({"formats": ["npz", None]}, OptionError, "format is None but must be one of mp4"),
        ({"options": {"crf": 20}}, OptionError, "options is a dict but must be dvd.ExportOptions"),
        ({"progress": True}, OptionError, "progress is True but must be a function"),
        ({"size": "96x128"}, OptionError, "size is '96x128' (str) but must be"),
        ({"window": "9"}, OptionError, "window is '9' (str)"),
        ({"overlap": 2.5}, OptionError, "overlap is 2.5"),
        ({"tau": "half"}, OptionError, "tau is 'half' (str)"),
        ({"stitch": None}, OptionError, "stitch is None"),
        ({"antialias": "no"}, OptionError, "antialias is 'no' (str)"),
        ({"start": -1}, OptionError, "--start -1 is no moment"),
        ({"start": [3]}, OptionError, "--start [3] is no moment"),
        ({"end": True}, OptionError, "--end True is no moment"),
        ({"source": None}, InputError, "source is None but must be the path of a video, an image or a folder"),
        ({"source": b"clip.mp4"}, InputError, "source is b'clip.mp4' (bytes) but must be"),
        ({"source": ""}, InputError, "source is empty"),
        ({"source": clip(1)}, InputError, "source is an array of shape (1, 36, 50, 3) but must be the path"),
        ({"out": None}, OutputError, "out is None but must be the path of a folder or a file"),
    ],
)
def test_a_wrong_option_leaves_nothing(video: Path, tmp_path: Path, options: dict, error: type, said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        predict_file(**{"source": video, "out": tmp_path / "out", "model": DVD(Bright()), **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [{"tau": 2}, {"window": 9, "overlap": 9}, {"size": 96}, {"formats": "mp5"}, {"dtype": "fp8"}, {"start": "noon"}],
    ids=str,
)
def test_wrong_options_are_refused_before_the_weights_are_read(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict
) -> None:
    opened = stand_in(monkeypatch, ModelCard("bright", "CC0"))
    with pytest.raises(OptionError):
        predict_file(video, tmp_path / "out", "bright", **options)
    assert opened == []


def test_one_format_may_be_given_as_text(video: Path, tmp_path: Path) -> None:
    assert predict_file(video, tmp_path, DVD(Bright()), "npz", end=3).outputs == (tmp_path / "street.npz",)


def test_a_rounded_window_is_reported_once(video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = predict_file(video, tmp_path, DVD(Bright()), "npz", end=3, window=2)
    assert result.record.window == 5
    assert [line for line in caplog.messages if "rounded" in line] == [
        "window of 2 frames rounded up to 5, as the model needs"
    ]


def test_an_open_video_predicts_the_same_as_its_frames(video: Path) -> None:
    model = DVD(Bright())
    with dvd.open_video(video) as frames:
        whole = model.predict(frames)
    np.testing.assert_array_equal(whole, model.predict(clip(40)))
    with dvd.open_video(video) as frames:
        np.testing.assert_array_equal(model.predict(list(frames)), whole)
    with pytest.raises(InputError, match="no frames"):
        model.predict(frames)


def test_an_error_of_the_source_comes_through_unchanged() -> None:
    class Boom(Exception):
        pass

    def frames() -> Iterator[np.ndarray]:
        yield clip(1)[0]
        raise Boom("x")

    with pytest.raises(Boom, match=r"^x$"):
        DVD(Bright()).predict(frames())

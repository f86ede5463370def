"""Other people's models with tiny random weights: their predictions are passed on, missing parts are named."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from eval_tree import write_recording

from dvd.errors import ModelError, OptionError
from dvd.evaluation.benchmark import LEARNT, evaluate
from dvd.evaluation.methods.base import MethodOptions
from dvd.evaluation.methods.depth_anything import SMALL, DepthAnythingV2
from dvd.evaluation.methods.marigold import V1_1, Marigold
from dvd.evaluation.methods.registry import open_method
from dvd.evaluation.protocol import Protocol
from dvd.evaluation.sequences import open_sequences

pytestmark = pytest.mark.slow

H, W = 48, 64
FRAMES = np.random.default_rng(0).integers(0, 255, (3, H, W, 3)).astype(np.uint8)


class Clip:
    name, dataset, size = "clip", "random", (H, W)

    def __init__(self, frames: np.ndarray = FRAMES) -> None:
        self.rgb, self.count = frames, len(frames)

    def frames(self) -> Iterator[SimpleNamespace]:
        return (SimpleNamespace(rgb=rgb) for rgb in self.rgb)


def predicted(method, clip: Clip | None = None) -> np.ndarray:
    clip = clip or Clip()
    values = np.concatenate(list(method.predict(clip)))
    assert (values.shape, values.dtype) == ((clip.count, H, W), np.float32)
    return values


@pytest.fixture(scope="module")
def depth_anything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_depth_anything(tmp_path_factory.mktemp("depth-anything"))


def save_depth_anything(folder: Path, **more: object) -> Path:
    transformers = pytest.importorskip("transformers", reason="Depth Anything V2 needs transformers")
    encoder = transformers.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=encoder,
        patch_size=14,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        **more,
    )
    torch.manual_seed(0)
    network = transformers.DepthAnythingForDepthEstimation(config)
    for value in network.parameters():  # initialised as it is, the output would hardly depend on the image
        torch.nn.init.normal_(value, std=0.2)
    network.save_pretrained(folder)
    steps = {"do_resize": True, "do_rescale": True, "do_normalize": True, "do_pad": False}
    sizes = {"size": {"height": 56, "width": 56}, "keep_aspect_ratio": True, "ensure_multiple_of": 14, "resample": 3}
    colours = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "rescale_factor": 1 / 255}
    written = {"image_processor_type": "DPTImageProcessor", **steps, **sizes, **colours}
    (folder / "preprocessor_config.json").write_text(json.dumps(written))
    return folder


def test_depth_anything_predicts_every_frame_on_its_own(depth_anything: Path) -> None:
    method = DepthAnythingV2(depth_anything, device="cpu")
    values = predicted(method)
    assert method.space == "disparity"
    assert values.std() > 0
    assert not np.allclose(values[0], values[1])
    np.testing.assert_array_equal(predicted(method, Clip(FRAMES[1:2])), values[1:2])


def test_depth_anything_returns_the_networks_own_output(depth_anything: Path) -> None:
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    network = AutoModelForDepthEstimation.from_pretrained(depth_anything).eval()
    pixels = AutoImageProcessor.from_pretrained(depth_anything)(images=FRAMES[0], return_tensors="pt")
    assert pixels["pixel_values"].shape[-2:] == (42, 56)
    with torch.no_grad():
        expected = network(**pixels).predicted_depth
    found = DepthAnythingV2(depth_anything, device="cpu").disparity(FRAMES[0])
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "seen"),
    [((28, 28), "28x42"), ((28, 56), "42x56"), ((60, 14), "70x84"), ("source", "56x70"), (None, "42x56")],
)
def test_depth_anything_sees_at_least_the_size_and_reports_it(depth_anything: Path, size, seen: str) -> None:
    method = DepthAnythingV2(depth_anything, device="cpu", size=size)
    assert method.describe()["processed"] == {}
    predicted(method, Clip(FRAMES[:1]))
    assert method.describe()["processed"] == {"48x64": seen}
    assert method.describe()["size"] == (list(size) if isinstance(size, tuple) else size or "the model's own")


def test_depth_anything_in_metres_is_refused(tmp_path: Path) -> None:
    save_depth_anything(tmp_path, depth_estimation_type="metric", max_depth=20)
    with pytest.raises(ModelError, match="predicts metres; take a relative model"):
        predicted(DepthAnythingV2(tmp_path, device="cpu"))


@pytest.fixture(scope="module")
def marigold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    diffusers = pytest.importorskip("diffusers", reason="Marigold needs diffusers")
    transformers = pytest.importorskip("transformers", reason="Marigold needs transformers")
    folder = tmp_path_factory.mktemp("marigold")
    torch.manual_seed(0)
    marks = ["<|startoftext|>", "<|endoftext|>", "a</w>"]
    (folder / "vocab.json").write_text(json.dumps({mark: number for number, mark in enumerate(marks)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)
    text = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
    )
    unet = diffusers.UNet2DConditionModel(
        in_channels=8,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=8,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    )
    diffusers.MarigoldDepthPipeline(
        unet=unet,
        vae=vae,
        scheduler=diffusers.DDIMScheduler(prediction_type="v_prediction", clip_sample=False),
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=tokenizer,
        prediction_type="depth",
        default_denoising_steps=2,
        default_processing_resolution=32,
    ).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_marigold_is_repeatable_and_depends_on_its_seed(marigold: Path) -> None:
    method = Marigold(marigold, device="cpu")
    values = predicted(method)
    assert method.space == "depth"
    assert values.min() >= 0
    assert values.max() <= 1
    assert values.std() > 0
    np.testing.assert_array_equal(predicted(method, Clip(FRAMES[1:2])), values[1:2])
    assert not np.array_equal(predicted(Marigold(marigold, device="cpu", seed=1), Clip(FRAMES[:1])), values[:1])


def test_marigold_states_the_checkpoints_settings_once_it_is_open(marigold: Path) -> None:
    method = Marigold(marigold, device="cpu")
    assert (method.describe()["steps"], method.describe()["size"]) == ("the checkpoint's own", "the checkpoint's own")
    once = predicted(method, Clip(FRAMES[:1]))
    assert (method.describe()["steps"], method.describe()["processed"]) == (2, {"48x64": "longest side 32"})
    more = Marigold(marigold, device="cpu", steps=4, size="source", ensemble=2)
    assert not np.array_equal(predicted(more, Clip(FRAMES[:1])), once)
    assert (more.describe()["steps"], more.describe()["size"], more.describe()["ensemble"]) == (4, "source", 2)
    assert more.describe()["processed"] == {"48x64": "longest side 64"}


@pytest.mark.parametrize(("size", "side"), [((24, 24), 32), ((24, 40), 40), ((60, 8), 80)])
def test_marigold_sees_at_least_the_size(marigold: Path, size: tuple[int, int], side: int) -> None:
    """The longest side that its pipeline is given makes both sides long enough, and is what a checkpoint may say."""
    method = Marigold(marigold, device="cpu", size=size)
    values = predicted(method, Clip(FRAMES[:1]))
    assert method.describe()["processed"] == {"48x64": f"longest side {side}"}
    own = Marigold(marigold, device="cpu")
    own._opened.register_to_config(default_processing_resolution=side)
    own._opened.default_processing_resolution = side
    np.testing.assert_array_equal(values, predicted(own, Clip(FRAMES[:1])))


@pytest.mark.slow
def test_both_are_evaluated_by_name_with_every_option(depth_anything: Path, marigold: Path, tmp_path: Path) -> None:
    """From `--model` to results.json, on a recording of known depth."""
    data = open_sequences("rgbd", write_recording(tmp_path / "data", frames=3))
    protocol = Protocol("p", metrics=("abs_rel",))
    found = {}
    for text, options in (
        (f"depth-anything-v2:{depth_anything}", MethodOptions(device="cpu", size=(28, 28), name="DAv2-L")),
        (f"marigold:{marigold}", MethodOptions(device="cpu", size=(16, 16), steps=1, ensemble=2, seed=3)),
    ):
        method = open_method(text, options)
        found[method.name] = evaluate(method, data, protocol, tmp_path / method.name)
    assert found.keys() == {"DAv2-L", "Marigold v1.1"}
    for results in found.values():
        assert np.isfinite(results.sequences[0].metrics["abs_rel"])
    assert found["DAv2-L"].conditions["size"] == [28, 28]
    assert found["DAv2-L"].conditions[LEARNT] == {"processed": {"24x32": "28x42"}}
    stated = found["Marigold v1.1"].conditions
    assert {"size": [16, 16], "steps": 1, "ensemble": 2, "seed": 3}.items() <= stated.items()
    assert stated[LEARNT] == {"processed": {"24x32": "longest side 22"}}


@pytest.mark.parametrize("name", ["depth-anything-v2", "marigold"])
def test_missing_weights_are_reported_when_the_method_is_opened(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any frame is read, and also where no model is named: the default's id is then in the line."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for text, repo in ((f"{name}:nobody/nothing", "nobody/nothing"), (name, {"marigold": V1_1}.get(name, SMALL))):
        with pytest.raises(ModelError, match=rf"{repo} needs weights from the Hugging Face hub .*hf download {repo}"):
            open_method(text, MethodOptions(device="cpu"))


@pytest.mark.parametrize("kind", [DepthAnythingV2, Marigold])
def test_without_a_network_missing_weights_are_reported_at_once(
    kind: type[DepthAnythingV2] | type[Marigold], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    method = kind("nobody/no-such-model-of-dvd-tests", device="cpu", download=False)
    assert method.describe()["weights"] == "needs weights from the Hugging Face hub"
    started = time.monotonic()
    with pytest.raises(
        ModelError,
        match=r"needs weights from the Hugging Face hub \(downloading is off; .*hf download nobody",
    ):
        next(method.predict(Clip()))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    method = kind("nobody/no-such-model-of-dvd-tests", device="cpu")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        next(method.predict(Clip()))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("kind", [DepthAnythingV2, Marigold])
def test_missing_folders_and_folders_without_weights_are_refused(
    kind: type[DepthAnythingV2] | type[Marigold], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="nowhere: no such folder"):
        next(kind(tmp_path / "nowhere", device="cpu").predict(Clip()))
    with pytest.raises(ModelError, match="cannot be opened from"):
        next(kind(tmp_path, device="cpu").predict(Clip()))


@pytest.mark.parametrize(("kind", "library"), [(DepthAnythingV2, "transformers"), (Marigold, "diffusers")])
def test_a_missing_library_is_named_with_the_extra_and_the_weights(
    kind: type[DepthAnythingV2] | type[Marigold], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvd.evaluation.methods import pretrained

    monkeypatch.setattr(pretrained, "find_spec", lambda name: None if name == library else name)
    with pytest.raises(OptionError) as caught:
        kind("someone/some-model", device="cpu")
    for word in (f"needs {library}", "dvd-depth[compare]", "someone/some-model", "Hugging Face hub"):
        assert word in str(caught.value), word


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(OptionError, match="dtype of Depth Anything V2 is 'int8'"):
        DepthAnythingV2(device="cpu", dtype="int8")
    with pytest.raises(OptionError, match="size of Depth Anything V2 is 0x28"):
        DepthAnythingV2(device="cpu", size=(0, 28))
    with pytest.raises(OptionError, match=r"size of Marigold v1\.1 is large but"):
        Marigold(device="cpu", size="large")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="seed -1 is out of range"):
        Marigold(device="cpu", seed=-1)
    with pytest.raises(OptionError, match=r"Marigold v1\.1 cannot take steps 0"):
        Marigold(device="cpu", steps=0)
    with pytest.raises(OptionError, match="unknown device 'gpu'"):
        Marigold(device="gpu")

"""The whole product on the golden model: both of the release's ways of stitching a long clip."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import dvd
from dvd.pipeline import DVD

GOLDEN = Path(__file__).parent


@pytest.fixture(scope="module")
def model() -> DVD:
    return dvd.load(GOLDEN, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    return load_file(str(GOLDEN / "tensors.safetensors"))


def relative_error(value: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(value - wanted) / np.linalg.norm(wanted))


def frames(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    return tensors[name].transpose(0, 2, 3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["demo", "benchmark"])
def test_long_clips_are_those_of_the_release(way: str, model: DVD, tensors: dict[str, np.ndarray]) -> None:
    rgb = frames(tensors, "long.rgb")
    disparity = model.predict(rgb, size=rgb.shape[1:3], window=9, overlap=3, stitch=way)
    assert disparity.shape == rgb.shape[:3]
    assert relative_error(disparity, tensors[f"long.depth_{way}"].mean(-1)) <= 1e-4


@pytest.mark.slow
def test_every_channel_is_that_of_the_release(model: DVD, tensors: dict[str, np.ndarray]) -> None:
    import torch

    from dvd.regressor import Regressor
    from dvd.stitch import RULES, Stitcher
    from dvd.windows import plan

    regress, stitcher, settled = Regressor(model.backbone), Stitcher(RULES["demo"]), []
    for window, held in plan(torch.from_numpy(tensors["long.rgb"]), 9, 3):
        disparity = regress(torch.stack(held, dim=1)[None], tau=0.5)[0]
        settled.append(stitcher.push(window, disparity.permute(1, 2, 3, 0).numpy()))
    assert relative_error(np.concatenate(settled), tensors["long.depth_demo"]) <= 1e-4


@pytest.mark.slow
def test_seams_are_those_of_the_demo(model: DVD, tensors: dict[str, np.ndarray]) -> None:
    wanted = json.loads((GOLDEN / "values.json").read_text())["demo_fit"]
    stream = model.stream(frames(tensors, "long.rgb"), size="source", window=9, overlap=3, stitch="demo")
    list(stream)
    np.testing.assert_allclose([[seam.scale, seam.shift] for seam in stream.seams], wanted, rtol=1e-4)


@pytest.mark.parametrize("name", ["window", "image"])
def test_one_window_and_one_image_are_those_of_the_release(
    name: str, model: DVD, tensors: dict[str, np.ndarray]
) -> None:
    disparity = model.predict(frames(tensors, f"{name}.rgb"), size="source", window=9, overlap=3)
    assert relative_error(disparity, tensors[f"{name}.depth"].mean(-1)) <= 1e-4


@pytest.mark.slow
def test_a_fit_of_noise_is_refused_by_default(model: DVD, tensors: dict[str, np.ndarray]) -> None:
    stream = model.stream(frames(tensors, "long.rgb"), size="source", window=9, overlap=3)
    list(stream)
    assert not any(seam.trusted for seam in stream.seams)

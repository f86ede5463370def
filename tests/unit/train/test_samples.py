"""A validation clip is shown as it is: aligned once, in one range, and no better than it is."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from dvd.errors import OutputError
from dvd.train import samples

T, H, W = 5, 24, 32


@pytest.fixture
def clip() -> tuple[np.ndarray, np.ndarray]:
    """RGB and truth."""
    random = np.random.default_rng(0)
    rgb = random.integers(0, 255, (T, H, W, 3), dtype=np.uint8)
    ramp = np.linspace(0.2, 1.5, W, dtype=np.float32)
    return rgb, np.broadcast_to(ramp, (T, H, W)) + np.linspace(0, 0.2, T, dtype=np.float32)[:, None, None]


def thirds(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB, truth and prediction of a picture."""
    picture = np.asarray(Image.open(path))
    step = W + samples._GAP
    assert picture.shape == (H, 2 * step + W, 3)
    return picture[:, :W], picture[:, step : step + W], picture[:, 2 * step :]


def test_an_affine_prediction_looks_like_the_truth(clip: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rgb, truth = clip
    fit = samples.write(tmp_path / "step_1.5", rgb, truth, 3 * truth - 0.5)
    assert fit.scale == pytest.approx(1 / 3, rel=1e-4)
    assert fit.r2 > 0.9999
    seen, shown, predicted = thirds(tmp_path / "step_1.5.png")
    np.testing.assert_array_equal(seen, rgb[T // 2])
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 20
    np.testing.assert_allclose(predicted.astype(int), shown.astype(int), atol=12)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["step_1.5.mp4", "step_1.5.png"]


def test_the_video_holds_every_frame(clip: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rgb, truth = clip
    for _ in range(2):
        samples.write(tmp_path / "clip", rgb, truth, truth, frame_rate=4)
    with av.open(str(tmp_path / "clip.mp4")) as video:
        assert video.streams.video[0].average_rate == 4
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert [frame.shape for frame in frames] == [(H, 3 * W + 2 * samples._GAP, 3)] * T
    still = np.asarray(Image.open(tmp_path / "clip.png")).astype(int)
    assert np.abs(frames[T // 2][:, W + 8 :].astype(int) - still[:, W + 8 :]).mean() < 8


def test_an_inverted_prediction_does_not_look_right(clip: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rgb, truth = clip
    fit = samples.write(tmp_path / "clip", rgb, truth, 1 - truth)
    assert fit.scale < 0
    _, _, predicted = thirds(tmp_path / "clip.png")
    assert len(np.unique(predicted.reshape(-1, 3), axis=0)) == 1


def test_pixels_without_truth_are_gray_and_ignored_in_the_fit(
    clip: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    rgb, truth = clip
    holes, wrong = truth.copy(), truth.copy()
    holes[:, :4] = np.nan
    wrong[:, :4] = 100
    assert samples.write(tmp_path / "clip", rgb, holes, wrong).scale == pytest.approx(1, rel=1e-4)
    _, shown, _ = thirds(tmp_path / "clip.png")
    assert (shown[:4] == samples._INVALID).all()
    assert not (shown[4:] == samples._INVALID).all(axis=2).any()


@pytest.mark.parametrize("value", [np.nan, 0.5])
def test_a_useless_prediction_is_still_shown(value: float, clip: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rgb, truth = clip
    fit = samples.write(tmp_path / "clip", rgb, truth, np.full_like(truth, value))
    assert fit.flaw
    assert (tmp_path / "clip.png").exists()


def test_a_single_image_is_a_picture_alone(clip: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rgb, truth = clip
    samples.write(tmp_path / "image", rgb[:1], truth[:1], truth[:1])
    assert [each.name for each in tmp_path.iterdir()] == ["image.png"]


def test_odd_sides_are_written(clip: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rgb, truth = (each[:, :23, :31] for each in clip)
    samples.write(tmp_path / "odd", rgb, truth, truth)
    assert (tmp_path / "odd.mp4").stat().st_size > 0


def test_arrays_of_different_shapes_are_refused(clip: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rgb, truth = clip
    with pytest.raises(ValueError, match="do not agree"):
        samples.write(tmp_path / "clip", rgb, truth, truth[:, :-1])


def test_a_folder_that_cannot_be_written_is_reported(clip: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rgb, truth = clip
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="its folder cannot be made"):
        samples.write(tmp_path / "file" / "clip", rgb, truth, truth)

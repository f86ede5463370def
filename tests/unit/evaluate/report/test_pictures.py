"""Pictures of a frame: one scale for prediction and truth, gray for the unknown, errors by hand."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dvd.evaluate.report.pictures import ERROR_MAP, UNKNOWN, WIDEST, Frames, gradient, strip
from dvd.export.display import table


def opened(address: str) -> np.ndarray:
    kind, _, data = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def frames(predicted: np.ndarray, truth: np.ndarray) -> Frames:
    return Frames(np.full((*truth.shape, 3), 7, np.uint8), predicted, truth, "bonn", "x", 0)


def test_errors_are_relative_and_their_mean_is_over_known_pixels() -> None:
    truth = np.array([[1.0, 2.0, np.nan, 4.0]])
    s = strip(frames(np.array([[1.1, 2.0, 5.0, 5.2]]), truth))
    assert s.abs_rel == pytest.approx((0.1 + 0 + 0.3) / 3)
    error = opened(s.error)[0]
    colours = table(ERROR_MAP)
    assert error[0].tolist() == colours[85].tolist()
    assert error[1].tolist() == colours[0].tolist()
    assert error[2].tolist() == [round(255 * UNKNOWN)] * 3
    assert error[3].tolist() == colours[254].tolist()


def test_prediction_and_truth_share_one_scale() -> None:
    truth = np.linspace(1, 5, 400).reshape(20, 20)
    same = strip(frames(truth.copy(), truth))
    assert np.array_equal(opened(same.predicted), opened(same.truth))
    assert not np.array_equal(opened(strip(frames(truth * 2, truth)).predicted), opened(same.truth))
    assert 1 < same.nearest_m < same.farthest_m < 5


def test_zero_is_no_measured_depth() -> None:
    truth = np.ones((2, 2))
    truth[0, 0] = 0
    s = strip(frames(np.ones((2, 2)), truth))
    assert opened(s.truth)[0, 0].tolist() == [round(255 * UNKNOWN)] * 3
    assert s.abs_rel == 0


def test_large_frames_are_made_smaller_in_proportion() -> None:
    truth = np.ones((300, 1000))
    s = strip(frames(truth, truth))
    assert {opened(each).shape for each in (s.rgb, s.predicted, s.truth, s.error)} == {(120, WIDEST, 3)}
    assert (opened(s.rgb) == 7).all()


def test_frames_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must be H W"):
        strip(frames(np.ones((2, 3)), np.ones((2, 2))))
    with pytest.raises(ValueError, match="measured depth"):
        strip(frames(np.ones((2, 2)), np.full((2, 2), np.nan)))


def test_a_gradient_runs_from_low_to_high() -> None:
    text = gradient(ERROR_MAP)
    ends = ["#" + bytes(colour.tolist()).hex() for colour in table(ERROR_MAP)[[0, 255]]]
    assert text.startswith(f"linear-gradient(to right,{ends[0]}")
    assert text.endswith(f"{ends[1]})")

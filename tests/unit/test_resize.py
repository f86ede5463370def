"""The sizes that a network takes, and resizing to them and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dvd.errors import OptionError
from dvd.resize import ToModelSize, model_size, resize_frames, to_source_size

sides = st.integers(1, 3000)


@given(sides, sides, st.integers(1, 800), st.integers(1, 800), st.sampled_from([8, 16, 32]))
def test_both_sides_reach_the_target_and_are_multiples(
    height: int, width: int, target_height: int, target_width: int, multiple: int
) -> None:
    try:
        new = model_size(height, width, (target_height, target_width), multiple)
    except OptionError:
        assert max(height * target_width / (width * target_height), width * target_height / (height * target_width)) > 2
        return
    assert new[0] % multiple == 0
    assert new[1] % multiple == 0
    assert new[0] >= target_height
    assert new[1] >= target_width
    ratio = max(target_height / height, target_width / width)
    assert new[0] < height * ratio + multiple + 1
    assert new[1] < width * ratio + multiple + 1


def test_without_a_target_only_the_multiple_counts() -> None:
    assert model_size(48, 64, None) == (48, 64)
    assert model_size(7, 5, None) == (16, 16)
    assert model_size(1080, 1920, None) == (1088, 1920)


@pytest.mark.parametrize("target", [(0, 640), (480, -1)])
def test_a_target_without_pixels_is_refused(target: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match="at least 1 pixel"):
        model_size(480, 640, target)


def test_a_strip_that_would_not_fit_in_memory_is_refused() -> None:
    with pytest.raises(OptionError, match="480x480000; crop it, or choose size 'source'"):
        model_size(1, 1000, (480, 640))


def test_frames_of_the_right_size_are_unchanged() -> None:
    frames = torch.rand(2, 3, 16, 32)
    assert resize_frames(frames, (16, 32)) is frames


def test_a_ramp_stays_a_ramp() -> None:
    ramp = torch.arange(64.0).expand(1, 1, 4, 64)
    half = resize_frames(ramp, (4, 32))
    torch.testing.assert_close(half[0, 0, 0], 2 * torch.arange(32.0) + 0.5)


def test_antialiasing_starts_where_pixels_would_be_skipped() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(60).expand(1, 1, 8, 120)
    plain, smooth = (resize_frames(stripes, (8, 24), antialias) for antialias in (False, True))
    assert (plain - 0.5).abs().mean() > (smooth - 0.5).abs().mean() + 0.1
    torch.testing.assert_close(resize_frames(stripes, (8, 24), None), smooth)
    torch.testing.assert_close(resize_frames(stripes, (8, 60), None), resize_frames(stripes, (8, 60), False))


def test_bytes_and_floats_give_the_same_frame() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    from_bytes = ToModelSize((16, 32))(rgb)
    from_floats = ToModelSize((16, 32))((rgb / np.float32(255)).astype(np.float32))
    assert from_bytes.shape == (3, 16, 32)
    assert from_bytes.dtype == torch.float32
    torch.testing.assert_close(from_bytes, from_floats)


def test_resizing_does_not_change_the_frame() -> None:
    rgb = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    before = rgb.copy()
    ToModelSize((16, 16))(rgb).zero_()
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.filterwarnings("error")
def test_frames_may_be_read_only_or_mirrored() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    wanted = ToModelSize((16, 32))(rgb)
    mirrored = np.ascontiguousarray(rgb[:, ::-1, ::-1])[:, ::-1, ::-1]
    rgb.flags.writeable = False
    for frame in (rgb, mirrored):
        torch.testing.assert_close(ToModelSize((16, 32))(frame), wanted)


@pytest.mark.parametrize("size", [(16, 16), (32, 16)])
def test_frames_share_no_memory_with_each_other(size: tuple[int, int]) -> None:
    first, second = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float32)
    resize = ToModelSize(size)
    kept = resize(first)
    before = kept.clone()
    resize(second)
    torch.testing.assert_close(kept, before)


def test_disparity_is_resized_to_any_size() -> None:
    disparity = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    back = to_source_size(disparity, (7, 5))
    assert back.shape == (3, 7, 5)
    assert back.dtype == np.float32
    assert disparity.min() <= back.min()
    assert back.max() <= disparity.max()

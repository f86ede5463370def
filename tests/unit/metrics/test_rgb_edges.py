"""The release's boundary score finds depth edges within a pixel of image edges, and no others."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvd.metrics import EdgeCounts, count_edges, rgb_boundary

ALL = np.ones((1, 24, 32), bool)


def scene(column: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and RGB of one frame with one vertical edge, near and bright to its right."""
    depth_m = np.full((1, 24, 32), 4.0, np.float32)
    depth_m[..., column:] = 2.0
    rgb = np.full((1, 24, 32, 3), 0.2, np.float32)
    rgb[..., 16:, :] = 0.8
    return depth_m, rgb


def framed(mask: np.ndarray) -> np.ndarray:
    """Return a mask without the border, where the zero padding makes edges."""
    inner = np.zeros_like(mask)
    inner[:, 2:-2, 2:-2] = mask[:, 2:-2, 2:-2]
    return inner


def test_an_edge_at_the_right_pixel_is_found() -> None:
    depth_m, rgb = scene()
    assert rgb_boundary(depth_m, rgb, framed(ALL)) == pytest.approx({"f1": 1, "precision": 1, "recall": 1})


@pytest.mark.parametrize(("column", "found"), [(15, 1), (17, 1), (13, 0), (19, 0)])
def test_an_edge_one_pixel_off_is_found(column: int, found: int) -> None:
    depth_m, rgb = scene(column)
    assert rgb_boundary(depth_m, rgb, framed(ALL))["precision"] == found


def test_the_counts_by_hand() -> None:
    depth_m, rgb = scene()
    # The near side of the depth edge; the Sobel filter answers on both sides of the image edge; 20 rows inside.
    counts = count_edges(depth_m[0], rgb[0], framed(ALL)[0])
    assert counts == EdgeCounts(depth=20, depth_right=20, image=40, image_found=40)
    assert rgb_boundary(depth_m, rgb, np.zeros_like(ALL)) == {"f1": 0, "precision": 0, "recall": 0}


def test_a_slope_is_an_edge_only_at_its_steepest() -> None:
    depth_m = np.ones((1, 3, 12))
    depth_m[..., 3:] = np.array([1.1, 1.3, 1.5, 1.6, 1.6, 1.6, 1.6, 1.6, 1.6])
    counts = count_edges(depth_m[0], np.zeros((3, 12, 3)), np.ones((3, 12)))
    assert counts.depth == 3  # one in each row, from 1.1 to 1.3
    assert counts.image == 0


def test_less_than_five_per_cent_is_not_an_edge() -> None:
    depth_m, rgb = scene()
    assert rgb_boundary(np.where(depth_m > 3, 2.09, 2.0), rgb, ALL)["precision"] == 0


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 2.0, 1024.0]))
def test_depth_scale_and_image_layout_do_not_matter(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    depth_m, mask = rng.uniform(1, 2, (2, 9, 8)), rng.random((2, 9, 8)) < 0.8
    rgb = rng.integers(0, 256, (2, 9, 8, 3), dtype=np.uint8)
    here = rgb_boundary(depth_m, rgb, mask)
    assert rgb_boundary(scale * depth_m, rgb, mask) == here
    assert rgb_boundary(depth_m, rgb.transpose(0, 3, 1, 2), mask) == here
    assert rgb_boundary(torch.tensor(depth_m), torch.tensor(rgb), torch.tensor(mask)) == here
    assert rgb_boundary(depth_m, rgb.astype(np.float32) / 255, mask) == pytest.approx(here, abs=0.05)
    assert all(0 <= value <= 1 for value in here.values())


def test_frames_are_counted_together() -> None:
    (first, rgb), (second, _) = scene(), scene(10)
    depth_m, both, masks = np.concatenate([first, second]), np.concatenate([rgb, rgb]), np.concatenate([ALL, ALL])
    counts = sum((count_edges(*frame) for frame in zip(depth_m, both, masks, strict=True)), EdgeCounts())
    assert rgb_boundary(depth_m, both, masks) == counts.scores()
    assert counts.depth == 48


def test_shapes_must_agree() -> None:
    depth_m, rgb = scene()
    with pytest.raises(ValueError, match="must be T H W, T H W 3 and T H W"):
        rgb_boundary(depth_m[0], rgb, ALL)
    with pytest.raises(ValueError, match="must be H W, H W 3 and H W"):
        rgb_boundary(depth_m, rgb[:, :-1], ALL)

"""Normalised disparity, random views, and unknown pixels."""

import numpy as np
import pytest
import torch

from dvd.data.sequences import PLAIN, STILL, Augmentation, fill, normalise_disparity, see, view
from dvd.data.sources import RawClip


def clip(frames: int = 3, height: int = 32, width: int = 48, seed: int = 0) -> RawClip:
    """Return a clip whose brightness is its disparity."""
    random = np.random.default_rng(seed)
    disparity = random.random((frames, height, width), dtype=np.float32)
    rgb = (disparity[..., None].repeat(3, -1) * 255).astype(np.uint8)
    return RawClip(rgb, disparity)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_quantiles_of_a_clip_become_zero_and_one() -> None:
    ramp = torch.linspace(3, 7, 5 * 10 * 20).view(1, 1, 5, 10, 20)
    normal = normalise_disparity(ramp)
    share = [float((normal == edge).float().mean()) for edge in (0, 1)]
    assert all(0.015 < value < 0.025 for value in share)
    assert float(normal.min()) == 0
    assert float(normal.max()) == 1


def test_quantiles_agree_with_numpy_to_one_pixel() -> None:
    values = torch.rand(2, 4, 30, 40, generator=generator(1))
    for disparity, normal in zip(values.numpy(), normalise_disparity(values), strict=True):
        far, near = np.quantile(disparity, [0.02, 0.98])
        np.testing.assert_allclose(normal.numpy(), np.clip((disparity - far) / (near - far), 0, 1), atol=2e-3)


def test_normalised_disparity_ignores_scale_and_shift() -> None:
    disparity = torch.rand(2, 1, 3, 8, 8)
    torch.testing.assert_close(normalise_disparity(disparity * 4 + 2), normalise_disparity(disparity))


def test_only_valid_pixels_set_the_range() -> None:
    disparity = torch.linspace(1, 2, 400).view(1, 1, 20, 20)
    with_sky = torch.cat([disparity, torch.zeros(1, 1, 20, 20)], dim=2)
    valid = torch.cat([torch.ones(1, 1, 20, 20), torch.zeros(1, 1, 20, 20)], dim=2).bool()
    normal = normalise_disparity(with_sky, valid)
    torch.testing.assert_close(normal[:, :, :20], normalise_disparity(disparity))
    assert bool((normal[:, :, 20:] == 0).all())


def test_a_clip_without_valid_pixels_is_zero() -> None:
    assert bool((normalise_disparity(torch.rand(1, 2, 4, 4), torch.zeros(1, 2, 4, 4).bool()) == 0).all())


def test_unknown_pixels_take_their_nearest_neighbour() -> None:
    frame = torch.tensor([[[1.0, torch.nan, torch.nan, 4.0], [1.0, 2.0, torch.nan, 4.0]]])

    assert fill(frame)[0, 0].tolist()[0::3] == [1.0, 4.0]
    assert set(fill(frame).flatten().tolist()) <= {1.0, 2.0, 4.0}
    assert bool((fill(torch.full((1, 2, 2), torch.nan)) == 0).all())


def test_a_still_view_is_the_clip_itself() -> None:
    raw = clip()
    rgb, disparity, valid = view(raw, (32, 48), STILL, generator())
    torch.testing.assert_close((rgb + 1) / 2, torch.from_numpy(raw.rgb).permute(3, 0, 1, 2) / 255, atol=1e-3, rtol=0)
    torch.testing.assert_close(disparity, torch.from_numpy(raw.disparity))
    assert bool(valid.all())


def test_the_plain_view_flips_half_the_clips() -> None:
    raw = clip(1)
    plain = torch.from_numpy(raw.disparity)
    flipped = [not torch.equal(view(raw, (32, 48), PLAIN, generator(seed))[1], plain) for seed in range(40)]
    assert 8 < sum(flipped) < 32
    mirrored = next(view(raw, (32, 48), PLAIN, generator(seed))[1] for seed in range(40) if flipped[seed])
    torch.testing.assert_close(mirrored, plain.flip(-1))


def test_flips_and_crops_apply_to_rgb_and_disparity() -> None:
    how = Augmentation(area=(0.5, 0.9), gain=0.0, gamma=0.0, saturation=(1.0, 1.0), gray=0.0)
    smooth = np.linspace(0, 1, 32 * 48, dtype=np.float32).reshape(1, 32, 48).repeat(2, 0)
    raw = RawClip((smooth[..., None].repeat(3, -1) * 255).astype(np.uint8), smooth)
    for seed in range(5):
        rgb, disparity, _ = view(raw, (24, 40), how, generator(seed))
        brightness = ((rgb + 1) / 2).mean(dim=0)
        correlation = torch.corrcoef(torch.stack([brightness.flatten(), disparity.flatten()]))[0, 1]
        assert float(correlation) > 0.99


def test_clips_are_reversed_and_images_are_not() -> None:
    how = Augmentation(crop=False, flip=0.0, reverse=1.0, gain=0.0, gamma=0.0, saturation=(1.0, 1.0), gray=0.0)
    raw = clip(5)
    torch.testing.assert_close(view(raw, (32, 48), how, generator())[1], torch.from_numpy(raw.disparity).flip(0))
    still = clip(1)
    torch.testing.assert_close(view(still, (32, 48), how, generator())[1], torch.from_numpy(still.disparity))


def test_views_depend_only_on_the_seed() -> None:
    first, again, other = (see(clip(), (16, 16), Augmentation(), generator(seed)).rgb for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_sample_of_a_clip_with_holes_is_finite_and_in_range() -> None:
    raw = clip()
    holes = raw.disparity.copy()
    holes[:, 5:9, 7:20] = np.nan
    sample = see(RawClip(raw.rgb, holes), (16, 24), Augmentation(), generator())
    assert sample.rgb.shape == (3, 3, 16, 24)
    assert sample.disparity.shape == (1, 3, 16, 24)
    assert bool(sample.disparity.isfinite().all())
    assert 0 <= float(sample.disparity.min()) <= float(sample.disparity.max()) <= 1
    assert float(sample.rgb.abs().max()) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_gray_removes_colour(seed: int) -> None:
    colours = RawClip(np.random.default_rng(seed).integers(0, 256, (1, 16, 16, 3), np.uint8), clip(1, 16, 16).disparity)
    rgb = see(colours, (16, 16), Augmentation(gray=1.0), generator(seed)).rgb
    torch.testing.assert_close(rgb[0], rgb[1])

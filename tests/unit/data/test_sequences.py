"""Normalised disparity and random views."""

import torch

from dvd.data.sequences import Augmentation, normalise_disparity, random_view

PLAIN = Augmentation(area=(1.0, 1.0), aspect=1.0, flip=0.0, gain=0.0, gamma=0.0, saturation=(1.0, 1.0), gray=0.0)


def test_quantiles_of_a_clip_become_zero_and_one() -> None:
    ramp = torch.linspace(3, 7, 5 * 10 * 20).view(1, 1, 5, 10, 20)
    normal = normalise_disparity(ramp)
    share = [float((normal == edge).float().mean()) for edge in (0, 1)]
    assert all(0.015 < value < 0.025 for value in share)
    assert float(normal.min()) == 0
    assert float(normal.max()) == 1


def test_normalised_disparity_ignores_scale_and_shift() -> None:
    disparity = torch.rand(2, 1, 3, 8, 8)
    torch.testing.assert_close(normalise_disparity(disparity * 4 + 2), normalise_disparity(disparity))


def test_a_plain_view_is_the_clip_itself() -> None:
    rgb = torch.randint(0, 256, (2, 3, 16, 24, 3), dtype=torch.uint8)
    disparity = torch.rand(2, 3, 16, 24)
    seen, near = random_view(rgb, disparity, (16, 24), PLAIN, torch.Generator().manual_seed(0))
    torch.testing.assert_close((seen + 1) / 2, rgb.permute(0, 4, 1, 2, 3).float() / 255, atol=1e-3, rtol=0)
    torch.testing.assert_close(near[:, 0], disparity)


def test_flips_and_crops_move_both_halves_alike() -> None:
    disparity = torch.rand(4, 2, 32, 48)
    rgb = (disparity[..., None].expand(-1, -1, -1, -1, 3) * 255).to(torch.uint8)
    how = Augmentation(area=(0.5, 0.9), gain=0.0, gamma=0.0, saturation=(1.0, 1.0), gray=0.0)
    seen, near = random_view(rgb, disparity, (32, 48), how, torch.Generator().manual_seed(3))
    brightness = ((seen + 1) / 2).mean(dim=1)
    correlation = torch.corrcoef(torch.stack([brightness.flatten(), near.flatten()]))[0, 1]
    assert float(correlation) > 0.8


def test_views_are_a_function_of_the_seed() -> None:
    rgb = torch.randint(0, 256, (2, 1, 16, 24, 3), dtype=torch.uint8)
    disparity = torch.rand(2, 1, 16, 24)
    one, two, other = (
        random_view(rgb, disparity, (16, 16), Augmentation(), torch.Generator().manual_seed(s))[0] for s in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)

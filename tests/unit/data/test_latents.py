"""Training from a latent cache computes the same as training from pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dvd.data.latents import LatentOrder, LatentSource, write_latents
from dvd.data.sequences import PLAIN, STILL, Augmentation, see
from dvd.data.sources import BadSample, RawClip
from dvd.errors import InputError, OptionError, OutputError

ORDER = LatentOrder("flights", 70, 5, (16, 24), 1, True, "float32", "fingerprint")


class Flights:
    name = "flights"

    def count(self, frames: int) -> int:
        return 70

    def clip(self, index: int, frames: int) -> RawClip:
        if index == 3:
            raise BadSample("3.png", "is damaged")
        random = np.random.default_rng(index)
        rgb = random.integers(0, 256, (frames, 16, 24, 3), np.uint8)
        return RawClip(rgb, random.random((frames, 16, 24), dtype=np.float32))


def encode(video: Tensor) -> Tensor:
    """Stand in for the VAE; any function of the pixels serves."""
    return torch.nn.functional.avg_pool3d(video, (1, 4, 4))[:, :, ::4].repeat(1, 2, 1, 1, 1)


def written(folder: Path, order: LatentOrder = ORDER) -> LatentSource:
    assert list(write_latents(folder, Flights(), order, encode))[-1] == 70
    return LatentSource(folder, PLAIN if order.mirrored else STILL)


def test_cached_latents_equal_those_of_the_pixels(tmp_path: Path) -> None:
    source = written(tmp_path)
    assert source.count(5) == 69  # the damaged one is left out
    assert source.count(9) == 0
    for seed in range(8):
        rgb, disparity = source.clip(5, 5).see(PLAIN, torch.Generator().manual_seed(seed))
        sample = see(Flights().clip(6, 5), (16, 24), PLAIN, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(rgb, encode(sample.rgb[None])[0])
        gray = sample.disparity.expand(3, -1, -1, -1) * 2 - 1
        torch.testing.assert_close(disparity, encode(gray[None])[0])


@pytest.mark.slow
def test_16_bit_latents_are_near_the_32_bit_ones(tmp_path: Path) -> None:
    order = LatentOrder(**{**vars(ORDER), "dtype": "float16"})
    whole, half = written(tmp_path / "32"), written(tmp_path / "16", order)
    random = torch.Generator().manual_seed(0)
    exact, rounded = (source.clip(10, 5).see(STILL, random)[0] for source in (whole, half))
    assert 0 < float((exact - rounded).abs().max()) < 1e-3


def test_an_interrupted_cache_continues_and_another_order_is_refused(tmp_path: Path) -> None:
    steps = write_latents(tmp_path, Flights(), ORDER, encode)
    next(steps)
    steps.close()
    first = next(tmp_path.glob("shard_*.npy"))
    before = first.stat().st_mtime_ns
    (tmp_path / "shard_00000064.0123abcd.part.npy").touch()  # left by a killed run
    with pytest.raises(InputError, match="holds 1 of 2 shards"):
        LatentSource(tmp_path, PLAIN)
    assert written(tmp_path).count(5) == 69
    assert first.stat().st_mtime_ns == before
    other = LatentOrder(**{**vars(ORDER), "size": (32, 48)})
    with pytest.raises(OutputError, match="another order"):
        list(write_latents(tmp_path, Flights(), other, encode))


@pytest.mark.slow
def test_views_that_a_cache_does_not_have_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(OptionError, match="no crops"):
        LatentSource(tmp_path, Augmentation())
    written(tmp_path / "plain", LatentOrder(**{**vars(ORDER), "mirrored": False}))
    with pytest.raises(OptionError, match="no mirrored clips"):
        LatentSource(tmp_path / "plain", PLAIN)
    with pytest.raises(InputError, match="not a latent cache"):
        LatentSource(tmp_path / "nothing", PLAIN)


def test_an_unfinished_cache_is_refused(tmp_path: Path) -> None:
    next(write_latents(tmp_path, Flights(), ORDER, encode))
    with pytest.raises(InputError, match="holds 1 of 2 shards; run dvd data cache again"):
        LatentSource(tmp_path, PLAIN)


def test_clips_that_cannot_be_read_are_left_out_and_noted(tmp_path: Path) -> None:
    class Damaged(Flights):
        def clip(self, index: int, frames: int) -> RawClip:
            if index >= 64:
                raise BadSample(f"{index}.png", "is damaged")
            return super().clip(index, frames)

    noted: list[BadSample] = []
    list(write_latents(tmp_path, Damaged(), ORDER, encode, noted.append))
    assert [error.where for error in noted] == ["3.png", *(f"{index}.png" for index in range(64, 70))]
    assert LatentSource(tmp_path, PLAIN).count(5) == 63  # the second shard is there, and empty

    class Lost(Flights):
        def clip(self, index: int, frames: int) -> RawClip:
            raise BadSample(f"{index}.png", "is damaged")

    list(write_latents(tmp_path / "lost", Lost(), ORDER, encode, noted.append))
    with pytest.raises(InputError, match="holds no clip, because none could be read"):
        LatentSource(tmp_path / "lost", PLAIN)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "shard_00000064.npy").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"shard_00000064.npy: cannot be read .* delete it"):
        LatentSource(tmp_path, PLAIN)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        next(write_latents(tmp_path / "file", Flights(), ORDER, encode))

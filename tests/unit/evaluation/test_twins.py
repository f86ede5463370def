"""All ways through a stage do the same work on the same weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dvd.backbones.base import Backbone, ModelCard
from dvd.backbones.mini import MiniBackbone, MiniConfig, MiniNetwork
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.generative import GenerativeWanBackbone
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.evaluation.twins import (
    DIFFUSERS,
    NETWORK_STAGES,
    OURS,
    UNFOLDED,
    Way,
    Ways,
    has_diffusers,
    in_dtype,
    networks_of,
    random_weights,
    weight_bytes,
    window_ways,
)

CPU = torch.device("cpu")
CARD = ModelCard("tiny", "CC0")
TRANSFORMER = TransformerConfig(dim=96, ffn_dim=192, text_dim=32, num_heads=4, num_layers=2)
VAE = VAEConfig(dim=8, num_res_blocks=1)
needs_diffusers = pytest.mark.skipif(not has_diffusers(), reason="the extra diffusers is not installed")


def tiny_wan() -> WanBackbone:
    torch.manual_seed(0)
    transformer = random_weights(lambda: WanTransformer(TRANSFORMER), CPU)
    return WanBackbone(transformer, random_weights(lambda: WanVAE(VAE), CPU), CARD)


def tiny_mini() -> MiniBackbone:
    torch.manual_seed(0)
    features = TransformerConfig(dim=96, in_dim=64, ffn_dim=192, text_dim=32, num_heads=4, num_layers=2)
    # Without patches, whose pixels diffusers orders differently.
    vae = replace(VAE, channels=1, latents_mean=(0.0,) * 16, latents_std=(1.0,) * 16)
    config = MiniConfig(feature_channels=16, refine_channels=16, transformer=features, vae=vae)
    decoder = random_weights(lambda: WanVAE(config.vae, encoder=False), CPU)
    network = MiniNetwork(config)
    network.transformer = random_weights(lambda: WanTransformer(features), CPU)
    torch.nn.init.normal_(network.refinement.correct.weight, std=0.05)
    return MiniBackbone(network, decoder, CARD)


def results(backbone: Backbone) -> dict[Way, torch.Tensor]:
    ways: Ways = window_ways(backbone, torch.rand(1, 3, 5, 32, 48), 500.0)
    with torch.inference_mode():
        return {way: torch.as_tensor(work()) for way, work in ways.items()}


def error(result: torch.Tensor, truth: torch.Tensor) -> float:
    # diffusers ends its decoder by clamping, the product does so after it.
    result, truth = result.float().clamp(-1, 1), truth.float().clamp(-1, 1)
    return float((result - truth).norm() / truth.norm())


@pytest.mark.slow
@needs_diffusers
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)])
@pytest.mark.parametrize("build", [tiny_wan, tiny_mini])
def test_all_ways_through_a_stage_give_the_same(build, dtype: torch.dtype, tolerance: float) -> None:
    outputs = results(in_dtype(build(), dtype))
    for way, result in outputs.items():
        assert result.dtype == dtype
        assert error(result, outputs[way._replace(by=OURS)]) < tolerance, way


@pytest.mark.slow
@needs_diffusers
def test_dvd_mini_has_no_encoder_in_diffusers_and_wan_has_all_ways() -> None:
    everything = {*((stage, by) for stage in NETWORK_STAGES for by in (OURS, DIFFUSERS)), ("transformer", UNFOLDED)}
    assert {way[:2] for way in results(tiny_wan())} == everything
    assert {way[:2] for way in results(tiny_mini())} == everything - {("encode", DIFFUSERS)}


@pytest.mark.slow
@needs_diffusers
def test_a_sampler_and_a_transformer_without_time_have_no_counterpart() -> None:
    timeless = tiny_wan()
    timeless.transformer = random_weights(lambda: WanTransformer(replace(TRANSFORMER, time="none")), CPU)
    assert Way("transformer", DIFFUSERS, "float32") not in results(timeless)
    wide = random_weights(lambda: WanTransformer(replace(TRANSFORMER, in_dim=32)), CPU)
    sampler = GenerativeWanBackbone(wide, tiny_wan().vae, CARD, steps=2)
    assert {way.by for way in results(sampler) if way.stage == "transformer"} == {OURS}


def test_only_our_ways_are_there_without_diffusers(monkeypatch) -> None:
    monkeypatch.setattr("dvd.evaluation.twins.has_diffusers", lambda: False)
    assert {way.by for way in results(tiny_mini())} == {OURS, UNFOLDED}


@pytest.mark.parametrize("build", [tiny_wan, tiny_mini])
def test_a_copy_in_another_dtype_leaves_the_original_unchanged(build) -> None:
    first = build()
    twin = in_dtype(first, torch.bfloat16)
    assert (first.dtype, twin.dtype) == (torch.float32, torch.bfloat16)
    assert type(twin) is type(first)
    assert weight_bytes(twin) == weight_bytes(first) // 2
    assert in_dtype(first, torch.float32) is first


def test_weight_bytes_count_the_folded_transformer_once_it_is_made() -> None:
    backbone = tiny_wan()
    whole = weight_bytes(backbone)
    folded = backbone.folded(500.0)
    assert weight_bytes(backbone) == whole + sum(value.nbytes for value in folded.state_dict().values())


def test_a_backbone_from_elsewhere_is_timed_in_our_way_alone() -> None:
    class Foreign:
        """A backbone that derives from none of ours."""

        def __init__(self, inner: Backbone) -> None:
            self.encode, self.forward, self.decode = inner.encode, inner.forward, inner.decode
            self.device, self.dtype = inner.device, inner.dtype

    assert networks_of(Foreign(tiny_wan())).vae is None
    assert {way.by for way in results(Foreign(tiny_wan()))} == {OURS}

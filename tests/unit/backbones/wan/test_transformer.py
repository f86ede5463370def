"""The transformer by itself: names, shapes, conditioning, training. Its numbers are pinned in tests/golden."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvd.backbones.wan.transformer import (
    TimeMode,
    TransformerConfig,
    WanTransformer,
    patchify,
    rotary_angles,
    rotate,
    sinusoid,
    token_grid,
    unpatchify,
)
from dvd.errors import ModelError

CONFIG = TransformerConfig(
    dim=48, in_dim=6, ffn_dim=64, out_dim=4, text_dim=20, num_heads=2, num_layers=2, text_length=9
)


def make(config: TransformerConfig = CONFIG) -> WanTransformer:
    """Every parameter is random: a zero would hide errors."""
    torch.manual_seed(0)
    model = WanTransformer(config)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def latent(batch: int = 1) -> Tensor:
    return torch.randn(batch, CONFIG.in_dim, 3, 4, 6, generator=torch.Generator().manual_seed(1))


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got.detach().double() - wanted.detach().double()).norm() / wanted.detach().double().norm())


@pytest.mark.slow
def test_the_defaults_are_the_real_network() -> None:
    with torch.device("meta"):
        model = WanTransformer(TransformerConfig())
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert sum(value.numel() for value in model.parameters()) == 1_418_996_800
    assert shapes["patch_embedding.weight"] == (1536, 16, 1, 2, 2)
    assert shapes["blocks.29.cross_attn.norm_k.weight"] == (1536,)
    assert shapes["blocks.0.ffn.2.weight"] == (1536, 8960)
    assert shapes["time_projection.1.weight"] == (9216, 1536)
    assert shapes["head.modulation"] == (1, 2, 1536)
    assert len(shapes) == 15 + 30 * 27


def test_output_has_the_latents_grid_and_its_own_channels() -> None:
    assert make()(latent(2), 500.0).shape == (2, CONFIG.out_dim, 3, 4, 6)


def test_no_context_is_the_zero_text() -> None:
    model = make()
    with torch.no_grad():
        silent = model(latent(2), 500.0)
        assert relative(silent, model(latent(2), 500.0, torch.zeros(2, 9, 20))) < 1e-5
        assert relative(silent, model(latent(2), 500.0, torch.zeros(2, 3, 20))) < 1e-5, "short texts are padded"
        assert relative(silent, model(latent(2), 500.0, torch.randn(2, 9, 20))) > 1e-3, "a text must be heard"


def test_each_sample_has_its_own_timestep() -> None:
    model, x = make(), latent(2)
    with torch.no_grad():
        together = model(x, torch.tensor([100.0, 900.0]))
        assert relative(together[:1], model(x[:1], 100.0)) < 1e-5
        assert relative(together[1:], model(x[1:], torch.tensor(900.0))) < 1e-5
        assert relative(together[1:], model(x[1:], 100.0)) > 1e-3


@pytest.mark.parametrize("time", ["none", "learned"])
def test_without_sinusoids_the_timestep_is_ignored(time: TimeMode) -> None:
    model = make(replace(CONFIG, time=time))
    with torch.no_grad():
        assert torch.equal(model(latent(2), 0.0), model(latent(2), torch.tensor([1000.0, 500.0])))
        for layer in (model.time_embedding[0], model.time_projection[1]):
            before = model(latent(), 500.0)
            layer.weight.mul_(2)
            assert torch.equal(model(latent(), 500.0), before) == (time == "none")


def test_without_time_only_each_blocks_own_modulation_acts() -> None:
    timeless, silenced = make(replace(CONFIG, time="none")), make()
    with torch.no_grad():
        for layer in (silenced.time_embedding[2], silenced.time_projection[1]):
            layer.weight.zero_()
            layer.bias.zero_()
        assert torch.equal(timeless(latent(), 500.0), silenced(latent(), 500.0))


def test_a_learned_basis_replaces_the_sinusoids() -> None:
    model, pretrained = make(replace(CONFIG, time="learned")), make()
    assert set(model.state_dict()) - set(pretrained.state_dict()) == {"time_basis"}
    pretrained.load_state_dict({name: value for name, value in model.state_dict().items() if name != "time_basis"})
    with torch.no_grad():
        model.time_basis.copy_(sinusoid(300.0, CONFIG.freq_dim)[0])
        assert torch.equal(model(latent(), 500.0), pretrained(latent(), 300.0))
    torch.manual_seed(0)
    fresh = WanTransformer(replace(CONFIG, time="learned")).time_basis.detach()
    assert fresh.shape == (CONFIG.freq_dim,)
    assert 0.6 < fresh.square().mean().sqrt() < 0.8, "about as large as sinusoids are"


def test_patch_embedding_is_the_convolution_it_is_stored_as() -> None:
    model, x = make(), latent(2)
    assert relative(model.embed_patches(x), model.patch_embedding(x).flatten(2).transpose(1, 2)) < 1e-6


def test_patches_are_restored_from_tokens() -> None:
    x, patch = latent(2), (1, 2, 2)
    grid = token_grid(x, patch)
    assert grid == (3, 2, 3)
    tokens = patchify(x, patch).unflatten(-1, (CONFIG.in_dim, 4)).transpose(-1, -2).flatten(-2)  # channels last
    assert torch.equal(unpatchify(tokens, grid, patch), x)


def test_rotation_depends_on_offsets_alone() -> None:
    grid, width = (4, 5, 6), 12
    cos, sin = rotary_angles(grid, width, torch.device("cpu"))
    assert cos.shape == (120, 1, width // 2)
    q, k = (torch.randn(1, 1, 1, width).expand(1, 120, 1, width) for _ in range(2))
    scores = (rotate(q, cos, sin)[0, :, 0] @ rotate(k, cos, sin)[0, :, 0].T).view(*grid, *grid)
    assert torch.allclose(scores[0, 0, 0, 2, 1, 3], scores[1, 2, 2, 3, 3, 5], atol=1e-5)
    assert not torch.allclose(scores[0, 0, 0, 2, 1, 3], scores[0, 0, 0, 3, 1, 2], atol=1e-3)
    assert torch.equal(rotate(q, cos, sin)[0, 0], q[0, 0]), "the first token is not turned"


def test_angles_made_in_inference_mode_work_in_training() -> None:
    rotary_angles.cache_clear()
    model = make()
    with torch.inference_mode():
        model(latent(), 500.0)
    model(latent(), 500.0).sum().backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_width_stays_near(dtype: torch.dtype) -> None:
    model = make()
    with torch.no_grad():
        wanted = model(latent(), 500.0)
        got = model.to(dtype)(latent(), 500.0)
    assert got.dtype == dtype
    assert relative(got, wanted) < 3e-2


@pytest.mark.parametrize("time", ["sinusoidal", "none", "learned"])
def test_training_reaches_everything_that_is_not_frozen(time: TimeMode) -> None:
    model = make(replace(CONFIG, time=time))
    model.freeze_unreached()
    with torch.autocast("cpu", torch.bfloat16):
        prediction = model(latent(2), torch.tensor([200.0, 500.0]))
    prediction.float().square().mean().backward()
    silent = {name for name, value in model.named_parameters() if value.grad is None}
    assert silent == {name for name, value in model.named_parameters() if not value.requires_grad}
    idle = {name for name in silent if name.startswith("time_")}
    assert len(idle) == (6 if time == "none" else 0)
    assert all("norm3" in name or "cross_attn" in name for name in silent - idle)
    assert not any(name.endswith(("cross_attn.v.weight", "cross_attn.o.weight")) for name in silent)
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        model = make()
        model.gradient_checkpointing = recompute
        model(latent(), 500.0).square().mean().backward()
        gradients.append(model.blocks.get_parameter("0.self_attn.q.weight").grad)
    assert gradients[0].abs().sum() > 0
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-8)


@pytest.mark.slow
def test_a_fresh_network_is_silent_and_learns() -> None:
    torch.manual_seed(0)
    model = WanTransformer(CONFIG)
    assert not model(latent(), 500.0).any(), "the head starts at zero"
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    target = torch.randn(1, CONFIG.out_dim, 3, 4, 6)
    for _ in range(60):
        loss = F.mse_loss(model(latent(), 500.0), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3 * target.square().mean()


def test_invalid_sizes_are_refused() -> None:
    model = make()
    with pytest.raises(ModelError, match=r"\(3, 4, 5\) does not divide"):
        model(latent()[..., :5], 500.0)
    with pytest.raises(ModelError, match="10 tokens exceeds 9"):
        model(latent(), 500.0, torch.zeros(1, 10, 20))
    with pytest.raises(ModelError, match="dim 50 does not split into 4 heads"):
        TransformerConfig(dim=50, num_heads=4)
    with pytest.raises(ModelError, match="unknown time mode 'learnt'; did you mean learned"):
        TransformerConfig(time="learnt")  # type: ignore[arg-type]


@pytest.mark.slow
def test_peft_adapters_fit_the_network() -> None:
    """Zero-initialised adapters change nothing; merged ones equal unmerged ones."""
    peft = pytest.importorskip("peft", reason="peft comes with the extra 'train'")
    model, base = make(), make()
    targets = ["q", "k", "v", "o", "ffn.0", "ffn.2"]
    peft.inject_adapter_in_model(peft.LoraConfig(r=4, lora_alpha=4, target_modules=targets), model)
    adapters = [name for name, _ in model.named_parameters() if "lora_B" in name]
    assert len(adapters) == CONFIG.num_layers * 10
    with torch.no_grad():
        assert relative(model(latent(), 500.0), base(latent(), 500.0)) < 1e-6
        for name, value in model.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(value, std=0.1)
        unmerged = model(latent(), 500.0)
        for module in model.modules():
            if isinstance(module, peft.tuners.lora.LoraLayer):
                module.merge()
        assert relative(model(latent(), 500.0), unmerged) < 1e-5
        assert relative(unmerged, base(latent(), 500.0)) > 1e-3

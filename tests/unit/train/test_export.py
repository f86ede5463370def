"""What was trained comes out of every file as it went in."""

from __future__ import annotations

import json
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dvd.backbones import registry
from dvd.backbones.base import ModelCard
from dvd.backbones.blueprint import blueprint
from dvd.backbones.settings import Adaptation
from dvd.backbones.wan.backbone import WanBackbone
from dvd.backbones.wan.checkpoints import load_transformer
from dvd.backbones.wan.generative import GenerativeWanBackbone, sample
from dvd.backbones.wan.lora import adapt, adapters_of, merged
from dvd.backbones.wan.training import WanTraining, release_config, widen, write_transformer
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.backbones.wan.weights import open_weights
from dvd.errors import ModelError, OptionError, OutputError
from dvd.names import CheckpointLayout
from dvd.train.adapters import inject, load_adapted
from dvd.train.export import card, convert, product
from dvd.train.export import write_model as write_any_model
from dvd.train.recipes import GENERATIVE, MINI, PAPER, SMOKE, SMOKE_GENERATIVE

pytestmark = pytest.mark.slow  # PEFT takes seconds to import

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CONFIG = TransformerConfig(dim=48, ffn_dim=64, text_dim=20, freq_dim=16, num_heads=2, num_layers=2)
SIZES = {"num_heads": 2}
SMALL_VAE = VAEConfig(
    dim=8,
    dim_mult=(1, 2),
    num_res_blocks=1,
    temporal_downsample=(True,),
    latents_mean=(0.1,) * 16,
    latents_std=(2.0,) * 16,
)
CARD = ModelCard("tiny", "Apache-2.0", size=(64, 80), window=9, overlap=3, tau=0.3, summary="for tests")
LORA = Adaptation(rank=4, alpha=8)
VARIANTS = {
    "lora": LORA,
    "some layers": replace(LORA, layers=(1,), targets=("q", "o")),
    "release layout": replace(LORA, release_layout=True),
    "full": Adaptation("full"),
}


def write_model(folder: Path, network: WanTransformer, vae: WanVAE, sampler_steps: int | None = None) -> None:
    write_any_model(folder, WanTraining(), network, vae, CARD, sampler_steps)


def trained(adaptation: Adaptation = LORA, config: TransformerConfig = CONFIG) -> WanTransformer:
    """Nothing is zero any more, but what could not learn."""
    torch.manual_seed(0)
    model = WanTransformer(config)
    adapt(model, adaptation, inject)
    for parameter in model.parameters():
        if parameter.requires_grad or parameter.ndim == 1:
            nn.init.normal_(parameter, std=0.2)
    nn.init.normal_(model.head.head.weight, std=0.2)
    return model


def trained_flow(adaptation: Adaptation = LORA) -> WanTransformer:
    """One that also sees the RGB latent, and has learned to look."""
    model = widen(trained(adaptation))
    nn.init.normal_(model.patch_embedding.weight, std=0.2)
    return model


@pytest.fixture(scope="module")
def vae() -> WanVAE:
    torch.manual_seed(1)
    return WanVAE(SMALL_VAE)


def latent() -> Tensor:
    return torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def predict(model: WanTransformer) -> Tensor:
    prediction: Tensor = model(latent(), 300.0)
    return prediction


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


@pytest.mark.parametrize("adaptation", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("layout", ["release", "default", "merged"])
def test_every_layout_predicts_the_same(layout: CheckpointLayout, adaptation: Adaptation, tmp_path: Path) -> None:
    model = trained(adaptation)
    write_transformer(tmp_path / "x.safetensors", model, layout)
    again = load_transformer(open_weights(tmp_path / "x.safetensors"), SIZES)
    assert relative(predict(again), predict(model)) < 1e-6


def test_the_release_layout_has_exactly_the_releases_keys(tmp_path: Path) -> None:
    """Those of the golden checkpoint, which has two blocks as well."""
    wanted = set(load_file(str(GOLDEN / "dvd_tiny.safetensors")))
    for adaptation in (LORA, VARIANTS["some layers"], VARIANTS["release layout"]):
        write_transformer(tmp_path / "x.safetensors", trained(adaptation), "release")
        assert set(load_file(str(tmp_path / "x.safetensors"))) == wanted
    write_transformer(tmp_path / "x.safetensors", trained(), "release")
    written = load_file(str(tmp_path / "x.safetensors"))
    key = "pipe.dit.blocks.1.cross_attn.k.lora_{}.default.weight"
    assert not written[key.format("B")].any()
    assert written[key.format("A")].any(), "or it could never learn again"
    assert written[key.format("A")].shape == (4, 48)
    write_transformer(tmp_path / "y.safetensors", trained(), "release")
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()


@pytest.mark.slow
def test_the_golden_checkpoint_survives_conversion_and_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = json.loads((GOLDEN / "config.json").read_text())
    source, ours, back, one = (GOLDEN / "dvd_tiny.safetensors", *(tmp_path / f"{n}.safetensors" for n in "abc"))
    with caplog.at_level(logging.WARNING):
        convert(source, ours, "default")
    assert "4 of them were not zero" in caplog.text
    convert(ours, back, "release", config["transformer"])
    convert(back, one, "merged", config["transformer"])
    before, there, after = (load_file(str(path)) for path in (source, ours, back))
    assert after.keys() == before.keys()
    assert before.keys() - there.keys() == {
        f"pipe.dit.blocks.{block}.cross_attn.{name}"
        for block in range(2)
        for target in "qk"
        for name in (f"{target}.lora_A.default.weight", f"{target}.lora_B.default.weight", *_base_layer(target))
    }
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    merged_away = {f"pipe.dit.blocks.{b}.cross_attn.{t}.base_layer.weight" for b in range(2) for t in "qk"}
    lora_of_them = {name for name in before if any(f"cross_attn.{t}.lora" in name for t in "qk")}
    assert before.keys() - same == merged_away | lora_of_them
    assert not any("lora" in name for name in load_file(str(one)))
    loaded = [load_transformer(open_weights(path), config["transformer"]) for path in (source, ours, back, one)]
    text = torch.randn(1, 7, 4096, generator=torch.Generator().manual_seed(2))
    for context in (None, text):
        with torch.no_grad():
            wanted, *others = (network(latent(), 500.0, context) for network in loaded)
        assert max(relative(other, wanted) for other in others) < 1e-6


def _base_layer(target: str) -> tuple[str, str]:
    return f"{target}.base_layer.weight", f"{target}.base_layer.bias"


@pytest.mark.slow
@pytest.mark.parametrize("time", ["sinusoidal", "none", "learned"])
@pytest.mark.parametrize("adaptation", [LORA, Adaptation("full")], ids=["lora", "full"])
def test_the_folder_predicts_the_same(adaptation: Adaptation, time: str, vae: WanVAE, tmp_path: Path) -> None:
    model = trained(adaptation, replace(CONFIG, time=time))
    write_model(tmp_path, model, vae)
    rgb = torch.rand(1, 3, 5, 16, 16) * 2 - 1
    ours = WanBackbone(merged(model), vae, CARD)
    with torch.no_grad():
        wanted = ours.decode(ours.forward(ours.encode(rgb), 300.0))
        for folder in [tmp_path] + [tmp_path / "merged"] * (adaptation.kind == "lora"):
            opened = registry.load(folder)
            assert isinstance(opened, WanBackbone)
            assert opened.card == CARD
            assert opened.transformer.config == model.config
            assert opened.vae.config == SMALL_VAE
            assert relative(opened.decode(opened.forward(opened.encode(rgb), 300.0)), wanted) < 1e-5
    files = {path.name for path in tmp_path.iterdir()}
    both = {"model.safetensors", "Wan2.1_VAE.pth", "config.json"}
    assert files == (both | {"merged"} if adaptation.kind == "lora" else both)


@pytest.mark.slow
@pytest.mark.parametrize("adaptation", [LORA, Adaptation("full")], ids=["lora", "full"])
def test_the_folder_of_a_depth_flow_samples_the_same(adaptation: Adaptation, vae: WanVAE, tmp_path: Path) -> None:
    model = trained_flow(adaptation)
    write_model(tmp_path, model, vae, sampler_steps=3)
    condition = latent()
    with torch.no_grad():
        wanted = sample(merged(model), condition, 3)
        blind = sample(lambda z, timestep: model(torch.cat([z[:, :16], 0 * z[:, 16:]], dim=1), timestep), condition, 3)
        assert relative(blind, wanted) > 0.05, "or the new channels could get lost unseen"
        places = [tmp_path, tmp_path / "model.safetensors"]
        for place in places + [tmp_path / "merged"] * (adaptation.kind == "lora"):
            opened = registry.load(place)
            assert isinstance(opened, GenerativeWanBackbone)
            assert (opened.steps, opened.card) == (3, CARD)
            assert opened.transformer.config == model.config == replace(CONFIG, in_dim=32)
            assert opened.vae.config == SMALL_VAE
            assert relative(opened.forward(condition), wanted) < 1e-5
    assert not (tmp_path / "model_config.yaml").exists(), "the release's own code cannot open it"


def test_an_exported_folder_is_trained_further(vae: WanVAE, tmp_path: Path) -> None:
    model = trained()
    write_model(tmp_path, model, vae)
    config = json.loads((tmp_path / "config.json").read_text())
    weights = open_weights(tmp_path / "model.safetensors")
    again = load_adapted(weights, config["transformer"], config["lora"])
    assert adapters_of(again).keys() == adapters_of(model).keys()
    assert relative(predict(again), predict(model)) < 1e-6


@pytest.mark.slow
def test_the_releases_own_configuration() -> None:
    with blueprint():
        model = WanTransformer(TransformerConfig())
        assert release_config(model, 0.5) is None, "it has no LoRA"
        adapt(model, Adaptation(), inject)
    text = release_config(model, 0.5)
    assert text is not None
    fields = dict(line.split(": ", 1) for line in text.splitlines())
    assert fields.pop("model_id_with_origin_paths").endswith("Wan-AI/Wan2.1-T2V-1.3B:Wan2.1_VAE.pth")
    assert fields == {
        "trainable_models": "dit",
        "mode": "regression",
        "denoise_step": "0.5",
        "training_target": "x",
        "lora_base_model": "dit",
        "lora_rank": "512",
    }
    assert release_config(trained(), 0.5) is None, "another size"


def test_the_card_of_an_exported_model() -> None:
    one, other = card(replace(PAPER, phases=(replace(PAPER.phases[0], tau=0.8),))), card(GENERATIVE)
    assert (one.name, one.tau, one.window, one.overlap, one.size) == ("dvd-wan-1.3b", 0.8, 45, 9, (352, 1216))
    assert (other.name, other.window, other.overlap) == ("dvd-wan-1.3b-generative", 45, 9)
    assert "licences of their own" in other.licence
    assert card(SMOKE).licence == "Apache-2.0"
    assert product(SMOKE).name == "adapt"
    assert product(SMOKE_GENERATIVE).name == "depth"
    assert product(MINI).name == "decoder"


def test_a_models_window_is_what_its_network_saw_last() -> None:
    *others, decoder = MINI.phases
    shorter = replace(decoder, mixture=replace(decoder.mixture, frames=9))
    assert card(replace(MINI, phases=(*others, shorter))).window == others[-1].mixture.frames != 9


# Refusals


def test_a_recipe_without_depth_has_nothing_to_export() -> None:
    prior = replace(SMOKE, name="prior", phases=SMOKE.phases[:-1])
    with pytest.raises(
        OptionError, match="recipe prior has no phase that learns depth, so nothing to export; end with"
    ):
        product(prior)


def test_a_run_makes_one_model() -> None:
    flow = SMOKE_GENERATIVE.phases[-1]
    with pytest.raises(OptionError, match="phase depth makes a generative model and phase adapt a deterministic one"):
        replace(SMOKE, phases=(*SMOKE.phases, flow))
    with pytest.raises(OptionError, match="phase pretrain: a prior comes before the depth flow depth; swap them"):
        replace(SMOKE, phases=(SMOKE.phases[0], flow, SMOKE.phases[1]))
    with pytest.raises(OptionError, match="phase depth: dvd-mini has no RGB latents to flow to; use a wan model"):
        replace(MINI, phases=(flow,))
    with pytest.raises(OptionError, match="phase depth: a sampler takes at least 1 step, not 0"):
        replace(flow, sampler_steps=0)


@pytest.mark.parametrize("steps", [0, -3, 2.5, "ten", True, None])
def test_sampler_steps_in_a_configuration_are_checked(steps: object, vae: WanVAE, tmp_path: Path) -> None:
    write_model(tmp_path, trained_flow(), vae, sampler_steps=2)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "steps": steps}))
    with pytest.raises(
        ModelError, match=rf"its config.json gives steps = {steps!r}; write a whole number of 1 or more"
    ):
        registry.load(tmp_path)


@pytest.mark.slow
def test_a_configuration_of_the_wrong_kind_is_refused(vae: WanVAE, tmp_path: Path) -> None:
    write_model(tmp_path / "one", trained(), vae)
    write_model(tmp_path / "ten", trained_flow(), vae, sampler_steps=2)
    for folder, word, wanted in (
        ("one", "generative", "takes 32 channels and gives 16 .* this one takes 16 and gives 16"),
        ("ten", "wan", "the transformer takes 32 and gives 16"),
    ):
        path = tmp_path / folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "backbone": word}))
        with pytest.raises(ModelError, match=wanted):
            registry.load(path.parent)


def test_impossible_conversions_are_refused(vae: WanVAE, tmp_path: Path) -> None:
    model = trained()
    write_transformer(tmp_path / "x.safetensors", model, "merged")
    with pytest.raises(ModelError, match="has no LoRA in it that can learn"):
        convert(tmp_path / "x.safetensors", tmp_path / "y.safetensors", "release", SIZES)
    with pytest.raises(OptionError, match="unknown layout 'releases'; did you mean release"):
        write_transformer(tmp_path / "y.safetensors", model, "releases")  # type: ignore[arg-type]
    (tmp_path / "config.json").write_text('{"lora": {"rank": 4, "alpha": 8}}')
    with pytest.raises(OptionError, match=r"alpha = rank = 4, but the config\.json there says alpha = 8"):
        write_transformer(tmp_path / "y.safetensors", model, "default")
    assert not (tmp_path / "y.safetensors").exists()
    with pytest.raises(OutputError, match="choose another folder"):
        write_model(tmp_path / "x.safetensors" / "model", model, vae)


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes: the nearest thing to a full disk that every machine has."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [0, 150_000, 400_000])
def test_a_full_disk_leaves_what_was_there(size: int, vae: WanVAE, tmp_path: Path) -> None:
    write_model(tmp_path, trained(), vae)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    transformer, autoencoder = (before[tmp_path / name] for name in ("model.safetensors", "Wan2.1_VAE.pth"))
    assert 150_000 < len(transformer) < 400_000 < len(autoencoder), "each is where the room ends in one of the cases"
    with full_after(size), pytest.raises(OutputError, match=rf"^{tmp_path}.*: "):
        write_model(tmp_path, trained(replace(LORA, alpha=2)), vae)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not list(tmp_path.parent.glob("*.part"))

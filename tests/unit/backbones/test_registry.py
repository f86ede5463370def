"""Names, model folders, and what is said where they do not lead to a model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dvd.backbones import mini, registry
from dvd.backbones.base import ModelCard
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.errors import ModelError

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The golden model in a folder of its own."""
    made = tmp_path / "mine"
    made.mkdir()
    for name in ("config.json", "dvd_tiny.safetensors", "wan_vae_tiny.pth"):
        shutil.copy(GOLDEN / name, made)
    return made


def reconfigure(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_what_can_be_named() -> None:
    assert registry.names() == ["dvd-mini", "dvd-1.0", "dvd-1.1"]
    for version, file in (("1.0", "model.safetensors"), ("1.1", "dvd_1.1.safetensors")):
        entry = registry.find(f"dvd-{version}")
        transformer, vae = entry.files
        assert (transformer.repo, transformer.name) == ("FayeHongfeiZhang/DVD", file)
        assert (vae.repo, vae.name, vae.licence) == ("Wan-AI/Wan2.1-T2V-1.3B", "Wan2.1_VAE.pth", "Apache-2.0")
        assert "CC BY-NC 4.0" in entry.licence
        assert "CC BY-NC 4.0" in transformer.licence
    assert registry.find("dvd-mini").licence == "Apache-2.0"


@pytest.mark.parametrize("ask", [registry.find, registry.card, registry.load])
def test_an_unknown_name_offers_the_nearest(ask: Callable[[str], object]) -> None:
    with pytest.raises(ModelError, match=r"unknown model 'dvd-mimi'; did you mean dvd-mini.*path of a model folder"):
        ask("dvd-mimi")


@pytest.mark.parametrize("path", ["no/such/folder", "./nothing", "~/nothing-of-the-kind", "absent.safetensors"])
def test_a_path_that_is_not_there(path: str) -> None:
    with pytest.raises(ModelError, match="no such model folder or file; correct the path, or name one of dvd-mini"):
        registry.load(path)


def test_a_model_of_the_package_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.Entry("dvd-mini", "Apache-2.0", "", folder=tmp_path / "dvd-mini")
    monkeypatch.setattr(registry, "ENTRIES", (entry,))
    assert not registry.is_here(entry)
    with pytest.raises(ModelError, match="the weights of dvd-mini are not in this installation"):
        registry.load("dvd-mini")


def test_a_folder_of_the_mini_backbone_is_opened_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(mini, "load", lambda *args: asked.append(args) or "the backbone")
    (tmp_path / "config.json").write_text('{"backbone": "mini"}')
    assert registry.load(tmp_path, "cpu", torch.bfloat16) == "the backbone"
    assert asked == [(tmp_path, "cpu", torch.bfloat16)]

    entry = registry.Entry("dvd-mini", "Apache-2.0", "", folder=tmp_path)
    monkeypatch.setattr(registry, "ENTRIES", (entry,))
    assert registry.is_here(entry)
    assert registry.load("dvd-mini") == "the backbone"
    assert asked[1:] == [(tmp_path, "cpu", torch.float32)]


def test_a_card_in_the_configuration_is_the_models(folder: Path) -> None:
    told = {"name": "ours", "licence": "MIT", "size": [64, 96], "window": 9, "overlap": 3, "bfloat16": False}
    reconfigure(folder, card=told, anchor_timestep=250)
    assert registry.load(folder).card == ModelCard("ours", "MIT", (64, 96), 9, 3, tau=0.25, bfloat16=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "told", [{}, {"card": {"name": "ours", "licence": "MIT", "window": 9, "bfloat16": False}}], ids=str
)
def test_the_card_is_known_before_the_weights(folder: Path, told: dict) -> None:
    reconfigure(folder, **told)
    for path in (folder, folder / "dvd_tiny.safetensors"):
        assert registry.card(path) == registry.load(path).card
    for file in ("dvd_tiny.safetensors", "wan_vae_tiny.pth"):
        (folder / file).unlink()
    assert registry.card(folder).window == told.get("card", {}).get("window", 45)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["dvd-mini", str(GOLDEN)], ids=["mini", "wan"])
def test_without_values_a_model_has_the_sizes_it_would_have(model: str) -> None:
    outline, whole = registry.load(model, "meta"), registry.load(model)
    assert outline.card == whole.card
    assert (outline.time_factor, outline.side_multiple) == (whole.time_factor, whole.side_multiple)
    assert str(outline.device) == "meta"
    for name in ("network", "transformer", "vae"):
        if hasattr(whole, name):
            shapes = [
                {key: value.shape for key, value in getattr(each, name).state_dict().items()}
                for each in (outline, whole)
            ]
            assert shapes[0] == shapes[1]


def test_without_values_names_and_shapes_are_checked_all_the_same(folder: Path, tmp_path: Path) -> None:
    without_vae(folder)
    with pytest.raises(ModelError, match="no weights of the vae"):
        registry.load(folder, "meta")
    copy = tmp_path / "copy"
    shutil.copytree(registry.WEIGHTS / "dvd-mini", copy)
    save_file({"nothing": torch.zeros(1)}, str(copy / "vae.safetensors"))
    with pytest.raises(ModelError, match=r"vae\.safetensors: keys missing, unknown or of another shape"):
        registry.load(copy, "meta")


@pytest.mark.slow
def test_the_card_of_the_embedded_model_is_its_own() -> None:
    assert registry.card("dvd-mini") == registry.load("dvd-mini").card


def test_a_card_needs_neither_torch_nor_the_network(tmp_path: Path) -> None:
    code = (
        "import sys; from dvd.backbones import registry;"
        "heavy = {'torch', 'numpy', 'huggingface_hub'};"
        "print(*(registry.card(name).name for name in registry.names()), *heavy & set(sys.modules))"
    )
    assert fresh(code, tmp_path) == ["dvd-mini dvd-1.0 dvd-1.1"]


@pytest.mark.parametrize("name", [None, 3, b"dvd-mini", ["dvd-mini"], ""])
def test_what_is_no_name_at_all_is_refused(name: object) -> None:
    for ask in (registry.card, registry.load):
        with pytest.raises(ModelError, match=r"model is .*must be the path of a model folder, or a model's name"):
            ask(name)  # type: ignore[operator]


@pytest.mark.slow
def test_shards_in_diffusers_layout(folder: Path) -> None:
    from dvd.backbones.wan.weights import open_weights

    whole = open_weights(folder / "dvd_tiny.safetensors")
    place = folder / "transformer"
    place.mkdir()
    home = {name: f"part-{index % 2}.safetensors" for index, name in enumerate(whole.shapes)}
    for file in set(home.values()):
        save_file({name: whole.read(name) for name in home if home[name] == file}, str(place / file))
    (place / "part.safetensors.index.json").write_text(json.dumps({"weight_map": home}))
    (folder / "dvd_tiny.safetensors").unlink()

    latent = torch.randn(1, 16, 2, 4, 4)
    predicted = registry.load(folder).forward(latent, 500.0)
    assert torch.equal(predicted, registry.load(GOLDEN).forward(latent, 500.0))


# Refusals


def without_transformer(folder: Path) -> None:
    (folder / "dvd_tiny.safetensors").unlink()


def without_vae(folder: Path) -> None:
    (folder / "wan_vae_tiny.pth").unlink()


def two_transformers(folder: Path) -> None:
    shutil.copy(folder / "dvd_tiny.safetensors", folder / "another.safetensors")


def strange_backbone(folder: Path) -> None:
    reconfigure(folder, backbone="minni")


def broken_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"transformer": ')


def list_json(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def section_that_is_none(folder: Path) -> None:
    reconfigure(folder, transformer=[96])


def strange_card(folder: Path) -> None:
    reconfigure(folder, card={"colour": "blue"})


def strange_anchor(folder: Path) -> None:
    reconfigure(folder, anchor_timestep="half")


def other_latent(folder: Path) -> None:
    config = VAEConfig(dim=8, z_dim=4, latents_mean=(0.0,) * 4, latents_std=(1.0,) * 4)
    torch.save(WanVAE(config).state_dict(), folder / "wan_vae_tiny.pth")
    reconfigure(folder, vae={"latents_mean": [0.0] * 4, "latents_std": [1.0] * 4})


def truncated(folder: Path) -> None:
    content = (folder / "dvd_tiny.safetensors").read_bytes()
    (folder / "dvd_tiny.safetensors").write_bytes(content[:-1000])


REFUSALS = {
    "no weights of the transformer in it; a .safetensors or .pth": without_transformer,
    "no weights of the vae in it; Wan2.1_VAE.pth of https": without_vae,
    "more than one transformer in it: another.safetensors, dvd_tiny.safetensors; name": two_transformers,
    "unknown backbone 'minni'; did you mean mini": strange_backbone,
    "config.json: not readable as JSON": broken_json,
    "config.json: holds no JSON object": list_json,
    "config.json: transformer is no JSON object": section_that_is_none,
    "misstates card or anchor_timestep": strange_card,
    "misstates card or anchor_timestep (unsupported": strange_anchor,
    "its latent has 4 channels, the transformer takes 16 and gives 16": other_latent,
    "dvd_tiny.safetensors: not a whole weight file": truncated,
}


@pytest.mark.parametrize(("words", "damage"), REFUSALS.items(), ids=[change.__name__ for change in REFUSALS.values()])
def test_a_damaged_folder_is_refused_in_one_line(words: str, damage: Callable[[Path], None], folder: Path) -> None:
    damage(folder)
    with pytest.raises(ModelError) as caught:
        registry.load(folder)
    message = str(caught.value)
    assert words in message
    assert str(folder) in message
    assert "\n" not in message


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no weights of the transformer in it"):
        registry.load(tmp_path)


# What a fresh process sees

LISTING = """
import sys
from dvd.backbones import registry
print(*registry.names(), "torch" in sys.modules, "huggingface_hub" in sys.modules)
print(*(registry.is_here(registry.find(name)) for name in ("dvd-1.0", "dvd-1.1")), "torch" in sys.modules)
"""
OFFLINE = """
import sys
from dvd.backbones import registry
from dvd.errors import ModelError
try:
    registry.load("dvd-1.0")
except ModelError as error:
    print(error)
"""


def fresh(code: str, home: Path) -> list[str]:
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.slow
def test_listing_the_models_imports_neither_torch_nor_the_network(tmp_path: Path) -> None:
    assert fresh(LISTING, tmp_path) == ["dvd-mini dvd-1.0 dvd-1.1 False False", "False False False"]


@pytest.mark.slow
def test_offline_a_named_model_is_refused_at_once_with_both_pages(tmp_path: Path) -> None:
    start = time.perf_counter()
    (line,) = fresh(OFFLINE, tmp_path)
    assert time.perf_counter() - start < 15  # the hub library's own answer takes 23 s more
    assert "HF_HUB_OFFLINE is set" in line
    assert "http://127.0.0.1:9/FayeHongfeiZhang/DVD/resolve/main/model.safetensors" in line
    assert "http://127.0.0.1:9/Wan-AI/Wan2.1-T2V-1.3B/resolve/main/Wan2.1_VAE.pth" in line
    assert "give its path as the model" in line

"""Checkpoints in every form, at the real size without memory, at a middle size with memory measured, and damaged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dvd.backbones.wan.checkpoints import load_transformer, load_unmerged, load_vae, locate, save_release
from dvd.backbones.wan.names import inverse, network_of, rename, table_for, transformer_table, vae_table
from dvd.backbones.wan.sizes import transformer_config, vae_config
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE
from dvd.backbones.wan.weights import Weights, open_weights
from dvd.errors import ModelError, OutputError

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
TARGETS = ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "cross_attn.q", "cross_attn.k", "cross_attn.v")
TARGETS += ("cross_attn.o", "ffn.0", "ffn.2")
SMALL = TransformerConfig(dim=64, ffn_dim=96, text_dim=40, freq_dim=32, num_heads=2, num_layers=2)
SIZES = {"num_heads": 2}

State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    network = WanTransformer(SMALL)
    return {name: torch.randn_like(value) for name, value in network.state_dict().items()}


def adapters(state: State, rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    modules = [f"blocks.{index}.{target}" for index in range(SMALL.num_layers) for target in TARGETS]
    shapes = {module: state[f"{module}.weight"].shape for module in modules}
    return {module: (torch.randn(rank, shape[1]), torch.randn(shape[0], rank)) for module, shape in shapes.items()}


def written(path: Path, state: State) -> Path:
    save_file({name: value.contiguous() for name, value in state.items()}, str(path))
    return path


def opened(path: Path, **given: object) -> State:
    return dict(load_transformer(open_weights(path), {**SIZES, **given}).state_dict())


def assert_same(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


# The real size, on the meta device


def release_shapes(rank: int = 512) -> dict[str, tuple[int, ...]]:
    """The release's keys and shapes, derived by rule and not from the network."""
    dim, ffn = 1536, 8960
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embedding.weight": (dim, 16, 1, 2, 2),
        "patch_embedding.bias": (dim,),
        "head.head.weight": (64, dim),
        "head.head.bias": (64,),
        "head.modulation": (1, 2, dim),
    }
    for name, after, before in (
        ("text_embedding.0", dim, 4096),
        ("text_embedding.2", dim, dim),
        ("time_embedding.0", dim, 256),
        ("time_embedding.2", dim, dim),
        ("time_projection.1", 6 * dim, dim),
    ):
        shapes |= {f"{name}.weight": (after, before), f"{name}.bias": (after,)}
    for block in (f"blocks.{index}" for index in range(30)):
        shapes |= {f"{block}.modulation": (1, 6, dim)}
        shapes |= {f"{block}.norm3.weight": (dim,), f"{block}.norm3.bias": (dim,)}
        for attention in ("self_attn", "cross_attn"):
            shapes |= {f"{block}.{attention}.norm_{side}.weight": (dim,) for side in "qk"}
        for target in TARGETS:
            after, before = {"ffn.0": (ffn, dim), "ffn.2": (dim, ffn)}.get(target, (dim, dim))
            shapes |= {
                f"{block}.{target}.base_layer.weight": (after, before),
                f"{block}.{target}.base_layer.bias": (after,),
                f"{block}.{target}.lora_A.default.weight": (rank, before),
                f"{block}.{target}.lora_B.default.weight": (after, rank),
            }
    return {f"pipe.dit.{name}": shape for name, shape in shapes.items()}


def unread(shapes: dict[str, tuple[int, ...]]) -> Weights:
    return Weights(Path("release.safetensors"), shapes, lambda name: torch.empty(shapes[name], device="meta"))


def test_the_real_release_fits_the_real_network() -> None:
    shapes = release_shapes()
    assert len(shapes) == 15 + 30 * (7 + 4 * len(TARGETS))
    stored = locate(unread(shapes), "transformer")
    plain = {name: shapes[entry.base[0]] for name, entry in stored.items()}
    config = transformer_config(plain, {}, Path("release.safetensors"))
    assert config == TransformerConfig()
    with torch.device("meta"):
        network = WanTransformer(config)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == plain
    assert round(sum(value.numel() for value in network.parameters()) / 1e6) == 1419
    assert sum(len(entry.lora) == 2 for entry in stored.values()) == 30 * len(TARGETS)
    assert {shapes[entry.lora["A"]][0] for entry in stored.values() if entry.lora} == {512}


def test_the_real_release_is_merged_and_assigned_key_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvd.backbones.wan.checkpoints._is_finite", lambda tensor: True)  # meta has no values
    network = load_transformer(unread(release_shapes()), device="meta", dtype=torch.bfloat16)
    assert network.config == TransformerConfig()
    assert {value.dtype for value in network.parameters()} == {torch.bfloat16}


def test_the_sizes_of_the_real_autoencoder_are_inferred() -> None:
    with torch.device("meta"):
        network = WanVAE(VAEConfig())
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert vae_config(shapes, {}, Path("vae")) == VAEConfig()
    assert round(sum(value.numel() for value in network.parameters()) / 1e5) == 1269


# Forms


def test_a_saved_release_is_read_back_unchanged(state: State, tmp_path: Path) -> None:
    save_release(state, tmp_path / "release.safetensors")
    assert_same(opened(tmp_path / "release.safetensors"), state)
    assert set(load_file(str(tmp_path / "release.safetensors"))) == {f"pipe.dit.{name}" for name in state}


@pytest.mark.parametrize("prefix", ["pipe.dit.", "model.", "model.diffusion_model.", ""])
def test_any_prefix_is_read(prefix: str, state: State, tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", {prefix + name: value for name, value in state.items()})
    assert_same(opened(path), state)


def test_diffusers_names_are_read(state: State, tmp_path: Path) -> None:
    table = transformer_table(SMALL.num_layers)
    path = written(tmp_path / "x.safetensors", {rename(name, table): value for name, value in state.items()})
    assert_same(opened(path), state)


def test_a_pth_with_plain_tensors_is_read(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "x.pth")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_same(opened(tmp_path / "x.pth"), state)
    assert_same(opened(tmp_path / "old.pth"), state)


def test_shards_are_read(state: State, tmp_path: Path) -> None:
    names = sorted(state)
    parts = {"a-00001-of-00002.safetensors": names[::2], "a-00002-of-00002.safetensors": names[1::2]}
    for file, part in parts.items():
        written(tmp_path / file, {name: state[name] for name in part})
    index = tmp_path / "a.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: file for file, part in parts.items() for name in part}}))
    assert_same(opened(index), state)
    (tmp_path / "a-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"index\.json: shards missing: a-00002-of-00002\.safetensors"):
        opened(index)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_stored_dtypes_are_kept(dtype: torch.dtype, state: State, tmp_path: Path) -> None:
    stored = {name: value.to(dtype) for name, value in state.items()}
    weights = open_weights(written(tmp_path / "x.safetensors", stored))
    assert_same({name: weights.read(name) for name in weights.shapes}, stored)
    network = load_transformer(weights, SIZES, dtype=torch.bfloat16)
    assert_same(dict(network.state_dict()), {name: value.to(torch.bfloat16) for name, value in stored.items()})


def test_the_rest_of_the_trainers_pipeline_is_ignored(state: State, tmp_path: Path) -> None:
    release = {f"pipe.dit.{name}": value for name, value in state.items()}
    path = written(tmp_path / "x.safetensors", {**release, "pipe.vae.model.conv1.weight": torch.ones(1)})
    assert_same(opened(path), state)


# LoRA


@pytest.mark.parametrize("alpha", [None, 4, 24.0])
def test_lora_is_merged_with_its_scale(alpha: float | None, state: State, tmp_path: Path) -> None:
    lora = adapters(state, rank=8)
    save_release(state, tmp_path / "x.safetensors", lora)
    told = {} if alpha is None else {"alpha": alpha}
    network = load_transformer(open_weights(tmp_path / "x.safetensors"), SIZES, told)
    scale = (8 if alpha is None else alpha) / 8
    for module, (down, up) in lora.items():
        expected = state[f"{module}.weight"].double() + scale * up.double() @ down.double()
        torch.testing.assert_close(network.get_parameter(f"{module}.weight").double(), expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(network.get_parameter(f"{module}.bias"), state[f"{module}.bias"])


def test_lora_is_merged_in_float32_even_from_and_to_bfloat16(state: State, tmp_path: Path) -> None:
    half = {name: value.bfloat16() for name, value in state.items()}
    lora = {name: (a.bfloat16(), b.bfloat16()) for name, (a, b) in adapters(state, rank=8).items()}
    save_release(half, tmp_path / "x.safetensors", lora)
    network = load_transformer(open_weights(tmp_path / "x.safetensors"), SIZES, dtype=torch.bfloat16)
    module, (down, up) = next(iter(lora.items()))
    expected = (half[f"{module}.weight"].float() + up.float() @ down.float()).bfloat16()
    torch.testing.assert_close(network.get_parameter(f"{module}.weight"), expected, rtol=1e-2, atol=1e-3)


def test_lora_in_a_pth_is_merged_once_per_load(state: State, tmp_path: Path) -> None:
    save_release(state, tmp_path / "x.safetensors", adapters(state, rank=8))
    torch.save(load_file(str(tmp_path / "x.safetensors")), tmp_path / "x.pth")
    weights = open_weights(tmp_path / "x.pth")
    once, twice = (dict(load_transformer(weights, SIZES).state_dict()) for _ in range(2))
    assert_same(once, twice)
    assert_same(once, opened(tmp_path / "x.safetensors"))


@pytest.mark.slow
def test_lora_agrees_with_peft(state: State, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    network = WanTransformer(SMALL)
    network.load_state_dict(state)
    config = peft.LoraConfig(
        r=8, lora_alpha=16, target_modules=["q", "k", "v", "o", "ffn.0", "ffn.2"], init_lora_weights=False
    )
    peft.inject_adapter_in_model(config, network)
    injected = {f"pipe.dit.{name}": value for name, value in network.state_dict().items()}
    weights = open_weights(written(tmp_path / "x.safetensors", injected))
    ours = load_transformer(weights, SIZES, {"alpha": 16, "rank": 8})
    latent = torch.randn(1, 16, 2, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(ours(latent, 500.0), network(latent, 500.0), rtol=1e-4, atol=1e-4)


def test_unmerged_lora_equals_the_files(state: State, tmp_path: Path) -> None:
    lora = adapters(state, rank=8)
    save_release(state, tmp_path / "x.safetensors", lora)
    weights = open_weights(tmp_path / "x.safetensors")
    network, found = load_unmerged(weights, SIZES, {"alpha": 24})
    assert_same(dict(network.state_dict()), state)
    assert found.keys() == lora.keys()
    assert all(torch.equal(one, other) for name in lora for one, other in zip(found[name], lora[name], strict=True))
    with pytest.raises(ModelError, match="LoRA has rank 8, not 16"):
        load_unmerged(weights, SIZES, {"rank": 16})
    lora["blocks.0.ffn.0"][1][3, 2] = float("nan")
    save_release(state, tmp_path / "y.safetensors", lora)
    with pytest.raises(ModelError, match=r"not finite: pipe\.dit\.blocks\.0\.ffn\.0\.lora_A"):
        load_unmerged(open_weights(tmp_path / "y.safetensors"), SIZES)


# Time

LEARNED = {"time_basis": torch.linspace(-1, 1, SMALL.freq_dim)}


def test_a_learned_time_basis_is_recognised(state: State, tmp_path: Path) -> None:
    save_release(state | LEARNED, tmp_path / "x.safetensors")
    assert_same(opened(tmp_path / "x.safetensors"), state | LEARNED)
    assert_same(opened(tmp_path / "x.safetensors", time="learned"), state | LEARNED)


def test_only_a_configuration_turns_time_off(state: State, tmp_path: Path) -> None:
    save_release(state, tmp_path / "x.safetensors")
    weights = open_weights(tmp_path / "x.safetensors")
    network = load_transformer(weights, {**SIZES, "time": "none"})
    assert network.config == replace(SMALL, time="none")
    assert_same(dict(network.state_dict()), state)
    assert load_transformer(weights, SIZES).config == SMALL


TIME_REFUSALS = {
    "gives time = 'none', but it holds a learned time_basis": ("none", True),
    "gives time = 'sinusoidal', but it holds a learned time_basis": ("sinusoidal", True),
    "gives time = 'learned', but it holds no time_basis": ("learned", False),
    "unknown time mode 'lerned'; did you mean learned": ("lerned", False),
    "gives time = None; write a word there": (None, False),
}


@pytest.mark.parametrize(("words", "case"), TIME_REFUSALS.items())
def test_file_and_configuration_must_agree_on_time(
    words: str, case: tuple[str, bool], state: State, tmp_path: Path
) -> None:
    time, has_basis = case
    save_release(state | (LEARNED if has_basis else {}), tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=re.escape(words)):
        opened(tmp_path / "x.safetensors", time=time)


# Names against diffusers


@pytest.mark.slow
def test_names_are_those_of_diffusers_converter() -> None:
    single_file_utils = pytest.importorskip("diffusers.loaders.single_file_utils", reason="diffusers is not installed")
    with torch.device("meta"):
        networks = {"transformer": WanTransformer(TransformerConfig()), "vae": WanVAE(VAEConfig())}
    tables = {"transformer": transformer_table(30), "vae": vae_table(2, 4)}
    for part, network in networks.items():
        names = list(network.state_dict())
        convert = getattr(single_file_utils, f"convert_wan_{part}_to_diffusers")
        theirs = {ours: name for name, ours in convert({name: name for name in names}).items()}
        assert {name: rename(name, tables[part]) for name in names} == theirs
        table = table_for(theirs.values(), part)
        assert [rename(theirs[name], table) for name in names] == names
        assert table_for(names, part) == {}


@pytest.mark.parametrize("table", [transformer_table(30), vae_table(2, 4), vae_table(1, 3)])
def test_tables_are_one_to_one(table: dict[str, str]) -> None:
    assert inverse(inverse(table)) == table


def test_the_golden_files_are_recognised() -> None:
    kinds = {
        name: network_of(open_weights(GOLDEN / name).shapes) for name in ("dvd_tiny.safetensors", "wan_vae_tiny.pth")
    }
    assert kinds == {"dvd_tiny.safetensors": ("transformer", "pipe.dit."), "wan_vae_tiny.pth": ("vae", "")}
    assert network_of(open_weights(GOLDEN / "tensors.safetensors").shapes) is None


# Refusals


def drop(state: State) -> State:
    return {name: value for name, value in state.items() if name != "blocks.1.ffn.2.bias"}


def add(state: State) -> State:
    return {**state, "blocks.0.extra.weight": torch.ones(1)}


def bend(state: State) -> State:
    return {**state, "blocks.1.self_attn.k.weight": torch.ones(64, 65)}


def spoil(value: float) -> Callable[[State], State]:
    def change(state: State) -> State:
        state["blocks.0.self_attn.v.weight"][3, 5] = value
        return state

    return change


def half_an_adapter(state: State) -> State:
    return {**state, "blocks.0.self_attn.q.lora_A.default.weight": torch.ones(4, 64)}


def strange_adapter(state: State) -> State:
    lora = {"lora_A.default": torch.ones(4, 60), "lora_B.default": torch.ones(64, 4)}
    return state | {f"blocks.0.self_attn.q.{side}.weight": value for side, value in lora.items()}


def twice(state: State) -> State:
    return {**state, "blocks.0.ffn.0.base_layer.weight": torch.ones(96, 64)}


REFUSALS = {
    "keys missing: blocks.1.ffn.2.bias": drop,
    "unknown keys: blocks.0.extra.weight": add,
    "wrong shapes: blocks.1.self_attn.k.weight is (64, 65), not (64, 64)": bend,
    "not finite: blocks.0.self_attn.v.weight": spoil(float("nan")),
    "not finite: blocks.0.self_attn.v.weight ": spoil(float("-inf")),
    "keys missing: blocks.0.self_attn.q.weight": half_an_adapter,
    "blocks.0.self_attn.q.lora_A.default.weight is (4, 60), not (4, 64)": strange_adapter,
    "the same weights twice: blocks.0.ffn.0.base_layer.weight, blocks.0.ffn.0.weight": twice,
}


@pytest.mark.parametrize(("words", "change"), REFUSALS.items(), ids=lambda value: getattr(value, "__name__", "refused"))
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(
    words: str, change: Callable[[State], State], state: State, tmp_path: Path
) -> None:
    path = written(tmp_path / "x.safetensors", change(state))
    with pytest.raises(ModelError, match=re.escape(words.strip())) as caught:
        opened(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_too_large_for_half_precision_is_refused(state: State, tmp_path: Path) -> None:
    weights = open_weights(written(tmp_path / "x.safetensors", spoil(1e30)(state)))
    with pytest.raises(ModelError, match=r"not finite: .* as torch\.float16"):
        load_transformer(weights, SIZES, dtype=torch.float16)


def test_a_configuration_that_contradicts_the_weights_is_refused(state: State, tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", state)
    with pytest.raises(ModelError, match=r"wrong shapes: .*ffn"):
        opened(path, ffn_dim=128)
    with pytest.raises(ModelError, match=r"keys missing: blocks\.2"):
        opened(path, num_layers=3)
    with pytest.raises(ModelError, match="num_layers = 'two'; write a positive whole number"):
        opened(path, num_layers="two")
    with pytest.raises(ModelError, match="num_heads = 0"):
        opened(path, num_heads=0)
    with pytest.raises(ModelError, match="the number of heads does not follow from the width 64"):
        load_transformer(open_weights(path))


def test_a_configuration_that_misstates_lora_is_refused(state: State, tmp_path: Path) -> None:
    save_release(state, tmp_path / "x.safetensors", adapters(state, rank=8))
    weights = open_weights(tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="LoRA has rank 8, not 16"):
        load_transformer(weights, SIZES, {"rank": 16})
    with pytest.raises(ModelError, match="LoRA alpha = 'much'"):
        load_transformer(weights, SIZES, {"alpha": "much"})


def test_a_diffusers_configuration_is_read(state: State, tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", state)
    theirs = {"num_attention_heads": 2, "attention_head_dim": 32, "in_channels": 16, "qk_norm": "rms_norm_across_heads"}
    assert load_transformer(open_weights(path), theirs).config == SMALL


def test_damaged_files_are_named(state: State, tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.safetensors", state).read_bytes()
    torch.save(state, tmp_path / "whole.pth")
    pickled = (tmp_path / "whole.pth").read_bytes()
    for name, content in {
        "truncated.safetensors": whole[: len(whole) // 2],
        "empty.safetensors": b"",
        "text.safetensors": b"version https://git-lfs.github.com/spec/v1\n",
        "truncated.pth": pickled[: len(pickled) // 2],
        "empty.pth": b"",
        "text.pth": b"not weights at all\n",
        "text.safetensors.index.json": b"{",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=f"{re.escape(name)}: not a whole weight file .*; get it again"):
            open_weights(tmp_path / name)
    with pytest.raises(ModelError, match=r"absent\.safetensors: not a whole weight file"):
        open_weights(tmp_path / "absent.safetensors")


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1), "then": print}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"x\.pth: not a whole weight file \(Weights only load failed"):
        open_weights(tmp_path / "x.pth")


def test_the_wrong_network_is_refused(state: State, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no vae in it"):
        load_vae(open_weights(written(tmp_path / "x.safetensors", state)))


def test_integer_weights_are_refused(state: State, tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", {**state, "head.head.bias": torch.ones(64, dtype=torch.int8)})
    with pytest.raises(ModelError, match=r"head\.head\.bias is stored as I8"):
        opened(path)


def test_a_folder_that_cannot_be_made_is_refused(state: State, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"x\.safetensors: its folder cannot be made"):
        save_release(state, tmp_path / "file" / "x.safetensors")


# Memory

PEAK = """
import json, re, sys
import torch
from pathlib import Path
from dvd.backbones.wan.checkpoints import load_transformer
from dvd.backbones.wan.weights import open_weights

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))

torch.ones(8, 8) @ torch.ones(8, 8)
before = peak()
network = load_transformer(open_weights(Path(sys.argv[1])), dtype=getattr(torch, sys.argv[2]))
weights = sum(value.numel() * value.element_size() for value in network.parameters())
print(json.dumps({"growth": peak() - before, "weights": weights}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_loading_takes_memory_for_the_weights_and_one_tensor(dtype: str, tmp_path: Path) -> None:
    config = TransformerConfig(dim=512, ffn_dim=2048, text_dim=512, num_heads=4, num_layers=16)
    network = WanTransformer(config)
    state = {name: torch.randn_like(value) for name, value in network.state_dict().items()}
    lora = {
        name.removesuffix(".weight"): (torch.randn(128, value.shape[1]), torch.randn(value.shape[0], 128))
        for name, value in state.items()
        if name.startswith("blocks.") and name.removesuffix(".weight").endswith(TARGETS)
    }
    save_release(state, tmp_path / "x.safetensors", lora)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "x.safetensors"), dtype]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert measured["weights"] > 130e6
    assert measured["growth"] <= 1.25 * measured["weights"]

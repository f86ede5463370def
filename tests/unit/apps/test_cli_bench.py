"""The arithmetic of `dvd bench`, and one quick run."""

from __future__ import annotations

import argparse
import json

import pytest
import torch

from dvd.apps import bench, cli
from dvd.apps.bench import Row, ratios
from dvd.backbones.wan.transformer import TransformerConfig
from dvd.backbones.wan.vae import VAEConfig
from dvd.evaluate.contenders import Shape, Way, wan_stages

TINY_TRANSFORMER = TransformerConfig(dim=96, ffn_dim=192, text_dim=32, num_heads=4, num_layers=2)
TINY_VAE = VAEConfig(dim=8, num_res_blocks=1)


def row(stage: str, by: str, dtype: str, seconds: float) -> Row:
    return Row(stage, by, dtype, seconds, 0.0, 1.0, 1.0, None)


def test_ratios_compare_only_stages_that_both_sides_have() -> None:
    rows = [
        row("encode", "ours", "float32", 1.0),
        row("encode", "ours", "bfloat16", 0.5),
        row("transformer", "unfolded", "float32", 6.0),
        row("transformer", "folded", "float32", 4.0),
        row("transformer", "folded", "bfloat16", 1.5),
        row("transformer", "diffusers", "float32", 8.0),
    ]
    assert ratios(rows) == {
        "folded against unfolded, float32 (transformer)": 1.5,
        "bfloat16 against float32, ours (encode + transformer)": 2.5,
        "ours against diffusers, float32 (transformer)": 2.0,
        "ours in bfloat16 against diffusers in float32 (transformer)": pytest.approx(8 / 1.5),
    }


def test_all_ways_through_a_stage_give_the_same() -> None:
    pytest.importorskip("diffusers", reason="the extra diffusers is not installed")
    torch.manual_seed(0)
    stages = dict(wan_stages(Shape(5, 32, 48), torch.device("cpu"), TINY_TRANSFORMER, TINY_VAE))
    assert list(stages) == ["encode", "transformer", "decode"]
    shapes = {"encode": (1, 16, 2, 4, 6), "transformer": (1, 16, 2, 4, 6), "decode": (1, 3, 5, 32, 48)}
    with torch.inference_mode():
        for stage, ways in stages.items():
            truth = ways[Way("diffusers", "float32")]()
            assert truth.shape == shapes[stage]
            for way, work in ways.items():
                result = work()
                error = float((result.float() - truth).norm() / truth.norm())
                assert error < (1e-4 if way.dtype == "float32" else 5e-2), (stage, way)
                assert result.dtype == getattr(torch, way.dtype)


@pytest.mark.slow
def test_a_quick_run_prints_one_document(capsys) -> None:
    pytest.importorskip("diffusers", reason="the extra diffusers is not installed")
    assert cli.main(["bench", "--quick", "--json", "--model", "mini", "--device", "cpu"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"commit", "torch", "device", "processor", "threads", "load"} == told["conditions"].keys()
    (result,) = told["results"]
    assert (result["frames"], result["height"], result["width"]) == (17, 192, 256)
    assert {(row["stage"], row["by"], row["dtype"]) for row in result["rows"]} >= {
        ("encode", "ours", "float32"),
        ("transformer", "unfolded", "float32"),
        ("transformer", "folded", "bfloat16"),
        ("transformer", "diffusers", "float32"),
        ("decode", "ours", "bfloat16"),
        ("decode", "diffusers", "bfloat16"),
    }
    assert all(row["seconds"] > 0 and row["gflops"] > 0 for row in result["rows"])
    assert max(result["relative_difference"].values()) < 1e-4


def test_a_machine_that_is_too_small_is_told_so(capsys, monkeypatch) -> None:
    monkeypatch.setattr("dvd.hardware.available_memory", lambda device: 4 * 10**9)
    assert cli.main(["bench", "--quick", "--model", "wan-1.3b", "--device", "cpu"]) == 2
    assert "about 18 GB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ([], ("mini", "wan-1.3b")),
        (["--quick"], ("mini",)),
        (["--quick", "--model", "all"], ("mini", "wan-1.3b")),
        (["--quick", "--model", "wan-1.3b"], ("wan-1.3b",)),
    ],
)
def test_a_quick_run_takes_the_models_that_are_named(words: list[str], chosen: tuple[str, ...]) -> None:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    assert bench._chosen(parser.parse_args(words)) == chosen

"""Networks without memory: the right shapes, and without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dvd.backbones.blueprint import blueprint
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.backbones.wan.vae import VAEConfig, WanVAE

SMALL = TransformerConfig(dim=64, ffn_dim=96, text_dim=40, freq_dim=32, num_heads=2, num_layers=2)
LOOK = """
import sys
from dvd.backbones.blueprint import blueprint
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
before = set(sys.modules)
with blueprint():
    WanTransformer(TransformerConfig())
print(sorted(name for name in set(sys.modules) - before if name.startswith(("torch._dynamo", "torch._refs", "sympy"))))
"""


def test_a_blueprint_has_the_networks_shapes_and_no_memory() -> None:
    with blueprint():
        empty = [WanTransformer(SMALL), WanVAE(VAEConfig(dim=8))]
    for one, other in zip(empty, [WanTransformer(SMALL), WanVAE(VAEConfig(dim=8))], strict=True):
        assert all(value.is_meta for value in one.state_dict().values())
        shapes = [{name: value.shape for name, value in network.state_dict().items()} for network in (one, other)]
        assert shapes[0] == shapes[1]


@pytest.mark.slow
def test_torchs_compiler_is_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"

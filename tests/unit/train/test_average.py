"""The moving average of the weights."""

import pytest
import torch
from torch import nn

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.train.average import Average


def moved(steps: int, decay: float) -> tuple[nn.Linear, Average, list[torch.Tensor]]:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    average, seen = Average(module, decay), []
    seen.append(module.weight.detach().clone())
    for step in range(steps):
        with torch.no_grad():
            module.weight.add_(torch.randn(2, 3))
        seen.append(module.weight.detach().clone())
        average.update(step)
    return module, average, seen


def test_it_is_the_recursion_written_out() -> None:
    module, average, seen = moved(20, 0.9)
    wanted = seen[0]
    for step, weight in enumerate(seen[1:]):
        decay = min(0.9, (step + 1) / (step + 10))
        wanted = decay * wanted + (1 - decay) * weight
    torch.testing.assert_close(average.kept["weight"], wanted)
    with average.in_place():
        torch.testing.assert_close(module.weight.detach(), wanted)
    assert torch.equal(module.weight, seen[-1])
    average.settle()
    torch.testing.assert_close(module.weight.detach(), wanted)


def test_decay_zero_keeps_the_weights_themselves() -> None:
    module, average, seen = moved(3, 0.0)
    with average.in_place():
        assert torch.equal(module.weight, seen[-1])
    assert average.kept == {}


def test_frozen_parameters_are_not_averaged() -> None:
    module = nn.Linear(3, 2)
    module.bias.requires_grad_(False)
    assert set(Average(module, 0.9).kept) == {"weight"}

"""Schedules, rates and the moving average of the weights."""

import pytest
import torch
from torch import nn

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.train.optim import Average, factor, set_rates
from dvd.train.settings import Phase


@pytest.mark.parametrize("schedule", ["constant", "cosine", "trapezoid"])
def test_rates_rise_in_the_warm_up(schedule: str) -> None:
    phase = Phase(name="p", steps=100, warm_up=10, schedule=schedule)  # type: ignore[arg-type]
    rates = [factor(phase, step) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert max(rates) == 1


def test_falling_schedules_end_near_zero_and_the_constant_stays() -> None:
    last = {
        schedule: factor(Phase(name="p", steps=100, schedule=schedule), 99)  # type: ignore[arg-type]
        for schedule in ("constant", "cosine", "trapezoid")
    }
    assert last["constant"] == 1
    assert last["cosine"] < 0.03
    assert last["trapezoid"] == pytest.approx(1 / 40)


def test_groups_keep_the_ratio_of_their_rates() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "base": base, "lr": base} for base in (1.0, 0.1)]
    optimizer = torch.optim.AdamW(groups)
    set_rates([optimizer], 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]


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


def test_the_average_follows_its_formula() -> None:
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

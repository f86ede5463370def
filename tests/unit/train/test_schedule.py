"""Learning rates over a phase."""

import pytest
import torch

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.train.schedule import factor, set_rates
from dvd.train.settings import Phase


@pytest.mark.parametrize("schedule", ["constant", "cosine", "trapezoid"])
def test_rates_rise_in_the_warm_up(schedule: str) -> None:
    phase = Phase(name="p", steps=100, warm_up=10, schedule=schedule)  # type: ignore[arg-type]
    rates = [factor(phase, step) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert max(rates) == 1


def test_what_falls_ends_near_nothing_and_the_constant_stays() -> None:
    last = {
        schedule: factor(Phase(name="p", steps=100, schedule=schedule), 99)  # type: ignore[arg-type]
        for schedule in ("constant", "cosine", "trapezoid")
    }
    assert last["constant"] == 1
    assert last["cosine"] < 0.03
    assert last["trapezoid"] == pytest.approx(1 / 40)


def test_groups_keep_their_ratio() -> None:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "base": base, "lr": base} for base in (1.0, 0.1)]
    optimizer = torch.optim.AdamW(groups)
    set_rates([optimizer], 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]

from __future__ import annotations

import pytest
import torch

from dvd.evaluate.speed import race as speed


def test_flops_of_product_convolution_and_attention_are_two_per_multiply_add():
    rows = torch.randn(128, 32)
    linear = torch.nn.Linear(32, 16)
    image = torch.randn(1, 3, 10, 10)
    convolution = torch.nn.Conv2d(3, 4, 3)
    tokens = torch.randn(1, 2, 64, 32)
    with torch.no_grad():
        assert speed.count_flops(lambda: linear(rows)) == 2 * 128 * 32 * 16
        assert speed.count_flops(lambda: convolution(image)) == 2 * 8 * 8 * 4 * 3 * 9
        attend = torch.nn.functional.scaled_dot_product_attention
        assert speed.count_flops(lambda: attend(tokens, tokens, tokens)) == 2 * 2 * 2 * 64 * 64 * 32


def test_race_takes_turns_and_counts_every_repeat():
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in ("a", "b", "c")}
    timings = speed.race(ways, repeats=3)
    warm_up = [*"abc", *"abc"]
    assert calls == [*warm_up, *"abc", *"bca", *"cab"]
    assert {name: len(timing.seconds) for name, timing in timings.items()} == {"a": 3, "b": 3, "c": 3}


def test_timing_is_median_spread_and_achieved_rate():
    timing = speed.Timing(seconds=(1.0, 2.0, 4.0), flops=4_000_000_000)
    assert timing.median == 2.0
    assert timing.spread == pytest.approx(0.75)
    assert timing.gflops == pytest.approx(2.0)


def test_race_without_repeats_is_refused():
    with pytest.raises(ValueError, match="at least one repeat, not 0"):
        speed.race({"a": lambda: None}, repeats=0)


def test_conditions_say_where_a_number_came_from():
    stated = speed.conditions("cpu")
    assert stated["device"].startswith("cpu (")
    assert stated["threads"] == torch.get_num_threads()
    assert stated["torch"] == torch.__version__
    assert stated["commit"]
    assert stated["processor"]
